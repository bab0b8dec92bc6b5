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

from numpyro_splines.regression.reduction import Reduction, Statistics


class Solution(NamedTuple):
    """The Gaussian posterior of u_2 with u_1 integrated out, in units of the prior.

    Attributes:
        others: posterior mean of u_2, shape (q,).
        factor: lower Cholesky factor of its precision, shape (q, q).
        design: A in those units, shape (r, q).
        units: prior standard deviations of u_2 that the units are, shape (q,).
        variances: of z given u_2, shape (r,).
        squares: residual and prior sum of squares at the mean.
    """

    others: Array
    factor: Array
    design: Array
    units: Array
    variances: Array
    squares: Array


def solve(reduction: Reduction, sigma: Array, scales: Array, statistics: Statistics) -> Solution:
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
    prior_mean = jnp.asarray(reduction.whitening, dtype) @ deviation
    spread = jnp.sqrt(variances)
    design = others * units
    whitened, target = design / spread[:, None], statistics.rotated / spread
    factor = jnp.eye(design.shape[1], dtype=dtype) + whitened.T @ whitened
    solution = prior_mean
    if design.shape[1]:
        factor = jnp.linalg.cholesky(factor)
        solution = cho_solve((factor, True), whitened.T @ target + prior_mean)
    # At the minimum, where errors of the solution enter squared.
    squares = ((target - whitened @ solution) ** 2).sum() + ((solution - prior_mean) ** 2).sum()
    return Solution(solution, factor, design, units, variances, squares)


def log_density(
    reduction: Reduction, sigma: Array, scales: Array, statistics: Statistics
) -> Float[Array, ""]:
    """Logarithm of the density of y, but for the weights' own sum of log(w) / 2; see `solve`."""
    solved = solve(reduction, sigma, scales, statistics)
    size, number = reduction.eigenvalues.shape[0], reduction.num_observations - len(reduction.flat)
    log_determinant = jnp.log(solved.variances[:size]).sum()
    log_determinant += 2.0 * jnp.log(jnp.diagonal(solved.factor)).sum()
    constant = jnp.asarray(number * math.log(2.0 * math.pi) + reduction.log_flat, sigma.dtype)
    rest = _residual_terms(sigma, statistics.residual, number - size)
    return -0.5 * (log_determinant + solved.squares + rest + constant)


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
