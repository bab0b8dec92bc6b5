"""Draws in the forms in which people have them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import xarray as xr

from numpyro_splines.arguments import mapping, names, text
from numpyro_splines.effects import SplineEffect, TensorEffect
from numpyro_splines.margins import CurveMargin
from numpyro_splines.margins.levels import AbstractLevelMargin
from numpyro_splines.posterior.labeled import SAMPLE, LabeledCurve
from numpyro_splines.posterior.surfaces import LabeledSurface


def dataset(draws: Any, *, start: str = "") -> xr.Dataset:
    """Draws as an xarray dataset with the axes chain and draw in front.

    Args:
        draws: arrays by site name with leading axes (chain, draw), as
            `mcmc.get_samples(group_by_chain=True)` returns them; an `MCMC` that has run; an ArviZ
            `InferenceData` or `DataTree` with a group "posterior"; or that group as a `Dataset`.
        start: take only the sites whose names start with this.

    Returns:
        One variable per site; further axes of plain arrays are named as ArviZ does,
        `<site>_dim_0`, ...

    Raises:
        TypeError: if the draws are none of these.
        ValueError: if they lack the axes chain and draw, or differ in their lengths.

    Example:
        >>> print(dict(dataset({"level": np.zeros((4, 100))}).sizes))
        {'chain': 4, 'draw': 100}
    """
    text(start, "start")
    group = _group(draws)
    if isinstance(group, xr.Dataset):
        if missing := [dim for dim in SAMPLE if dim not in group.dims]:
            raise ValueError(f"`draws` must have the axes {SAMPLE}; {missing} are missing.")
        kept = group[[name for name in group.data_vars if str(name).startswith(start)]]
        return kept.transpose(*SAMPLE, ...)
    arrays = {str(k): np.asarray(v) for k, v in group.items() if str(k).startswith(start)}
    shapes = {name: values.shape for name, values in arrays.items()}
    leading = {shape[:2] for shape in shapes.values()}
    if len(leading) > 1 or any(len(shape) < 2 for shape in leading):
        raise ValueError(
            f"`draws` must hold arrays with common leading axes (chain, draw); got {shapes}. "
            "Use get_samples(group_by_chain=True), or array[None] for a single chain."
        )
    variables = {
        name: ((*SAMPLE, *(f"{name}_dim_{i}" for i in range(values.ndim - 2))), values)
        for name, values in arrays.items()
    }
    sizes = zip(SAMPLE, next(iter(leading), ()), strict=False)
    return xr.Dataset(variables, {dim: np.arange(size) for dim, size in sizes})


def curve(
    effect: SplineEffect | TensorEffect,
    draws: Any,
    *,
    dims: Sequence[str] | None = None,
    coords: Mapping[str, Any] | None = None,
    prefix: str = "",
    input_name: str | None = None,
) -> LabeledCurve:
    """The curves of an effect, one for each draw, with the names of their axes.

    Args:
        effect: the effect; of one numeric input.
        draws: as in `dataset`.
        dims: names of the plates around the effect, if there are any; those of an ArviZ object, or
            `<effect>_dim_0`, ..., if omitted.
        coords: coordinates along them, by name.
        prefix: as in `SplineEffect.curve`.
        input_name: of the input, for the axis of its values; that of the margin, or "x", if
            omitted.

    Returns:
        One curve for each draw, with names for its axes.

    Raises:
        KeyError: if the draws lack the sites of the effect.
        TypeError: if the effect is none of one numeric input; or as `dataset`.
        ValueError: as `dataset`, or if names do not fit the shape of the draws.

    Example:
        >>> import numpyro_splines as ns
        >>> f = ns.SplineEffect("f", ns.BSplineBasis(ns.knots.uniform(0.0, 1.0, 10)))
        >>> draws = {"f.coefficients": np.zeros((4, 100, 3, 12))}
        >>> curve(f, draws, dims=["group"], coords={"group": ["a", "b", "c"]})
        LabeledCurve 'f' of 'x' with (chain: 4, draw: 100, group: 3)
    """
    if not isinstance(effect, SplineEffect | TensorEffect):
        raise TypeError(f"`effect` must be a SplineEffect; got {type(effect).__name__}.")
    if isinstance(effect, TensorEffect) and not _is_curve(effect):
        raise TypeError(
            f"`effect` must have one numeric input; got {effect.name!r} of {list(effect.names)}. "
            "Use posterior.surface(effect, draws)."
        )
    made, names, known = _functions(effect, draws, dims, coords, prefix)
    if input_name is None:
        input_name = effect.names[0] if isinstance(effect, TensorEffect) else "x"
    return LabeledCurve(made, dims=names, coords=known, name=effect.name, input_name=input_name)


def surface(
    effect: TensorEffect,
    draws: Any,
    *,
    dims: Sequence[str] | None = None,
    coords: Mapping[str, Any] | None = None,
    prefix: str = "",
) -> LabeledSurface:
    """The surfaces of an effect of several inputs or of groups, one for each draw.

    Args:
        effect: the effect.
        draws: as in `dataset`.
        dims: as in `curve`.
        coords: as in `curve`.
        prefix: as in `TensorEffect.surface`.

    Returns:
        One surface for each draw, with names for its axes, its inputs and the levels of groups.

    Raises:
        KeyError: if the draws lack the sites of the effect.
        TypeError: if the effect is no such one; or as `dataset`.
        ValueError: as `curve`.

    Example:
        >>> import numpyro_splines as ns
        >>> basis = ns.BSplineBasis(ns.knots.uniform(0.0, 1.0, 4))
        >>> f = ns.TensorEffect("f", x=ns.CurveMargin(basis), z=ns.CurveMargin(basis))
        >>> surface(f, {"f.coefficients": np.zeros((4, 100, 6, 6))})
        LabeledSurface 'f' of 'x', 'z' with (chain: 4, draw: 100)
    """
    if not isinstance(effect, TensorEffect) or _is_curve(effect):
        raise TypeError(
            "`effect` must be a TensorEffect of several inputs or of groups; got "
            f"{getattr(effect, 'name', effect)!r}. Use posterior.curve(effect, draws) for one of "
            "one numeric input."
        )
    made, names, known = _functions(effect, draws, dims, coords, prefix)
    return LabeledSurface(
        made, dims=names, coords=known, name=effect.name, levels=levels_of(effect)
    )


def levels_of(effect: TensorEffect) -> dict[str, Sequence[Any]]:
    """Labels of the levels of groups and areas, by the name of the margin.

    Args:
        effect: the effect.
    """
    return {
        name: margin.levels
        for name, margin in effect.margins.items()
        if isinstance(margin, AbstractLevelMargin)
    }


def _is_curve(effect: TensorEffect) -> bool:
    (*others, margin) = effect.margins.values()
    return not others and isinstance(margin, CurveMargin)


def _functions(
    effect: SplineEffect | TensorEffect,
    draws: Any,
    dims: Sequence[str] | None,
    coords: Mapping[str, Any] | None,
    prefix: str,
) -> tuple[Any, tuple[str, ...], dict[str, Any]]:
    """The functions of all draws, the names of their axes and the coordinates along them."""
    coords = mapping(coords, "coords")
    data = dataset(draws, start=text(prefix, "prefix") + effect.site(""))
    if not data.data_vars:
        raise KeyError(
            f"`draws` must hold {prefix + effect.site('coefficients')}, or the sample sites of the "
            f"effect; got {site_names(draws)}. Is the name of the effect, or `prefix`, another?"
        )
    arrays = {str(k): v.values for k, v in data.data_vars.items()}
    made = effect.drawn(arrays, prefix=prefix)
    num, site = len(made.batch_shape) - 2, prefix + effect.site("coefficients")
    found = [] if site not in data else [str(dim) for dim in data[site].dims[2 : num + 2]]
    if dims is None and found and not any(dim.startswith(site) for dim in found):
        dims = found
    elif dims is None:
        dims = [f"{effect.name}_dim_{i}" for i in range(num)]
    dims = names(dims, "dims")
    if stray := [dim for dim in coords if dim not in (*SAMPLE, *dims)]:
        raise ValueError(
            f"`coords` must be of the axes of the {type(made).__name__.lower()}s, "
            f"{(*SAMPLE, *dims)}; got {stray}. Name the plates around the effect by `dims`."
        )
    known = {str(dim): values.values for dim, values in data.coords.items()}
    return made, (*SAMPLE, *dims), {**known, **coords}


def site_names(draws: Any) -> list[str]:
    """Names of all that the draws hold, for messages.

    Args:
        draws: as in `dataset`.
    """
    group = _group(draws)
    return sorted(map(str, group.data_vars if isinstance(group, xr.Dataset) else group))


def _group(draws: Any) -> Any:
    """A dataset, or arrays by name."""
    if isinstance(draws, xr.Dataset):
        return draws
    if isinstance(draws, xr.DataTree):
        return (draws["posterior"] if "posterior" in draws.children else draws).to_dataset()
    if isinstance(posterior := getattr(draws, "posterior", None), xr.Dataset):
        return posterior
    # By what it does: this layer knows NumPyro's classes only through the effects.
    if callable(samples := getattr(draws, "get_samples", None)):
        return samples(group_by_chain=True)
    if isinstance(draws, Mapping):
        return draws
    raise TypeError(
        "`draws` must be arrays by site name, an MCMC, or an ArviZ object with a posterior; got "
        f"{type(draws).__name__}."
    )
