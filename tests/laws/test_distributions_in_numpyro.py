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
from numpyro.contrib.control_flow import scan
from numpyro.distributions.batch_util import promote_batch_shape
from numpyro.infer.util import log_density

from cases import (
    DISTRIBUTIONS,
    MEMBERS,
    TRANSFORMS,
    distribution_case,
    integrated_response,
    transform_case,
)

KEY = jax.random.key(0)
NUM_DRAWS = 2000
SCALE_PRIORS = "half_student_t", "inverse_gamma_variance", "gamma_precision", "pc_scale"
PARAMETRIC = [name for name in DISTRIBUTIONS if name not in SCALE_PRIORS]
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
        members = [
            case.make(**jax.tree.map(lambda a, i=i: a[i], parameters)) for i in range(MEMBERS)
        ]
        values = jnp.stack([value + 0.01 * i for i in range(MEMBERS)])

        def model():
            def step(carry, p):
                return carry, numpyro.sample("value", case.make(**p))

            scan(step, 0.0, parameters)

        keys = jax.random.split(key, MEMBERS)
        result = {
            "shape": (jnp.zeros(batch.batch_shape), jnp.zeros(batch.event_shape)),
            "promoted": batch.log_prob(values),
            "with_draws": batch.log_prob(jnp.stack([values, values + 0.001])),
            "mapped": jax.vmap(lambda p, v: case.make(**p).log_prob(v))(parameters, values),
            "as_argument": jax.vmap(lambda d, v: d.log_prob(v))(made, values),
            "loop": jnp.stack([m.log_prob(v) for m, v in zip(members, values, strict=True)]),
            "later": jnp.stack(
                [m.log_prob(v + 0.001) for m, v in zip(members, values, strict=True)]
            ),
            "scan": log_density(model, (), {}, {"value": values})[0],
        }
        if not case.promoted:
            return result
        draws = [m.sample(k, (NUM_DRAWS,)) for m, k in zip(members, keys, strict=True)]
        many = {"draws": batch.sample(key, (NUM_DRAWS,)), "draws_of_loop": jnp.stack(draws, 1)}
        return result | many

    @jax.jit
    def everything(argument, parameters, key):
        own, value = first(name), first(name).sample(key)
        result = {
            "value": value,
            "draw": argument.sample(key),
            "own_draws": own.sample(key, (2, 3)),
            "argument_draws": argument.sample(key, (2, 3)),
            "density": argument.log_prob(value),
            "own_density": own.log_prob(value),
            "returned": argument,
        }
        return result | (stacked(parameters, key, value) if parameters else {})

    parameters = {name: jnp.asarray(value) for name, value in case.parameters.items()}
    return everything(first(name), parameters, KEY)


@pytest.mark.parametrize("name", DISTRIBUTIONS)
def test_argument_and_result_of_jit(name, x64):
    result, own = computed(name), first(name)
    assert result["value"].shape == own.shape()
    close(result["draw"], result["value"])
    close(result["argument_draws"], result["own_draws"])
    assert result["argument_draws"].shape == own.shape((2, 3))
    close(result["density"], result["own_density"])
    returned = result["returned"]
    assert jax.tree.structure(returned) == jax.tree.structure(own)
    close(returned.log_prob(result["value"]), result["own_density"])


@pytest.mark.parametrize("name", PARAMETRIC)
def test_vmap_over_parameters_equals_a_loop(name, x64):
    result = computed(name)
    close(result["mapped"], result["loop"])
    close(result["as_argument"], result["loop"])


@pytest.mark.parametrize("name", PARAMETRIC)
def test_promoted_batch_equals_a_loop(name, x64):
    result, own = computed(name), first(name)
    batch, event = result["shape"]
    if distribution_case(name).promoted:
        assert (batch.shape, event.shape) == ((MEMBERS, *own.batch_shape), own.event_shape)
    close(result["promoted"], result["loop"])
    close(result["with_draws"], np.stack([result["loop"], result["later"]]))


@pytest.mark.parametrize("name", PARAMETRIC)
def test_scan_over_parameters_equals_a_loop(name, x64):
    close(computed(name)["scan"], computed(name)["loop"].sum())


@pytest.mark.parametrize("name", PARAMETRIC)
def test_draws_of_a_promoted_batch_are_those_of_its_members(name, x64):
    if not distribution_case(name).promoted:
        made = jax.vmap(lambda p: distribution_case(name).make(**p))(
            distribution_case(name).parameters
        )
        with pytest.raises(TypeError, match="incompatible shapes"):
            made.sample(KEY, (NUM_DRAWS,))
        return
    draws, expected = computed(name)["draws"], computed(name)["draws_of_loop"]
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
    expected = own.log_prob(value)
    for again in (
        jax.tree.unflatten(tree, leaves),
        pickle.loads(pickle.dumps(own)),
        copy.deepcopy(own),
    ):
        assert type(again) is type(own)
        assert jax.tree.structure(again) == tree
        assert (again.batch_shape, again.event_shape) == (own.batch_shape, own.event_shape)
        np.testing.assert_array_equal(again.log_prob(value), expected)


@pytest.mark.parametrize("name", DISTRIBUTIONS)
def test_expanded_to_events_and_masked(name, x64):
    own, value = first(name), computed(name)["value"]
    density = own.log_prob(value)
    wide = own.expand((2, *own.batch_shape))
    values = jnp.stack([value, value])
    assert wide.sample(KEY).shape == values.shape
    close(wide.log_prob(values), np.stack([density, density]))
    close(wide.to_event(1 + len(own.batch_shape)).log_prob(values), 2.0 * np.sum(density))
    mask = np.array([True, False]).reshape(2, *(1,) * len(own.batch_shape))
    close(wide.mask(mask).log_prob(values), np.stack([density, np.zeros_like(density)]))


@pytest.mark.parametrize("name", PARAMETRIC)
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

            transforms = jax.vmap(lambda p: case.make(**p))(parameters)
            result["mapped"] = jax.vmap(one)(transforms)
            members = [
                one(case.make(**jax.tree.map(lambda a, i=i: a[i], parameters)))
                for i in range(MEMBERS)
            ]
            result["loop"] = jax.tree.map(lambda *a: jnp.stack(a), *members)
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
