"""SciPy's own B-splines inside JAX, by a callback to the host: the reference implementation."""

from __future__ import annotations

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, ArrayLike, Float
from scipy.interpolate import BSpline

from numpyro_splines.validation import (
    check_knots,
    float64_array,
    float_input,
    order_at_least,
)


def scipy_bspline_basis(
    x: ArrayLike, knots: ArrayLike, degree: int = 3, derivative: int = 0
) -> Float[Array, "*points num_coefficients"]:
    """What `bspline_basis` returns, computed by `scipy.interpolate.BSpline` on the host.

    For tests and for those who want SciPy's own numbers. Every evaluation leaves the compiled
    program: x is copied to the host, SciPy fills the n x K matrix in float64, and the matrix is
    copied back. On two CPU cores that takes some 50 times as long as `numpyro_splines.bspline` at
    n = 100 000 and K = 20, more on an accelerator, where it also stalls the device. The derivative
    in x is the SciPy derivative of the next order (`jax.custom_jvp`), so `grad`, `hessian`, `vmap`,
    `jit` and NUTS work; the knots are constants.

    Args:
        x: points of any shape, in the units of the knots.
        knots: full knot vector, concrete, shape (K + degree + 1,).
        degree: polynomial degree, at least 0.
        derivative: order of the derivative, at least 0.

    Returns:
        Design matrix of shape (*x.shape, K), dtype of x; the same conventions at knots, ends and
        outside as `bspline_basis`.

    Raises:
        TypeError: if `x` or `knots` are not real numbers, or the knots are traced.
        ValueError: as in `bspline_basis`.

    Example:
        >>> knots = [0.0, 0.0, 0.0, 0.0, 0.25, 1.0, 1.0, 1.0, 1.0]
        >>> print(scipy_bspline_basis(0.5, knots).round(4))
        [0.     0.1667 0.4444 0.3519 0.037 ]
    """
    degree = order_at_least(degree, 0, "degree")
    derivative = order_at_least(derivative, 0, "derivative")
    knots = check_knots(float64_array(knots, "knots"), degree)
    x = float_input(x, "x")
    # Rounded as x is, so that an x on a knot stays on it. A tuple is hashable, which
    # `nondiff_argnums` asks of its arguments.
    rounded = tuple(np.asarray(knots).astype(x.dtype).tolist())
    return _basis(x, rounded, degree, derivative)


@partial(jax.custom_jvp, nondiff_argnums=(1, 2, 3))
def _basis(x: jax.Array, knots: tuple[float, ...], degree: int, derivative: int) -> jax.Array:
    shape = jax.ShapeDtypeStruct((*x.shape, len(knots) - degree - 1), x.dtype)
    host = partial(_basis_on_host, knots=np.asarray(knots), degree=degree, derivative=derivative)
    return jax.pure_callback(host, shape, x, vmap_method="expand_dims")


@_basis.defjvp
def _basis_jvp(
    knots: tuple[float, ...], degree: int, derivative: int, primals: Any, tangents: Any
) -> tuple[jax.Array, jax.Array]:
    (x,), (x_dot,) = primals, tangents
    slope = _basis(x, knots, degree, derivative + 1)
    return _basis(x, knots, degree, derivative), slope * jnp.expand_dims(x_dot, -1)


def _basis_on_host(x: Any, knots: np.ndarray, degree: int, derivative: int) -> np.ndarray:
    x = np.asarray(x)
    num = len(knots) - degree - 1
    if derivative > degree:
        return np.zeros((*x.shape, num), x.dtype)
    point = x.astype(np.float64)
    # SciPy extrapolates beyond the base interval. With the end knots repeated, the base interval is
    # the whole knot range; `degree` further functions come in on each side and are dropped.
    padded = np.pad(knots, degree, mode="edge")
    spline = BSpline(padded, np.eye(num + 2 * degree), degree, extrapolate=False)
    value = np.nan_to_num(spline(point, nu=derivative)[..., degree : degree + num])
    # Only the unpadded spline takes the left limit at the end of the base interval.
    at_end = point == knots[num]
    value[at_end] = BSpline(knots, np.eye(num), degree)(knots[num], nu=derivative)
    value[np.isnan(point)] = np.nan
    return value.astype(x.dtype)
