"""What every basis offers; bases seen through a matrix, constrained ones among them."""

from __future__ import annotations

import abc
from collections.abc import Callable, Sequence
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, ArrayLike, Float

from numpyro_splines.arguments import instance_of
from numpyro_splines.constraints import (
    AbstractConstraint,
    ZeroIntegral,
    gradient,
    null_space,
    without_rounding,
)
from numpyro_splines.designs import AbstractPoints, PlainPoints, known
from numpyro_splines.functions import Combination
from numpyro_splines.measure import Measure, clipped, quadrature, reference_measure
from numpyro_splines.ops import penalties
from numpyro_splines.ops.arrays import array_module
from numpyro_splines.ops.bspline import check_coefficients
from numpyro_splines.ops.sums import weighted_sum
from numpyro_splines.validation import float_dtype, float_input, order_at_least, real_array

# Gauss-Legendre panels per function, and the degree integrated exactly on each, for bases that are
# not piecewise polynomials: near machine precision for functions as wiggly as their number allows.
_PANELS, _PANEL_DEGREE = 4, 19


class AbstractBasis(eqx.Module):
    """A finite set of functions b_1, ..., b_K whose combinations are curves.

    A basis is frozen when it is made: new data never move its knots.

    A basis of your own defines `num_coefficients`, `domain` and `__call__`, in JAX operations; the
    rest follows by quadrature and automatic differentiation (override `penalty` or `gram` where you
    know better). Its curves are `Combination` objects, which evaluate and differentiate; the bases
    of this package are piecewise polynomials and give exact `Curve`s.

    Example:
        >>> import jax.numpy as jnp, numpyro_splines as ns
        >>> class Fourier(ns.AbstractBasis):
        ...     frequencies: jnp.ndarray
        ...     num_coefficients = property(lambda self: 2 * len(self.frequencies))
        ...     domain = (0.0, 1.0)
        ...
        ...     def __call__(self, x):
        ...         angle = 2 * jnp.pi * jnp.asarray(x)[..., None] * self.frequencies
        ...         return jnp.concatenate([jnp.sin(angle), jnp.cos(angle)], axis=-1)
        >>> f = ns.SplineEffect("f", Fourier(jnp.arange(1, 4)))
    """

    def __hash__(self) -> int:
        # By identity: arrays have no hash, and `jax.jit(basis)` needs one of the function.
        return object.__hash__(self)

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

    def curve(self, coefficients: ArrayLike) -> Any:
        """The curve f = sum_j coefficients[..., j] b_j.

        Args:
            coefficients: shape (*batch, num_coefficients), in the units of f.

        Returns:
            A `Curve` (a `Combination` for a basis of your own) with that batch shape.
        """
        values = float_input(coefficients, "coefficients")
        check_coefficients(values, self.num_coefficients)
        return Combination(self, values)

    def at(self, x: ArrayLike) -> AbstractPoints:
        """Points that are known in advance, prepared once, to evaluate curves at faster.

        Where they lie among the breakpoints is worked out here, on the host; large data are sorted
        into blocks, with memory O(n). `AdditivePredictor` does so by itself. For x that are random
        evaluate curve(x).

        Args:
            x: known points of any shape; NaN gives NaN.

        Returns:
            A function: at(curve) is curve(x), for curves of this basis and their derivatives, of
            any batch shape. A pytree.

        Raises:
            TypeError: if x or the knots are traced, or x does not hold real numbers.
            ValueError: if a point is infinite.

        Example:
            >>> import numpyro_splines as ns
            >>> basis = ns.BSplineBasis([0.0, 1.0, 2.0])
            >>> at, curve = basis.at([0.5, 1.5]), basis.curve([0.0, 1.0, 2.0, 0.0, 4.0])
            >>> bool((at(curve) == curve([0.5, 1.5])).all())
            True
        """
        return PlainPoints(known(x))

    def collocation(self, x: Any, derivative: int = 0) -> np.ndarray:
        """The functions or their derivatives at x on the host, whatever JAX's precision.

        Args:
            x: concrete points, shape (n,).
            derivative: order of the derivative.

        Returns:
            Shape (n, K), float64.
        """
        with jax.ensure_compile_time_eval(), jax.enable_x64(True):
            functions = self.curve(jnp.eye(self.num_coefficients))
            values = functions.derivative(derivative)(jnp.asarray(x, dtype=float))
            return np.asarray(values).T

    def weighted(self, x: np.ndarray, weights: np.ndarray, derivative: int = 0) -> np.ndarray:
        """Weighted sums of values of curves as rows on their coefficients.

        Args:
            x: points, shape (n,).
            weights: shape (r, n).
            derivative: order of the derivative.

        Returns:
            C with sum_i weights[j, i] f^(derivative)(x_i) = (C c)_j, shape (r, K), float64.
        """
        return weights @ self.collocation(x, derivative)

    def functional(self, function: Callable[[Any], Any]) -> np.ndarray:
        """A linear functional of curves as rows on their coefficients: C with function(f) = C c.

        Its gradient, O(n) for a mean over n points, on the host.

        Args:
            function: takes a curve to one or more numbers, linearly, in JAX operations.

        Returns:
            Shape (number of numbers, K), float64.

        Raises:
            ValueError: if the function is not linear, or not finite.
        """
        return gradient(lambda c: function(self.curve(c)), self.num_coefficients)

    @property
    def panels(self) -> tuple[np.ndarray, int]:
        """Edges of panels, and the degree to be integrated exactly between them, for integrals."""
        edges = np.linspace(*self.domain, _PANELS * self.num_coefficients + 1, dtype=float)
        return edges, _PANEL_DEGREE

    def measure(self, measure: Any = None) -> Measure:
        """The reference measure that a `measure=` argument stands for on this basis.

        Args:
            measure: None (uniform on the domain), observations of x, a pair (observations,
                weights), or a `Measure`, which it is already.

        Returns:
            Its points and weights, and the number of observations behind it.
        """
        if isinstance(measure, Measure):
            return measure
        return reference_measure(measure, *self.panels)

    def gram(self, measure: Any = None) -> np.ndarray:
        """G = integral of b b' d mu, for a probability measure mu.

        Args:
            measure: as for the method `measure`.

        Returns:
            Symmetric positive definite matrix, shape (K, K), float64.
        """
        mu = self.measure(measure)
        design = self.collocation(mu.points)
        return design.T @ (mu.weights[:, None] * design)

    def penalty(
        self,
        order: int | Sequence[int],
        *,
        lower: float | None = None,
        upper: float | None = None,
    ) -> np.ndarray:
        """S = integral of b^(order) b^(order)' from `lower` to `upper`.

        Args:
            order: of the derivative; several orders give one matrix each, stacked.
            lower: where the integral starts; the left end of the domain if omitted.
            upper: where it ends; the right end of the domain if omitted.

        Returns:
            Positive semi-definite matrix, shape (K, K) or (len(order), K, K), float64.

        Raises:
            ValueError: if an order is negative or too large for the basis, or the interval is
                empty or not inside the domain.
        """
        edges = clipped(self.panels[0], lower, upper)
        if isinstance(order, Sequence | np.ndarray):
            if getattr(order, "ndim", 1) != 1 or not len(order):
                raise ValueError("`order` must be one order or several; got none.")
            return np.stack([self._penalty(m, edges) for m in order])
        return self._penalty(order, edges)

    def _penalty(self, order: int, edges: np.ndarray) -> np.ndarray:
        """The integral over the panels with these edges: the hook behind `penalty`."""
        order = order_at_least(order, 0, "order")
        nodes, weights = quadrature(edges, self.panels[1])
        design = self.collocation(nodes, order)
        return design.T @ (weights[:, None] * design)

    def difference_penalty(self, order: int, *, plain: bool = False) -> np.ndarray:
        """S = D' D with D the differences of neighboring coefficients.

        Args:
            order: of the differences, at least 0 and less than K.
            plain: differences as if coefficients were evenly spaced, whatever the knots (mgcv's
                rule). By default they are divided by the distances on knots that are not.

        Returns:
            Positive semi-definite matrix, shape (K, K), float64.
        """
        del plain  # There are no knots here.
        return penalties.plain_difference_penalty(self.num_coefficients, order)

    def polynomials(self, order: int) -> np.ndarray:
        """Coefficients of the polynomials of degree below `order` that the basis contains.

        Args:
            order: one more than the largest degree.

        Returns:
            Float64, one column for each degree that occurs, shape (K, at most order); with leading
            coefficient one in z in [-1, 1] over the domain, and z^r itself where all lower degrees
            occur too.
        """
        edges, degree = self.panels
        nodes, _ = quadrature(edges, degree)
        z = (2 * nodes - edges[0] - edges[-1]) / (edges[-1] - edges[0])
        return penalties.contained(self.collocation(nodes), np.vander(z, order, increasing=True))

    def null_space(self, order: int) -> np.ndarray:
        """Coefficients that span the null space of `penalty(order)`, as `polynomials` does.

        Args:
            order: of the penalty.

        Returns:
            One column for each function, shape (K, at most order), float64.
        """
        return self.polynomials(order)

    def difference_null_space(self, order: int, *, plain: bool = False) -> np.ndarray:
        """Coefficients that span the null space of `difference_penalty(order, plain=plain)`.

        Args:
            order: of the differences.
            plain: as there.

        Returns:
            One column for each function, shape (K, at most order), float64; first the constant,
            where the basis has it.
        """
        del plain  # There are no knots here.
        return self.null_space(order)

    def constrained(self, *constraints: AbstractConstraint) -> ConstrainedBasis:
        """The functions of this basis that satisfy linear constraints, as a basis.

        Args:
            *constraints: objects of `numpyro_splines.constraints`; zero integral over the domain if
                none is given.

        Returns:
            A basis with one function less for each independent constraint.

        Raises:
            ValueError: if the constraints leave nothing.

        Example:
            >>> import numpyro_splines as ns
            >>> basis = ns.BSplineBasis([0.0, 0.5, 1.0]).constrained()
            >>> curve = basis.curve([1.0, 2.0, 0.0, -1.0])
            >>> basis.num_coefficients, abs(curve.integrate(0.0, 1.0)) < 1e-6
            (4, Array(True, dtype=bool))
        """
        rows = [
            instance_of(constraint, AbstractConstraint, "constraints").rows(self)
            for constraint in constraints or (ZeroIntegral(),)
        ]
        return ConstrainedBasis(self, null_space(np.concatenate(rows)))


class AbstractCombinedBasis(AbstractBasis):
    """Functions that are fixed linear combinations of those of another basis, matrix' B(x).

    Curves are those of the other basis, so they cost the same. A subclass sets two attributes.

    Attributes:
        spline: the other basis: B-splines with an extrapolation, or again such a combination.
        matrix: its coefficients of each function, shape (its K, K).
    """

    spline: eqx.AbstractVar[Any]
    matrix: eqx.AbstractVar[Float[Array, "..."] | np.ndarray]

    @property
    def num_coefficients(self) -> int:
        """The number K of functions."""
        return self.matrix.shape[-1]

    @property
    def domain(self) -> tuple[Any, Any]:
        """Left and right end of the domain."""
        return self.spline.domain

    @property
    def panels(self) -> tuple[np.ndarray, int]:
        """See `AbstractBasis.panels`."""
        return self.spline.panels

    def __call__(self, x: ArrayLike) -> Float[Array, "*points num_coefficients"]:
        """See `AbstractBasis.__call__`."""
        design = self.spline(x)
        return design @ jnp.asarray(self.matrix, design.dtype)

    def curve(self, coefficients: ArrayLike) -> Any:
        """See `AbstractBasis.curve`."""
        values = real_array(coefficients, "coefficients")
        check_coefficients(values, self.num_coefficients)
        values = values.astype(float_dtype(values))
        matrix = array_module(values, self.matrix).asarray(self.matrix, dtype=values.dtype)
        return self.spline.curve(weighted_sum(values, matrix.T))

    def at(self, x: ArrayLike) -> AbstractPoints:
        """See `AbstractBasis.at`."""
        return self.spline.at(x)

    def collocation(self, x: Any, derivative: int = 0) -> np.ndarray:
        """See `AbstractBasis.collocation`."""
        return self.spline.collocation(x, derivative) @ np.asarray(self.matrix)

    def pieces(self) -> tuple[np.ndarray, np.ndarray, bool]:
        """The functions as piecewise polynomials on the host, float64.

        Returns:
            Breakpoints, shape (M + 1,), tables of all functions, shape (K, M + 2, degree + 1), and
            whether they are periodic.
        """
        breakpoints, table, periodic = self.spline.pieces()
        return breakpoints, np.tensordot(np.asarray(self.matrix).T, table, axes=1), periodic

    def weighted(self, x: np.ndarray, weights: np.ndarray, derivative: int = 0) -> np.ndarray:
        """See `AbstractBasis.weighted`; what cancels but for rounding is exactly zero."""
        return self._combined(self.spline.weighted(x, weights, derivative))

    def functional(self, function: Callable[[Any], Any]) -> np.ndarray:
        """See `AbstractBasis.functional`; what cancels but for rounding is exactly zero."""
        return self._combined(self.spline.functional(function))

    def _combined(self, inner: np.ndarray) -> np.ndarray:
        """Rows on the other basis' coefficients as rows on those of this basis."""
        matrix = np.asarray(self.matrix)
        return without_rounding(inner @ matrix, np.abs(inner) @ np.abs(matrix))

    def gram(self, measure: Any = None) -> np.ndarray:
        """See `AbstractBasis.gram`."""
        return self._seen(self.spline.gram(measure))

    def _penalty(self, order: int, edges: np.ndarray) -> np.ndarray:
        return self._seen(self.spline._penalty(order, edges))

    def difference_penalty(self, order: int, *, plain: bool = False) -> np.ndarray:
        """See `AbstractBasis.difference_penalty`; of the coefficients of the other basis."""
        return self._seen(self.spline.difference_penalty(order, plain=plain))

    def _seen(self, form: np.ndarray) -> np.ndarray:
        """A quadratic form of the other basis' coefficients as one of this basis' coefficients."""
        matrix = np.asarray(self.matrix)
        return matrix.T @ form @ matrix

    def polynomials(self, order: int) -> np.ndarray:
        """See `AbstractBasis.polynomials`."""
        return penalties.contained(np.asarray(self.matrix), self.spline.polynomials(order))

    def null_space(self, order: int) -> np.ndarray:
        """See `AbstractBasis.null_space`."""
        return penalties.contained(np.asarray(self.matrix), self.spline.null_space(order))

    def difference_null_space(self, order: int, *, plain: bool = False) -> np.ndarray:
        """See `AbstractBasis.difference_null_space`."""
        inner = self.spline.difference_null_space(order, plain=plain)
        return penalties.contained(np.asarray(self.matrix), inner)


class ConstrainedBasis(AbstractCombinedBasis):
    """What `basis.constrained(...)` returns: the null space of the constraints.

    With C the rows of the constraints, the new functions are Z' b with Z the last columns of the
    orthogonal factor of C' (Householder); entries of C that are zero are left out of the
    reflections, so functions that satisfy the constraints by themselves stay what they are. This
    is mgcv's rule, so absorbed design matrices and penalties are its own.

    Attributes:
        spline: the basis before.
        matrix: Z, shape (its number of functions, K).

    Example:
        >>> import numpyro_splines as ns
        >>> ns.BSplineBasis([0.0, 1.0]).constrained(ns.constraints.ZeroStart())
        ConstrainedBasis(...)

    References:
        Wood, Generalized Additive Models (2017), section 1.8.1.
    """

    spline: AbstractBasis
    matrix: Float[Array, "..."] | np.ndarray
