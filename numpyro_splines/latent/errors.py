"""Inputs measured with error: with a known error, in replicates, missing, assigned (Berkson)."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import numpyro
import numpyro.distributions as dist
from jax.nn import logsumexp
from jaxtyping import Array
from numpyro.distributions.transforms import AffineTransform

from numpyro_splines.latent.coordinates import (
    check_population,
    coordinates,
    rows_of,
    standardized,
)
from numpyro_splines.latent.measurements import Measurements, checked_errors, measurements
from numpyro_splines.latent.quadrature import (
    IntegratedInput,
    Piece,
    Quadrature,
    known_piece,
    line_piece,
)
from numpyro_splines.validation import float_input, is_traced


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
            one per row, or one per measurement (the shape of `observed`); may be random.
        population: where inputs come from: a univariate distribution, or one per row (batch shape
            (n,)), of random parameters if so wished. Its support bounds x.
        group: which row each measurement belongs to, integers from 0 to n - 1, shape (m,): ragged
            replicates, or one x shared by a group, to be used as x[group].
        quadrature: integrate the inputs out instead of sampling them; see `response`.

    Returns:
        x, shape (n,), or an `IntegratedInput` for `response`.

    Raises:
        TypeError: if `population` is no univariate distribution, or `group` not of integers.
        ValueError: if an error is negative or not finite, nothing was observed, shapes differ, or
            a row that is known exactly has two values.

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
    dtype = jnp.result_type(float)
    x = jnp.asarray(data.exact_values(), dtype)
    exact, rows = np.flatnonzero(data.exact), np.flatnonzero(~data.exact)
    if exact.size:
        with numpyro.plate(f"{name}.exact", exact.size):
            numpyro.sample(f"{name}.known", rows_of(population, exact), obs=x[exact])
    own = data.without_exact()
    if quadrature is not None:
        pieces = [known_piece(exact, x[exact], quadrature)] if exact.size else []
        if rows.size:
            pieces.append(_measured_piece(name, rows, own, rows_of(population, rows), quadrature))
        return IntegratedInput(name, data.num_rows, pieces, quadrature.chunk)
    if rows.size:
        unknown = rows_of(population, rows)
        transform = coordinates(unknown, *own.placement(own.guess))
        with numpyro.plate(f"{name}.rows", rows.size):
            u = numpyro.sample(f"{name}.standardized", standardized(unknown, transform))
        own_x = jnp.asarray(transform(jnp.asarray(u)))
        x = x.at[rows].set(own_x)
        if own.row.size:
            with numpyro.plate(f"{name}.measurements", own.row.size):
                given = dist.Normal(own_x[own.row], own.error.astype(dtype))
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
        ValueError: if an error is negative or not finite, or `assigned` not finite.

    Example:
        >>> import numpyro
        >>> with numpyro.handlers.seed(rng_seed=0):
        ...     x = berkson("x", [1.0, 2.0, 2.0], 0.1)
        >>> x.shape
        (3,)

    References:
        Carroll et al., Measurement Error in Nonlinear Models (2006), section 1.4.
    """
    center = float_input(assigned, "assigned")
    if center.ndim != 1 or not (is_traced(center) or bool(jnp.isfinite(center).all())):
        raise ValueError("`assigned` must be finite, shape (n,): NaN is not allowed in it.")
    error = checked_errors(error_sd, center.shape)
    dtype = jnp.result_type(float)
    center, error = center.astype(dtype), error.astype(dtype)
    if quadrature is not None:
        rows = np.arange(center.shape[0])
        piece = line_piece(rows, dist.Normal(), AffineTransform(center, error), quadrature)
        return IntegratedInput(name, rows.size, [piece], quadrature.chunk)
    with numpyro.plate(f"{name}.rows", center.shape[0]):
        u = numpyro.sample(f"{name}.standardized", dist.Normal(0.0, 1.0))
    return numpyro.deterministic(name, center + error * jnp.asarray(u))


class _MeasuredTogether(dist.Distribution):
    """The measurements of all rows with their inputs integrated out.

    Args:
        data: the measurements; their values are not used.
        population: of the rows' inputs.
        transform: from u to x.
        rule: nodes and weights in u.
    """

    support: Any = dist.constraints.real_vector  # pyright: ignore

    def __init__(self, data: Measurements, population: Any, transform: Any, rule: Any):
        self.data, self.population, self.transform = data, population, transform
        self.rule = rule
        super().__init__((), (data.row.size,))

    def log_prob(self, value: Any, intermediates: Any = None) -> Array:  # pyright: ignore
        """Sum over the rows of log int p(measurements | x) p(x) dx."""
        del intermediates
        dtype = jnp.result_type(float)
        nodes, weights = (jnp.asarray(part, dtype)[:, None] for part in self.rule)
        nodes = jnp.broadcast_to(nodes, (nodes.shape[0], self.data.num_rows))
        base = standardized(self.population, self.transform)
        density = base.log_prob(nodes) + self.data.log_density(self.transform(nodes), value)
        return jnp.sum(logsumexp(density + jnp.log(weights), axis=0))

    def sample(self, key: Array, sample_shape: tuple[int, ...] = ()) -> Array:  # pyright: ignore
        """x of the population, then its measurements."""
        given = dist.Normal(0.0, self.data.error)
        population: Any = self.population
        if population.batch_shape == ():
            population = population.expand((self.data.num_rows,))
        input_key, key = jax.random.split(key)
        x = population.sample(input_key, sample_shape)
        return x[..., self.data.row] + given.sample(key, sample_shape)


def _measured_piece(
    name: str, rows: np.ndarray, data: Measurements, population: Any, quadrature: Quadrature
) -> Piece:
    """The rows that are not known, and the site of their measurements."""
    transform = coordinates(population, *data.placement(data.error))
    base = standardized(population, transform)
    value = jnp.asarray(data.value, jnp.result_type(float))
    if data.row.size:
        together = _MeasuredTogether(data, population, transform, quadrature.even())
        numpyro.sample(f"{name}.observed", together, obs=value)
    return line_piece(rows, base, transform, quadrature, lambda x: data.log_density(x, value))
