"""B-splines seen through a matrix: what all other univariate bases have in common."""

from __future__ import annotations

from typing import Any

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, ArrayLike, Float

from numpyro_splines.bases.base import AbstractBasis
from numpyro_splines.bases.bspline import BSplineBasis
from numpyro_splines.curve import Curve
from numpyro_splines.measure import Measure
from numpyro_splines.ops.bspline import check_coefficients
from numpyro_splines.validation import float_input

# A polynomial belongs to a basis if least squares reproduces its coefficients this well.
_REPRODUCED = 1e-8


class AbstractCombinedBasis(AbstractBasis):
    """Functions that are fixed linear combinations of B-splines, b(x) = matrix' B(x).

    Curves are those of the B-splines, so they cost the same. A subclass sets two attributes.

    Attributes:
        spline: the B-splines, with the extrapolation.
        matrix: B-spline coefficients of each function, shape (num B-splines, K).
    """

    spline: eqx.AbstractVar[BSplineBasis]
    matrix: eqx.AbstractVar[Float[Array, "..."] | np.ndarray]

    @property
    def num_coefficients(self) -> int:
        """The number K of functions."""
        return self.matrix.shape[-1]

    @property
    def domain(self) -> tuple[Any, Any]:
        """Left and right end of the domain."""
        return self.spline.domain

    def __call__(self, x: ArrayLike) -> Float[Array, "*points num_coefficients"]:
        """See `AbstractBasis.__call__`."""
        design = self.spline(x)
        return design @ jnp.asarray(self.matrix, design.dtype)

    def curve(self, coefficients: ArrayLike) -> Curve:
        """See `AbstractBasis.curve`."""
        values = float_input(coefficients, "coefficients")
        check_coefficients(values, self.num_coefficients)
        matrix = jnp.asarray(self.matrix, values.dtype)
        return self.spline.curve(jnp.einsum("jk,...k->...j", matrix, values))

    def measure(self, measure: Any = None) -> Measure:
        """See `AbstractBasis.measure`."""
        return self.spline.measure(measure)

    def gram(self, measure: Any = None) -> np.ndarray:
        """See `AbstractBasis.gram`."""
        return self._seen(self.spline.gram(measure))

    def penalty(self, order: int) -> np.ndarray:
        """See `AbstractBasis.penalty`; the order is at most the degree."""
        return self._seen(self.spline.penalty(order))

    def difference_penalty(self, order: int) -> np.ndarray:
        """See `AbstractBasis.difference_penalty`; of the B-spline coefficients behind the basis."""
        return self._seen(self.spline.difference_penalty(order))

    def _seen(self, form: np.ndarray) -> np.ndarray:
        """A quadratic form of the B-spline coefficients as one of this basis' coefficients."""
        matrix = np.asarray(self.matrix)
        return matrix.T @ form @ matrix

    def polynomials(self, order: int) -> np.ndarray:
        """See `AbstractBasis.polynomials`."""
        largest = min(order, self.spline.degree + 1)
        wanted = self.spline.polynomials(largest)
        found = np.linalg.lstsq(self.matrix, wanted, rcond=None)[0]
        error = np.abs(self.matrix @ found - wanted).max(axis=0)
        return found[:, np.cumprod(error < _REPRODUCED).astype(bool)]
