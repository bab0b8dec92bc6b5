"""Inputs measured with error: with a known error, in replicates, missing, assigned (Berkson)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import numpyro
import numpyro.distributions as dist
from jaxtyping import Array

from numpyro_splines.latent.coordinates import (
    check_population,
    check_spread,
    check_support,
    coordinates,
    rows_of,
    standardized,
    support_ends,
)
from numpyro_splines.latent.measurements import Measurements, checked_errors, measurements
from numpyro_splines.latent.quadrature import (
    IntegratedInput,
    Piece,
    Quadrature,
    affine_piece,
    check_quadrature,
    is_end,
    known_piece,
)
from numpyro_splines.latent.quantiles import finite_moments
from numpyro_splines.latent.resolution import check_measured
from numpyro_splines.latent.stacking import AbstractWithFunction
from numpyro_splines.latent.unmeasured import unmeasured_piece
from numpyro_splines.validation import check_resolution, is_traced, real_array


def measured(
    name: str,
    observed: Any,
    error_sd: Any,
    population: dist.Distribution,
    *,
    group: Any = None,
    quadrature: Quadrature | None = None,
) -> Any:
    r"""Inputs with classical error: x_i ~ population, observed_ij ~ Normal(x_i, error_sd).

    One measurement per row, or several (replicates, as many as there are). Rows without any are
    missing: they have their population alone. Rows whose `error_sd` is zero (a concrete one) are
    known exactly and are not sampled. Samplers see u_i with x_i = T(c_i + s_i u_i): T takes the
    line to the support of the population (exp for positive inputs), c_i is where the measurements
    put x_i and s_i how exactly they do, so samplers start where x can be, with a step that fits.

    Call it outside any plate over observations; it has plates of its own over the rows.

    Sites: `<name>.standardized` (u of the rows that are not known), `<name>.observed`, the
    deterministic `<name>` (all x), and `<name>.known` where rows are known exactly. With
    `quadrature` only `<name>.observed` (the measurements with x integrated out) and `<name>.known`.

    Args:
        name: prefix of the sites.
        observed: what was measured: shape (n,), or (n, r) for up to r replicates, NaN where nothing
            was; or, with `group`, all measurements one below the other, shape (m,).
        error_sd: standard deviation of the error of one measurement in the units of x: a number,
            one per row, or one per measurement (the shape of `observed`), NaN allowed where
            nothing was measured; may be random.
        population: where inputs come from: a univariate distribution, or one per row (batch shape
            (n,)), of random parameters if so wished. Its support bounds x.
        group: which row each measurement belongs to, integers from 0 to n - 1, shape (m,): ragged
            replicates, or one x shared by a group, to be used as x[group].
        quadrature: integrate the inputs out instead of sampling them; see `response`.

    Returns:
        x, shape (n,), or an `IntegratedInput` for `response`.

    Raises:
        TypeError: if `population` is no univariate distribution, or `group` not of integers.
        ValueError: if an error is negative or not finite where something was observed, nothing was
            observed, shapes differ, a row that is known exactly has two values, or x is so far from
            zero that floats do not resolve its errors or its population.

    Warns:
        UserWarning: if `quadrature` does not resolve a population of concrete parameters.

    Example:
        >>> import numpyro, numpyro.distributions as dist
        >>> with numpyro.handlers.seed(rng_seed=0):
        ...     x = measured("x", [1.0, 2.0, np.nan], 0.1, dist.Normal(1.5, 1.0))
        >>> x.shape
        (3,)

    References:
        Carroll et al., Measurement Error in Nonlinear Models (2006), section 1.2 and chapter 9.
    """
    data = measurements(observed, error_sd, group)
    check_population(population, data.num_rows)
    check_resolution(data.value, data.error, "observed")
    check_spread(data.value, population)
    check_quadrature(quadrature)
    known = data.exact_values()
    check_support(known[data.exact], np.flatnonzero(data.exact), population)
    dtype = jnp.result_type(float)
    x = jnp.asarray(known, dtype)
    exact, rows = np.flatnonzero(data.exact), np.flatnonzero(~data.exact)
    if exact.size:
        with numpyro.plate(f"{name}.exact", exact.size):
            numpyro.sample(f"{name}.known", rows_of(population, exact), obs=x[exact])
    if quadrature is not None:
        pieces = [known_piece(exact, x[exact], quadrature)] if exact.size else []
        pieces += _pieces(name, data, population, quadrature)
        return IntegratedInput(name, data.num_rows, pieces, quadrature.chunk)
    own = data.only(~data.exact)
    if rows.size:
        unknown = rows_of(population, rows)
        transform = coordinates(unknown, *own.placement(own.guess))
        with numpyro.plate(f"{name}.rows", rows.size):
            u = numpyro.sample(f"{name}.standardized", standardized(unknown, transform))
        own_x = jnp.asarray(transform(jnp.asarray(u)))
        x = x.at[rows].set(own_x)
        if own.row.size:
            with numpyro.plate(f"{name}.measurements", own.row.size):
                given = dist.Normal(own_x[own.row], jnp.asarray(own.error, dtype))
                numpyro.sample(f"{name}.observed", given, obs=jnp.asarray(own.value, dtype))
    return numpyro.deterministic(name, x)


def missing(
    name: str,
    observed: Any,
    population: dist.Distribution,
    *,
    quadrature: Quadrature | None = None,
) -> Any:
    """Inputs of which some are missing: x_i ~ population, known where `observed` is not NaN.

    Only the missing ones are sampled; the known ones inform the population. Short for `measured`
    with an error of zero, which describes sites, arguments and errors. Whether x is missing must
    not depend on its value (nor on y, given the model).

    Args:
        name: prefix of the sites.
        observed: shape (n,), NaN where missing.
        population: a univariate distribution, or one per row.
        quadrature: integrate the missing inputs out instead of sampling them.

    Returns:
        x, shape (n,), or an `IntegratedInput` for `response`.

    Example:
        >>> import numpyro, numpyro.distributions as dist
        >>> with numpyro.handlers.seed(rng_seed=0):
        ...     x = missing("x", [1.0, np.nan, 2.0], dist.Normal(1.5, 1.0))
        >>> print(x[0], x[2])
        1.0 2.0

    References:
        Little and Rubin, Statistical Analysis with Missing Data (2019), section 1.3.
    """
    return measured(name, observed, 0.0, population, quadrature=quadrature)


def berkson(
    name: str, assigned: Any, error_sd: Any, *, quadrature: Quadrature | None = None
) -> Any:
    """Inputs that scatter around what they were meant to be: x_i ~ Normal(assigned_i, error_sd).

    Berkson error: doses given, settings of an instrument, values known only as the mean of a group
    (assign means[group]). There is no population; y alone tells where in its error x lies.

    Sites: `<name>.standardized`, Normal(0, 1), and the deterministic `<name>`; none with
    `quadrature`.

    Args:
        name: prefix of the sites.
        assigned: shape (n,), finite; may be random (a group's mean that is itself estimated).
        error_sd: standard deviation, a number or one per row; may be random.
        quadrature: integrate the inputs out instead of sampling them; see `response`.

    Returns:
        x, shape (n,), or an `IntegratedInput` for `response`.

    Raises:
        ValueError: if an error is negative, not finite or lost in the rounding of `assigned`, or
            `assigned` not finite.

    Example:
        >>> import numpyro
        >>> with numpyro.handlers.seed(rng_seed=0):
        ...     x = berkson("x", [1.0, 2.0, 2.0], 0.1)
        >>> x.shape
        (3,)

    References:
        Carroll et al., Measurement Error in Nonlinear Models (2006), section 1.4.
    """
    center = real_array(assigned, "assigned")
    if center.ndim != 1 or not (is_traced(center) or np.isfinite(np.asarray(center)).all()):
        raise ValueError("`assigned` must be finite, shape (n,): NaN is not allowed in it.")
    check_quadrature(quadrature)
    error = checked_errors(error_sd, center.shape)
    check_resolution(center, error, "assigned")
    dtype = jnp.result_type(float)
    center, error = jnp.asarray(center, dtype), jnp.asarray(error, dtype)
    if quadrature is not None:
        rows = np.arange(center.shape[0])
        piece = Piece(rows, _scattered(center, error), quadrature.even())
        return IntegratedInput(name, rows.size, [piece], quadrature.chunk)
    with numpyro.plate(f"{name}.rows", center.shape[0]):
        u = numpyro.sample(f"{name}.standardized", dist.Normal(0.0, 1.0))
    return numpyro.deterministic(name, center + error * jnp.asarray(u))


def _scattered(center: Array, error: Array) -> Callable[[Array], tuple[Array, Array]]:
    """The map u -> center + error u with u ~ Normal(0, 1), also where the error is zero."""
    return lambda u: (center + error * u, jnp.asarray(dist.Normal().log_prob(u)))


class _MeasuredTogether(AbstractWithFunction):
    """The measurements of all rows with their inputs integrated out.

    Args:
        data: which measurements there are; their values are not used.
        population: of the rows' inputs.
        piece: values of the measurements -> the rows to be integrated over.
        chunk: see `Quadrature`.
    """

    support: Any = dist.constraints.real_vector  # pyright: ignore
    function_fields = ("data", "population", "piece", "chunk")

    def __init__(
        self,
        data: Measurements,
        population: Any,
        piece: Callable[[Any], Piece],
        chunk: int | None,
    ):
        self.data, self.population, self.piece, self.chunk = data, population, piece, chunk
        super().__init__((), (data.row.size,))

    def log_prob(self, value: Any, intermediates: Any = None) -> Array:  # pyright: ignore
        """Sum over the rows of log int p(measurements | x) p(x) dx."""
        del intermediates
        piece = self.piece(value)._replace(rows=np.arange(self.data.num_rows))
        inputs = IntegratedInput("", self.data.num_rows, [piece], self.chunk)
        return inputs.log_integrals(None)[0].sum()

    def sample(self, key: Array, sample_shape: tuple[int, ...] = ()) -> Array:  # pyright: ignore
        """x of the population, then its measurements."""
        given = dist.Normal(0.0, jnp.asarray(self.data.error, jnp.result_type(float)))
        population: Any = self.population
        if population.batch_shape == ():
            population = population.expand((self.data.num_rows,))
        input_key, key = jax.random.split(key)
        x = population.sample(input_key, sample_shape)
        return x[..., self.data.row] + given.expand((self.data.row.size,)).sample(key, sample_shape)


def _pieces(name: str, data: Measurements, population: Any, quadrature: Quadrature) -> list[Piece]:
    """The rows with measurements (and the site of these), and those without."""
    pieces, ends = [], support_ends(population)
    seen = np.flatnonzero(~data.exact & (data.num_measured > 0))
    if seen.size:
        own, part = rows_of(population, seen), data.only(~data.exact & (data.num_measured > 0))

        def piece(value: Any) -> Piece:
            return _measured_piece(seen, part, own, ends, value, quadrature)

        value = jnp.asarray(part.value, jnp.result_type(float))
        together = _MeasuredTogether(part, own, piece, quadrature.chunk)
        numpyro.sample(f"{name}.observed", together, obs=value)
        pieces.append(piece(value))
        check_measured(seen, part, own, ends, piece)
    unseen = np.flatnonzero(data.num_measured == 0)
    if unseen.size:
        own = rows_of(population, unseen)
        pieces.append(unmeasured_piece(unseen, own, ends, data.overall(), quadrature))
    return pieces


def _measured_piece(
    rows: np.ndarray,
    data: Measurements,
    population: Any,
    ends: tuple[Any, Any],
    value: Any,
    quadrature: Quadrature,
) -> Piece:
    """Rows with measurements of these values."""
    mean, sd, known = finite_moments(population)
    # Where there is no variance a population says little of where x is beside its measurement.
    wide = 1e3 * jax.lax.stop_gradient(jnp.max(jnp.asarray(data.error, jnp.result_type(float))))
    mean, sd = jnp.where(known, mean, data.overall()[0]), jnp.where(known, sd, wide)
    center, spread = data.placement(data.error, mean, sd)

    def log_density(x: Array) -> Array:
        return population.log_prob(x) + data.log_density(x, value)

    if not any(map(is_end, ends)):
        return affine_piece(rows, center, spread, log_density, quadrature.even())
    least, most = ends
    reach = quadrature.half_width * spread
    lower = jnp.maximum(center - reach, least)
    upper = jnp.minimum(center + reach, most)
    # Measurements may lie outside the support.
    lower, upper = jnp.minimum(lower, most - spread), jnp.maximum(upper, least + spread)
    return affine_piece(rows, lower, upper - lower, log_density, quadrature.legendre())
