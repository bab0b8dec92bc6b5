"""Penalties of smooths, as option objects: what wiggliness is."""

from __future__ import annotations

import abc
from typing import Any

import equinox as eqx
import numpy as np
from jaxtyping import Array, Float

from numpyro_splines.arguments import flag
from numpyro_splines.ops.penalties import shrink
from numpyro_splines.validation import order_at_least, positive_number


class AbstractPenalty(eqx.Module):
    """A quadratic form c' S c of the coefficients of any basis.

    Example:
        A penalty of your own says what it is on a basis, by the methods of that basis:

        >>> import numpyro_splines as ns
        >>> class Mixed(ns.penalties.AbstractPenalty):
        ...     def matrix(self, basis):
        ...         return basis.penalty(1) + basis.penalty(2)
        ...
        ...     def unpenalized(self, basis):
        ...         return basis.null_space(1)
        >>> prior = ns.SmoothnessPrior(penalty=Mixed())
        >>> f = ns.SplineEffect("f", ns.BSplineBasis([0.0, 0.5, 1.0]), prior)
    """

    @abc.abstractmethod
    def matrix(self, basis: Any) -> np.ndarray:
        """S on this basis.

        Args:
            basis: the basis.

        Returns:
            Positive semi-definite matrix, shape (K, K), float64.
        """

    @abc.abstractmethod
    def unpenalized(self, basis: Any) -> np.ndarray:
        """Coefficients that span what is taken off the modes: all functions that S does not see.

        Args:
            basis: the basis.

        Returns:
            One column for each function, shape (K, r), float64; first the constant, where the basis
            has it, since leaving it out centers f.
        """


class Derivative(AbstractPenalty):
    """The integral of the squared derivative of an order over the domain.

    Args:
        order: of the derivative, from 1 to the degree of the basis; 2 penalizes curvature.

    Example:
        >>> import numpyro_splines as ns
        >>> print(Derivative(1).matrix(ns.BSplineBasis([0.0, 1.0], degree=1)).round(6))
        [[ 1. -1.]
         [-1.  1.]]
    """

    order: int = eqx.field(static=True)

    def __init__(self, order: int = 2):
        self.order = order_at_least(order, 1, "order")

    def matrix(self, basis: Any) -> np.ndarray:
        return basis.penalty(self.order)

    def unpenalized(self, basis: Any) -> np.ndarray:
        return basis.null_space(self.order)


class Differences(AbstractPenalty):
    """The sum of squared differences of neighboring coefficients: P-splines.

    On knots that are not evenly spaced these are general differences (see
    `numpyro_splines.ops.penalties.difference_matrix`), which vanish for the polynomials of degree
    below `order` on any knots.

    Args:
        order: of the differences, from 1 to degree + 1 of the basis.
        plain: differences as if coefficients were evenly spaced, whatever the knots (mgcv's rule):
            they vanish for polynomials in the index of the coefficient.

    Example:
        >>> import numpyro_splines as ns
        >>> print(Differences(1).matrix(ns.BSplineBasis([0.0, 1.0, 2.0], degree=1)).round(6))
        [[ 1. -1.  0.]
         [-1.  2. -1.]
         [ 0. -1.  1.]]

    References:
        Eilers and Marx (1996); Li and Cao, General P-splines for non-uniform B-splines (2022).
    """

    order: int = eqx.field(static=True)
    plain: bool = eqx.field(static=True)

    def __init__(self, order: int = 2, *, plain: bool = False):
        self.order, self.plain = order_at_least(order, 1, "order"), flag(plain, "plain")

    def matrix(self, basis: Any) -> np.ndarray:
        return basis.difference_penalty(self.order, plain=self.plain)

    def unpenalized(self, basis: Any) -> np.ndarray:
        return basis.difference_null_space(self.order, plain=self.plain)


class Shrunk(AbstractPenalty):
    """A penalty that shrinks its null space too: all of f but its mean, slopes included.

    S + factor lambda U U', with lambda the smallest positive eigenvalue of S and U an orthonormal
    basis of its null space: mgcv's rule for `ts`. (mgcv's `cs` takes factors 0.1 and 0.01 on
    two directions that depend on the machine; here both get `factor`.) f stays centered where the
    basis has the constant, so with the observations as measure it is mgcv's smooth after its
    sum-to-zero constraint.

    Args:
        penalty: what is shrunk.
        factor: penalty of the null space, relative to the least penalized direction beyond it.

    Raises:
        TypeError: if `penalty` is none, or a `Shrunk` one.

    Example:
        >>> import numpyro_splines as ns
        >>> basis = ns.CubicRegressionBasis([0.0, 1.0, 2.0, 3.0])
        >>> int(np.linalg.matrix_rank(Shrunk(Derivative(2)).matrix(basis)))
        4

    References:
        Marra and Wood, Practical variable selection for GAMs (2011), section 2.2.
    """

    penalty: AbstractPenalty
    factor: Float[Array, ""] | np.ndarray

    def __init__(self, penalty: AbstractPenalty, factor: float = 0.1):
        if not isinstance(penalty, AbstractPenalty) or isinstance(penalty, Shrunk):
            raise TypeError(
                "`penalty` of Shrunk must be a penalty with a null space, such as Derivative(2); "
                f"got {penalty!r}."
            )
        self.penalty = penalty
        self.factor = positive_number(factor, "factor")

    def matrix(self, basis: Any) -> np.ndarray:
        null = self.penalty.unpenalized(basis)
        return shrink(self.penalty.matrix(basis), null, float(self.factor))

    def unpenalized(self, basis: Any) -> np.ndarray:
        """The constant alone, where the basis has it."""
        return basis.null_space(1)
