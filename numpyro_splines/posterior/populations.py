"""The population that levels come from, and new levels of it, labeled."""

from __future__ import annotations

from typing import Any

import numpy as np
import xarray as xr
from jaxtyping import Array

from numpyro_splines.effects import TensorEffect
from numpyro_splines.functions import Combination, Curve
from numpyro_splines.posterior.draws import dataset, levels_of
from numpyro_splines.posterior.labeled import SAMPLE, LabeledCurve
from numpyro_splines.posterior.surfaces import LabeledSurface


def population(
    effect: TensorEffect, key: Array, draws: Any, *, margin: str | None = None, prefix: str = ""
) -> Any:
    """Draws of the function of the population; see `TensorEffect.population`.

    It is without the intercept of the model: for means and probabilities add that, then the link.

    Args:
        effect: with a `GroupMargin` of the kind "population".
        key: random key.
        draws: as in `dataset`.
        margin: name of the group margin, where there are several.
        prefix: as in `TensorEffect.surface`.

    Returns:
        A `LabeledCurve` of one remaining numeric input, a `LabeledSurface` of others; a labeled
        array with the axes chain and draw where no input remains.

    Example:
        >>> import jax, numpyro_splines as ns
        >>> age = ns.CurveMargin(ns.BSplineBasis(ns.knots.uniform(0.0, 1.0, 4)))
        >>> f = ns.TensorEffect("f", age=age, boy=ns.GroupMargin(["Ann", "Tom", "Bob"]))
        >>> draws = {"f.coefficients": np.zeros((4, 100, 6, 3))}
        >>> names = ["age", "boy", "age.linear:boy", "age:boy"]
        >>> draws |= {f"f.{name}.scale": np.ones((4, 100)) for name in names}
        >>> population(f, jax.random.key(0), draws)
        LabeledCurve 'f' of 'age' with (chain: 4, draw: 100)
    """
    data = dataset(draws, start=prefix + effect.site(""))
    arrays = {str(site): values.values for site, values in data.data_vars.items()}
    made = effect.population(key, arrays, margin=margin, prefix=prefix)
    return _labeled(effect, made, data, SAMPLE)


def new_levels(
    effect: TensorEffect,
    key: Array,
    draws: Any,
    num: int,
    *,
    margin: str | None = None,
    prefix: str = "",
) -> Any:
    """Draws of the function for levels that were not seen; see `TensorEffect.new_levels`.

    Without the intercept of the model, as in `population`.

    Args:
        effect: as in `population`.
        key: random key.
        draws: as in `dataset`.
        num: of new levels.
        margin: as in `population`.
        prefix: as in `population`.

    Returns:
        As `population`, with an axis of the name of the margin for the new levels, 0, 1, ...

    Example:
        >>> import jax, numpyro_splines as ns
        >>> f = ns.TensorEffect("f", school=ns.GroupMargin(8))
        >>> draws = {"f.coefficients": np.zeros((4, 100, 8)), "f.school.scale": np.ones((4, 100))}
        >>> print(new_levels(f, jax.random.key(0), draws, 2).dims)
        ('chain', 'draw', 'school')
    """
    data = dataset(draws, start=prefix + effect.site(""))
    arrays = {str(site): values.values for site, values in data.data_vars.items()}
    made = effect.new_levels(key, arrays, num, margin=margin, prefix=prefix)
    return _labeled(effect, made, data, (*SAMPLE, effect.population_margin(margin)))


def _labeled(effect: TensorEffect, made: Any, data: xr.Dataset, dims: tuple[str, ...]) -> Any:
    coords = {str(dim): data[dim].values for dim in SAMPLE if dim in data.coords}
    known: dict[str, Any] = {"dims": dims, "coords": coords, "name": effect.name}
    if isinstance(made, Curve | Combination):
        (kept,) = [name for name in effect.names if name not in levels_of(effect)]
        return LabeledCurve(made, input_name=kept, **known)
    if isinstance(made, np.ndarray):
        return xr.DataArray(made, coords, dims, name=effect.name)
    return LabeledSurface(made, levels=levels_of(effect), **known)
