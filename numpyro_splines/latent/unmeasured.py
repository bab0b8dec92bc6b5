"""Nodes for inputs of which only the population is known, or an interval besides."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array
from numpyro.distributions.transforms import biject_to

from numpyro_splines.latent.coordinates import support_ends
from numpyro_splines.latent.quadrature import Piece, Quadrature
from numpyro_splines.latent.quantiles import (
    finite_moments,
    is_concrete,
    place_of_quantiles,
    quiet_support,
)
from numpyro_splines.validation import is_traced

# A rule for which the population has another mass than one, by more than this, does not resolve it.
_TOLERANCE = 1e-3
# With less than this no other rule is tried: what is lost then is in the farthest tails.
_ENOUGH = 1e-4

# Rows that differ are checked as long as there are no more nodes than this in all.
_CHECKED = 1_000_000

# Units of the range of an even rule, 8 by default, to those of a logarithm far out in a tail: a
# Cauchy distribution has 6e-5 of its mass farther out than sinh(10) half widths.
_TAIL = 1.25


class _Map(NamedTuple):
    """x and log dx/du from u, and the nodes and weights in u."""

    place: Callable[[Array], tuple[Array, Array]]
    rule: tuple[np.ndarray, np.ndarray]


def unmeasured_piece(
    rows: np.ndarray,
    population: Any,
    ends: tuple[Any, Any],
    place: tuple[float, float],
    quadrature: Quadrature,
) -> Piece:
    """Rows of which nothing is known but ends, the same for all or one per row, or infinite.

    Even nodes around the mean of a population on the line, Gauss-Legendre ones in an interval.
    Where there is no variance, or the mass of the population over these nodes is not one, as for a
    very long tail, nodes that follow its quantiles. That is found out for concrete parameters;
    traced ones have the nodes of their moments if these are finite.

    Args:
        rows: indices.
        population: of x.
        ends: where x starts and stops.
        place: center and spread for populations that do not tell theirs.
        quadrature: the rule.

    Warns:
        UserWarning: if the nodes do not resolve a population of concrete parameters.
    """
    if not _is_whole(population, ends):

        def made() -> Piece:
            chosen = _by_moments(rows, population, ends, place, quadrature)
            return _piece(rows, population, chosen)

        if rows.size * quadrature.num_nodes <= _CHECKED:
            _check_intervals(made, population, ends)
        return made()
    # Rows of one population are alike: one of them tells of all.
    few = rows if population.batch_shape else rows[:1]
    ends = support_ends(population)
    if not is_concrete(population) or few.size * quadrature.num_nodes > _CHECKED:
        return _piece(rows, population, _maps(rows, population, ends, place, quadrature)[0])
    # Numbers also while a model is traced.
    with jax.ensure_compile_time_eval(), quiet_support():
        errors = []
        for candidate in _maps(few, population, ends, place, quadrature):
            mass = _masses(_piece(few, population, candidate))
            errors.append(mass[np.argmax(abs(mass - 1.0))] - 1.0)
            if abs(errors[-1]) < _ENOUGH:
                break
        best = int(np.argmin(np.abs(np.nan_to_num(errors, nan=np.inf))))
        chosen = _maps(rows, population, ends, place, quadrature)[best]
    if not abs(errors[best]) < _TOLERANCE:
        _warn(rows, population, 1.0 + errors[best])
    return _piece(rows, population, chosen)


def _piece(rows: np.ndarray, population: Any, chosen: _Map) -> Piece:
    def locate(u: Array) -> tuple[Array, Array]:
        x, log_slope = chosen.place(u)
        return x, population.log_prob(x) + log_slope

    return Piece(rows, locate, chosen.rule)


def _is_whole(population: Any, ends: tuple[Any, Any]) -> bool:
    """Whether the ends are those of the support: nothing is known of x but its population."""
    own = support_ends(population)
    if any(map(is_traced, (*own, *ends))):
        return all(a is b for a, b in zip(own, ends, strict=True))
    return all(
        np.array_equal(np.broadcast_to(b, np.shape(a)), a) for a, b in zip(ends, own, strict=True)
    )


def _maps(
    rows: np.ndarray,
    population: Any,
    ends: tuple[Any, Any],
    place: tuple[float, float],
    quadrature: Quadrature,
) -> list[_Map]:
    """What can be done for a whole population, what is best where it serves in front."""
    by_moments = _by_moments(rows, population, ends, place, quadrature)
    known = finite_moments(population)[2]
    on_line = not any(map(_is_end, ends))
    one_end = sum(map(_is_end, ends)) == 1
    quantiles = place_of_quantiles(population, place)
    if quantiles is None:
        if not on_line:
            return [by_moments]
        quantiles = place
    by_quantiles = _by_quantiles(population, quantiles, quadrature)
    if not is_traced(known):
        return [by_moments, by_quantiles] if np.all(known) else [by_quantiles, by_moments]
    if one_end:
        return [by_quantiles]
    if not on_line:
        return [by_moments]

    def either(u: Array) -> tuple[Array, Array]:
        pairs = zip(by_moments.place(u), by_quantiles.place(u), strict=True)
        x, log_slope = (jnp.where(known, a, b) for a, b in pairs)
        return x, log_slope

    return [_Map(either, quadrature.even())]


def _by_quantiles(population: Any, quantiles: Any, quadrature: Quadrature) -> _Map:
    """x = T(c + s sinh(u)) on the line, T(c + s u) elsewhere, with c the median of T^-1(x)."""
    bijection: Any = biject_to(population.support)
    center, spread = quantiles
    on_line = not any(map(_is_end, support_ends(population)))

    def place(u: Array) -> tuple[Array, Array]:
        v = _TAIL * u
        z = center + spread * (jnp.sinh(v) if on_line else v)
        log_slope = jnp.log(_TAIL * spread) + (jnp.log(jnp.cosh(v)) if on_line else 0.0)
        x = bijection(z)
        return x, log_slope + bijection.log_abs_det_jacobian(z, x)

    return _Map(place, quadrature.even())


def _by_moments(
    rows: np.ndarray,
    population: Any,
    ends: tuple[Any, Any],
    place: tuple[float, float],
    quadrature: Quadrature,
) -> _Map:
    """Nodes by mean and standard deviation of the population, between the ends."""
    dtype = jnp.result_type(float)

    def by_row(value: Any) -> Array:
        return jnp.broadcast_to(jnp.asarray(value, dtype), rows.shape)

    center, spread = (by_row(part) for part in moments(population, place))
    low, high = (by_row(end) if _is_end(end) else None for end in ends)
    if low is None and high is None:
        return _Map(lambda u: (center + spread * u, jnp.log(spread)), quadrature.even())
    if low is not None and high is not None:
        # An interval may be much wider than the population, or lie in one of its tails.
        reach = 1.5 * quadrature.half_width * spread
        lower = jnp.clip(center - reach, low, jnp.maximum(high - spread, low))
        upper = jnp.clip(center + reach, jnp.minimum(low + spread, high), high)
        length = upper - lower
        return _Map(lambda u: (lower + length * u, jnp.log(length)), quadrature.legendre())
    end, side = (low, 1.0) if low is not None else (high, -1.0)
    return _into_tail(end, side, (center, spread), quadrature)


def _into_tail(end: Any, side: float, place: tuple[Any, Any], quadrature: Quadrature) -> _Map:
    """Rows with one end: x = end + side size u / (1 - u), which reaches into the longest tail.

    Where the end is farther than 3 standard deviations from the mean of the population, so that
    these nodes would miss it, they are even around the mean instead.

    Args:
        end: of each row.
        side: 1 for inputs above the end, -1 for inputs below.
        place: mean and standard deviation of the population.
        quadrature: the rule.
    """
    center, spread = place
    distance = side * (center - end)
    far = distance > 3.0 * spread
    size = jnp.clip(distance, spread, 3.0 * spread)
    reach = quadrature.half_width * spread
    first = jnp.maximum(distance - reach, 0.0)
    length = jnp.where(far, distance + reach - first, 1.0)

    def locate(u: Array) -> tuple[Array, Array]:
        beyond = jnp.where(far, first + length * u, size * u / (1.0 - u))
        slope = jnp.where(far, jnp.log(length), jnp.log(size) - 2.0 * jnp.log1p(-u))
        return end + side * beyond, slope

    return _Map(locate, quadrature.legendre())


def _is_end(end: Any) -> bool:
    return is_traced(end) or bool(np.all(np.isfinite(end)))


def moments(population: Any, place: tuple[float, float]) -> tuple[Any, Any]:
    """Mean and standard deviation of a population; others where it does not tell them.

    Without derivatives: an integral does not depend on where its nodes are.

    Args:
        population: of x.
        place: the others.
    """
    mean, spread, known = finite_moments(population)
    return jnp.where(known, mean, place[0]), jnp.where(known, spread, place[1])


def _masses(piece: Piece) -> np.ndarray:
    """The integral of the population over the nodes, for each row."""
    nodes, weights = piece.rule
    u = jnp.broadcast_to(jnp.asarray(nodes)[:, None], (nodes.size, piece.rows.size))
    log_density = np.asarray(piece.locate(u)[1], np.float64)
    return (np.exp(log_density) * weights[:, None]).sum(axis=0)


def _check_intervals(made: Callable[[], Piece], population: Any, ends: tuple[Any, Any]) -> None:
    """Warn if the nodes of intervals do not have the mass that the distribution function says."""
    if not is_concrete(population) or any(map(is_traced, ends)):
        return
    with jax.ensure_compile_time_eval(), quiet_support():
        low, high = (jnp.asarray(end, jnp.result_type(float)) for end in ends)
        try:
            right = np.asarray(population.cdf(high) - population.cdf(low), np.float64)
        # NumPyro imports what some distribution functions need when they are asked for.
        except (NotImplementedError, ImportError):
            return
        piece = made()
        found = _masses(piece)
    off = ~(abs(found - right) < _TOLERANCE)
    if off.any():
        worst = int(np.argmax(np.nan_to_num(abs(found - right), nan=np.inf)))
        warnings.warn(
            f"The quadrature does not resolve the population {type(population).__name__} in the "
            f"intervals of {int(off.sum())} rows: its mass over the nodes of row "
            f"{piece.rows[worst]} is {found[worst]:.4g} instead of {right[worst]:.4g}. Increase "
            "`num_nodes` of numpyro_splines.latent.Quadrature, or sample the input.",
            UserWarning,
            stacklevel=2,
        )


def _warn(rows: np.ndarray, population: Any, mass: float) -> None:
    warnings.warn(
        f"The quadrature does not resolve the population {type(population).__name__} of "
        f"{rows.size} rows without measurements: its mass over the nodes is {mass:.4g} instead of "
        "1. Increase "
        "`num_nodes` or `half_width` of numpyro_splines.latent.Quadrature, or sample the input.",
        UserWarning,
        stacklevel=2,
    )
