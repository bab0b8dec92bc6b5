"""Priors are what they say: what `Predictive` draws has the stated distribution."""

import jax
import numpy as np
import numpyro.distributions as dist
import pytest
import scipy.linalg
import scipy.stats
from numpyro.infer import Predictive
from test_constraints import FOURIER

import numpyro_splines as ns

NUM_DRAWS = 20_000
# All tests below compare many statistics with their sampling error at once; 5 standard errors
# raise a false alarm with probability 6e-7 each, below 1e-3 for the whole file. Seeds are fixed.
ERRORS = 5.0

BASES = {
    "cubic": ns.BSplineBasis(ns.knots.uniform(0.0, 1.0, 8)),
    "quadratic_uneven": ns.BSplineBasis([-3.0, -2.5, -1.0, 0.0, 4.0], degree=2),
    "p_spline": ns.BSplineBasis(
        knots=ns.knots.extended(ns.knots.uniform(100.0, 400.0, 12), 3), degree=3
    ),
    "quintic": ns.BSplineBasis([0.0, 1e-3, 5e-3, 7e-3], degree=5),
}
OBSERVED = np.random.default_rng(1).beta(2.0, 5.0, 200)


def measures(basis):
    lower, upper = basis.domain
    return {"uniform": None, "observed": lower + (upper - lower) * OBSERVED}


def penalty_matrix(basis, prior):
    if isinstance(prior, ns.SmoothnessPrior):
        return basis.penalty(prior.order)
    return basis.difference_penalty(prior.order)


def dense_covariance(basis, prior, measure, tau, linear_scale):
    """Cov(coefficients) by a route without eigenvectors: S inverted on the complement."""
    gram, penalty = basis.gram(measure), penalty_matrix(basis, prior)
    polynomials = basis.polynomials(prior.order)
    complement = scipy.linalg.null_space(polynomials.T @ gram)
    penalized = complement @ np.linalg.inv(complement.T @ penalty @ complement) @ complement.T
    penalized *= tau**2 / np.trace(gram @ penalized)
    # Orthonormal in L2(mu) and orthogonal to the constant: the projection of all of the null space
    # minus that of the constant.
    inner = polynomials.T @ gram @ polynomials
    null = polynomials @ np.linalg.inv(inner) @ polynomials.T
    constant = polynomials[:, :1] @ polynomials[:, :1].T / inner[0, 0]
    return penalized + linear_scale**2 * (null - constant)


def prior_draws(effect, key=0, num=NUM_DRAWS):
    draws = Predictive(effect.sample, num_samples=num)(jax.random.key(key))
    return {name: np.asarray(value, dtype=float) for name, value in draws.items()}


# A derivative above the degree is refused; see the errors below.
COMBINATIONS = [
    (name, family, order)
    for name, basis in BASES.items()
    for family in (ns.SmoothnessPrior, ns.RandomWalkPrior)
    for order in (1, 2, 3)
    if family is ns.RandomWalkPrior or order <= basis.degree
]


@pytest.mark.parametrize("measure", ["uniform", "observed"])
@pytest.mark.parametrize(("name", "family", "order"), COMBINATIONS)
def test_draws_have_the_stated_covariance(name, family, order, measure):
    basis = BASES[name]
    tau, linear_scale = 0.7, 2.0
    prior = family(order=order, scale=tau, linear=linear_scale)
    mu = measures(basis)[measure]
    effect = ns.SplineEffect("f", basis, prior, measure=mu)
    coefficients = prior_draws(effect)["f.coefficients"]
    expected = dense_covariance(basis, prior, mu, tau, linear_scale)
    # Values of f at a grid: variances and covariances of differences between neighbors.
    design = np.asarray(basis(np.linspace(*basis.domain, 9)), dtype=float)
    for rows in (design, np.diff(design, axis=0)):
        variance = np.einsum("ij,jk,ik->i", rows, expected, rows)
        sample = np.mean((coefficients @ rows.T) ** 2, axis=0)
        relative_error = np.sqrt(2.0 / NUM_DRAWS)
        np.testing.assert_allclose(sample / variance, 1.0, atol=ERRORS * relative_error)
    cross = coefficients @ design.T
    correlation = np.corrcoef(cross.T)
    scaled = design @ expected @ design.T
    scaled /= np.sqrt(np.outer(np.diag(scaled), np.diag(scaled)))
    assert np.all(np.abs(correlation - scaled) < ERRORS / np.sqrt(NUM_DRAWS))


@pytest.mark.parametrize("name", list(BASES))
def test_unit_scale_means_unit_mean_variance_over_the_domain(name):
    basis = BASES[name]
    effect = ns.SplineEffect("f", basis, ns.SmoothnessPrior(order=2, scale=1.0, linear=1e-6))
    coefficients = prior_draws(effect)["f.coefficients"]
    # A sum of squares of Gaussians with weights sd_m^2: variance 2 sum sd_m^4 <= 2.
    squares = np.einsum("ij,jk,ik->i", coefficients, basis.gram(), coefficients)
    assert abs(squares.mean() - 1.0) < ERRORS * np.sqrt(2.0 / NUM_DRAWS)


@pytest.mark.parametrize("name", list(BASES))
@pytest.mark.parametrize("measure", ["uniform", "observed"])
def test_curves_integrate_to_zero_against_the_measure(name, measure):
    basis = BASES[name]
    mu = measures(basis)[measure]
    effect = ns.SplineEffect("f", basis, ns.RandomWalkPrior(order=2), measure=mu)
    coefficients = prior_draws(effect, num=50)["f.coefficients"]
    ones = np.ones(basis.num_coefficients)
    mean = coefficients @ basis.gram(mu) @ ones
    # Coefficients are float32, of order one.
    np.testing.assert_allclose(mean, 0.0, atol=2e-6 * np.abs(coefficients).max())


@pytest.mark.parametrize("centering", [0.0, 0.4, 1.0, None, np.linspace(0.0, 1.0, 8)])
def test_the_prior_does_not_depend_on_the_centering(centering):
    basis = BASES["cubic"]
    scale = dist.Gamma(3.0, 3.0)
    prior = ns.SmoothnessPrior(scale=scale, linear=0.5, centering=centering)
    effect = ns.SplineEffect("f", basis, prior, measure=OBSERVED)
    draws = prior_draws(effect)
    assert draws["f.modes"].shape == (NUM_DRAWS, 8)
    standard = draws["f.modes"] / draws["f.scale"][:, None]
    worst = min(scipy.stats.kstest(z, "norm").pvalue for z in standard.T)
    assert worst > 1e-5
    assert (
        scipy.stats.kstest(draws["f.scale"], scipy.stats.gamma(3.0, scale=1 / 3).cdf).pvalue > 1e-5
    )


def test_the_scale_has_the_units_of_f_whatever_those_of_x():
    small = ns.SplineEffect("f", ns.BSplineBasis(ns.knots.uniform(0.0, 1e-3, 9)))
    large = ns.SplineEffect("f", ns.BSplineBasis(ns.knots.uniform(-5e5, 5e5, 9)))
    for name in ("modes", "polynomials", "standard_deviations"):
        one, other = (getattr(e.prepared.spectrum, name) for e in (small, large))
        np.testing.assert_allclose(one, other, rtol=1e-7, atol=1e-9)


def test_linear_takes_any_univariate_distribution():
    prior = ns.SmoothnessPrior(order=3, scale=1.0, linear=dist.Laplace(0.0, 2.0))
    effect = ns.SplineEffect("f", BASES["cubic"], prior)
    linear = prior_draws(effect)["f.linear"]
    assert linear.shape == (NUM_DRAWS, 2)
    laplace = scipy.stats.laplace(scale=2.0).cdf
    assert min(scipy.stats.kstest(column, laplace).pvalue for column in linear.T) > 1e-5


def test_automatic_centering_grows_with_the_data():
    def centering(measure):
        effect = ns.SplineEffect("f", BASES["cubic"], measure=measure)
        return effect.prepared.centering

    assert np.all(centering(None) == 0.0)
    few, many = centering(OBSERVED[:10]), centering(np.tile(OBSERVED, 50))
    assert np.all(few < many)
    assert many[0] > 0.99
    sd = ns.SplineEffect(
        "f", BASES["cubic"], measure=OBSERVED
    ).prepared.spectrum.standard_deviations
    np.testing.assert_allclose(centering(OBSERVED), 200 * sd**2 / (10 + 200 * sd**2))


@pytest.mark.parametrize("family", [ns.SmoothnessPrior, ns.RandomWalkPrior])
@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"order": 0}, ValueError, "`order` must be at least 1; got 0"),
        ({"order": 2.0}, TypeError, "`order` must be an integer; got 2.0"),
        ({"scale": 0.0}, ValueError, "`scale` must be a positive number or a distribution; got 0"),
        ({"scale": dist.Normal(0, 1)}, ValueError, "`scale` is a standard deviation.*Normal"),
        ({"scale": dist.HalfNormal(np.ones(3))}, TypeError, "`scale` must be a univariate dist"),
        ({"scale": "big"}, TypeError, "`scale` must hold real numbers"),
        ({"linear": -1.0}, ValueError, "`linear` must be a positive number or a distribution"),
        ({"linear": dist.Dirichlet(np.ones(2))}, TypeError, "`linear` must be a univariate"),
        ({"centering": 1.5}, ValueError, r"`centering` must lie in \[0, 1\]; got 1.5"),
    ],
)
def test_bad_arguments(family, arguments, error, message):
    with pytest.raises(error, match=message):
        family(**arguments)


def test_what_does_not_fit_the_basis_is_refused_when_the_effect_is_made():
    basis = ns.BSplineBasis([0.0, 0.5, 1.0], degree=1)
    with pytest.raises(ValueError, match=r"`order` must be at most degree = 1; got 2"):
        ns.SplineEffect("f", basis, ns.SmoothnessPrior(order=2))
    with pytest.raises(ValueError, match=r"`order` must be at most degree \+ 1 = 2; got 3"):
        ns.SplineEffect("f", basis, ns.RandomWalkPrior(order=3))
    with pytest.raises(ValueError, match=r"one per mode, shape \(2,\); got shape \(3,\)"):
        ns.SplineEffect("f", basis, ns.SmoothnessPrior(order=1, centering=np.zeros(3)))


@pytest.mark.parametrize("kind", ["i_spline", "constrained", "shrunk", "own"])
def test_bases_without_the_constant_or_a_null_space(kind, x64):
    """The prior covariance is the analytic one, on what the functions of the basis span."""
    points = ns.knots.uniform(-1.0, 3.0, 7)
    basis, num_linear = {
        "i_spline": (ns.ISplineBasis(points, degree=2), 1),
        "constrained": (ns.BSplineBasis(points).constrained(ns.constraints.ZeroStart()), 1),
        "shrunk": (ns.ShrunkBasis(ns.CubicRegressionBasis(points)).constrained(), 0),
        "own": (FOURIER, 0),
    }[kind]
    effect = ns.SplineEffect("f", basis, ns.SmoothnessPrior(scale=2.0, linear=3.0))
    draws = Predictive(lambda: effect.sample(), num_samples=NUM_DRAWS)(jax.random.key(1))
    assert ("f.linear" in draws) == (num_linear > 0)
    gram, penalty, null = basis.gram(), basis.penalty(2), basis.null_space(2)
    complement = scipy.linalg.null_space(null.T @ gram) if null.size else np.eye(len(gram))
    inverse = complement @ np.linalg.inv(complement.T @ penalty @ complement) @ complement.T
    linear = null[:, null.shape[1] - num_linear :]
    linear = linear @ np.linalg.inv(linear.T @ gram @ linear) @ linear.T
    expected = 4.0 * inverse / np.trace(gram @ inverse) + 9.0 * linear
    # Compared as functions on a grid.
    design = np.asarray(basis(np.linspace(-1.0, 3.0, 20)))
    found = design @ np.cov(np.asarray(draws["f.coefficients"]).T) @ design.T
    expected = design @ expected @ design.T
    variance = np.diag(expected)
    error = np.sqrt((np.outer(variance, variance) + expected**2) / NUM_DRAWS)
    assert np.all(np.abs(found - expected) < ERRORS * error + 1e-12)
