"""Inputs of a curve that the model computes: each kind has right gradients and is recovered.

The models below are also how each is written. `CASES` has one entry per kind; the laws at the end
hold for all of them.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import numpyro
import numpyro.distributions as dist
import pytest
from jax.experimental.ode import odeint
from jax.flatten_util import ravel_pytree
from numpyro.infer import MCMC, NUTS, Predictive, init_to_median
from numpyro.infer.util import log_density
from scipy.integrate import quad, solve_ivp
from scipy.stats import kstest

import numpyro_splines as ns
from numpyro_splines import extrapolation as ex
from numpyro_splines.latent.directions import direction

RNG = np.random.default_rng


class Case(NamedTuple):
    """A model without arguments, its effects, and the truth.

    Attributes:
        model: the NumPyro model.
        values: true values of sites.
        curves: (effect, grid, true values up to a constant, error allowed) of curves.
    """

    model: Any
    values: dict[str, Any]
    curves: list[tuple[ns.SplineEffect, np.ndarray, np.ndarray, float]]


def smooth(name, lower, upper, num=10, **options):
    return ns.SplineEffect(name, ns.BSplineBasis(ns.knots.uniform(lower, upper, num)), **options)


def wave(t):
    return np.sin(t) + 0.3 * t


def observe(mean, y, sd=0.1):
    """Responses with known noise, as `sample(..., obs=y)`."""
    with numpyro.plate("observations", y.size):
        numpyro.sample("y", dist.Normal(mean.ravel(), sd), obs=y.ravel())


def shift():
    """Series that are displaced in time, f(t + delta_i); the first one sets the clock."""
    t, delta = np.linspace(0.0, 6.0, 25), np.array([0.4, -0.7, 1.1])
    y = wave(t + np.append(0.0, delta)[:, None]) + 0.1 * RNG(0).normal(size=(4, 25))
    f = smooth("f", -2.0, 8.0, 12)

    def model():
        level = numpyro.sample("level", dist.Normal(0.0, 2.0))
        curve = f.sample()
        with numpyro.plate("series", 3):
            shifts = numpyro.sample("delta", dist.Normal(0.0, 0.7))
        at = t + jnp.append(jnp.zeros(1, shifts.dtype), shifts)[:, None]
        observe(level + curve(at), y)

    grid = np.linspace(0.0, 6.0, 20)
    return Case(model, {"delta": delta}, [(f, grid, wave(grid), 0.1)])


def onset():
    """A response that is zero before an unknown time: f(t - onset) with f = 0 to the left of 0."""
    t = np.linspace(0.0, 4.0, 60)
    after = np.maximum(t - 1.3, 0.0)
    y = 2.0 * (1.0 - np.exp(-after)) + 0.1 * RNG(1).normal(size=60)
    # I-splines start at zero, and stay there to the left.
    basis = ns.ISplineBasis(
        ns.knots.uniform(0.0, 4.0, 8), degree=2, extrapolation=(ex.Constant(), ex.Linear())
    )
    # The log density has kinks where the onset meets observations: small beside noise of 0.1.
    slope = ns.RandomWalkPrior(order=1, scale=0.7)
    f = ns.SplineEffect("f", basis, ns.MonotonePrior(rise=dist.HalfNormal(3.0), smooth=slope))

    def model():
        start = numpyro.sample("onset", dist.Uniform(0.0, 3.0))
        observe(f.sample()(t - start), y, 0.1)

    return Case(model, {"onset": 1.3}, [])


def monotone_map(name):
    """An increasing map of [0, 1] onto itself; the identity is the plainest."""
    prior = ns.MonotonePrior(start=0.0, finish=1.0)
    return ns.SplineEffect(name, ns.BSplineBasis(ns.knots.uniform(0.0, 1.0, 5)), prior)


def warp():
    """Registration, f(t) and f(w(t)) with a monotone w: what came early or late in the second."""
    t = np.linspace(0.0, 1.0, 50)
    y = np.stack([wave(7.0 * t), wave(7.0 * t**1.6)]) + 0.1 * RNG(2).normal(size=(2, 50))
    f, w = smooth("f", 0.0, 1.0), monotone_map("w")

    def model():
        level = numpyro.sample("level", dist.Normal(0.0, 2.0))
        curve, clock = f.sample(), w.sample()
        observe(level + curve(jnp.stack([jnp.asarray(t, clock.table.dtype), clock(t)])), y)

    return Case(model, {}, [(f, t, wave(7.0 * t), 0.1), (w, t, t**1.6, 0.03)])


def inverse_warp():
    """The same with the warp as a transform: f(w^-1(t)), and w the density of where t are."""
    t = np.linspace(0.02, 0.98, 50)
    y = np.stack([wave(7.0 * t), wave(7.0 * t ** (1 / 1.6))]) + 0.1 * RNG(3).normal(size=(2, 50))
    f, w = smooth("f", 0.0, 1.0), monotone_map("w")

    def model():
        level = numpyro.sample("level", dist.Normal(0.0, 2.0))
        curve, transform = f.sample(), ns.SplineTransform(w.sample())
        observe(level + curve(jnp.stack([jnp.asarray(t, float), transform.inv(t)])), y)

    return Case(model, {}, [(f, t, wave(7.0 * t), 0.1), (w, t, t**1.6, 0.03)])


def single_index():
    """One curve of several inputs together, f(x'a): a direction, and the curve along it."""
    x = RNG(4).normal(size=(150, 3))
    a = np.array([2.0, -1.0, 2.0]) / 3.0
    y = np.sin(1.5 * x @ a) + 0.1 * RNG(5).normal(size=150)
    radius = np.linalg.norm(x, axis=1).max()
    # The measure is that of x'a for any a, were x spherical.
    f = smooth("f", -radius, radius, 12, measure=x.ravel())

    def model():
        level = numpyro.sample("level", dist.Normal(0.0, 1.0))
        index = x @ direction("a", 3)
        observe(level + f(index), y)

    grid = np.linspace(-1.5, 1.5, 20)
    return Case(model, {"a": a}, [(f, grid, np.sin(1.5 * grid), 0.1)])


def composition():
    """A curve of a curve, g(f(x)), where f is seen with noise as well."""
    x = RNG(6).uniform(size=60)
    middle, outer = 2.0 * x**2, np.sin(4.0 * x**2)
    z, y = middle + 0.1 * RNG(7).normal(size=60), outer + 0.1 * RNG(8).normal(size=60)
    f = ns.SplineEffect(
        "f", ns.BSplineBasis(ns.knots.uniform(0.0, 1.0, 6)), ns.MonotonePrior(start=0.0, rise=3.0)
    )
    g = smooth("g", -0.5, 3.5, 12, measure=z)

    def model():
        level = numpyro.sample("level", dist.Normal(0.0, 1.0))
        inner = f.sample()(x)
        with numpyro.plate("mediators", 60):
            numpyro.sample("z", dist.Normal(inner, 0.1), obs=z)
        observe(level + g(inner), y)

    grid = np.linspace(0.1, 0.95, 20)
    return Case(model, {}, [(g, 2.0 * grid**2, np.sin(4.0 * grid**2), 0.12)])


TIMES = np.linspace(0.0, 6.0, 25)


def growth(law, start):
    """The state at TIMES of dp/dt = law(p)."""
    # No tighter than the precision can meet.
    tolerance = float(np.sqrt(jnp.finfo(start.dtype).eps))
    times = jnp.asarray(TIMES, start.dtype)
    return odeint(lambda p, _: law(p), start, times, rtol=tolerance, atol=tolerance, mxstep=500)


def differential_equation():
    """An unknown rate in an equation of motion, dp/dt = p f(p); truth: logistic growth."""
    truth = 1.0 / (1.0 + 9.0 * np.exp(-1.2 * TIMES))
    y = truth + 0.03 * RNG(9).normal(size=25)
    # Linear continuation: a state that leaves the domain on the way does not run away.
    f = smooth("f", 0.0, 1.2, 5, prior=ns.SmoothnessPrior(scale=0.2, linear=0.5), measure=y)

    def model():
        level = numpyro.sample("level", dist.Normal(0.5, 0.3))
        rate = f.sample() + level
        observe(growth(lambda p: p * rate(p), jnp.asarray(0.1)), y, 0.03)

    grid = np.linspace(0.15, 0.95, 20)
    return Case(model, {}, [(f, grid, 1.2 * (1.0 - grid), 0.1)])


def distributed_lags():
    """A linear functional, sum_j L_ij f(lag_j): effects of the exposure over the days before."""
    lags = np.arange(21.0)
    exposure = RNG(10).gamma(2.0, size=220)
    history = np.lib.stride_tricks.sliding_window_view(exposure, 21)[:, ::-1]
    f_true = 0.3 * np.exp(-0.5 * ((lags - 5.0) / 3.0) ** 2)
    y = history @ f_true + 0.1 * RNG(11).normal(size=200)
    f = smooth("f", 0.0, 20.0, 8)

    def model():
        level = numpyro.sample("level", dist.Normal(0.0, 1.0))
        observe(history @ (level + f.sample()(lags)), y)

    return Case(model, {}, [(f, lags, f_true, 0.05)])


def intervals():
    """Means of f over intervals whose place is known up to one error: exact, no quadrature."""
    ends = np.sort(RNG(12).uniform(0.0, 6.0, size=(100, 2)), axis=1)
    lower, upper = ends[:, 0] - 0.3, ends[:, 1] + 0.3

    def primitive(t):
        return -np.cos(t) + 0.15 * t**2

    mean = (primitive(upper + 0.5) - primitive(lower + 0.5)) / (upper - lower)
    y = mean + 0.02 * RNG(13).normal(size=100)
    f = smooth("f", -2.0, 9.0, 12)
    # Some values of f itself, without the error, tell what the shift is.
    points = np.linspace(0.0, 6.5, 30)
    z = wave(points) + 0.1 * RNG(14).normal(size=30)

    def model():
        level = numpyro.sample("level", dist.Normal(0.0, 2.0))
        offset = numpyro.sample("offset", dist.Normal(0.0, 0.5))
        curve = f.sample() + level
        with numpyro.plate("points", 30):
            numpyro.sample("z", dist.Normal(curve(points), 0.1), obs=z)
        means = curve.integrate(lower + offset, upper + offset) / (upper - lower)
        observe(means, y, 0.02)

    return Case(model, {"offset": 0.5}, [(f, points, wave(points), 0.1)])


CASES = {
    make.__name__: make
    for make in (
        shift,
        onset,
        warp,
        inverse_warp,
        single_index,
        composition,
        differential_equation,
        distributed_lags,
        intervals,
    )
}


@pytest.mark.parametrize("name", list(CASES))
def test_gradients(name, x64):
    """Of the log density in all sites, reverse mode, against differences in three directions."""
    model = CASES[name]().model

    @jax.jit
    def draw(key):
        with numpyro.handlers.seed(rng_seed=key), numpyro.handlers.trace() as trace:
            model()
        sites = {k: v for k, v in trace.items() if v["type"] == "sample"}
        return {k: v["value"] for k, v in sites.items() if not v["is_observed"]}

    point, unravel = ravel_pytree(draw(jax.random.key(1)))
    density = jax.jit(jax.value_and_grad(lambda v: log_density(model, (), {}, unravel(v))[0]))
    point = np.asarray(point)
    gradient = np.asarray(density(point)[1])
    assert np.all(np.isfinite(gradient))
    # `odeint` is exact to its own tolerance only.
    step, tolerance = (1e-4, 1e-4) if name == "differential_equation" else (1e-5, 1e-6)
    for way in RNG(0).normal(size=(3, point.size)):
        ahead, behind = (density(point + s * step * way)[0] for s in (1.0, -1.0))
        slope = (ahead - behind) / (2.0 * step)
        np.testing.assert_allclose(gradient @ way, slope, rtol=tolerance, atol=tolerance)


@pytest.mark.slow
@pytest.mark.parametrize("name", list(CASES))
def test_known_parameters_are_recovered(name):
    """By NUTS without divergences; errors of sites within 4 posterior standard deviations."""
    # An adaptive solver in float32 is too rough for the energy of NUTS: chains stand still.
    with jax.enable_x64(name == "differential_equation"):
        check_recovery(CASES[name]())


def check_recovery(case):
    mcmc = MCMC(
        # From the prior's medians: from anywhere, a shift or a warp may find another mode.
        NUTS(case.model, target_accept_prob=0.9, max_tree_depth=7, init_strategy=init_to_median),
        num_warmup=200,
        num_samples=200,
        progress_bar=False,
    )
    mcmc.run(jax.random.key(0), extra_fields=("diverging",))
    draws = mcmc.get_samples()
    assert int(mcmc.get_extra_fields()["diverging"].sum()) == 0
    for site, truth in case.values.items():
        mean, sd = np.mean(draws[site], axis=0), np.std(draws[site], axis=0)
        assert np.all(np.abs(mean - truth) < 4 * sd)
        assert np.all(sd < 0.1)
    for effect, grid, truth, allowed in case.curves:
        curves = np.asarray(effect.curve(draws)(grid))
        # f is centered over its measure, the truth is not: compare up to the constant.
        errors = curves - truth
        if effect.name != "w":
            errors = errors - errors.mean(axis=1, keepdims=True)
        assert np.sqrt(np.mean(errors.mean(axis=0) ** 2)) < allowed
        # Errors along a curve are correlated, so coverage is far from binomial.
        lower, upper = np.quantile(errors, [0.01, 0.99], axis=0)
        assert np.mean((lower <= 0.0) & (upper >= 0.0)) > 0.7


@pytest.mark.parametrize("reference", [0, 2])
def test_directions_are_uniform_on_the_half_sphere(reference):
    """On the sphere in three dimensions every coordinate is uniform (Archimedes)."""
    draws = Predictive(lambda: direction("a", 3, reference=reference), num_samples=4000)
    a = np.asarray(jax.jit(draws)(jax.random.key(2))["a"], dtype=np.float64)
    np.testing.assert_allclose((a**2).sum(axis=1), 1.0, rtol=1e-5)
    for j in range(3):
        lower = 0.0 if j == reference else -1.0
        # False alarm 1e-3 each, six of them.
        assert kstest(a[:, j], "uniform", (lower, 1.0 - lower)).pvalue > 1e-3
    other, third = [j for j in range(3) if j != reference]
    assert abs(np.mean(a[:, other] * a[:, third])) < 5 / np.sqrt(15 * 4000)


def test_directions_in_plates():
    @jax.jit
    def draw(key):
        with numpyro.handlers.seed(rng_seed=key), numpyro.plate("groups", 5):
            return direction("a", 2)

    a = draw(jax.random.key(0))
    assert a.shape == (5, 2)
    assert np.all(np.asarray(a)[:, 0] > 0.0)


def test_integrals_are_exact(x64):
    """Integrals against quadrature, inside and outside the domain; their slopes in the bounds."""
    curve = smooth("f", -1.0, 2.0, 8).basis.curve(RNG(15).normal(size=10))

    @jax.jit
    def integral(a, b):
        slopes = jax.grad(curve.integrate, argnums=(0, 1))(a, b)
        return curve.integrate(a, b), jnp.stack(slopes), jnp.stack([-curve(a), curve(b)])

    for a, b in ((-0.9, 1.7), (-2.5, 0.3), (1.0, 4.0), (1.5, -0.2)):
        inside = [k for k in np.asarray(curve.breakpoints) if min(a, b) < k < max(a, b)]
        expected = quad(curve.to_scipy(), a, b, points=inside, epsabs=1e-11)[0]
        value, slopes, ends = integral(a, b)
        np.testing.assert_allclose(value, expected, atol=1e-9)
        np.testing.assert_allclose(slopes, ends, atol=1e-12)


def test_an_equation_of_motion_against_a_fine_reference(x64):
    """States, and their gradient in the coefficients, within the tolerance of the solver."""
    basis = ns.BSplineBasis(ns.knots.uniform(0.0, 1.2, 7))
    p = np.linspace(0.0, 1.2, 50)
    coefficients = np.linalg.lstsq(np.asarray(basis(p)), 1.2 * p * (1.0 - p))[0]

    def reference(coefficients):
        law = basis.curve(coefficients).to_scipy()
        options = {"method": "DOP853", "rtol": 1e-12, "atol": 1e-13}
        return solve_ivp(lambda _, state: law(state), (0.0, 6.0), [0.1], **options).y[0, -1]

    def last(coefficients):
        return growth(basis.curve(coefficients), jnp.asarray(0.1))[-1]

    value, gradient = jax.jit(jax.value_and_grad(last))(coefficients)
    np.testing.assert_allclose(value, 1.0 / (1.0 + 9.0 * np.exp(-7.2)), atol=1e-6)
    np.testing.assert_allclose(value, reference(coefficients), atol=1e-6)
    steps = 1e-4 * np.eye(coefficients.size)
    slope = [(reference(coefficients + h) - reference(coefficients - h)) / 2e-4 for h in steps]
    np.testing.assert_allclose(gradient, slope, atol=1e-5)
