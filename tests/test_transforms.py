"""Monotone curves as NumPyro transforms: the laws that NumPyro tests its own by."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
import pytest
from numpyro.distributions import constraints
from numpyro.distributions.transforms import AffineTransform, ComposeTransform, ExpTransform
from scipy.integrate import quad

import numpyro_splines as ns
from numpyro_splines import extrapolation as ex

POINTS = np.array([-1.0, -0.7, 0.2, 0.25, 1.0, 3.0])


def transform(degree=3, sign=1.0, rule=ex.Linear(), seed=0):
    basis = ns.ISplineBasis(POINTS, degree=degree - 1, extrapolation=rule)
    heights = np.random.default_rng(seed).gamma(1.0, size=basis.num_coefficients) + 0.05
    return ns.SplineTransform(basis.curve(sign * heights))


@pytest.mark.parametrize("shape", [(), (4,), (2, 3), (0,)])
@pytest.mark.parametrize("sign", [1.0, -1.0])
@pytest.mark.parametrize("degree", [1, 2, 3, 5])
def test_round_trip_jacobian_and_shapes(degree, sign, shape, x64):
    warp = transform(degree, sign)
    x = np.random.default_rng(1).normal(1.0, 3.0, shape)
    y = warp(x)
    assert y.shape == warp.forward_shape(shape) == warp.inverse_shape(shape) == shape
    np.testing.assert_allclose(warp.inv(y), x, atol=1e-10)
    jacobian = warp.log_abs_det_jacobian(x, y)
    assert jacobian.shape == shape
    expected = np.log(np.abs([jax.grad(warp)(v) for v in x.ravel()])).reshape(shape)
    np.testing.assert_allclose(jacobian, expected, atol=1e-10)
    np.testing.assert_allclose(warp.inv.log_abs_det_jacobian(y, x), -expected, atol=1e-10)
    assert int(warp.sign) == sign
    assert warp.domain is constraints.real
    assert warp.codomain is constraints.real
    assert np.all(warp.codomain(y))


def test_bounded_transforms(x64):
    warp = transform(rule=ex.Constant(), sign=-1.0)
    assert warp.bounded
    assert (float(warp.domain.lower_bound), float(warp.domain.upper_bound)) == (-1.0, 3.0)
    ends = warp(np.array([3.0, -1.0]))
    np.testing.assert_allclose([warp.codomain.lower_bound, warp.codomain.upper_bound], ends)
    x = np.linspace(-1.0, 3.0, 11)
    np.testing.assert_allclose(warp.inv(warp(x)), x, atol=1e-10)
    assert not transform().bounded
    assert ns.SplineTransform(transform().curve, bounded=True).bounded


@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_densities_integrate_to_one(sign, x64):
    warp = transform(sign=sign)
    density = dist.TransformedDistribution(dist.Normal(0.5, 1.0), warp)
    log_prob = jax.jit(density.log_prob)
    breaks = np.sort(np.asarray(warp(POINTS)))
    edges = np.concatenate([[breaks[0] - 60], breaks, [breaks[-1] + 60]])
    total = sum(
        quad(lambda v: float(jnp.exp(log_prob(v))), a, b, epsabs=1e-10)[0]
        for a, b in itertools.pairwise(edges)
    )
    np.testing.assert_allclose(total, 1.0, atol=1e-7)
    draws = density.sample(jax.random.key(0), (20_000,))
    # The quantile of a monotone transform is the transform of the quantile; 5 standard errors.
    share = np.mean(np.asarray(draws) <= float(warp(0.5)))
    assert abs(share - 0.5) < 5 * 0.5 / np.sqrt(20_000)


def test_a_bounded_density_on_an_interval(x64):
    warp = transform(rule=ex.Constant())
    density = dist.TransformedDistribution(dist.Uniform(-1.0, 3.0), warp)
    ends = [float(v) for v in warp(np.array([-1.0, 3.0]))]
    points = np.asarray(warp(POINTS[1:-1]))
    log_prob = jax.jit(density.log_prob)
    total = quad(lambda v: float(np.exp(log_prob(v))), *ends, points=points, limit=200)[0]
    np.testing.assert_allclose(total, 1.0, atol=1e-6)
    assert np.all(density.support(density.sample(jax.random.key(1), (100,))))


def test_composition(x64):
    one, two = transform(seed=1), transform(2, -1.0, seed=2)
    both = ComposeTransform([one, two, AffineTransform(1.0, 2.0), ExpTransform()])
    x = np.linspace(-2.0, 2.0, 9)
    y = both(x)
    np.testing.assert_allclose(both.inv(y), x, atol=1e-9)
    expected = np.log(np.abs(jax.vmap(jax.grad(both))(jnp.asarray(x))))
    np.testing.assert_allclose(both.log_abs_det_jacobian(x, y), expected, atol=1e-9)


def test_sampled_coefficients_under_jit_grad_and_vmap(x64):
    basis = ns.ISplineBasis(POINTS, degree=2, extrapolation=ex.Linear())
    y = jnp.linspace(-1.0, 5.0, 7)

    def log_prob(heights):
        warp = ns.SplineTransform(basis.curve(heights))
        return dist.TransformedDistribution(dist.Normal(0.0, 1.0), warp).log_prob(y).sum()

    heights = np.random.default_rng(3).gamma(1.0, size=basis.num_coefficients) + 0.1
    step = 1e-6 * np.eye(heights.size)
    batch = np.concatenate([heights + step, heights - step, [heights, 2 * heights]])
    gradient, value = jax.jit(jax.value_and_grad(log_prob))(heights)[::-1]
    many = np.asarray(jax.jit(jax.vmap(log_prob))(batch))
    difference = (many[: heights.size] - many[heights.size : -2]) / 2e-6
    np.testing.assert_allclose(gradient, difference, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(many[-2], value, rtol=1e-10)
    # Eagerly, with what is known.
    np.testing.assert_allclose(many[-1], log_prob(2 * heights), rtol=1e-10)


def test_pytree_and_equality():
    warp = transform()
    leaves, tree = jax.tree.flatten(warp)
    again = jax.tree.unflatten(tree, leaves)
    assert again == warp
    assert warp != transform(seed=5)
    assert warp != transform(2)
    assert warp != ExpTransform()
    np.testing.assert_array_equal(jax.jit(lambda t, x: t(x))(warp, 0.3), warp(0.3))
