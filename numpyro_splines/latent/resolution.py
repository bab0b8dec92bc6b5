"""Whether the nodes of measured inputs resolve their population, found out before sampling."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from numpyro.distributions.transforms import biject_to

from numpyro_splines.latent.error_models import AbstractErrorModel, NormalErrors
from numpyro_splines.latent.measurements import Measurements, row_list
from numpyro_splines.latent.quadrature import Piece
from numpyro_splines.latent.quantiles import is_concrete, place_of_quantiles, quiet_support
from numpyro_splines.validation import is_traced

# What p(measurements) of a row may be off by, as a share; and how many rows are looked at.
_TOLERANCE = 0.01
_ROWS = 200


def check_measured(
    rows: np.ndarray,
    population: Any,
    ends: tuple[Any, Any],
    errors: AbstractErrorModel,
    make: Callable[[Any], Piece],
) -> None:
    """Warn where int p(measurements | x) p(x) dx over a row's nodes is another than over many more.

    The many lie around the measurements and around the median of the population, ever farther apart
    with the distance from either. For concrete parameters, normal errors and one population.

    Args:
        rows: numbers of the rows, for the message.
        population: of their inputs.
        ends: of its support.
        errors: the law of their measurements.
        make: values of the measurements -> the nodes.

    Warns:
        UserWarning: where it is.
    """
    if not isinstance(errors, NormalErrors) or is_traced(errors.sd):
        return
    if population.batch_shape or not is_concrete(population):
        return
    chosen = np.arange(len(rows)) < _ROWS
    # Numbers also while a model is traced.
    with jax.ensure_compile_time_eval(), quiet_support():
        piece = make(errors.value)
        nodes, weights = piece.rule
        u = jnp.broadcast_to(jnp.asarray(nodes)[:, None], (nodes.size, len(rows)))
        log_density = np.asarray(piece.locate(u)[1], np.float64)[:, chosen]
        found = np.log(weights @ np.exp(log_density - log_density.max(axis=0)))
        found = found + log_density.max(axis=0)
        data, kept = errors.part(rows[chosen])
        data = data._replace(error=np.asarray(errors.sd)[kept])
        right = _log_integrals(data, population, ends)
    off = ~(abs(np.expm1(found - right)) < _TOLERANCE)
    if off.any():
        bad = rows[chosen][off]
        warnings.warn(
            f"The quadrature does not resolve the population {type(population).__name__} of the "
            f"inputs of {bad.size} measured rows ({row_list(bad)}): it is much narrower than the "
            "errors, or disagrees with the measurements. Increase `num_nodes` or `half_width` of "
            "numpyro_splines.latent.Quadrature, or sample the input.",
            UserWarning,
            stacklevel=2,
        )


def _log_integrals(data: Measurements, population: Any, ends: tuple[Any, Any]) -> np.ndarray:
    """log int p(measurements | x) p(x) dx by trapezoids between many points."""
    mean = data.means()
    smallest = np.full(data.num_rows, np.inf)
    np.minimum.at(smallest, data.row, data.error)
    # Out to where the errors leave nothing.
    reach = np.full(data.num_rows, 12.0 * data.error.max())
    points = [_around(mean, smallest / np.sqrt(data.num_measured), reach)]
    if (place := _place(population, data)) is not None:
        center, spread = place
        points.append(_around(center, spread, reach + abs(mean - center)))
    low, high = (float(np.asarray(end)) for end in ends)
    x = np.clip(np.sort(np.concatenate(points), axis=0), low, high)
    x = jnp.asarray(x, jnp.result_type(float))
    log_density = population.log_prob(x) + data.log_density(x, data.value, data.error)
    x, log_density = np.asarray(x, np.float64), np.asarray(log_density, np.float64)
    top = np.where(np.isfinite(log_density), log_density, -np.inf).max(axis=0)
    height = np.exp(np.where(np.isnan(log_density), -np.inf, log_density) - top)
    height = np.where(np.isfinite(height), height, 0.0)
    return top + np.log((np.diff(x, axis=0) * (height[1:] + height[:-1]) / 2.0).sum(axis=0))


def _around(center: Any, size: Any, reach: np.ndarray) -> np.ndarray:
    """Points within the reach of a center, a hundredth of the size apart near it; (800, n)."""
    farthest = np.arcsinh(reach / size)
    return center + size * np.sinh(np.linspace(-1.0, 1.0, 801)[:, None] * farthest)


def _place(population: Any, data: Measurements) -> tuple[float, float] | None:
    """Median and half the distance of the quartiles in x."""
    quantiles = place_of_quantiles(population, data.overall())
    if quantiles is None:
        return None
    bijection: Any = biject_to(population.support)
    center, spread = quantiles
    first, middle, last = (float(bijection(center + i * spread)) for i in (-1.0, 0.0, 1.0))
    return middle, max(last - first, 1e-9 * abs(middle)) / 2.0
