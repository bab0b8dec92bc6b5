"""The Karhunen-Loeve decomposition of (basis, penalty, measure): the coordinates of a smooth."""

from __future__ import annotations

import equinox as eqx
import numpy as np
import scipy.linalg
from jaxtyping import Array, Float

# Functions count as known from the observations if their mean squares there, relative to those over
# the whole measure, are above this in every direction.
_IDENTIFIED = 1e-8

# Eigenvalues closer than this (relatively) span one space, whose basis is chosen by a rule.
_CLUSTER_TOLERANCE = 1e-6


class Spectrum(eqx.Module):
    r"""Orthonormal functions and prior standard deviations of a Gaussian smooth.

    With basis b, Gram matrix G = int b b' d mu and penalty S, the modes solve S v = lambda G v with
    V' G V = I, and

        f(x) = sum_j beta_j phi_j(x) + tau sum_m sd_m z_m psi_m(x),    z_m ~ Normal(0, 1)

    with sd_m^2 proportional to 1 / lambda_m and sum_m sd_m^2 = 1, so that tau^2 is the prior mean
    of int f_penalized^2 d mu: a scale in the units of f, whatever the knots, degree, domain or
    penalty.

    Attributes:
        polynomials: coefficients of phi_0 (constant), phi_1, ..., of length one in L2(mu) and
            orthogonal to each other at the observations, each with positive leading coefficient:
            the null space of S; shape (K, order).
        modes: coefficients of psi_1, psi_2, ..., orthonormal in L2(mu), and orthogonal to the phi_j
            at the observations, from smooth to wiggly; shape (K, K - order).
        standard_deviations: sd_m, decreasing, shape (K - order,).
    """

    polynomials: Float[Array, "..."] | np.ndarray
    modes: Float[Array, "..."] | np.ndarray
    standard_deviations: Float[Array, "..."] | np.ndarray


def karhunen_loeve(
    gram: np.ndarray,
    penalty: np.ndarray,
    null_space: np.ndarray,
    observed: np.ndarray | None = None,
) -> Spectrum:
    """Decompose a Gaussian smooth with respect to a reference measure, in float64.

    Signs, order and the basis of equal eigenvalues follow a rule (see `canonical`), so two
    machines give the same coordinates.

    Args:
        gram: G, positive definite, shape (K, K).
        penalty: S, positive semi-definite, shape (K, K).
        null_space: coefficients that span the null space of S exactly, in the order in which
            they are to be orthonormalized, shape (K, order).
        observed: Gram matrix of the observations alone, by which the modes are orthogonal to the
            null space; G if omitted.

    Returns:
        The spectrum.

    Raises:
        ValueError: if the penalty leaves nothing to penalize, or its null space is larger than
            `null_space` in floating point.

    Example:
        >>> import numpyro_splines as ns
        >>> basis = ns.BSplineBasis(ns.knots.uniform(0.0, 1.0, 6))
        >>> spectrum = karhunen_loeve(basis.gram(), basis.penalty(2), basis.polynomials(2))
        >>> print(spectrum.standard_deviations.round(3))
        [0.922 0.332 0.166 0.101 0.031 0.028]
    """
    num, order = null_space.shape
    if num <= order:
        raise ValueError(
            f"`penalty` must leave something to penalize; got {num} coefficients and a null space "
            f"of dimension {order}. Use more breakpoints or a lower order."
        )
    polynomials, rows = split(null_space, gram, gram if observed is None else observed)
    complement = np.linalg.qr(rows.T, mode="complete")[0][:, order:]
    reduced_gram = complement.T @ gram @ complement
    reduced_penalty = complement.T @ penalty @ complement
    try:
        # G against S, not S against G: the largest eigenvalues 1 / lambda, those of the smooth
        # modes that carry nearly all prior variance, come out with full relative accuracy.
        variances, vectors = scipy.linalg.eigh(reduced_gram, reduced_penalty)
    except np.linalg.LinAlgError:
        raise ValueError(
            f"`penalty` must be positive definite beyond its null space of dimension {order}; it "
            "is not in floating point. Use fewer breakpoints, a lower order, or check the null "
            "space."
        ) from None
    variances, vectors = variances[::-1], vectors[:, ::-1]
    modes = canonical(complement @ (vectors / np.sqrt(variances)), variances)
    return Spectrum(polynomials, modes, np.sqrt(variances / variances.sum()))


def split(
    functions: np.ndarray, gram: np.ndarray, observed: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Functions orthogonal at the observations, and how to take them off others there.

    Args:
        functions: coefficients, shape (K, r).
        gram: G of the measure, in which the results have length one, shape (K, K).
        observed: that of the observations alone. Where these do not tell the functions apart, as a
            line from tied x, G stands in for it.

    Returns:
        P, combinations of each function and those before it, shape (K, r), and rows R with R P = I,
        shape (r, K): v - P R v is orthogonal to all of them.
    """
    own = functions.T @ observed @ functions
    whole = functions.T @ gram @ functions
    if functions.shape[1] and scipy.linalg.eigvalsh(own, whole)[0] < _IDENTIFIED:
        observed = gram
    orthogonal = orthonormalized(functions, observed)
    length = np.sqrt(np.einsum("kj,kl,lj->j", orthogonal, gram, orthogonal))
    return orthogonal / length, length[:, None] * (orthogonal.T @ observed)


def orthonormalized(functions: np.ndarray, gram: np.ndarray) -> np.ndarray:
    """Combinations of functions, each of itself and those before it, orthonormal in L2(mu).

    Args:
        functions: coefficients, shape (K, r).
        gram: G, shape (K, K).

    Returns:
        Shape (K, r), with positive weight on the function itself.
    """
    inner = np.linalg.cholesky(functions.T @ gram @ functions)
    return scipy.linalg.solve_triangular(inner, functions.T, lower=True).T


def canonical(modes: np.ndarray, variances: np.ndarray) -> np.ndarray:
    """Fix the signs of the modes, and their rotation where eigenvalues coincide.

    Within each space of equal eigenvalues, one direction after the other: look from the last
    coefficient backward for the first that is at least half the largest one in size, and take the
    function that is largest (and positive) there; continue with the functions orthogonal to it.
    The half keeps the choice away from near ties, where rounding would decide.

    Args:
        modes: eigenvectors, shape (K, m).
        variances: their eigenvalues, decreasing, shape (m,).
    """
    result = modes.copy(order="C")
    gaps = -np.diff(variances) > _CLUSTER_TOLERANCE * variances[:-1]
    for cluster in np.split(np.arange(variances.size), np.flatnonzero(gaps) + 1):
        remaining = modes[:, cluster]
        for column in cluster:
            size = np.linalg.norm(remaining, axis=1)
            row = np.flatnonzero(size >= 0.5 * size.max())[-1]
            direction = remaining[row] / size[row]
            result[:, column] = remaining @ direction
            remaining = remaining @ scipy.linalg.null_space(direction[None, :])
    return result
