"""What an additive predictor is made of: blocks of coefficients, checked terms, local powers."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import numpyro.distributions as dist

from numpyro_splines.bases import AbstractBasis
from numpyro_splines.effects import SplineEffect
from numpyro_splines.ops import piecewise
from numpyro_splines.priors.coordinates import Coordinates
from numpyro_splines.priors.gaussian import GaussianSmooth
from numpyro_splines.validation import float64_array, is_traced, kinds_of


class Block(NamedTuple):
    """Where the coefficients of one site lie in the vector of all coefficients.

    Attributes:
        site: name of the site.
        start: first entry.
        stop: one past the last entry.
        scalar: whether the site holds a number rather than a vector.
    """

    site: str
    start: int
    stop: int
    scalar: bool = False


def local_powers(
    basis: AbstractBasis, x: np.ndarray, name: str
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Table row and powers of the coordinate of each x, and the table of all basis functions."""
    pieces: Any = basis
    breakpoints, table, periodic = pieces.pieces()
    points = piecewise.wrap(x, breakpoints)[0] if periodic else x
    row, u = piecewise.locate(points, breakpoints)
    broken = np.logical_not(np.all(np.isfinite(table), axis=(0, 2))).reshape(-1)
    if broken[row].any():
        raise ValueError(
            f"`x of {name}` must lie where the curve is defined; got {x[broken[row]][0]:.17g} at "
            f"index {int(np.flatnonzero(broken[row])[0])}, outside the domain {basis.domain}. "
            "Use another extrapolation or a wider domain."
        )
    table = np.where(broken[:, None], 0.0, table)
    powers = u[:, None] ** np.arange(table.shape[-1])
    return row, powers, table.reshape(table.shape[0], -1).T


def layout(
    effects: tuple[SplineEffect, ...],
    names: tuple[str, ...],
    sizes: tuple[int, ...],
    scalars: tuple[bool, ...],
) -> tuple[Block, ...]:
    """The blocks of all coefficients: named terms, linear parts of the effects, modes."""
    parts = list(zip(names, sizes, scalars, strict=True))
    linear = [(e.site("linear"), gaussian(e).num_linear, False) for e in effects]
    parts += [part for part in linear if part[1] > 0]
    parts += [(e.site("modes"), gaussian(e).num_modes, False) for e in effects]
    names = tuple(site for site, _, _ in parts)
    if len(set(names)) < len(names):
        raise ValueError(f"Names of effects and `linear` terms must differ; got sites {names}.")
    stops = np.cumsum([size for _, size, _ in parts])
    return tuple(
        Block(site, int(stop) - size, int(stop), scalar)
        for (site, size, scalar), stop in zip(parts, stops, strict=True)
    )


def check_pairs(smooths: tuple[Any, ...]) -> None:
    """Refuse what is no pair (effect, x) with a prior that is Gaussian given its scale."""
    for pair in smooths:
        if not (isinstance(pair, tuple) and len(pair) == 2 and isinstance(pair[0], SplineEffect)):
            raise TypeError(
                "`smooths` must be pairs (SplineEffect, x) of an effect and its n inputs, one for "
                f"each effect: AdditivePredictor((f, x), (g, z), ...); got {kinds_of(pair)}."
            )
        smooth = pair[0].smooth
        if not isinstance(smooth, GaussianSmooth):
            raise TypeError(
                f"`{pair[0].name}` must have a prior that is Gaussian given its scale, "
                f"SmoothnessPrior or RandomWalkPrior; got {type(pair[0].prior).__name__}."
            )
        if smooth.linear_scale is not None or smooth.mean is not None:
            raise TypeError(
                f"`{pair[0].name}` must have a prior without `linear_scale` and `mean`: these "
                "need all coefficients drawn in the model, with `effect.sample()`."
            )


def gaussian(effect: SplineEffect) -> GaussianSmooth:
    """The smooth of an effect that `check_pairs` let pass."""
    assert isinstance(effect.smooth, GaussianSmooth)
    return effect.smooth


def linear_columns(name: str, values: Any, prior: Any) -> np.ndarray:
    """The columns of a linear term, shape (n or 1, k)."""
    normal_moments(prior)
    columns = float64_array(values, f"linear[{name!r}]")
    if columns.ndim > 2:
        raise ValueError(f"`linear[{name!r}]` must have shape (n,) or (n, k); got {columns.shape}.")
    return columns.reshape(1, 1) if columns.ndim == 0 else columns.reshape(len(columns), -1)


def num_observations_of(inputs: tuple[np.ndarray, ...], named: dict[str, np.ndarray]) -> int:
    """The one number of observations of all terms."""
    counts = {len(x) for x in inputs} | {len(v) for v in named.values() if len(v) != 1}
    if len(counts) != 1:
        raise ValueError(
            "All `smooths` and `linear` terms must have one number of observations; got "
            f"{sorted(counts)}."
        )
    return counts.pop()


def standardizes(prior: Any, coordinates: Coordinates) -> bool:
    """Whether a term with this prior is sampled in coordinates."""
    return type(prior) is dist.Normal and coordinates.known


def normal_moments(prior: Any) -> tuple[float, float]:
    """Mean and standard deviation of the prior of a fixed coefficient; infinite where flat."""
    if isinstance(prior, dist.ImproperUniform) and prior.event_shape == ():
        return 0.0, np.inf
    if not isinstance(prior, dist.Normal) or is_traced(prior.loc) or is_traced(prior.scale):
        raise TypeError(
            "Priors of fixed coefficients must be Normal with known numbers, or ImproperUniform on "
            f"the real line for a flat one; got {type(prior).__name__}."
        )
    mean, deviation = np.asarray(prior.loc), np.asarray(prior.scale)
    return float(mean), float(deviation)
