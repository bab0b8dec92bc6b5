"""Gaussian priors have the stated mean and covariance, exactly.

Given the scales the coefficients are linear in the other sites, which are independent and have
the variances that `test_prior_sites` proves: A D A' with A the coefficients of unit vectors.
"""

import jax
import numpy as np
import numpyro
import pytest
from cases import GAUSSIAN_PRIORS, ROWS, SKEWED, dense_covariance, prior_case

import numpyro_splines as ns

# About ten roundings of sums of ten terms; the eigenvectors are good to 1e-10 in the worst case.
PRECISIONS = [
    pytest.param(np.float32, 1e-5, id="float32"),
    pytest.param(np.float64, 1e-9, id="float64"),
]


def rows(case):
    """The origin, unit vectors of the sites that are not given, then draws; flat and by site."""
    free = [site for site in case.sites if site not in case.given]
    draws = case.draw(ROWS, seed=2)
    flat = np.concatenate([draws[site].reshape(ROWS, -1) for site in free], axis=1)
    num = flat.shape[1]
    flat[: num + 1] = np.eye(num + 1, num, k=-1)
    ends = np.cumsum([draws[site][0].size for site in free])
    parts = np.split(flat, ends[:-1], axis=1)
    values = {site: part.reshape(draws[site].shape) for site, part in zip(free, parts, strict=True)}
    given = {site: np.broadcast_to(v, (ROWS, *np.shape(v))) for site, v in case.given.items()}
    return flat, {**values, **given}


def variances(case):
    """Of the sites that are not given."""
    laws = {site: case.law(site, case.given) for site in case.sites if site not in case.given}
    shapes = {site: case.sites[site][0] for site in laws}
    return np.concatenate([np.broadcast_to(laws[s].var(), shapes[s]).ravel() for s in laws])


def assert_exact(coefficients, flat, variance, mean, covariance, rtol):
    num = flat.shape[1]
    assert num + 3 < ROWS  # some draws are left to see that the map is linear
    origin = coefficients[0]
    matrix = coefficients[1 : num + 1] - origin
    size = np.sqrt(np.diag(covariance).max())
    np.testing.assert_allclose(origin, mean, atol=rtol * (size + np.abs(mean).max()))
    found = (matrix.T * variance) @ matrix
    np.testing.assert_allclose(found, covariance, rtol=0, atol=rtol * size**2)
    largest = np.abs(coefficients).max()
    np.testing.assert_allclose(coefficients, origin + flat @ matrix, rtol=0, atol=rtol * largest)


@pytest.mark.parametrize(("dtype", "rtol"), PRECISIONS)
@pytest.mark.parametrize("name", GAUSSIAN_PRIORS)
def test_coefficients_have_the_stated_covariance(name, dtype, rtol):
    case = prior_case(name)
    flat, values = rows(case)
    found = case.evaluated(values, dtype)[0]
    mean = np.zeros(case.basis.num_coefficients) if case.mean is None else case.mean()
    assert_exact(found, flat, variances(case), mean, case.covariance(), rtol)


# Bases of ten functions each, so that one program per family and order serves all.
BASES = {
    "cubic": ns.BSplineBasis(ns.knots.uniform(0.0, 1.0, 8)),
    "quadratic_uneven": ns.BSplineBasis(
        [-3.0, -2.5, -2.4, -1.0, 0.0, 0.1, 2.0, 3.9, 4.0], degree=2
    ),
    "p_spline": ns.BSplineBasis(knots=ns.knots.extended(ns.knots.uniform(100.0, 400.0, 8), 3)),
    "quintic": ns.BSplineBasis([0.0, 1e-3, 2e-3, 5e-3, 6.5e-3, 7e-3], degree=5),
}


def measures(basis):
    lower, upper = basis.domain
    return {"uniform": None, "observed": lower + (upper - lower) * (SKEWED + 1.0) / 4.0}


@jax.jit
def coefficients(smooth, sites):
    """The same map for any basis: the smooth is an argument."""

    def one(values):
        with numpyro.handlers.substitute(data=values):
            return smooth.sample(lambda name: name)

    return jax.vmap(one)(sites)


# A derivative above the degree is refused; see test_priors.
COMBINATIONS = [
    (name, family, order)
    for name, basis in BASES.items()
    for family in (ns.SmoothnessPrior, ns.RandomWalkPrior)
    for order in (1, 2, 3)
    if family is ns.RandomWalkPrior or order <= basis.degree
]


@pytest.mark.parametrize(("dtype", "rtol"), PRECISIONS)
@pytest.mark.parametrize("measure", ["uniform", "observed"])
@pytest.mark.parametrize(("name", "family", "order"), COMBINATIONS)
def test_any_basis_order_and_measure(name, family, order, measure, dtype, rtol):
    basis, tau, linear = BASES[name], 0.7, 2.0
    mu = measures(basis)[measure]
    prior = family(order=order, scale=tau, linear=linear)
    # Somewhat informed, so that tau matters where the modes are drawn and where they are scaled.
    known = {} if mu is None else {"noise": 3.0}
    smooth = ns.SplineEffect("f", basis, prior, measure=mu, **known).smooth
    flat = np.concatenate([np.eye(10, 9, k=-1), np.random.default_rng(0).normal(size=(14, 9))])
    sites = {"modes_coordinates": flat[:, : 10 - order]}
    spread = np.sqrt(1.0 + smooth.mode_coordinates.information * tau**2)
    own = np.sqrt(1.0 + smooth.linear_coordinates.information * linear**2)
    if order > 1:
        sites["linear" if mu is None else "linear_coordinates"] = flat[:, 10 - order :]
    with jax.enable_x64(dtype is np.float64):
        arrays = {site: v.astype(dtype) for site, v in sites.items()}
        found = np.asarray(coefficients(smooth, arrays), float)
    variance = np.concatenate([spread**2, linear**2 * np.ones(order - 1) if mu is None else own**2])
    covariance = dense_covariance(basis, prior.penalty, mu, tau, linear)
    assert_exact(found, flat, variance, np.zeros(10), covariance, rtol)
    # tau is the root mean square of the penalized part over the measure; f is centered there.
    gram, matrix = basis.gram(mu), np.sqrt(variance)[:, None] * (found[1:10] - found[0])
    modes = matrix[: 10 - order]
    mean_square = np.einsum("mi,ij,mj->", modes, gram, modes)
    np.testing.assert_allclose(mean_square, tau**2, rtol=10 * rtol)
    means = matrix @ basis.gram(basis.measure(mu).observations) @ np.ones(10)
    np.testing.assert_allclose(means, 0.0, atol=rtol * np.abs(matrix).max())
