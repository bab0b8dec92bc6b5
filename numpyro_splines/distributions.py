"""Intrinsic Gaussian distributions of coefficients, normalized over the range of their penalty."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
from jaxtyping import Array, Float
from numpyro.distributions import constraints
from numpyro.distributions.util import validate_sample

from numpyro_splines.arguments import kinds_of
from numpyro_splines.ops.constants import Constant, parameter
from numpyro_splines.validation import float64_array, integer_at_least, order_at_least

# Eigenvalues below this share of the largest one belong to the null space.
_NULL = 1e-10


class IntrinsicGaussian(dist.Distribution):
    """Normal with a singular precision matrix: p(c) ∝ exp(-c' S c / (2 scale^2)).

    Normalized on the range of S, of dimension r = rank S, with |S|+ the product of its positive
    eigenvalues:

        log p(c) = (log |S|+ - r log(2 pi)) / 2 - r log scale - c' S c / (2 scale^2)

    The component of c in the null space of S has no say (an improper flat prior), and draws have
    none: they lie in the orthogonal complement, with covariance scale^2 S^-.

    Args:
        penalty: S, symmetric positive semi-definite, concrete, shape (K, K).
        scale: standard deviation of c in units of S^(-1/2), positive, any batch shape.
        rank: of S, if you know it; else eigenvalues below 1e-10 of the largest count as zero.
        validate_args: as in every NumPyro distribution.

    Raises:
        TypeError: if the penalty is traced or not real.
        ValueError: if it is not square, not symmetric, not positive semi-definite, or zero.

    Example:
        >>> import numpy as np
        >>> walk = IntrinsicGaussian(np.array([[1.0, -1.0], [-1.0, 1.0]]), scale=1.0)
        >>> print(walk.log_prob(np.array([3.0, 4.0])).round(4))
        -1.0724

    References:
        Rue and Held, Gaussian Markov Random Fields (2005), definition 3.1.
    """

    arg_constraints = {"scale": constraints.positive}  # noqa: RUF012, NumPyro's interface
    reparametrized_params = ["scale"]  # noqa: RUF012
    pytree_data_fields = ("scale",)
    pytree_aux_fields = ("_range",)
    support: Any = constraints.real_vector  # pyright: ignore[reportIncompatibleMethodOverride]

    def __init__(
        self, penalty: Any, scale: Any = 1.0, *, rank: int | None = None, validate_args: Any = None
    ):
        values, vectors = _decomposed(penalty, "penalty")
        if rank is None:
            rank = int(np.sum(values > _NULL * values[-1]))
        rank = integer_at_least(rank, 1, "rank")
        self._range = Constant((values[-rank:], vectors[:, -rank:]))
        self.scale = parameter(scale, "scale")
        super().__init__(jnp.shape(self.scale), (len(values),), validate_args=validate_args)

    @property
    def eigenvalues(self) -> Float[np.ndarray, " r"]:
        """Positive eigenvalues of the penalty, increasing."""
        return self._range.value[0]

    @property
    def directions(self) -> Float[np.ndarray, "K r"]:
        """Their eigenvectors."""
        return self._range.value[1]

    @classmethod
    def infer_shapes(cls, penalty: Any, scale: Any = (), **_: Any) -> Any:  # pyright: ignore
        """Batch and event shape from those of the arguments.

        Args:
            penalty: shape of the penalty.
            scale: shape of the scale.
        """
        return tuple(scale), (penalty[-1],)

    def sample(self, key: Any, sample_shape: tuple[int, ...] = ()) -> Float[Array, "..."]:
        """Draws in the complement of the null space, shape (*sample_shape, *batch, K)."""
        dtype = jnp.result_type(self.scale, float)
        rank = self.eigenvalues.shape[-1]
        z = jax.random.normal(key, (*sample_shape, *self.batch_shape, rank), dtype)
        weighted = jnp.asarray(self.directions / np.sqrt(self.eigenvalues), dtype)
        return self.scale[..., None] * (z @ weighted.T)

    @validate_sample
    def log_prob(  # pyright: ignore[reportIncompatibleMethodOverride], for the decorator
        self, value: Any, intermediates: Any = None
    ) -> Float[Array, "..."]:
        """Log density on the range of the penalty, shape of the batch."""
        value = jnp.asarray(value)
        directions = jnp.asarray(self.directions, value.dtype)
        standardized = (value @ directions) * jnp.sqrt(jnp.asarray(self.eigenvalues, value.dtype))
        log_determinant = jnp.log(jnp.asarray(self.eigenvalues, value.dtype)).sum()
        rank = self.eigenvalues.shape[-1]
        return _log_density(standardized / self.scale[..., None], log_determinant, rank, self.scale)


class RandomWalk(dist.Distribution):
    """Intrinsic random walk: the differences of neighboring coefficients are Normal(0, scale).

    `IntrinsicGaussian` with S = D' D, D the differences of the given order, in O(K): nothing but
    differences is formed. Draws lie in the orthogonal complement of the polynomials in the index.

    Args:
        order: of the differences, at least 1.
        scale: standard deviation of the differences, positive, any batch shape.
        num: number K of coefficients, more than `order`.
        validate_args: as in every NumPyro distribution.

    Raises:
        TypeError: if an integer is not one.
        ValueError: if the order is below 1, or `num` not above it.

    Example:
        >>> walk = RandomWalk(order=2, scale=0.5, num=10)
        >>> walk.event_shape
        (10,)

    References:
        Rue and Held, Gaussian Markov Random Fields (2005), section 3.3.
    """

    arg_constraints = {"scale": constraints.positive}  # noqa: RUF012
    reparametrized_params = ["scale"]  # noqa: RUF012
    pytree_data_fields = ("scale",)
    pytree_aux_fields = ("order", "num", "log_determinant", "_polynomials")
    # Of the class, so that NumPyro's `infer_shapes` knows that it cannot tell `num`.
    support: Any = constraints.real_vector  # pyright: ignore[reportIncompatibleMethodOverride]

    def __init__(
        self, order: int = 2, scale: Any = 1.0, num: int = 10, *, validate_args: Any = None
    ):
        self.order = order_at_least(order, 1, "order")
        self.num = integer_at_least(num, self.order + 1, "num")
        index = np.linspace(-1.0, 1.0, self.num)
        powers = np.vander(index, self.order, increasing=True)
        self._polynomials = Constant(np.linalg.qr(powers).Q)
        # |D D'|, banded; its Cholesky factor in float64, once.
        difference = np.diff(np.eye(self.num), n=self.order, axis=0)
        self.log_determinant = float(np.linalg.slogdet(difference @ difference.T).logabsdet)
        self.scale = parameter(scale, "scale")
        super().__init__(jnp.shape(self.scale), (self.num,), validate_args=validate_args)

    @property
    def polynomials(self) -> Float[np.ndarray, "K order"]:
        """An orthonormal basis of the polynomials in the index."""
        return self._polynomials.value

    def sample(self, key: Any, sample_shape: tuple[int, ...] = ()) -> Float[Array, "..."]:
        """Draws without a polynomial part, shape (*sample_shape, *batch, K)."""
        dtype = jnp.result_type(self.scale, float)
        rank = self.num - self.order
        walk = jax.random.normal(key, (*sample_shape, *self.batch_shape, rank), dtype)
        for _ in range(self.order):
            walk = jnp.cumsum(jnp.pad(walk, [(0, 0)] * (walk.ndim - 1) + [(1, 0)]), axis=-1)
            # The constant of each sum is free; without it numbers stay small.
            walk = walk - walk.mean(axis=-1, keepdims=True)
        polynomials = jnp.asarray(self.polynomials, dtype)
        return self.scale[..., None] * (walk - (walk @ polynomials) @ polynomials.T)

    @validate_sample
    def log_prob(  # pyright: ignore[reportIncompatibleMethodOverride], for the decorator
        self, value: Any, intermediates: Any = None
    ) -> Float[Array, "..."]:
        """Log density on the complement of the polynomials, shape of the batch."""
        steps = jnp.diff(jnp.asarray(value), n=self.order, axis=-1)
        rank = self.num - self.order
        return _log_density(steps / self.scale[..., None], self.log_determinant, rank, self.scale)


class KroneckerGaussian(dist.Distribution):
    """Intrinsic Gaussian on a grid of coefficients, with a penalty and a scale for each direction.

    p(C) ∝ exp(-tr(C' S1 C) / (2 scale1^2) - tr(C S2 C') / (2 scale2^2)): the precision is
    S1 ⊗ I / scale1^2 + I ⊗ S2 / scale2^2, diagonal in the eigenvectors of S1 and S2, with entries
    lambda_i / scale1^2 + mu_j / scale2^2. Normalized over the entries that are not zero, those
    outside the product of the two null spaces.

    Args:
        penalties: S1 and S2, as in `IntrinsicGaussian`, shapes (K1, K1) and (K2, K2).
        scale1: standard deviation along the rows' direction, positive, any batch shape.
        scale2: the same along the columns' direction, broadcast against `scale1`.
        validate_args: as in every NumPyro distribution.

    Raises:
        TypeError: if `penalties` are not two.

    Example:
        >>> import numpy as np
        >>> S = np.array([[1.0, -1.0], [-1.0, 1.0]])
        >>> KroneckerGaussian((S, S), 1.0, 2.0).event_shape
        (2, 2)
    """

    arg_constraints = {  # noqa: RUF012
        "scale1": constraints.positive,
        "scale2": constraints.positive,
    }
    reparametrized_params = ["scale1", "scale2"]  # noqa: RUF012
    pytree_data_fields = ("scale1", "scale2")
    pytree_aux_fields = ("_parts",)
    support: Any = constraints.independent(  # pyright: ignore[reportIncompatibleMethodOverride]
        constraints.real, 2
    )

    def __init__(
        self, penalties: Any, scale1: Any = 1.0, scale2: Any = 1.0, *, validate_args: Any = None
    ):
        if not isinstance(penalties, tuple | list) or len(penalties) != 2:
            raise TypeError(f"`penalties` must be two matrices; got {kinds_of(penalties)}.")
        first, second = penalties
        parts = _decomposed(first, "penalties[0]"), _decomposed(second, "penalties[1]")
        eigenvalues = tuple(np.where(v > _NULL * v[-1], v, 0.0) for v, _ in parts)
        self._parts = Constant((eigenvalues, tuple(u for _, u in parts)))
        scale1, scale2 = parameter(scale1, "scale1"), parameter(scale2, "scale2")
        batch = jnp.broadcast_shapes(jnp.shape(scale1), jnp.shape(scale2))
        # Of one rank, so that they stay beside each other when both are stacked.
        self.scale1, self.scale2 = jnp.broadcast_to(scale1, batch), jnp.broadcast_to(scale2, batch)
        shape = (len(self.eigenvalues[0]), len(self.eigenvalues[1]))
        super().__init__(batch, shape, validate_args=validate_args)

    @property
    def eigenvalues(self) -> tuple[np.ndarray, np.ndarray]:
        """Of both penalties, increasing, exactly zero in their null spaces."""
        return self._parts.value[0]

    @property
    def vectors(self) -> tuple[np.ndarray, np.ndarray]:
        """Eigenvectors of both penalties."""
        return self._parts.value[1]

    @classmethod
    def infer_shapes(  # pyright: ignore[reportIncompatibleMethodOverride]
        cls, penalties: Any, scale1: Any = (), scale2: Any = ()
    ) -> Any:
        """Batch and event shape from those of the arguments.

        Args:
            penalties: shapes of both penalties.
            scale1: shape of the first scale.
            scale2: shape of the second scale.
        """
        batch = jnp.broadcast_shapes(tuple(scale1), tuple(scale2))
        return batch, (penalties[0][-1], penalties[1][-1])

    def _precision(self, dtype: Any) -> tuple[Any, Any]:
        """Diagonal of the precision, and where it is not zero."""
        first, second = (jnp.asarray(v, dtype) for v in self.eigenvalues)
        rows = first[:, None] / self.scale1[..., None, None] ** 2
        penalized = (self.eigenvalues[0] > 0)[:, None] | (self.eigenvalues[1] > 0)
        return rows + second / self.scale2[..., None, None] ** 2, penalized

    def sample(self, key: Any, sample_shape: tuple[int, ...] = ()) -> Float[Array, "..."]:
        """Draws without a part in the null space, shape (*sample_shape, *batch, K1, K2)."""
        dtype = jnp.result_type(self.scale1, float)
        precision, penalized = self._precision(dtype)
        z = jax.random.normal(key, (*sample_shape, *self.batch_shape, *self.event_shape), dtype)
        z = jnp.where(penalized, z / jnp.sqrt(jnp.where(penalized, precision, 1)), 0)
        first, second = (jnp.asarray(u, dtype) for u in self.vectors)
        return first @ z @ second.T

    @validate_sample
    def log_prob(  # pyright: ignore[reportIncompatibleMethodOverride], for the decorator
        self, value: Any, intermediates: Any = None
    ) -> Float[Array, "..."]:
        """Log density outside the product of the null spaces, shape of the batch."""
        value = jnp.asarray(value)
        precision, penalized = self._precision(value.dtype)
        first, second = (jnp.asarray(u, value.dtype) for u in self.vectors)
        rotated = first.T @ value @ second
        safe = jnp.where(penalized, precision, 1)
        terms = jnp.log(safe / (2 * np.pi)) - safe * rotated**2
        return 0.5 * jnp.where(penalized, terms, 0).sum((-1, -2))


def _log_density(standardized: Any, log_determinant: Any, rank: int, scale: Any) -> Any:
    constant = 0.5 * (log_determinant - rank * np.log(2 * np.pi))
    return constant - rank * jnp.log(scale) - 0.5 * (standardized**2).sum(-1)


def _decomposed(penalty: Any, name: str) -> tuple[np.ndarray, np.ndarray]:
    """Eigenvalues, increasing, and eigenvectors of a checked penalty, in float64."""
    penalty = float64_array(penalty, name, ndim=2)
    size = np.abs(penalty).max(initial=0.0)
    if (
        penalty.size == 0
        or penalty.shape[0] != penalty.shape[1]
        or np.abs(penalty - penalty.T).max() > 1e-8 * size
    ):
        raise ValueError(f"`{name}` must be a symmetric matrix; got shape {penalty.shape}.")
    values, vectors = np.linalg.eigh((penalty + penalty.T) / 2)
    if values[-1] <= 0 or values[0] < -1e-8 * values[-1]:
        raise ValueError(
            f"`{name}` must be positive semi-definite and not zero; got eigenvalues from "
            f"{values[0]:.6g} to {values[-1]:.6g}."
        )
    return values, vectors
