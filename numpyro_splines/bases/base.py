"""What every basis offers."""

from __future__ import annotations

import abc
from typing import Any

import equinox as eqx
import numpy as np
from jaxtyping import Array, ArrayLike, Float

from numpyro_splines.curve import Curve
from numpyro_splines.measure import Measure


class AbstractBasis(eqx.Module):
    """A finite set of functions b_1, ..., b_K whose combinations are curves.

    A basis is frozen when it is made: new data never move its knots.
    """

    @property
    @abc.abstractmethod
    def num_coefficients(self) -> int:
        """The number K of functions."""

    @property
    @abc.abstractmethod
    def domain(self) -> tuple[Any, Any]:
        """Left and right end of the domain."""

    @abc.abstractmethod
    def __call__(self, x: ArrayLike) -> Float[Array, "*points num_coefficients"]:
        """Design matrix: all functions at x, extrapolated as curves are.

        Args:
            x: points of any shape.

        Returns:
            Shape (*x.shape, num_coefficients), dtype of x.
        """

    @abc.abstractmethod
    def curve(self, coefficients: ArrayLike) -> Curve:
        """The curve f = sum_j coefficients[..., j] b_j.

        Args:
            coefficients: shape (*batch, num_coefficients), in the units of f.

        Returns:
            A curve with that batch shape.
        """

    @abc.abstractmethod
    def measure(self, measure: Any = None) -> Measure:
        """The reference measure that a `measure=` argument stands for on this basis.

        Args:
            measure: None (uniform on the domain), observations of x, or a pair
                (observations, weights).
        """

    @abc.abstractmethod
    def gram(self, measure: Any = None) -> np.ndarray:
        """G = integral of b b' d mu, for a probability measure mu.

        Args:
            measure: as for the method `measure`, or a `Measure`.

        Returns:
            Symmetric positive definite matrix, shape (K, K), float64.
        """

    @abc.abstractmethod
    def penalty(self, order: int) -> np.ndarray:
        """S = integral of b^(order) b^(order)' over the domain.

        Args:
            order: of the derivative.

        Returns:
            Positive semi-definite matrix, shape (K, K), float64.
        """

    @abc.abstractmethod
    def difference_penalty(self, order: int) -> np.ndarray:
        """S = D' D with D the differences of neighboring coefficients.

        Args:
            order: of the differences.

        Returns:
            Positive semi-definite matrix, shape (K, K), float64.
        """

    @abc.abstractmethod
    def polynomials(self, order: int) -> np.ndarray:
        """Coefficients of the polynomials of degree below `order`, the null space of a penalty.

        Args:
            order: how many, from the constant upward.

        Returns:
            Shape (K, order), float64; column r is z^r with z in [-1, 1] over the domain. Fewer
            columns where the basis does not contain them all.
        """
