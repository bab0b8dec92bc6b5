"""What NumPyro's own tests ask of its distributions and transforms, asked of this package's.

JAX sees a distribution as its arrays, so a wrong one crosses `jit`, `vmap` and `scan` silently and
means another density on the other side. All that is compiled of a case is one program.
"""

import copy
import pickle
from functools import cache

import jax
import jax.numpy as jnp
import numpy as np
import numpyro
import pytest
from cases import (
    DISTRIBUTIONS,
    MEMBERS,
    TRANSFORMS,
    distribution_case,
    integrated_response,
    transform_case,
)
from numpyro.contrib.control_flow import scan
from numpyro.distributions.batch_util import promote_batch_shape
from numpyro.infer.util import log_density

KEY = jax.random.key(0)
NUM_DRAWS = 2000
SCALE_PRIORS = "half_student_t", "inverse_gamma_variance", "gamma_precision", "pc_scale"
PARAMETRIC = [name for name in DISTRIBUTIONS if name not in SCALE_PRIORS]
# Classes of this package; the others are NumPyro's TransformedDistribution.
OWN = [name for name in PARAMETRIC if not name.startswith(("Spline", "spline"))]
CHECKED = "IntrinsicGaussian", "RandomWalk", "KroneckerGaussian", "MarginalGaussian"


def close(value, expected):
    """Equal but for rounding in float64, in another order of summation."""
    np.testing.assert_allclose(value, expected, rtol=1e-9, atol=1e-9)


@cache
def first(name):
    """The first member; with x64 on."""
    case = distribution_case(name)
    return case.make(**case.member(0))


@cache
def computed(name):
    """All that is compiled for one distribution; with x64 on."""
    case = distribution_case(name)

    def stacked(parameters, key, value):
        made = jax.vmap(lambda p: case.make(**p))(parameters)
        batch = promote_batch_shape(made)
        # Two draws of each member; each has values of its own.
        values = jnp.stack([value + 0.01 * i for i in range(2 * MEMBERS)])
        values = values.reshape(2, MEMBERS, *value.shape)

        def one(arguments):
            parameters, value, key = arguments
            member = case.make(**parameters)
            draws = member.sample(key, (NUM_DRAWS,)) if case.promoted else 0.0
            return member.log_prob(value), draws

        def model():
            def step(carry, p):
                return carry, numpyro.sample("value", case.make(**p))

            scan(step, 0.0, parameters)

        # The loop, compiled once.
        keys = jax.random.split(key, MEMBERS)
        loop, draws = jax.lax.map(one, (parameters, jnp.moveaxis(values, 1, 0), keys))
        return {
            "loop": jnp.moveaxis(loop, 0, 1),
            "draws_of_loop": jnp.moveaxis(draws, 1, 0) if case.promoted else None,
            "draws_of_batch": batch.sample(key, (NUM_DRAWS,)) if case.promoted else None,
            "shape": (jnp.zeros(batch.batch_shape), jnp.zeros(batch.event_shape)),
            "promoted": batch.log_prob(values),
            "mapped": jax.vmap(lambda d, v: d.log_prob(v))(made, values[0]),
            "scan": log_density(model, (), {}, {"value": values[0]})[0],
        }

    @jax.jit
    def everything(argument, parameters, key):
        own = first(name)
        draws = own.sample(key, (2, 3))
        value = draws[0, 0]
        result = {
            "value": value,
            "draws": (draws, argument.sample(key, (2, 3))),
            "density": (own.log_prob(value), argument.log_prob(value)),
            "returned": argument,
        }
        return result | (stacked(parameters, key, value) if parameters else {})

    parameters = {name: jnp.asarray(value) for name, value in case.parameters.items()}
    return everything(first(name), parameters, KEY)


@pytest.mark.parametrize("name", DISTRIBUTIONS)
def test_argument_and_result_of_jit(name, x64):
    result, own = computed(name), first(name)
    draws, argument_draws = result["draws"]
    assert draws.shape == own.shape((2, 3))
    close(argument_draws, draws)
    density, argument_density = result["density"]
    close(argument_density, density)
    returned = result["returned"]
    assert jax.tree.structure(returned) == jax.tree.structure(own)
    assert (returned.batch_shape, returned.event_shape) == (own.batch_shape, own.event_shape)


@pytest.mark.parametrize("name", PARAMETRIC)
def test_vmap_over_parameters_equals_a_loop(name, x64):
    close(computed(name)["mapped"], computed(name)["loop"][0])


@pytest.mark.parametrize("name", PARAMETRIC)
def test_promoted_batch_equals_a_loop(name, x64):
    result, own = computed(name), first(name)
    batch, event = result["shape"]
    if distribution_case(name).promoted:
        assert (batch.shape, event.shape) == ((MEMBERS, *own.batch_shape), own.event_shape)
    close(result["promoted"], result["loop"])


@pytest.mark.parametrize("name", PARAMETRIC)
def test_scan_over_parameters_equals_a_loop(name, x64):
    """NumPyro promotes the stacked ones: values with the axes of the batch alone."""
    close(computed(name)["scan"], computed(name)["loop"][0].sum())


@pytest.mark.parametrize("name", PARAMETRIC)
def test_draws_of_a_promoted_batch_are_those_of_its_members(name, x64):
    if not distribution_case(name).promoted:
        made = jax.vmap(lambda p: distribution_case(name).make(**p))(
            distribution_case(name).parameters
        )
        with pytest.raises(TypeError, match="incompatible shapes"):
            made.sample(KEY, (NUM_DRAWS,))
        return
    draws, expected = computed(name)["draws_of_batch"], computed(name)["draws_of_loop"]
    assert draws.shape == expected.shape
    # Six standard errors of a difference of means; about a thousand are compared, seeds are fixed.
    for power in (1, 2):
        a, b = np.asarray(draws) ** power, np.asarray(expected) ** power
        error = np.sqrt((a.var(0) + b.var(0)) / NUM_DRAWS)
        assert np.all(np.abs(a.mean(0) - b.mean(0)) <= 6.0 * error + 1e-12)


@pytest.mark.parametrize("name", DISTRIBUTIONS)
def test_flattened_pickled_and_copied(name, x64):
    own, value = first(name), computed(name)["value"]
    leaves, tree = jax.tree.flatten(own)
    # One program for all, whose static parts are equal.
    density = jax.jit(lambda d: d.log_prob(value))
    expected = density(own)
    for again in (
        jax.tree.unflatten(tree, leaves),
        pickle.loads(pickle.dumps(own)),
        copy.deepcopy(own),
    ):
        assert type(again) is type(own)
        assert jax.tree.structure(again) == tree
        assert (again.batch_shape, again.event_shape) == (own.batch_shape, own.event_shape)
        np.testing.assert_array_equal(density(again), expected)


@pytest.mark.parametrize("name", DISTRIBUTIONS)
def test_expanded_to_events_and_masked(name, x64):
    own, value = first(name), computed(name)["value"]
    wide, rank = own.expand((2, *own.batch_shape)), len(own.batch_shape)
    assert wide.shape() == (2, *value.shape)
    mask = np.array([True, False]).reshape(2, *(1,) * rank)

    @jax.jit
    def densities(value):
        values = jnp.stack([value, value])
        events, masked = wide.to_event(1 + rank), wide.mask(mask)
        return own.log_prob(value), *(d.log_prob(values) for d in (wide, events, masked))

    density, wide_density, of_event, masked = densities(value)
    close(wide_density, np.stack([density, density]))
    close(of_event, 2.0 * np.sum(density))
    close(masked, np.stack([density, np.zeros_like(density)]))


@pytest.mark.parametrize("name", OWN)
def test_infer_shapes_is_right_or_refused(name, x64):
    own, shapes = first(name), distribution_case(name).shapes
    if shapes is None:
        with pytest.raises(NotImplementedError):
            type(own).infer_shapes((), ())
    else:
        assert type(own).infer_shapes(*shapes) == (own.batch_shape, own.event_shape)


@pytest.mark.parametrize("name", CHECKED)
def test_invalid_parameters_are_refused_also_within_jit(name, x64):
    case = distribution_case(name)
    with pytest.raises(ValueError, match="invalid"):
        case.make(**case.invalid)
    with pytest.raises(ValueError, match="invalid"):
        jax.jit(lambda value: case.make(**case.invalid).log_prob(value))(computed(name)["value"])


def test_distributions_with_functions_refuse_to_be_arguments(x64):
    own = integrated_response()
    with pytest.raises(TypeError, match=r"IntegratedResponse` cannot be an argument of jax\.jit"):
        jax.jit(lambda d: d.log_prob(jnp.zeros(2)))(own)
    with pytest.raises(TypeError, match=r"or come out of jax\.vmap"):
        jax.tree.map(lambda a: a, own).sample(KEY)
    with pytest.raises(NotImplementedError, match="depend on its function"):
        type(own).infer_shapes(())
    with pytest.raises(AttributeError, match="no_such_name"):
        _ = own.no_such_name
    np.testing.assert_array_equal(copy.copy(own).log_prob(jnp.zeros(2)), own.log_prob(jnp.zeros(2)))


@cache
def transformed(name):
    """All that is compiled for one transform; with x64 on."""
    case = transform_case(name)

    @jax.jit
    def everything(argument, parameters, x):
        own = case.make(**jax.tree.map(lambda a: a[0], case.parameters))
        result = {}
        for key, t in (("own", own), ("argument", argument)):
            y = t(x)
            result[key] = y, t.inv(y), t.log_abs_det_jacobian(x, y)
        slopes = jax.vmap(jax.jacobian(own))(x)
        result["jacobian"] = (
            jnp.linalg.slogdet(slopes)[1] if slopes.ndim == 3 else jnp.log(jnp.abs(slopes))
        )
        if parameters:

            def one(t):
                y = t(x)
                return y, t.inv(y), t.log_abs_det_jacobian(x, y)

            result["mapped"] = jax.vmap(one)(jax.vmap(lambda p: case.make(**p))(parameters))
            result["loop"] = jax.lax.map(lambda p: one(case.make(**p)), parameters)
        return result

    own = case.make(**jax.tree.map(lambda a: a[0], case.parameters))
    parameters = {key: jnp.asarray(value) for key, value in case.parameters.items()}
    return everything(own, parameters, jnp.asarray(case.x)), own


@pytest.mark.parametrize("name", TRANSFORMS)
def test_transforms_as_arguments_and_under_vmap(name, x64):
    result, _ = transformed(name)
    x = transform_case(name).x
    for value, expected in zip(result["argument"], result["own"], strict=True):
        close(value, expected)
    close(result["own"][1], x)
    close(result["own"][2], result["jacobian"])
    if "loop" in result:
        for value, expected in zip(result["mapped"], result["loop"], strict=True):
            close(value, expected)


@pytest.mark.parametrize("name", TRANSFORMS)
def test_transforms_are_compared_by_content(name, x64):
    _, own = transformed(name)
    leaves, tree = jax.tree.flatten(own)
    for again in (
        jax.tree.unflatten(tree, leaves),
        pickle.loads(pickle.dumps(own)),
        copy.deepcopy(own),
    ):
        assert again == own
        assert jax.tree.structure(again) == tree
        np.testing.assert_array_equal(again(transform_case(name).x), own(transform_case(name).x))
    assert own != transform_case(name).other()
    assert own.inv.inv is own or own.inv.inv == own


@pytest.mark.parametrize("name", ["SplineTransform", "SplineTransform_bounded"])
def test_a_stacked_transform_keeps_each_curve_to_its_own_points(name, x64):
    case = transform_case(name)
    whole = jax.vmap(lambda p: case.make(**p))(
        {k: jnp.asarray(v) for k, v in case.parameters.items()}
    )
    x = jnp.asarray(case.x[:MEMBERS])
    parts = [jax.tree.map(lambda a, i=i: a[i], case.parameters) for i in range(MEMBERS)]
    expected = [case.make(**part)(at) for part, at in zip(parts, x, strict=True)]
    close(whole(x), expected)
    assert whole.codomain(whole(x)).all()
    with pytest.raises(ValueError, match="either first or last"):
        whole(jnp.ones((MEMBERS, MEMBERS)))
