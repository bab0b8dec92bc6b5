r"""Density of y and draws of the coefficients in the rotated coordinates of `reduction`.

Given (sigma, tau), u_1 is integrated out coordinate by coordinate: z_i has variance
v_i = sigma^2 + tau^2 Lambda_i given u_2, and sigma^2 beyond. What is left is a linear regression
of z on A u_2 with known variances, solved by a Cholesky factor of the size of u_2: 2 for one effect
with an intercept, none if its fixed coefficients are flat. The density consists of sums of squares
and log determinants of positive definite matrices: nothing cancels.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.scipy.linalg import cho_solve, solve_triangular
from jaxtyping import Array, Float

from numpyro_splines.ops.arrays import safe_reciprocal
from numpyro_splines.regression.reduction import Reduction, Statistics


class Solution(NamedTuple):
    """The Gaussian posterior of u_2 with u_1 integrated out, in units of the prior.

    Attributes:
        others: posterior mean of u_2, shape (q,).
        factor: lower Cholesky factor of its precision, shape (q, q).
        design: A in those units, shape (r, q).
        units: prior standard deviations of u_2 that the units are, shape (q,).
        variances: of z given u_2, shape (r,).
    """

    others: Array
    factor: Array
    design: Array
    units: Array
    variances: Array


class Regression(NamedTuple):
    """z ~ Normal(A U u, S^2), u ~ Normal(m, I), with U and S diagonal.

    Attributes:
        design: A, shape (r, q).
        units: U, shape (q,).
        spread: S, shape (r,).
        response: z, shape (r,).
        mean: m, shape (q,).
    """

    design: Array
    units: Array
    spread: Array
    response: Array
    mean: Array

    def whitened(self) -> tuple[Array, Array]:
        """W = S^-1 A U and S^-1 z."""
        return self.design * self.units / self.spread[:, None], self.response / self.spread


def regression_of(
    reduction: Reduction, sigma: Array, scales: Array, statistics: Statistics
) -> Regression:
    """The regression of z on u_2.

    Args:
        reduction: the rotation.
        sigma: noise standard deviation, shape ().
        scales: tau of each mode block.
        statistics: of y, in the dtype of sigma.
    """
    dtype = sigma.dtype
    others = jnp.asarray(reduction.others, dtype)
    eigenvalues = jnp.asarray(reduction.eigenvalues, dtype)
    variances = jnp.full(others.shape[0], sigma**2)
    if reduction.main >= 0:
        size = eigenvalues.shape[0]
        variances = variances.at[:size].add(scales[reduction.main] ** 2 * eigenvalues)
    units = jnp.concatenate([scales, jnp.ones(1, dtype)])[np.array(reduction.owners, int)]
    deviation = jnp.asarray(reduction.location, dtype) - statistics.reference
    mean = jnp.asarray(reduction.whitening, dtype) @ deviation
    return Regression(others, units, jnp.sqrt(variances), statistics.rotated, mean)


def solve(reduction: Reduction, sigma: Array, scales: Array, statistics: Statistics) -> Solution:
    """The posterior of u_2; see `regression_of`."""
    own = regression_of(reduction, sigma, scales, statistics)
    others, factor = _posterior(*own.whitened(), own.mean)
    return Solution(others, factor, own.design * own.units, own.units, own.spread**2)


def _posterior(whitened: Array, target: Array, mean: Array) -> tuple[Array, Array]:
    """Mean of u, and the Cholesky factor of its precision I + W' W."""
    factor = jnp.eye(whitened.shape[1], dtype=whitened.dtype) + whitened.T @ whitened
    if not whitened.shape[1]:
        return mean, factor
    factor = jnp.linalg.cholesky(factor)
    return cho_solve((factor, True), whitened.T @ target + mean), factor


@jax.custom_jvp
def _evidence(own: Regression) -> Array:
    """log det(I + W'W) + min_u |S^-1 z - W u|^2 + |u - m|^2, differentiated by hand.

    At the minimum only what the terms hold themselves moves them, and W'e = u - m for the residual
    e. So with G = W (I + W'W)^-1, of which row and column sums with W are all that is needed,

        d / d log U_j = 2 sum_i (W G)_ij - 2 u_j (u_j - m_j)
        d / d log S_i = -2 sum_j (W G)_ij - 2 e_i^2

    where automatic differentiation goes back through the factor and both solutions. Further
    derivatives are those of these formulas.
    """
    _, factor, residual, deviation = _minimum(own)
    return _value(factor, residual, deviation)


@_evidence.defjvp
def _(primals: tuple[Regression], tangents: tuple[Regression]) -> tuple[Array, Array]:
    (own,), (moved,) = primals, tangents
    whitened, factor, residual, deviation = _minimum(own)
    solution = own.mean + deviation
    spread = moved.spread / own.spread
    tangent = residual @ (moved.response / own.spread) - deviation @ moved.mean
    tangent -= (residual**2) @ spread
    if factor.shape[0]:
        gain = cho_solve((factor, True), whitened.T).T
        shares = whitened * gain
        # Without size a coefficient moves nothing.
        inverse = safe_reciprocal(own.units)
        tangent += (shares.sum(axis=0) - solution * deviation) @ (moved.units * inverse)
        tangent -= shares.sum(axis=1) @ spread
        of_design = (gain - residual[:, None] * solution) * own.units / own.spread[:, None]
        tangent += (of_design * moved.design).sum()
    return _value(factor, residual, deviation), 2.0 * tangent


def _minimum(own: Regression) -> tuple[Array, Array, Array, Array]:
    """W, the factor of I + W'W, e and u - m."""
    whitened, target = own.whitened()
    solution, factor = _posterior(whitened, target, own.mean)
    return whitened, factor, target - whitened @ solution, solution - own.mean


def _value(factor: Array, residual: Array, deviation: Array) -> Array:
    # At the minimum, where errors of the solution enter squared.
    return 2.0 * jnp.log(jnp.diagonal(factor)).sum() + residual @ residual + deviation @ deviation


def log_density(
    reduction: Reduction, sigma: Array, scales: Array, statistics: Statistics
) -> Float[Array, ""]:
    """Logarithm of the density of y, but for the weights' own sum of log(w) / 2.

    Args:
        reduction: as in `regression_of`.
        sigma: as in `regression_of`.
        scales: as in `regression_of`.
        statistics: as in `regression_of`.
    """
    own = regression_of(reduction, sigma, scales, statistics)
    size, number = reduction.eigenvalues.shape[0], reduction.num_observations - len(reduction.flat)
    total = 2.0 * jnp.log(own.spread[:size]).sum() + _evidence(own)
    constant = jnp.asarray(number * math.log(2.0 * math.pi) + reduction.log_flat, sigma.dtype)
    rest = _residual_terms(sigma, statistics.residual, number - size)
    return -0.5 * (total + rest + constant)


def _residual_terms(sigma: Array, residual: Array, number: int) -> Array:
    """number log sigma^2 + residual / sigma^2, written around its minimum.

    With s^2 = residual / number and t = log(sigma^2 / s^2) it is number (t + expm1(-t) + log s^2
    + 1): the part that depends on sigma stays accurate where it is small, however large `number`.
    """
    regular = (residual > 0) & (number > 0)
    square = jnp.where(regular, residual, 1.0) / max(number, 1)
    t = 2.0 * jnp.log(sigma) - jnp.log(square)
    around = number * (t + jnp.expm1(-t)) + number * (jnp.log(square) + 1.0)
    return jnp.where(regular, around, 2.0 * number * jnp.log(sigma) + residual / sigma**2)


def draw_coefficients(
    key: Array, reduction: Reduction, sigma: Array, scales: Array, statistics: Statistics
) -> Float[Array, "..."]:
    """One exact draw of all p coefficients given y, sigma and the scales; see `solve`.

    First u_2, then u_1 given it, then the flat coefficients given both.
    """
    dtype = sigma.dtype
    solved = solve(reduction, sigma, scales, statistics)
    main_key, other_key, flat_key = jax.random.split(key, 3)
    others = solved.others
    if others.size:
        noise = jax.random.normal(other_key, others.shape, dtype)
        others = others + solve_triangular(solved.factor, noise, trans=1, lower=True)
    root = jnp.sqrt(jnp.asarray(reduction.eigenvalues, dtype))
    size = root.shape[0]
    tau = scales[reduction.main] if size else sigma
    variances = solved.variances[:size]
    remaining = statistics.rotated[:size] - solved.design[:size] @ others
    main = tau**2 * root / variances * remaining
    noise = jax.random.normal(main_key, main.shape, dtype)
    main = main + tau * sigma / jnp.sqrt(variances) * noise
    scaled = jnp.concatenate([main, solved.units * others])
    coefficients = jnp.asarray(reduction.back, dtype) @ scaled
    coefficients = coefficients.at[: statistics.reference.shape[0]].add(statistics.reference)
    if not reduction.flat:
        return coefficients
    remaining = statistics.flat - jnp.asarray(reduction.flat_rows, dtype) @ coefficients
    noise = jax.random.normal(flat_key, remaining.shape, dtype)
    flat = jnp.asarray(reduction.flat_inverse, dtype) @ (remaining + sigma * noise)
    return coefficients.at[np.array(reduction.flat)].set(flat)
