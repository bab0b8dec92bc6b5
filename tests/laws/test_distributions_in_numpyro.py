"""What NumPyro's own tests ask of a distribution: it means the same wherever JAX carries it."""

import copy
import pickle
import warnings

import jax
import jax.numpy as jnp
import numpy as np
import numpyro
import numpyro.distributions as dist
import pytest
from cases import Law, distributions, functional_distributions
from numpyro.contrib.control_flow import scan
from numpyro.distributions.batch_util import promote_batch_shape
from numpyro.infer.util import log_density

CASES = [pytest.param(case, id=case.name) for case in distributions()]
PARAMETRIC = [p for p in CASES if p.values[0].parameters]
KEY = jax.random.key(0)


@pytest.fixture(autouse=True)
def _wide(x64):
    """Everything here is compared in float64; `test_dtypes` is about the others."""


def arrays(parameters):
    return tuple(map(jnp.asarray, parameters))


def made(case: Law):
    return case.make(*arrays(case.parameters))


def members(case: Law):
    """Each member of a stack by itself."""
    return [case.make(*map(jnp.asarray, p)) for p in zip(*case.stacked(), strict=True)]


def values_of(own):
    """A draw of each, and its density as it must be."""
    values = [d.sample(jax.random.fold_in(KEY, i)) for i, d in enumerate(own)]
    return jnp.stack(values), np.array([d.log_prob(v) for d, v in zip(own, values, strict=True)])


@pytest.mark.parametrize("case", CASES)
def test_as_an_argument_of_jit_copied_and_pickled(case):
    law = made(case)
    value = law.sample(KEY)
    expected = law.log_prob(value)
    assert value.shape == law.shape()
    assert jnp.shape(expected) == law.batch_shape

    @jax.jit
    def carried(law, value):
        return law.sample(KEY), law.log_prob(value), law

    draw, density, again = carried(law, value)
    np.testing.assert_allclose(draw, value, rtol=1e-10)
    np.testing.assert_allclose(density, expected, rtol=1e-10)
    for other in (again, copy.deepcopy(law)):
        assert (other.batch_shape, other.event_shape) == (law.batch_shape, law.event_shape)
        np.testing.assert_allclose(other.log_prob(value), expected, rtol=1e-10)
    # A copy is the same distribution: what was compiled for one serves for the other.
    compiled = carried._cache_size()
    carried(copy.deepcopy(law), value)
    assert carried._cache_size() == compiled


@pytest.mark.parametrize("case", [p for p in CASES if p.values[0].promoted])
def test_pickled(case):
    law = made(case)
    value = law.sample(KEY)
    again = pickle.loads(pickle.dumps(law))
    np.testing.assert_array_equal(again.log_prob(value), law.log_prob(value))


@pytest.mark.parametrize("case", PARAMETRIC)
def test_made_under_vmap(case):
    own = members(case)
    value, expected = values_of(own)
    stacked = arrays(case.stacked())
    inside = jax.jit(jax.vmap(lambda p, v: case.make(*p).log_prob(v)))(stacked, value)
    np.testing.assert_allclose(inside, expected, rtol=1e-9)
    many = jax.jit(jax.vmap(lambda p: case.make(*p)))(stacked)
    np.testing.assert_allclose(many.log_prob(value), expected, rtol=1e-9)
    if not case.promoted:
        return
    many = promote_batch_shape(many)
    assert many.batch_shape == (3, *own[0].batch_shape)
    np.testing.assert_allclose(many.log_prob(value), expected, rtol=1e-9)
    several = jnp.stack([value, 0.9 * value + 0.1 * jnp.roll(value, 1, axis=0)])
    right = [[d.log_prob(v) for d, v in zip(own, row, strict=True)] for row in several]
    np.testing.assert_allclose(many.log_prob(several), np.array(right), rtol=1e-9)
    draws = many.sample(KEY, (2,))
    assert draws.shape == (2, *value.shape)
    # Each member draws its own numbers, of its own law.
    assert np.unique(np.asarray(draws), axis=0).shape[0] == 2
    assert np.all(many.support(draws))


@pytest.mark.parametrize("case", PARAMETRIC)
def test_over_some_parameters_only(case):
    stacked = arrays(case.stacked())
    for i in range(len(stacked)):
        some = [jnp.asarray(p) for p in case.parameters]

        def one(value, i=i, some=some):
            return case.make(*some[:i], value, *some[i + 1 :])

        own = [one(value) for value in stacked[i]]
        value, expected = values_of(own)
        many = jax.vmap(one)(stacked[i])
        np.testing.assert_allclose(many.log_prob(value), expected, rtol=1e-9)
        if case.batched and np.ndim(case.parameters[i]) == 0:
            np.testing.assert_allclose(one(stacked[i]).log_prob(value), expected, rtol=1e-9)


@pytest.mark.parametrize("case", CASES)
def test_in_a_scan(case):
    own = members(case) if case.parameters else [made(case)] * 3
    value, expected = values_of(own)

    def model():
        def step(carry, parameters):
            numpyro.sample("z", case.make(*parameters))
            return carry, None

        scan(step, 0.0, arrays(case.stacked()), length=3)

    def total(value):
        return log_density(model, (), {}, {"z": value})[0]

    np.testing.assert_allclose(jax.jit(total)(value), expected.sum(), rtol=1e-9)
    with numpyro.handlers.seed(rng_seed=0), numpyro.handlers.trace() as trace:
        model()
    draws = trace["z"]["value"]
    assert draws.shape == value.shape
    right = [d.log_prob(v) for d, v in zip(own, draws, strict=True)]
    np.testing.assert_allclose(trace["z"]["fn"].log_prob(draws), np.array(right), rtol=1e-9)


@pytest.mark.parametrize("size", [3, 4])
@pytest.mark.parametrize("case", CASES)
def test_in_a_plate_in_a_scan(case, size):
    own = members(case) if case.parameters else [made(case)] * 3
    if own[0].batch_shape:
        pytest.skip("has plates of its own")
    key = jax.random.key(1)
    value = jnp.stack([d.sample(jax.random.fold_in(key, i), (size,)) for i, d in enumerate(own)])
    expected = sum(float(d.log_prob(v).sum()) for d, v in zip(own, value, strict=True))

    def model():
        def step(carry, parameters):
            with numpyro.plate("members", size):
                numpyro.sample("z", case.make(*parameters))
            return carry, None

        scan(step, 0.0, arrays(case.stacked()), length=3)

    if case.promoted:
        np.testing.assert_allclose(log_density(model, (), {}, {"z": value})[0], expected, rtol=1e-9)
        return
    # NumPyro does not know the batch of a TransformedDistribution.
    try:
        found = log_density(model, (), {}, {"z": value})[0]
    except (ValueError, TypeError):
        return
    np.testing.assert_allclose(found, expected, rtol=1e-9)


@pytest.mark.parametrize("case", [p for p in CASES if p.values[0].promoted])
def test_expanded_independent_and_masked(case):
    law = made(case)
    batch = law.batch_shape
    value = law.sample(KEY)
    expected = law.log_prob(value)
    wide = law.expand((2, *batch))
    assert wide.sample(KEY, (5,)).shape == (5, 2, *batch, *law.event_shape)
    np.testing.assert_allclose(wide.log_prob(value), np.broadcast_to(expected, (2, *batch)))
    whole = wide.to_event(1 + len(batch))
    np.testing.assert_allclose(whole.log_prob(value), 2 * np.sum(expected), rtol=1e-12)
    hidden = law.mask(jnp.zeros(batch, bool))
    assert np.all(hidden.log_prob(value) == 0.0)


@pytest.mark.parametrize("case", PARAMETRIC)
def test_gradients(case):
    value = made(case).sample(KEY)
    parameters = tuple(jnp.asarray(p, float) for p in case.parameters)

    def total(parameters, step):
        moved = tuple(p + step for p in parameters)
        return case.make(*moved).log_prob(value).sum()

    slope = jax.jit(jax.grad(total, 1))(parameters, 0.0)
    difference = (total(parameters, 1e-5) - total(parameters, -1e-5)) / 2e-5
    np.testing.assert_allclose(slope, difference, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("case", CASES)
def test_infer_shapes(case):
    law = made(case)
    if case.shapes is not None:
        arguments, expected = case.shapes
        assert type(law).infer_shapes(**arguments) == expected
        return
    if type(law).__module__.startswith("numpyro_splines"):
        with pytest.raises(NotImplementedError):
            type(law).infer_shapes((3,), (4, 1), (3,))


@pytest.mark.parametrize("case", [p for p in CASES if p.values[0].invalid])
def test_invalid_numbers_are_refused_also_within_jit(case):
    with numpyro.validation_enabled():
        with pytest.raises(ValueError, match=r"invalid .* parameter"):
            case.make(*case.invalid)
        with pytest.raises(ValueError, match=r"invalid .* parameter"):
            jax.jit(lambda: case.make(*case.invalid).sample(KEY))()


@pytest.mark.parametrize("case", [p for p in CASES if p.values[0].parameters])
def test_dtypes(case):
    with jax.enable_x64(False):
        law = case.make(*(jnp.asarray(p, jnp.float32) for p in case.parameters))
        draw = law.sample(KEY)
        assert draw.dtype == jnp.float32
        found, value = law.log_prob(draw), np.asarray(draw, np.float64)
        assert found.dtype == jnp.float32
    np.testing.assert_allclose(found, made(case).log_prob(value), rtol=2e-4, atol=2e-4)


@pytest.mark.parametrize(
    "case", [pytest.param(case, id=case.name) for case in functional_distributions()]
)
def test_those_of_a_function_are_right_or_refused(case):
    own = members(case)
    value = jnp.array([1.0, 2.5])
    expected = np.array([d.log_prob(value) for d in own])
    inside = jax.vmap(lambda p: case.make(p).log_prob(value))(jnp.asarray(case.stacked()[0]))
    np.testing.assert_allclose(inside, expected, rtol=1e-9)
    assert copy.deepcopy(own[0]).log_prob(value).shape == own[0].batch_shape
    with pytest.raises(TypeError, match="cannot be an argument"):
        jax.jit(lambda law: law.log_prob(value))(own[0])
    with pytest.raises(NotImplementedError):
        type(own[0]).infer_shapes((3,), (4,))


def test_a_transform_of_stacked_curves_refuses_what_cannot_be_told():
    case = next(case for case in distributions() if case.name == "warp")
    many = jax.vmap(lambda p: case.make(*p))(arrays(case.stacked()))
    (warp,) = many.transforms
    with pytest.raises(ValueError, match="must have the axes"):
        warp(jnp.zeros((3, 3)))
    with pytest.raises(ValueError, match="must have the axes"):
        warp.inv(jnp.zeros(4))
    own = members(case)
    x = np.linspace(0.1, 1.9, 12)
    right = np.stack([d.transforms[0](x.reshape(3, 4)[i]) for i, d in enumerate(own)])
    np.testing.assert_allclose(warp(x.reshape(3, 4)), right, rtol=1e-12)
    right = np.stack([d.transforms[0](x.reshape(4, 3)[:, i]) for i, d in enumerate(own)], axis=1)
    np.testing.assert_allclose(warp(x.reshape(4, 3)), right, rtol=1e-12)
    np.testing.assert_allclose(warp.inv(right), x.reshape(4, 3), rtol=1e-10)
    assert warp.sign.shape == (3,)


def test_a_design_that_came_through_jit_is_not_stacked():
    case = next(case for case in distributions() if case.name == "marginal")
    regression, y = made(case).regression, jnp.linspace(-1.0, 1.0, 12)

    def density(regression, sigma):
        law = type(made(case))(regression, sigma, jnp.ones(1))
        return law, law.log_prob(y)

    np.testing.assert_allclose(
        jax.jit(density)(regression, 0.4)[1], made(case).log_prob(y), rtol=1e-9
    )
    many = jax.vmap(density, (None, 0))(
        jax.tree.map(jnp.asarray, regression), jnp.array([0.4, 0.5])
    )[0]
    assert many.sample(KEY).shape[-1] == 12

    def through(regression):
        return jax.vmap(lambda s: density(regression, s)[0])(jnp.array([0.4, 0.5]))

    with pytest.raises(ValueError, match="argument of jit"):
        jax.jit(through)(regression).log_prob(y)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert isinstance(many, dist.Distribution)
