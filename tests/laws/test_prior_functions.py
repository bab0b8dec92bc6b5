"""Coefficients are one function of a prior's sites: in plates, for each draw, after pickling."""

import pickle

import jax
import numpy as np
import numpyro
import pytest
from cases import PRIORS, ROWS, prior_case

BATCH = (2, 3, 4)


@pytest.mark.parametrize("name", PRIORS)
def test_plates_are_loops(name):
    case = prior_case(name)
    values = case.draw(ROWS)

    def model():
        with numpyro.plate("a", 2, dim=-3), numpyro.plate("b", 3, dim=-2), numpyro.plate("c", 4):
            case.effect.sample()

    @jax.jit
    def in_plates(sites):
        with numpyro.handlers.substitute(data=sites), numpyro.handlers.trace() as trace:
            model()
        return trace["f.coefficients"]["value"]

    plates = {site: value.reshape(*BATCH, *value.shape[1:]) for site, value in values.items()}
    found = np.asarray(in_plates(case.named(plates)))
    assert found.shape == (*BATCH, case.basis.num_coefficients)
    loop = case.evaluated(values)[0].reshape(found.shape)
    # float32 sums of some ten numbers, which each program takes in another order.
    np.testing.assert_allclose(found, loop, rtol=1e-5, atol=1e-5 * np.abs(loop).max())


@pytest.mark.parametrize("name", PRIORS)
def test_effects_survive_pickling(name):
    effect = prior_case(name).effect
    again = pickle.loads(pickle.dumps(effect))
    (mine, structure), (theirs, other) = jax.tree.flatten(effect), jax.tree.flatten(again)
    assert structure == other
    for a, b in zip(mine, theirs, strict=True):
        np.testing.assert_array_equal(a, b, strict=isinstance(a, np.ndarray))
