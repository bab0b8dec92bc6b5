"""Prepared points: at(curve) is curve(x), and so are its derivatives, for any x and curve."""

import pickle

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from cases import BASES, EXTRAPOLATIONS

import numpyro_splines as ns
from numpyro_splines import designs

KNOTS = np.array([-1.0, -0.7, 0.2, 0.25, 1.0, 3.0])
RNG = np.random.default_rng(0)
# Outside, at all knots, ties, missing; not in order.
X = RNG.permutation(np.concatenate([RNG.uniform(-3.0, 7.0, 900), KNOTS, KNOTS, [np.nan]]))


@pytest.fixture(params=["plain", "blocks"])
def form(request, monkeypatch):
    """Small data as they are, and as large data are."""
    if request.param == "blocks":
        monkeypatch.setattr(designs, "_FROM", {"increasing": 1, "any": 1})
        monkeypatch.setattr(designs, "_BLOCK", 8)
    return request.param


def cubic(rule="linear"):
    return ns.BSplineBasis(KNOTS, extrapolation=EXTRAPOLATIONS[rule])


@pytest.mark.parametrize("name", list(BASES))
def test_values_are_those_of_the_curve(name):
    basis = BASES[name].basis
    lower, upper = (float(end) for end in basis.domain)
    x = np.linspace(lower - 0.3, upper + 0.3, 40).reshape(4, 10)
    coefficients = np.random.default_rng(1).normal(size=(3, basis.num_coefficients))
    at, curve = basis.at(x), basis.curve(np.asarray(coefficients, np.float32))
    expected = np.asarray(curve(x))
    assert at(curve).shape == (3, 4, 10)
    size = np.nanmax(np.abs(expected))
    np.testing.assert_allclose(at(curve), expected, atol=3e-6 * size, rtol=1e-5)


@pytest.mark.parametrize("order", ["any", "increasing"])
@pytest.mark.parametrize("rule", list(EXTRAPOLATIONS))
def test_blocks_give_values_derivatives_and_integrals(rule, order, form, x64):
    basis, x = cubic(rule), np.sort(X) if order == "increasing" else X
    at = basis.at(x)
    blocks = at.coordinate.shape[1] > 1
    # The rows of a periodic curve wrap, so increasing x are not in the order of rows.
    assert blocks == (form == "blocks")
    assert (at.runs is not None) == (blocks and order == "increasing" and rule != "periodic")
    curve = basis.curve(RNG.normal(size=(2, basis.num_coefficients)))
    for f in (curve, curve.derivative(2), curve.antiderivative()):
        np.testing.assert_allclose(at(f), f(x), rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("order", ["any", "increasing"])
@pytest.mark.parametrize("rule", ["linear", "periodic"])
def test_some_of_the_points(rule, order, form):
    basis, x = cubic(rule), np.sort(X) if order == "increasing" else X
    at, index = basis.at(x), RNG.integers(0, x.size, (3, 40))
    curve = basis.curve(RNG.normal(size=basis.num_coefficients)).antiderivative()
    some = jax.jit(lambda i: at.rows(i)(curve))(index)
    np.testing.assert_allclose(some, np.asarray(at(curve))[index], rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("order", ["any", "increasing"])
def test_derivatives_of_any_order_in_every_mode(order, form, x64):
    basis = cubic()
    x = X[~np.isnan(X)]
    x = np.sort(x) if order == "increasing" else x
    at, weights = basis.at(x), jnp.asarray(RNG.normal(size=x.size))
    first, second = RNG.normal(size=(2, 2, basis.num_coefficients))

    def energy(evaluate):
        return lambda c: (weights * jnp.sin(evaluate(basis.curve(c)))).sum()

    @jax.jit
    def derivatives(c, d):
        results = []
        for f in (energy(at), energy(lambda curve: curve(x))):
            one = jax.jvp(f, (c,), (d,))
            results.append((*one, jax.grad(f)(c), jax.hessian(f)(c), jax.jacrev(jax.grad(f))(c)))
        return results

    for found, expected in zip(*jax.vmap(derivatives)(first, second), strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-9)


def test_large_data_are_packed_by_the_measured_rule():
    basis = ns.BSplineBasis(ns.knots.uniform(0.0, 1.0, 18))
    x = np.random.default_rng(0).uniform(0.0, 1.0, 400_000)
    assert basis.at(x[:20_000]).coordinate.shape == (20_000, 1)
    assert basis.at(np.sort(x[:20_000])).runs is not None
    at = basis.at(x)
    assert at.order is not None
    assert at.coordinate.size < 1.03 * x.size
    curve = basis.curve(np.sin(np.arange(20.0)))
    np.testing.assert_allclose(at(curve), curve(x), atol=1e-5)


def test_points_are_a_pytree(form):
    basis = cubic()
    at, curve = basis.at(X), basis.curve(np.arange(8.0))
    expected = at(curve)
    again = pickle.loads(pickle.dumps(at))
    np.testing.assert_array_equal(again(curve), expected)
    found = jax.jit(lambda at, table: at(basis.curve(table)))(at, np.arange(8.0))
    np.testing.assert_allclose(found, expected, rtol=1e-5)
    # Out of a compiled function breakpoints come in the precision of JAX.
    np.testing.assert_allclose(at(jax.jit(lambda c: c)(curve)), expected, rtol=1e-6)
    assert jax.tree.unflatten(jax.tree.structure(at), jax.tree.leaves(at)).shape == X.shape


def test_julian_days_far_from_zero():
    days = 2460000.0 + np.array([0.0, 1.0, 2.0])
    basis = ns.BSplineBasis(days, degree=1)
    at = basis.at([2460000.1, 2460001.5])
    np.testing.assert_allclose(at(basis.curve([0.0, 1.0, 4.0])), [0.1, 2.5], rtol=1e-6)


def test_no_points_and_one():
    basis = cubic()
    curve = basis.curve(np.arange(8.0))
    assert basis.at([])(curve).shape == (0,)
    np.testing.assert_allclose(basis.at(0.3)(curve), curve(0.3), rtol=1e-6)


def test_what_cannot_be_prepared_is_refused():
    basis = cubic()
    with pytest.raises(TypeError, match="`x` must be known to be prepared; got a traced"):
        jax.jit(lambda x: basis.at(x)(basis.curve(np.arange(8.0))))(X)
    with pytest.raises(ValueError, match="`x` must be finite, or NaN"):
        basis.at([np.inf])
    at = basis.at(X)
    with pytest.raises(ValueError, match=r"`curve` must have the breakpoints.*got 2 in place of 6"):
        at(ns.BSplineBasis([0.0, 1.0]).curve(np.zeros(4)))
    with pytest.raises(ValueError, match=r"`curve` must be periodic if the basis is.*=True"):
        at(cubic("periodic").curve(np.arange(8.0)))
    with pytest.raises(TypeError, match=r"`curve` must be a curve with known breakpoints.*list"):
        at([1.0])
