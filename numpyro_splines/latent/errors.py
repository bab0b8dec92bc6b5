"""Inputs measured with error: with a known error, in replicates, by assignment (Berkson)."""

from __future__ import annotations

from typing import Any

import jax.numpy as jnp
import numpy as np
import numpyro
import numpyro.distributions as dist
from jaxtyping import Array, Float
from numpyro.distributions.transforms import AffineTransform

from numpyro_splines.validation import float_input, is_traced, real_array


def measured(
    name: str, observed: Any, error_sd: Any, population: dist.Distribution
) -> Float[Array, "..."]:
    r"""Inputs with classical error: x_i ~ population, observed_ij ~ Normal(x_i, error_sd).

    One measurement per row, or several (replicates, as many as there are). Rows without any are
    missing: they have their population alone. Rows whose `error_sd` is zero (a concrete one) are
    known exactly and are not sampled. Samplers see u_i with x_i = center_i + spread_i u_i, around
    the mean of the measurements and by the size of its error, so they start where x can be and
    with a step size that fits.

    Call it outside any plate over observations; it has plates of its own over the rows.

    Sites: `<name>.standardized` (u of the rows that are not known), `<name>.observed`, the
    deterministic `<name>` (all x), and `<name>.known` where rows are known exactly.

    Args:
        name: prefix of the sites.
        observed: what was measured, shape (n,), or (n, r) for up to r replicates; NaN where
            nothing was.
        error_sd: standard deviation of the error of one measurement: a number or one per row, in
            the units of x; may be a random variable of the model.
        population: where inputs come from: a univariate distribution, whose parameters may be
            random variables of the model.

    Returns:
        x, shape (n,).

    Raises:
        TypeError: if `population` is no univariate distribution.
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
    values = _observations(observed, "observed")
    check_population(population)
    error, known_error = _errors(error_sd, values)
    count, mean, size = _summary(values, known_error)
    exact = (count > 0) & (size == 0.0)
    _check_exact(values, exact)
    dtype = jnp.result_type(float)
    x = jnp.asarray(np.where(exact, mean, 0.0), dtype)
    if exact.any():
        with numpyro.plate(f"{name}.exact", int(exact.sum())):
            numpyro.sample(f"{name}.known", population, obs=x[np.flatnonzero(exact)])
    rows = np.flatnonzero(~exact)
    if rows.size:
        with numpyro.plate(f"{name}.rows", rows.size):
            x = x.at[rows].set(standardized(name, population, mean[rows], size[rows]))
    row, column = np.nonzero(~np.isnan(values) & ~exact[:, None])
    if row.size:
        with numpyro.plate(f"{name}.measurements", row.size):
            error = jnp.broadcast_to(error, values.shape)[row, column].astype(dtype)
            target = jnp.asarray(values[row, column], dtype)
            numpyro.sample(f"{name}.observed", dist.Normal(x[row], error), obs=target)
    return numpyro.deterministic(name, x)


def berkson(name: str, assigned: Any, error_sd: Any) -> Float[Array, "..."]:
    """Inputs that scatter around what they were meant to be: x_i ~ Normal(assigned_i, error_sd).

    Berkson error: doses given, settings of an instrument, group averages. There is no population;
    y alone tells where in its error x lies.

    Sites: `<name>.standardized`, Normal(0, 1), and the deterministic `<name>`.

    Args:
        name: prefix of the sites.
        assigned: shape (n,), finite.
        error_sd: standard deviation, a number or one per row; may be random.

    Returns:
        x, shape (n,).

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
    values = _observations(assigned, "assigned")
    if values.shape[1] != 1 or np.isnan(values).any():
        raise ValueError("`assigned` must be finite, shape (n,).")
    error, _ = _errors(error_sd, values)
    dtype = jnp.result_type(float)
    with numpyro.plate(f"{name}.rows", len(values)):
        standard = numpyro.sample(f"{name}.standardized", dist.Normal(0.0, 1.0))
    x = jnp.asarray(values, dtype)[:, 0] + error[..., 0].astype(dtype) * jnp.asarray(standard)
    return numpyro.deterministic(name, x)


def standardized(
    name: str, population: dist.Distribution, center: np.ndarray, spread: np.ndarray
) -> Array:
    """Draw x ~ population as center + spread u: the same distribution, other coordinates.

    Args:
        name: prefix of the site `<name>.standardized`.
        population: of x.
        center: where u = 0 lies, one per row.
        spread: size of a step of one in u.
    """
    dtype = jnp.result_type(float)
    affine = AffineTransform(
        jnp.asarray(center, dtype), jnp.asarray(spread, dtype), domain=dist.constraints.real
    )
    own: Any = population
    inverse = AffineTransform(-affine.loc / affine.scale, 1.0 / affine.scale, domain=own.support)
    base = dist.TransformedDistribution(population, inverse)
    return jnp.asarray(affine(numpyro.sample(f"{name}.standardized", base)))


def check_population(population: Any) -> None:
    """Refuse what is no univariate distribution."""
    if not isinstance(population, dist.Distribution) or population.shape() != ():
        raise TypeError(
            "`population` must be a univariate distribution, such as dist.Normal(mean, sd); got "
            f"{population!r}."
        )


def _observations(values: Any, name: str) -> np.ndarray:
    """Float64 of shape (n, r)."""
    array = np.asarray(real_array(values, name), dtype=np.float64)
    if array.ndim not in (1, 2):
        raise ValueError(f"`{name}` must have shape (n,) or (n, replicates); got {array.shape}.")
    if np.isinf(array).any():
        raise ValueError(f"`{name}` must be finite, or NaN where missing; got infinity.")
    if np.isnan(array).all():
        raise ValueError(f"`{name}` must hold at least one observation; all entries are NaN.")
    return array.reshape(len(array), -1)


def _errors(error_sd: Any, values: np.ndarray) -> tuple[Array, np.ndarray]:
    """Standard deviations, shape (n or 1, 1), in the model and as numbers (NaN where random)."""
    error = float_input(error_sd, "error_sd")
    if error.shape not in ((), values.shape[:1]):
        raise ValueError(
            f"`error_sd` must be one number or one per row, shape {values.shape[:1]}; got shape "
            f"{error.shape}."
        )
    error = jnp.reshape(error, (-1, 1))
    if is_traced(error):
        return error, np.full((1, 1), np.nan)
    known = np.asarray(error, dtype=np.float64)
    if not np.all((known >= 0.0) & np.isfinite(known)):
        raise ValueError(
            "`error_sd` must be finite and not negative, zero for rows that are known exactly; got "
            f"{known[~((known >= 0.0) & np.isfinite(known))][0]}."
        )
    return error, known


def _summary(
    values: np.ndarray, known_error: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Number and mean of the measurements of each row, and about how far x may be from it."""
    seen = ~np.isnan(values)
    count = seen.sum(axis=1)
    total = np.where(seen, values, 0.0).sum(axis=1)
    overall = total.sum() / count.sum()
    mean = np.where(count > 0, total / np.maximum(count, 1), overall)
    between = np.sqrt(np.mean((mean[count > 0] - overall) ** 2)) or 1.0
    # A random error has no size while the model is written: take that of the replicates, or a
    # third of the spread of the measurements.
    squares = np.where(seen, (values - mean[:, None]) ** 2, 0.0).sum()
    freedom = (count[count > 0] - 1).sum()
    guess = np.sqrt(squares / freedom) if freedom > 0 and squares > 0 else between / 3.0
    error = np.broadcast_to(np.where(np.isnan(known_error), guess, known_error), (len(values), 1))
    size = np.where(count > 0, error[:, 0] / np.sqrt(np.maximum(count, 1)), between)
    return count, mean, size


def _check_exact(values: np.ndarray, exact: np.ndarray) -> None:
    """Refuse rows that are known exactly and hold two values."""
    for row in np.flatnonzero(exact):
        own = values[row][~np.isnan(values[row])]
        if np.ptp(own) > 0.0:
            raise ValueError(
                f"`observed` must hold one value where `error_sd` is zero; got {own} in row {row}."
            )
