r"""Gaussian linear models rotated to a few coordinates, in which the coefficients integrate out.

y = Phi c + noise with variance sigma^2 / w. The coefficients are of three kinds: flat ones (no
prior), fixed ones (Normal with known moments) and blocks of modes, Normal(0, tau_b). With the flat
ones projected out, one orthogonal rotation of the weighted observations leads to

    z_1 = sqrt(Lambda) u_1 + A_1 u_2 + sigma e_1        u_1 ~ Normal(0, tau^2): the largest block
    z_2 =                    A_2 u_2 + sigma e_2        u_2: all others
    z_3 =                              sigma e_3        only |z_3|^2 = rss matters

with e ~ Normal(0, I), u_b = V_b' c_b: an orthogonal rotation of each block diagonalizes its own
Gram matrix, which keeps float32 accurate whatever the reference measure of the effects. Fixed
coefficients enter u_2 in units of their prior standard deviation.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import equinox as eqx
import numpy as np
import scipy.linalg
from jaxtyping import Array, Float

from numpyro_splines.ops.piecewise import array_module
from numpyro_splines.regression.sums import LeastSquares

# Relative strength of a direction below which a Gram matrix does not resolve it.
_RESOLVED = 1e-6

# Relative length of a direction that moves no y by more than rounding.
_NEGLIGIBLE = 1e-10


class Statistics(NamedTuple):
    """All that the likelihood needs of y.

    Attributes:
        rotated: (z_1, z_2) after `reference` is taken off y, shape (r,).
        flat: coordinates of y along the flat coefficients, shape (num_flat,).
        residual: rss, the weighted residual sum of squares of least squares.
        reference: least-squares fit of the flat and fixed coefficients alone, shape (num_fixed,);
            what remains of z is then of the size of the smooth effects, however large their level.
    """

    rotated: Any
    flat: Any
    residual: Any
    reference: Any


class Reduction(eqx.Module):
    """The rotation of one design, float64.

    With p coefficients, k of them in the main block, q in u_2 and r = k + q rotated coordinates:

    Attributes:
        eigenvalues: Lambda, shape (k,).
        others: A_1 over A_2, shape (r, q).
        directions: D such that the columns of sqrt(W) Phi D are orthonormal directions of the
            weighted observations, principal axes of the scaled design; shape (p, p).
        strength: their relative eigenvalues, zero where the design is rank deficient.
        turn: from coordinates along the directions to those along the flat coefficients and z.
        fixed: what fixed coefficients contribute to z, shape (r, num_fixed).
        back: c = back @ (u_1, u_2), flat coefficients left out, shape (p, r).
        whitening: deviations of fixed coefficients to entries of u_2, shape (q, num_fixed).
        flat_rows: coordinates along flat coefficients = flat_rows @ c, shape (num_flat, p).
        flat_inverse: inverse of the columns of `flat_rows` that belong to them.
        reference: least squares on the fixed coefficients alone, from the coordinates of y along
            the directions.
        location: prior means of the fixed coefficients, zero where flat.
        log_flat: log determinant of the Gram matrix of the flat coefficients.
        main: which mode block is u_1; -1 if there is none.
        owners: which mode block an entry of u_2 belongs to, -1 for the fixed coefficients.
        flat: which coefficients are flat.
        num_observations: n.
    """

    eigenvalues: Float[Array, "..."] | np.ndarray
    others: Float[Array, "..."] | np.ndarray
    directions: Float[Array, "..."] | np.ndarray
    strength: Float[Array, "..."] | np.ndarray
    turn: Float[Array, "..."] | np.ndarray
    fixed: Float[Array, "..."] | np.ndarray
    back: Float[Array, "..."] | np.ndarray
    whitening: Float[Array, "..."] | np.ndarray
    flat_rows: Float[Array, "..."] | np.ndarray
    flat_inverse: Float[Array, "..."] | np.ndarray
    reference: Float[Array, "..."] | np.ndarray
    location: Float[Array, "..."] | np.ndarray
    log_flat: Float[Array, "..."] | np.ndarray
    main: int = eqx.field(static=True)
    owners: tuple[int, ...] = eqx.field(static=True)
    flat: tuple[int, ...] = eqx.field(static=True)
    num_observations: int = eqx.field(static=True)

    def statistics(
        self,
        y: Any,
        weights: Any,
        evaluate: Callable[[Any], Any],
        transpose: Callable[[Any], Any],
    ) -> Statistics:
        """The statistics of one y; NumPy or JAX.

        Args:
            y: shape (n,).
            weights: shape (n,).
            evaluate: c -> Phi c.
            transpose: v -> Phi' v.
        """
        xp, dtype = array_module(y), y.dtype
        whitening = xp.asarray(self.directions * self._seen(dtype), dtype=dtype)

        def project(v: Any) -> Any:
            return whitening.T @ transpose(weights * v)

        along = project(y)
        # Once more on the residual: takes off the rounding of the first projection.
        along = along + project(y - evaluate(whitening @ along))
        residual = y - evaluate(whitening @ along)
        return self._turned(along, (weights * residual**2).sum())

    def statistics_of_sums(self, sums: LeastSquares) -> Statistics:
        """The same of sums over the rows of y; NumPy or JAX.

        Args:
            sums: of the design of which this is the reduction.
        """
        pull = array_module(sums.pull).asarray(sums.pull)
        directions = array_module(pull).asarray(self.directions * self._seen(pull.dtype))
        return self._turned(*sums.along(directions.astype(pull.dtype)))

    def _seen(self, dtype: Any) -> Any:
        """Directions that do not drown in the rounding of a dtype.

        The others are left to the residual, which is right where the coefficients move y by less
        than the noise.
        """
        return self.strength > (100.0 * float(np.finfo(dtype).eps)) ** 2

    def _turned(self, along: Any, residual: Any) -> Statistics:
        """Statistics from coordinates of y along the directions, and what these leave."""
        xp, dtype = array_module(along), along.dtype
        reference = xp.asarray(self.reference, dtype=dtype) @ along
        known = np.array([j not in self.flat for j in range(reference.shape[0])], dtype=bool)
        taken = xp.where(known, reference, xp.zeros_like(reference))
        turned = xp.asarray(self.turn, dtype=dtype) @ along
        flat, rotated = turned[: len(self.flat)], turned[len(self.flat) :]
        rotated = rotated - xp.asarray(self.fixed, dtype=dtype) @ taken
        return Statistics(rotated, flat, residual, taken)


def reduce(
    gram: np.ndarray,
    location: np.ndarray,
    scale: np.ndarray,
    blocks: Sequence[slice],
    num_observations: int,
    inner: Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]],
) -> Reduction:
    """Work out the rotation of a design.

    Args:
        gram: Phi' W Phi, shape (p, p); may be rank deficient where the prior is proper.
        location: prior means of the fixed coefficients, which come first.
        scale: their prior standard deviations, infinite where flat.
        blocks: where the mode blocks lie.
        num_observations: n.
        inner: D -> D' Phi' W Phi D and D' Phi' W Phi in a pass over the rows, for the directions
            that the Gram matrix does not resolve.

    Returns:
        The reduction.

    Raises:
        ValueError: if the flat coefficients are not identified by the data.
    """
    num, num_fixed = gram.shape[0], scale.shape[0]
    gram = _without_unseen_modes(gram, blocks)
    directions, strength, design = _directions(gram, inner)
    flat, known = np.flatnonzero(np.isinf(scale)), np.flatnonzero(np.isfinite(scale))
    axes, flat_inverse, log_flat = _flat_axes(gram, design, flat)
    flat_rows = axes.T @ design
    projected = design - axes @ flat_rows
    unit = np.ones(num)
    unit[known] = scale[known]
    sizes = [block.stop - block.start for block in blocks]
    main = int(np.argmax(sizes)) if sizes else -1
    order = [main, *(b for b in range(len(sizes)) if b != main)] if sizes else []
    groups = [(b, np.arange(num)[blocks[b]]) for b in order]
    groups.insert(1 if sizes else 0, (-1, known))
    back = np.concatenate([_rotated(projected, unit, group) for _, group in groups], axis=1)
    owners = [owner for owner, group in groups for _ in group]
    size = sizes[main] if sizes else 0
    eigenvalues, others, rotation = _triangle(projected @ back, size)
    # u = (unit V)^-1 c = back' c / unit^2, as V is orthogonal.
    forward = back.T / unit**2
    own, _ = _principal_axes(gram[:num_fixed, :num_fixed])
    reference = own @ own.T @ design[:, :num_fixed].T
    return Reduction(
        eigenvalues,
        others,
        directions,
        strength,
        np.concatenate([axes.T, rotation]),
        rotation @ design[:, :num_fixed],
        back,
        forward[size:, :num_fixed],
        flat_rows,
        flat_inverse,
        reference,
        location,
        np.asarray(log_flat),
        main,
        tuple(owners[size:]),
        tuple(int(j) for j in flat),
        num_observations,
    )


def _directions(
    gram: np.ndarray, inner: Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]]
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """D such that the columns of sqrt(W) Phi D are orthonormal, and the design in these.

    In a direction of relative strength s the Gram matrix is right to eps / s. Where that is not
    enough, as with surfaces of correlated inputs, inner products of the columns themselves make
    them orthonormal to rounding: "Cholesky QR twice" (Yamamoto et al. 2015).

    Returns:
        D, shape (p, p), zero columns for what is beyond the numerical range; relative eigenvalues;
        and R with sqrt(W) Phi = (sqrt(W) Phi D) R.
    """
    directions, strength = _principal_axes(gram)
    seen = strength > 0.0
    if not np.any(strength[seen] < _RESOLVED):
        return directions, strength, directions.T @ gram
    order = np.argsort(-strength)[: int(seen.sum())]
    own, cross = inner(directions[:, order])
    kept, factor = _independent(own)
    turn = scipy.linalg.solve_triangular(factor, np.eye(len(kept)), lower=True)
    better, sizes, design = np.zeros_like(gram), np.zeros_like(strength), np.zeros_like(gram)
    better[:, : len(kept)] = directions[:, order[kept]] @ turn.T
    sizes[: len(kept)] = strength[order[kept]]
    design[: len(kept)] = turn @ cross[kept]
    return better, sizes, design


def _independent(gram: np.ndarray) -> tuple[list[int], np.ndarray]:
    """Which of nearly orthonormal columns, one after the other, add one, and their factor.

    Columns that were taken for directions by rounding alone are combinations of those before them.
    """
    kept: list[int] = []
    factor = np.zeros_like(gram)
    for j in range(len(gram)):
        num = len(kept)
        row = gram[j, kept]
        if num:
            row = scipy.linalg.solve_triangular(factor[:num, :num], row, lower=True)
        rest = gram[j, j] - row @ row
        if rest > 0.25:
            factor[num, :num], factor[num, num] = row, np.sqrt(rest)
            kept.append(j)
    return kept, factor[: len(kept), : len(kept)]


def _without_unseen_modes(gram: np.ndarray, blocks: Sequence[slice]) -> np.ndarray:
    """The Gram matrix with zeros for modes that vanish at all x but for rounding.

    As modes that are odd about all the x of a cyclic basis, such as months. Brought to unit length,
    such a column of rounding would look like one that the data know.
    """
    size = np.sqrt(np.maximum(np.diag(gram), 0.0))
    unseen = np.zeros(size.shape, dtype=bool)
    for block in blocks:
        unseen[block] = size[block] < 1e-12 * size[block].max(initial=0.0)
    return np.where(unseen[:, None] | unseen, 0.0, gram)


def _flat_axes(
    gram: np.ndarray, design: np.ndarray, flat: np.ndarray
) -> tuple[np.ndarray, np.ndarray, float]:
    """Orthonormal axes of the flat columns, the inverse of their coordinates, log determinant."""
    inner = gram[np.ix_(flat, flat)]
    size = np.sqrt(np.diag(inner))
    scaled = inner / np.outer(size, size) if np.all(size > 0) else np.zeros_like(inner)
    if flat.size and np.linalg.eigvalsh(scaled)[0] < flat.size * 1e-12:
        raise ValueError(
            "Coefficients with flat priors must be identified by the data; the columns of "
            f"coefficients {flat.tolist()} are linearly dependent. Give them Normal priors."
        )
    axes, triangle = np.linalg.qr(design[:, flat])
    log_determinant = 2.0 * float(np.log(np.abs(np.diag(triangle))).sum())
    return axes, np.linalg.inv(triangle) if flat.size else inner, log_determinant


def _rotated(design: np.ndarray, unit: np.ndarray, group: np.ndarray) -> np.ndarray:
    """Columns of c in which the Gram matrix of one group of coefficients is diagonal."""
    columns = np.zeros((design.shape[1], group.size))
    turn = np.linalg.svd(design[:, group] * unit[group])[2].T
    columns[group] = unit[group, None] * turn
    return columns


def _triangle(design: np.ndarray, size: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Lambda, A and an orthogonal Q with Q design = [[sqrt(Lambda), A_1], [0, A_2]].

    Rows of Q are zero where the design has nothing: there all of y is residual.
    """
    first, rest = design[:, :size], design[:, size:]
    length = np.linalg.norm(first, axis=0)
    length = np.where(length > _NEGLIGIBLE * length.max(initial=0.0), length, 0.0)
    # The columns are orthogonal but for rounding, which is not small for short ones.
    axes, triangle = np.linalg.qr(first)
    axes = axes * np.where(length > 0.0, np.sign(np.diag(triangle)), 0.0)
    upper = axes.T @ rest
    left, lengths, right = np.linalg.svd(rest - axes @ upper, full_matrices=False)
    seen = lengths > _NEGLIGIBLE * np.linalg.norm(rest)
    lower = np.where(seen, lengths, 0.0)[:, None] * right
    rotation = np.concatenate([axes.T, (left * seen).T])
    return length**2, np.concatenate([upper, lower]), rotation


def _principal_axes(gram: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """D with D' gram D = I on the numerical range, else zero; and relative eigenvalues."""
    inverse_size = _inverse_root(np.diag(gram))
    variances, vectors = np.linalg.eigh(gram * np.outer(inverse_size, inverse_size))
    strength = variances / max(variances.max(initial=0.0), np.finfo(float).tiny)
    kept = strength > 1e-13
    directions = inverse_size[:, None] * vectors * _inverse_root(np.where(kept, variances, 0.0))
    return directions, np.where(kept, strength, 0.0)


def _inverse_root(values: np.ndarray) -> np.ndarray:
    """1 / sqrt where positive, else 0."""
    return np.where(values > 0, 1.0 / np.sqrt(np.where(values > 0, values, 1.0)), 0.0)
