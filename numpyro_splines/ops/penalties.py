"""Gram matrices and penalties of B-splines, in float64 NumPy, assembled interval by interval."""

from __future__ import annotations

from math import comb

import numpy as np

from numpyro_splines.measure import quadrature
from numpyro_splines.ops.bspline import (
    function_table,
    local_basis,
    local_values,
    zero_outside,
)
from numpyro_splines.ops.piecewise import differentiate
from numpyro_splines.validation import order_at_least

# A function belongs to a basis if what is left of it after projection is below this.
_CONTAINED = 1e-8


def gram_matrix(
    knots: np.ndarray, degree: int, points: np.ndarray, weights: np.ndarray, derivative: int = 0
) -> np.ndarray:
    """sum_i weights[i] b(points[i]) b(points[i])', b the B-splines or their derivatives.

    Only the degree + 1 non-zero functions at each point are formed: O(n degree^2) time.

    Args:
        knots: full knot vector, concrete.
        degree: polynomial degree.
        points: inside the base interval, shape (n,).
        weights: shape (n,).
        derivative: order of the derivative of b.

    Returns:
        Symmetric matrix, shape (K, K), banded with bandwidth `degree`.
    """
    basis = local_basis(knots, degree)
    table = zero_outside(function_table(basis))
    table = differentiate(table, basis.breakpoints, derivative)
    first, values = local_values(points, basis.breakpoints, basis.first, table)
    num = len(knots) - degree - 1
    gram = np.zeros((num, num))
    for j in range(degree + 1):
        for k in range(j + 1):
            product = np.bincount(first, weights * values[j] * values[k], num - degree)
            own = np.arange(num - degree)
            gram[own + j, own + k] += product
    return gram + np.tril(gram, -1).T


def derivative_penalty(knots: np.ndarray, degree: int, order: int, edges: np.ndarray) -> np.ndarray:
    """S = integral of b^(order) b^(order)' between panels, exactly (Gauss-Legendre).

    Args:
        knots: full knot vector, concrete.
        degree: polynomial degree, at least `order`.
        order: derivative in the penalty.
        edges: increasing, from the start to the end of the integral; the breakpoints between must
            be among them.

    Returns:
        Positive semi-definite matrix, shape (K, K), in 1 / (units of x)^(2 order - 1).
    """
    points, weights = quadrature(edges, 2 * (degree - order))
    return gram_matrix(knots, degree, points, weights, order)


def bspline_integrals(knots: np.ndarray, degree: int) -> np.ndarray:
    """Integral of each B-spline over all of its support, (t_{j+degree+1} - t_j) / (degree + 1)."""
    return (knots[degree + 1 :] - knots[: -degree - 1]) / (degree + 1)


def difference_matrix(knots: np.ndarray, degree: int, order: int) -> np.ndarray:
    """D, the general differences of P-splines on any knots.

    Row i of D c is the divided difference

        (D_k c)_i = (c_{i+1} - c_i) / g_i,    g_i = (t_{i+degree+1} - t_{i+k}) / (degree + 1 - k)

    applied for k = 1, ..., order to the differences of the order before: up to the factor
    degree! / (degree - order)! the B-spline coefficients of the derivative of that order. Hence
    D c = 0 exactly for polynomials of degree below `order`, whatever the knots. At order
    degree + 1, where the formula has 0 / 0, the jumps of the highest derivative are divided by the
    distance of interval midpoints. Divided by the mean gap to the power `order`, so that evenly
    spaced (extended) knots give the plain differences of Eilers and Marx.

    Args:
        knots: full knot vector, concrete.
        degree: polynomial degree, at least order - 1.
        order: order of the differences.

    Returns:
        Shape (K - order, K), of full rank, without units.

    References:
        Li and Cao, General P-splines for non-uniform B-splines (2022), section 2.
    """
    num = len(knots) - degree - 1
    matrix = np.eye(num)
    for k in range(1, order + 1):
        gap = _difference_gaps(knots, degree, k)
        matrix = np.diff(matrix, axis=0) / gap[:, None]
    spacing = (knots[num] - knots[degree]) / (num - degree)
    return matrix * spacing**order


def difference_penalty(knots: np.ndarray, degree: int, order: int) -> np.ndarray:
    """S = D' D, positive semi-definite of rank K - order; see `difference_matrix`."""
    matrix = difference_matrix(knots, degree, order)
    return matrix.T @ matrix


def plain_difference_penalty(num: int, order: int, *, cyclic: bool = False) -> np.ndarray:
    """S = D' D with D the plain differences of `num` coefficients, in a row or around a circle.

    Args:
        num: number K of coefficients.
        order: of the differences, at least 0; less than K in a row.
        cyclic: whether the first coefficient follows the last.

    Returns:
        Positive semi-definite matrix, shape (K, K), of rank K - order, or K - 1 around a circle.

    Raises:
        ValueError: if the order is negative or too large.
    """
    order = order_at_least(order, 0, "order")
    identity = np.eye(num)
    if cyclic:
        step = np.roll(identity, 1, axis=1) - identity
        matrix = np.linalg.matrix_power(step, order)
    elif order < num:
        matrix = np.diff(identity, n=order, axis=0)
    else:
        raise ValueError(
            f"`order` must be less than the number of basis functions, {num}; got {order}. Use "
            "more breakpoints."
        )
    return matrix.T @ matrix


def shrink(penalty: np.ndarray, null_space: np.ndarray, factor: float) -> np.ndarray:
    """S + factor lambda U U': a penalty that also shrinks its null space, as mgcv's `ts`.

    Args:
        penalty: S, positive semi-definite, shape (K, K).
        null_space: columns that span the null space of S; U is an orthonormal basis of it.
        factor: relative to lambda, the smallest positive eigenvalue of S. mgcv's is 0.1.
    """
    dimension = null_space.shape[1]
    if dimension == 0:
        return penalty
    smallest = np.linalg.eigvalsh(penalty)[dimension]
    directions = np.linalg.qr(null_space).Q
    return penalty + factor * smallest * directions @ directions.T


def contained(functions: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """Coefficients of the combinations of `wanted` that lie in the span of `functions`.

    In echelon form: for each column of `wanted` that, with multiples of the columns before it,
    lies in the span, the coefficients of that combination; the multiples are zero if they can be.

    Args:
        functions: values or coefficients of the functions, shape (n, K), of rank K.
        wanted: the same of the candidates, shape (n, order).

    Returns:
        Shape (K, at most order).
    """
    orthonormal = np.linalg.qr(functions).Q
    rest = wanted - orthonormal @ (orthonormal.T @ wanted)
    columns = []
    for last in range(wanted.shape[1]):
        lower, target = rest[:, :last], -rest[:, last]
        multiples = _solve(lower, target)
        error = np.abs(lower @ multiples - target).max()
        if error < _CONTAINED * np.abs(wanted[:, : last + 1]).max():
            columns.append(wanted[:, :last] @ multiples + wanted[:, last])
    if not columns:
        return np.zeros((functions.shape[1], 0))
    return np.linalg.lstsq(functions, np.stack(columns, axis=1), rcond=None)[0]


def _solve(matrix: np.ndarray, target: np.ndarray) -> np.ndarray:
    """Least squares of minimal norm; columns that vanish but for rounding get zero."""
    left, size, right = np.linalg.svd(matrix, full_matrices=False)
    kept = size > _CONTAINED
    inverse = np.where(kept, 1.0 / np.where(kept, size, 1.0), 0.0)
    return right.T @ (inverse * (left.T @ target))


def _difference_gaps(knots: np.ndarray, degree: int, k: int) -> np.ndarray:
    span, num = degree + 1 - k, len(knots) - degree - 1
    if span > 0:
        gap = (knots[degree + 1 :][: num - k] - knots[k:][: num - k]) / span
    else:
        gap = np.diff((knots[degree:num] + knots[degree + 1 : num + 1]) / 2)
    if not np.all(gap > 0):
        raise ValueError(
            f"`order` {k} of the difference penalty needs interior knots of multiplicity at most "
            f"{max(span, 1)} at degree {degree}; got a knot repeated more often. Use "
            "SmoothnessPrior, or distinct knots."
        )
    return gap


def monomial_coefficients(knots: np.ndarray, degree: int, order: int) -> np.ndarray:
    """B-spline coefficients of 1, z, ..., z^(order - 1), z = x scaled to [-1, 1] on the domain.

    By the blossom: coefficient j of z^r is the mean of all products of r among the knots
    z_{j+1}, ..., z_{j+degree}, an elementary symmetric polynomial over a binomial coefficient.

    Args:
        knots: full knot vector, concrete.
        degree: polynomial degree.
        order: how many monomials, at most degree + 1.

    Returns:
        Shape (K, order).

    References:
        de Boor, A Practical Guide to Splines (2001), chapter IX, Marsden's identity.
    """
    num = len(knots) - degree - 1
    lower, upper = knots[degree], knots[num]
    z = (2 * knots - lower - upper) / (upper - lower)
    symmetric = np.zeros((num, order))
    symmetric[:, :1] = 1.0
    for j in range(1, degree + 1):
        symmetric[:, 1:] = symmetric[:, 1:] + z[j : j + num, None] * symmetric[:, :-1]
    return symmetric / np.array([comb(degree, r) for r in range(order)])
