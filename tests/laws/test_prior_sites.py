"""A prior draws the sites that its documentation names: names, shapes, dtypes, distributions."""

import jax
import numpy as np
import numpyro
import pytest
from cases import PRIORS, ROWS, prior_case


def traced(case):
    """Shapes and dtypes of the sites of a draw, by kind and full name; compiles nothing."""
    kinds = {}

    def draw(key):
        with numpyro.handlers.seed(rng_seed=key), numpyro.handlers.trace() as trace:
            case.effect.sample()
        kinds.update({name: site["type"] for name, site in trace.items()})
        return {name: site["value"] for name, site in trace.items()}

    values = jax.eval_shape(draw, jax.random.key(0))
    return {
        wanted: {name: values[name] for name, kind in kinds.items() if kind == wanted}
        for wanted in ("sample", "deterministic")
    }


@pytest.mark.parametrize("wide", [False, True], ids=["float32", "float64"])
@pytest.mark.parametrize("name", PRIORS)
def test_sites_have_the_documented_names_shapes_and_dtypes(name, wide):
    case = prior_case(name)
    with jax.enable_x64(wide):
        found = traced(case)
    shapes = {case.effect.site(site): shape for site, (shape, _) in case.sites.items()}
    assert {site: value.shape for site, value in found["sample"].items()} == shapes
    assert list(found["sample"]) == list(shapes)
    coefficients = found["deterministic"]["f.coefficients"]
    assert coefficients.shape == (case.basis.num_coefficients,)
    dtypes = {value.dtype for kind in found.values() for value in kind.values()}
    assert dtypes == {np.dtype(np.float64 if wide else np.float32)}


@pytest.mark.parametrize("name", PRIORS)
def test_the_density_of_the_sites_is_the_documented_one(name):
    """What samplers see: the sum of SciPy's log densities of all sites, given those before."""
    case = prior_case(name)
    values = case.draw(ROWS, seed=1)
    found = case.evaluated(values, np.float64)[1]
    expected = np.zeros(ROWS)
    for site, value in values.items():
        expected += case.law(site, values).logpdf(value).reshape(ROWS, -1).sum(-1)
    np.testing.assert_allclose(found, expected, rtol=1e-9)
