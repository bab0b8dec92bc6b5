"""A spline inside a differential equation: its inputs are the solution of that equation."""

import jax
import jax.numpy as jnp
import numpy as np
import numpyro
import numpyro.distributions as dist
import scipy.integrate
from jax.flatten_util import ravel_pytree
from numpyro.infer.util import log_density

import numpyro_splines as ns

YEARS = np.linspace(0.0, 4.0, 9)
COUNTS = np.stack(
    [np.linspace(a, b, YEARS.size) for a, b in [(-1.0, -2.0), (0.2, 1.4), (2.2, 1.7)]]
)
F = ns.SplineEffect("f", ns.BSplineBasis(np.linspace(-2.5, 2.5, 8)), measure=COUNTS.ravel())
SITES = {
    "f.linear_coordinates": np.array([0.3]),
    "f.modes_coordinates": np.linspace(-1.0, 1.5, 8),
    "f.scale": np.array(0.4),
    "level": np.array(0.1),
    "start": np.array([-1.2, 0.1, 2.1]),
}


def solve(rate, start, times, steps=2):
    """The method of Runge and Kutta, of order four."""
    h = float(times[1] - times[0]) / steps

    def step(x, _):
        a = rate(x)
        b = rate(x + h / 2.0 * a)
        c = rate(x + h / 2.0 * b)
        x = x + h / 6.0 * (a + 2.0 * b + 2.0 * c + rate(x + h * c))
        return x, x

    _, path = jax.lax.scan(step, start, None, length=steps * (len(times) - 1))
    return jnp.concatenate([start[None], path[steps - 1 :: steps]])


def model():
    level = numpyro.sample("level", dist.Normal(0.0, 1.0))
    start = numpyro.sample("start", dist.Normal(0.0, 2.0).expand([3]).to_event(1))
    curve = F.sample()
    x = numpyro.deterministic("x", solve(lambda x: level + curve(x), start, YEARS))
    numpyro.sample("y", dist.Normal(x.T, 0.3).to_event(2), obs=jnp.asarray(COUNTS))


def density_in(dtype):
    """The log density of a flat vector of the sites, and that vector."""
    flat, unravel = ravel_pytree({name: jnp.asarray(value, dtype) for name, value in SITES.items()})
    return jax.jit(lambda at: log_density(model, (), {}, unravel(at))[0]), flat


def test_gradients_go_through_a_solver_whose_law_of_motion_is_a_spline(precision):
    """Reverse mode, and forward mode of that, against central differences in float64."""
    density, flat = density_in(precision.dtype)
    gradient = jax.jit(jax.grad(density))
    along = jax.jit(lambda at, v: jax.jvp(gradient, (at,), (v,))[1])(flat, jnp.ones_like(flat))
    found = [np.asarray(part) for part in (density(flat), gradient(flat), along)]
    assert {part.dtype for part in found} == {np.dtype(precision.dtype)}
    with jax.enable_x64(True):
        density, flat = density_in(np.float64)
        gradient, steps = jax.jit(jax.grad(density)), 1e-5 * np.eye(flat.size)
        slopes = [(density(flat + s) - density(flat - s)) / 2e-5 for s in steps]
        expected = density(flat), slopes, (gradient(flat + 1e-5) - gradient(flat - 1e-5)) / 2e-5
    for part, right in zip(found, expected, strict=True):
        right = np.asarray(right)
        near = 1e-7 if precision.dtype == np.float64 else 1e-4
        np.testing.assert_allclose(part, right, rtol=near, atol=near * abs(right).max())


def test_the_path_is_the_solution_of_scipy(x64):
    sites = {name: jnp.asarray(value, float) for name, value in SITES.items()}
    with numpyro.handlers.substitute(data=sites), numpyro.handlers.trace() as trace:
        model()
    f = F.basis.curve(trace["f.coefficients"]["value"]).to_scipy()
    solution = scipy.integrate.solve_ivp(
        lambda _, x: 0.1 + f(x), (0.0, 4.0), SITES["start"], t_eval=YEARS, rtol=1e-8
    )
    np.testing.assert_allclose(trace["x"]["value"], solution.y.T, atol=2e-5)
