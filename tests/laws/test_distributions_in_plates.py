"""Distributions in plates within scans, and stacked in some of their parameters only.

As many members of the plate as steps of the scan, too: then a wrong axis has the right length.
"""

from functools import cache

import jax
import jax.numpy as jnp
import numpy as np
import numpyro
import numpyro.distributions as dist
import pytest
from cases import DISTRIBUTIONS, MEMBERS, distribution_case, measured_together
from numpyro.contrib.control_flow import scan
from numpyro.infer.util import log_density

import numpyro_splines as ns
from numpyro_splines.regression import MarginalGaussian

KEY = jax.random.key(1)
PARAMETRIC = [name for name in DISTRIBUTIONS if distribution_case(name).parameters]


def stacked(case):
    return {name: jnp.asarray(values) for name, values in case.parameters.items()}


@cache
def drawn(name):
    """A value of the first member; with x64 on."""
    case = distribution_case(name)
    return jax.jit(lambda: case.make(**case.member(0)).sample(KEY))()


@pytest.mark.parametrize("size", [MEMBERS, MEMBERS + 1])
@pytest.mark.parametrize("name", PARAMETRIC)
def test_a_plate_in_a_scan_equals_a_loop_or_is_refused(name, size, x64):
    case = distribution_case(name)

    def model():
        def step(carry, parameters):
            with numpyro.plate("members", size):
                numpyro.sample("value", case.make(**parameters).to_event())
            return carry, None

        scan(step, 0.0, stacked(case))

    def member(arguments):
        # Some have rows of their own: plates are over whole distributions.
        parameters, key = arguments
        own = case.make(**parameters).to_event()
        values = own.sample(key, (size,))
        return values, own.log_prob(values).sum()

    @jax.jit
    def both(keys):
        # The loop, compiled once.
        value, densities = jax.lax.map(member, (stacked(case), keys))
        return log_density(model, (), {}, {"value": value})[0], densities.sum()

    try:
        found, right = both(jax.random.split(KEY, MEMBERS))
    except (TypeError, ValueError):
        # NumPyro's scan does not know the batch of its own TransformedDistribution.
        assert not case.promoted
        return
    np.testing.assert_allclose(found, right, rtol=1e-9)


@pytest.mark.parametrize("name", PARAMETRIC)
def test_stacked_in_one_parameter_only_equals_a_loop(name, x64):
    case = distribution_case(name)
    rest, value = case.member(0), drawn(name)

    @jax.jit
    def both(parameters, value):
        result = {}
        for key, values in parameters.items():

            def one(p, key=key):
                return case.make(**{**rest, key: p})

            result[key] = (
                jax.vmap(one)(values).log_prob(jnp.stack([value] * MEMBERS)),
                jax.lax.map(lambda p, one=one: one(p).log_prob(value), values),
            )
        return result

    for found, right in both(stacked(case), value).values():
        np.testing.assert_allclose(found, right, rtol=1e-9)


@pytest.mark.parametrize("name", PARAMETRIC)
def test_parameters_have_derivatives(name, x64):
    case = distribution_case(name)
    value = drawn(name)

    @jax.jit
    def both(parameters):
        def total(step):
            moved = {name: p * (1.0 + step) for name, p in parameters.items()}
            return case.make(**moved).log_prob(value).sum()

        ahead, behind = jax.lax.map(total, jnp.array([1e-5, -1e-5]))
        return jax.grad(total)(0.0), (ahead - behind) / 2e-5

    slope, difference = both({k: jnp.asarray(v, float) for k, v in case.member(0).items()})
    np.testing.assert_allclose(slope, difference, rtol=1e-5, atol=1e-5)


def test_a_design_that_came_through_jit_is_not_stacked(x64):
    x, y = np.linspace(0.0, 2.0, 12), jnp.linspace(-1.0, 1.0, 12)
    f = ns.SplineEffect("f", ns.BSplineBasis(np.linspace(0.0, 2.0, 4)), measure=x)
    eta = ns.AdditivePredictor((f, x), intercept=dist.Normal(0.0, 2.0))
    regression, sigma = ns.regression.IntegratedGaussian(eta), jnp.array([0.4, 0.5])

    def made(regression):
        return jax.vmap(lambda s: MarginalGaussian(regression, s, jnp.ones(1)))(sigma)

    one = jax.jit(lambda r, s: MarginalGaussian(r, s, jnp.ones(1)).log_prob(y))(regression, 0.4)
    np.testing.assert_allclose(one, made(regression).log_prob(y)[0], rtol=1e-9)
    with pytest.raises(ValueError, match="argument of jit cannot be used within a scan"):
        jax.jit(lambda r: made(r).log_prob(y))(regression)


def test_measurements_integrated_together_are_right_or_refused(x64):
    value, means = jnp.array([1.0, 2.5]), jnp.array([0.0, 1.5])
    right = dist.Normal(means[:, None], 1.25**0.5).log_prob(value).sum(axis=-1)
    found = jax.vmap(lambda mean: measured_together(mean).log_prob(value))(means)
    np.testing.assert_allclose(found, right, rtol=1e-6)
    with pytest.raises(TypeError, match="holds a function"):
        jax.jit(lambda d: d.log_prob(value))(measured_together(0.0))
    with pytest.raises(NotImplementedError):
        type(measured_together(0.0)).infer_shapes((3,), (4,))
