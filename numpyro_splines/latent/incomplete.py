"""Inputs of which only a part is known: rounded, in classes, censored, missing."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import numpyro
import numpyro.distributions as dist
from jaxtyping import Array, ArrayLike

from numpyro_splines.latent.coordinates import (
    check_population,
    check_spread,
    coordinates,
    rows_of,
    standardized,
    support_ends,
)
from numpyro_splines.latent.quadrature import (
    IntegratedInput,
    Quadrature,
    check_quadrature,
    known_piece,
)
from numpyro_splines.latent.stacking import AbstractStackable
from numpyro_splines.latent.unmeasured import unmeasured_piece
from numpyro_splines.validation import (
    check_resolution,
    float64_rows,
    is_traced,
    real_array,
)

# Draws of the population before a draw in an interval is given up, for `Within.sample`.
_TRIES = 10_000


class Within(AbstractStackable):
    """x of a population, and the event that it lies in an interval: what coarse data are.

    `log_prob(x)` is log p(x), the joint density of x and the event that x lies between `lower` and
    `upper`, for x there. It is not divided by the probability of the interval, because that the
    interval was observed is information about the population. `sample` draws x given the event.

    Args:
        population: a univariate distribution.
        lower: left ends, any shape, all finite or all minus infinity; traced ones are finite.
        upper: right ends, broadcast against them, all finite or all infinity; traced ones are
            finite.
        validate_args: as in every NumPyro distribution.

    Raises:
        TypeError: if ends are not real numbers.
        ValueError: if some ends of one side are finite and others not, or the population is not
            univariate.

    Example:
        >>> import numpyro.distributions as dist
        >>> within = Within(dist.Normal(), [0.0, 1.0], [1.0, 2.0])
        >>> print(within.log_prob(jnp.array([0.5, 1.5])).round(3))
        [-1.044 -2.044]
    """

    pytree_data_fields = ("population", "lower", "upper")
    pytree_aux_fields = ("bounded",)

    def __init__(
        self,
        population: dist.Distribution,
        lower: ArrayLike,
        upper: ArrayLike,
        *,
        validate_args: bool | None = None,
    ):
        # Known on the host, as the support depends on it, also while a model is traced.
        self.bounded = (_is_finite(lower, "lower"), _is_finite(upper, "upper"))
        if population.event_shape != ():
            raise ValueError(
                f"`population` must be univariate; got event shape {population.event_shape}."
            )
        dtype = jnp.result_type(float)
        lower, upper = jnp.asarray(lower, dtype), jnp.asarray(upper, dtype)
        shape = jnp.broadcast_shapes(lower.shape, upper.shape, population.batch_shape)
        self.lower, self.upper = jnp.broadcast_to(lower, shape), jnp.broadcast_to(upper, shape)
        self.population = population.expand(shape)
        super().__init__(shape, (), validate_args=validate_args)
        self._remember()

    @dist.constraints.dependent_property(is_discrete=False, event_dim=0)  # pyright: ignore
    def support(self) -> Any:  # pyright: ignore[reportIncompatibleMethodOverride]
        """The intervals."""
        if all(self.bounded):
            return dist.constraints.interval(self.lower, self.upper)
        if self.bounded[0]:
            return dist.constraints.greater_than(self.lower)
        return dist.constraints.less_than(self.upper) if self.bounded[1] else dist.constraints.real

    def _log_prob_of_one(self, value: Array) -> Array:
        shape = jnp.broadcast_shapes(self.lower.shape, value.shape)
        return jnp.broadcast_to(self.population.log_prob(value), shape)

    def _sample_of_one(self, key: Array, sample_shape: tuple[int, ...]) -> Array:
        """Draws of the population until they lie in the interval; an end after 10 000 tries."""
        shape = (*sample_shape, *self.lower.shape)
        fallback = jnp.clip(jnp.zeros(shape, self.lower.dtype), self.lower, self.upper)

        def missing(state: tuple[Any, ...]) -> Any:
            return (state[0] < _TRIES) & ~jnp.all(state[2])

        def attempt(state: tuple[Any, ...]) -> tuple[Any, ...]:
            step, value, done = state
            new = self.population.sample(jax.random.fold_in(key, step), sample_shape)
            inside = (new >= self.lower) & (new <= self.upper)
            return step + 1, jnp.where(done, value, new), done | inside

        start = (0, fallback, jnp.zeros(shape, bool))
        _, value, done = jax.lax.while_loop(missing, attempt, start)
        return jnp.where(done, value, jnp.clip(value, self.lower, self.upper))


def coarse(
    name: str,
    lower: Any,
    upper: Any,
    population: dist.Distribution,
    *,
    quadrature: Quadrature | None = None,
) -> Any:
    """Inputs known up to an interval: lower_i <= x_i <= upper_i, x_i ~ population.

    Rounded values (x - 0.5, x + 0.5), classes, censored values (an infinite end), missing ones
    (both ends infinite, or NaN), and known ones (equal ends), in one vector. Only what is not
    known is sampled. How often each interval was observed informs the population.

    Call it outside any plate over observations; it has plates of its own over the rows.

    Sites: `<name>.within` for rows between two finite ends, `<name>.above`, `<name>.below` and
    `<name>.missing` for the others, all on the real line (x is a function of them that starts
    samplers inside the interval); `<name>.known`, and the deterministic `<name>` (all x). With
    `quadrature` only `<name>.inside` (the events that inputs lie in their intervals) and
    `<name>.known`.

    Args:
        name: prefix of the sites.
        lower: left ends, shape (n,).
        upper: right ends, shape (n,).
        population: a univariate distribution, or one per row, whose parameters may be random.
            Intervals are cut to its support.
        quadrature: integrate the inputs out instead of sampling them; see `response`.

    Returns:
        x, shape (n,), or an `IntegratedInput` for `response`.

    Raises:
        TypeError: if `population` is no univariate distribution.
        ValueError: if a lower end is above its upper one, or outside the support of the population,
            shapes differ, or x is so far from zero that floats do not resolve the intervals or the
            population.

    Example:
        >>> import numpyro, numpyro.distributions as dist
        >>> with numpyro.handlers.seed(rng_seed=0):
        ...     x = coarse("x", [0.5, 2.0, 1.0], [1.5, np.inf, 1.0], dist.Normal(1.0, 1.0))
        >>> print(x[2])
        1.0

    References:
        Heitjan and Rubin, Ignorability and coarse data (1991).
    """
    low, high = _intervals(lower, upper)
    check_population(population, low.size)
    ends = np.concatenate([low, high])
    ends, width = np.where(np.isfinite(ends), ends, np.nan), np.tile(high - low, 2)
    check_resolution(ends, np.where(np.isfinite(width), width, 0.0), "lower and upper")
    check_spread(ends, population)
    check_quadrature(quadrature)
    center, spread = _overall(low, high)
    low, high = _within_support(low, high, population)
    known = low == high
    dtype = jnp.result_type(float)
    x = jnp.asarray(np.where(known, low, 0.0), dtype)
    pieces, rows = [], np.flatnonzero(known)
    if rows.size:
        with numpyro.plate(f"{name}.known_rows", rows.size):
            numpyro.sample(f"{name}.known", rows_of(population, rows), obs=x[rows])
    if rows.size and quadrature is not None:
        pieces.append(known_piece(rows, x[rows], quadrature))
    for kind, rows in _kinds(low, high).items():
        own: Any = rows_of(population, rows)
        if quadrature is not None:
            ends, place = (low[rows], high[rows]), (center, spread)
            pieces.append(unmeasured_piece(rows, own, ends, place, quadrature))
            continue
        if kind != "missing":
            own = Within(own, low[rows], high[rows])
        transform = coordinates(own, np.full(rows.size, center), spread)
        base = standardized(own, transform)
        with numpyro.plate(f"{name}.{kind}_rows", rows.size):
            u = jnp.asarray(numpyro.sample(f"{name}.{kind}", base))
        x = x.at[rows].set(jnp.asarray(transform(u)))
    if quadrature is None:
        return numpyro.deterministic(name, x)
    inputs = IntegratedInput(name, low.size, pieces, quadrature.chunk)
    _observe_intervals(name, inputs, low, high)
    return inputs


def _kinds(low: np.ndarray, high: np.ndarray) -> dict[str, np.ndarray]:
    """Rows that are not known, by which of their ends are finite."""
    left, right = np.isfinite(low), np.isfinite(high)
    kinds = {
        "within": left & right & (low < high),
        "above": left & ~right,
        "below": ~left & right,
        "missing": ~left & ~right,
    }
    return {kind: np.flatnonzero(chosen) for kind, chosen in kinds.items() if chosen.any()}


def _observe_intervals(
    name: str, inputs: IntegratedInput, low: np.ndarray, high: np.ndarray
) -> None:
    """The site of the events that inputs lie in their intervals."""
    rows = np.flatnonzero((low < high) & (np.isfinite(low) | np.isfinite(high)))
    if not rows.size:
        return
    # Rounding must not make a probability of one or more.
    log_probability = jnp.minimum(inputs.log_integrals(None)[0][rows], -1e-6)
    logits = log_probability - jnp.log(-jnp.expm1(log_probability))
    with numpyro.plate(f"{name}.interval_rows", rows.size):
        numpyro.sample(f"{name}.inside", dist.Bernoulli(logits=logits), obs=np.ones(rows.size))


def _intervals(lower: Any, upper: Any) -> tuple[np.ndarray, np.ndarray]:
    """Both ends, checked, with NaN replaced by infinite ones."""
    low, high = _ends(lower, "lower", -np.inf), _ends(upper, "upper", np.inf)
    if low.shape != high.shape:
        raise ValueError(
            f"`lower` and `upper` must have one shape; got {low.shape} and {high.shape}."
        )
    if np.any(low > high):
        row = int(np.argmax(low > high))
        raise ValueError(
            f"`lower` must not be above `upper`; got {low[row]} and {high[row]} in row {row}."
        )
    if not (np.isfinite(low) | np.isfinite(high)).any():
        raise ValueError("`lower` and `upper` must hold at least one finite end; got none.")
    return low, high


def _overall(low: np.ndarray, high: np.ndarray) -> tuple[float, float]:
    """Center and spread of all finite ends."""
    ends = np.concatenate([low[np.isfinite(low)], high[np.isfinite(high)]])
    return float(ends.mean()), float(ends.std()) or 1.0


def _within_support(
    low: np.ndarray, high: np.ndarray, population: dist.Distribution
) -> tuple[np.ndarray, np.ndarray]:
    """Intervals cut to the support of the population, where that is known beforehand."""
    ends = support_ends(population)
    if any(is_traced(end) for end in ends):
        return low, high
    least, most = (np.asarray(end, np.float64) for end in ends)
    if np.any(bad := (high < least) | (low > most)):
        row = int(np.argmax(bad))
        raise ValueError(
            "`lower` and `upper` must leave room for x in the support of the population, "
            f"[{least}, {most}]; got {low[row]} and {high[row]} in row {row}."
        )
    return np.maximum(low, least), np.minimum(high, most)


def _is_finite(ends: Any, name: str) -> bool:
    if is_traced(ends):
        return True
    finite = np.isfinite(np.asarray(real_array(ends, name)))
    if finite.any() and not finite.all():
        raise ValueError(
            f"`{name}` must be finite everywhere or infinite everywhere; got a mixture. `coarse` "
            "sorts the rows."
        )
    return bool(finite.all())


def _ends(values: Any, name: str, missing: float) -> np.ndarray:
    """Float64 of shape (n,) with NaN replaced by the infinite end."""
    ends = float64_rows(values, name)
    return np.where(np.isnan(ends), missing, ends)
