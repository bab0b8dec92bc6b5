"""Shrinkage versions of bases: penalties without a null space."""

from __future__ import annotations

import numpy as np
from jaxtyping import Array, Float

from numpyro_splines.bases.base import AbstractBasis, AbstractCombinedBasis
from numpyro_splines.ops import penalties
from numpyro_splines.validation import positive_number


class ShrunkBasis(AbstractCombinedBasis):
    """The functions of another basis, with penalties that shrink their null space too.

    S + factor lambda U U', with lambda the smallest positive eigenvalue of S and U an orthonormal
    basis of its null space: mgcv's rule for `ts`. (mgcv's `cs` takes factors 0.1 and 0.01 on
    two directions that depend on the machine; here both get `factor`.)

    A smoothness prior on it has no linear part of its own: all of f shrinks with one scale. Nothing
    is left out for centering either, so constrain the result, as mgcv does:
    `ShrunkBasis(basis).constrained()`.

    Args:
        spline: the other basis.
        factor: penalty of the null space, relative to the least penalized direction beyond it.

    Attributes:
        spline: the other basis.
        matrix: the identity.
        factor: as given.

    Raises:
        ValueError: if the factor is not positive.

    Example:
        >>> import numpy as np, numpyro_splines as ns
        >>> basis = ns.ShrunkBasis(ns.CubicRegressionBasis([0.0, 1.0, 2.0, 3.0]))
        >>> int(np.linalg.matrix_rank(basis.penalty(2)))
        4

    References:
        Marra and Wood, Practical variable selection for GAMs (2011), section 2.2.
    """

    spline: AbstractBasis
    matrix: Float[Array, "..."] | np.ndarray
    factor: Float[Array, ""] | np.ndarray

    def __init__(self, spline: AbstractBasis, factor: float = 0.1):
        self.spline = spline
        self.matrix = np.eye(spline.num_coefficients)
        self.factor = positive_number(factor, "factor")

    def _penalty(self, order: int, edges: np.ndarray) -> np.ndarray:
        return self._shrink(self.spline._penalty(order, edges), order)

    def difference_penalty(self, order: int, *, plain: bool = False) -> np.ndarray:
        """See `AbstractBasis.difference_penalty`; the null space is shrunk too."""
        return self._shrink(self.spline.difference_penalty(order, plain=plain), order)

    def _shrink(self, penalty: np.ndarray, order: int) -> np.ndarray:
        return penalties.shrink(penalty, self.spline.null_space(order), float(self.factor))

    def null_space(self, order: int) -> np.ndarray:
        """See `AbstractBasis.null_space`; empty here, shape (K, 0)."""
        del order
        return np.zeros((self.num_coefficients, 0))
