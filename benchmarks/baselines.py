"""What people write today, to compare with: the same spline of x, from the n x K matrix."""

import jax
import jax.numpy as jnp
import numpy as np

import numpyro_splines as ns

DEGREE = 3


def textbook_basis(x, knots, degree=DEGREE):
    """Cox-de Boor recursion on the whole n x K matrix, every entry of it."""
    knots = jnp.asarray(knots, x.dtype)
    x = x[:, None]
    basis = ((x >= knots[:-1]) & (x < knots[1:])).astype(x.dtype)
    for k in range(1, degree + 1):
        left, right = knots[: -k - 1], knots[k + 1 :]
        width = knots[k:-1] - left
        rising = (x - left) / jnp.where(width > 0, width, 1.0) * (width > 0)
        width = right - knots[1:-k]
        falling = (right - x) / jnp.where(width > 0, width, 1.0) * (width > 0)
        basis = rising * basis[:, :-1] + falling * basis[:, 1:]
    return basis


def contestants(num_coefficients, uneven=False):
    """Functions (x, coefficients) -> values by name, over [0, 1] with K coefficients."""
    breakpoints = ns.knots.uniform(0.0, 1.0, num_coefficients - DEGREE + 1)
    breakpoints = breakpoints**2 if uneven else breakpoints
    knots = ns.knots.clamped(breakpoints, DEGREE)
    basis = ns.BSplineBasis(breakpoints, degree=DEGREE)
    return {
        "numpyro_splines": lambda x, c: basis.curve(c)(x),
        "textbook recursion": lambda x, c: textbook_basis(x, knots) @ c,
        "SciPy callback": lambda x, c: ns.scipy_bspline_basis(x, knots) @ c,
        "sin(x * c)": lambda x, c: jnp.sin(x * c[0]),
    }


def value_and_gradient(f):
    """Compiled sum of squares against y, with its gradients in x and the coefficients."""
    return jax.jit(jax.value_and_grad(lambda x, c, y: jnp.sum((f(x, c) - y) ** 2), argnums=(0, 1)))


def data(n, num_coefficients):
    """Inputs in random order inside (0, 1), coefficients, responses; float32."""
    rng = np.random.default_rng(0)
    x = rng.uniform(0.001, 0.999, n)
    arrays = x, rng.normal(size=num_coefficients), rng.normal(size=n)
    return tuple(jnp.asarray(a, jnp.float32) for a in arrays)
