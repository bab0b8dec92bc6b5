"""What samplers see of a smooth: the same prior and posterior in any coordinates.

That the prior is exact for each kind of knowledge is a law: tests/laws/test_prior_*.
"""

import jax
import numpy as np
import numpyro
import numpyro.distributions as dist
import pytest
import scipy.stats
from numpyro.infer import MCMC, NUTS, Predictive
from numpyro.infer.util import log_density

import numpyro_splines as ns
from numpyro_splines.regression import Poisson, penalized_fit

RNG = np.random.default_rng(0)
X = RNG.beta(2.0, 5.0, 300)
F = np.sin(9.0 * X) * np.exp(-X)
Y = 0.3 + F + 0.5 * RNG.normal(size=X.size)
COUNTS = RNG.poisson(np.exp(0.3 + F))
BASIS = ns.BSplineBasis(ns.knots.uniform(0.0, 1.0, 10))


def effect(prior=None, basis=BASIS, **known):
    return ns.SplineEffect("f", basis, prior, measure=X, **known)


def adapted(prior=None):
    predictor = ns.AdditivePredictor((effect(prior), X), intercept=dist.Normal(0.0, 5.0))
    return penalized_fit(predictor, Y).adapted(effect(prior))


def of_counts(prior=None):
    predictor = ns.AdditivePredictor((effect(prior), X), intercept=dist.Normal(0.0, 5.0))
    return penalized_fit(predictor, COUNTS, Poisson()).adapted(effect(prior))


KNOWN = {
    "inputs": effect,
    "noise": lambda prior=None: effect(prior, noise=0.3),
    "response": lambda prior=None: effect(prior, response=Y),
    "weights": lambda prior=None: ns.SplineEffect(
        "f", BASIS, prior, measure=(X, RNG.uniform(0.5, 2.0, X.size)), response=Y
    ),
    "fit": adapted,
    "fit_of_counts": of_counts,
}
PRIORS = {
    "default": ns.SmoothnessPrior(),
    "fixed": ns.RandomWalkPrior(3, scale=0.4, linear=dist.Normal(0.5, 2.0)),
}


@pytest.mark.parametrize("prior", list(PRIORS))
@pytest.mark.parametrize("known", list(KNOWN))
def test_coordinates_are_an_affine_map_of_the_plain_sites(known, prior, x64):
    """Density of xi = density of (linear, modes) times the determinant: exactly."""
    smooth = KNOWN[known](PRIORS[prior])
    plain = effect(PRIORS[prior], noise=np.inf)
    rng, order = np.random.default_rng(1), smooth.prior.penalty.order
    num = smooth.smooth.num_modes
    sites = {
        "f.modes_coordinates": rng.normal(size=(2, num)),
        "f.linear_coordinates": rng.normal(size=(2, order - 1)),
    }
    drawn = smooth.prior.scale
    if isinstance(drawn, dist.Distribution):
        sites["f.scale"] = np.array([0.2, 0.2])

    @jax.jit
    @jax.vmap
    def seen(values):
        density, trace = log_density(smooth.sample, (), {}, values)
        return density, {k: v["value"] for k, v in trace.items()}

    density, trace = seen(sites)
    if not isinstance(drawn, dist.Distribution):
        trace["f.scale"] = np.full(2, float(drawn))
    tau = trace["f.scale"][0]
    prior_of_linear = plain.smooth.linear_prior

    def plain_density(values, i):
        result = scipy.stats.norm(0.0, tau).logpdf(values["f.modes"][i]).sum()
        return result + float(prior_of_linear.log_prob(values["f.linear"][i]).sum())

    # The determinant is the same at both points and cancels.
    expected = plain_density(trace, 1) - plain_density(trace, 0)
    np.testing.assert_allclose(density[1] - density[0], expected, rtol=1e-9)
    columns, linear = smooth.smooth.columns, np.asarray(smooth.smooth.linear)
    found = trace["f.modes"] @ columns.T + trace["f.linear"] @ linear.T
    np.testing.assert_allclose(trace["f.coefficients"], found, atol=1e-12)
    # Back to what samplers see.
    short = {name: trace[f"f.{name}"] for name in ("modes", "linear", "scale")}
    for name, value in smooth.smooth.sampled(short).items():
        np.testing.assert_allclose(value, trace[f"f.{name}"], rtol=1e-6, atol=1e-6)


def test_given_data_and_scale_coordinates_are_standard_and_independent(x64):
    """The posterior of xi at the fitted scale: mean zero, variance one, no correlation."""
    for smooth in (effect(response=Y), adapted()):
        predictor = ns.AdditivePredictor(
            (smooth, X), intercept=dist.ImproperUniform(dist.constraints.real, (), ())
        )
        fit = penalized_fit(predictor, Y)
        own = smooth.smooth
        block = predictor.block("f.modes")
        scale = float(fit.values["f.scale"])
        start = fit.initial_values()
        np.testing.assert_allclose(start["f.modes_coordinates"], 0.0, atol=2e-2)
        rotation = own.mode_coordinates.rotation
        covariance = rotation.T @ fit.covariance[block, block] @ rotation
        spread = np.sqrt(np.diag(covariance))
        correlation = covariance / np.outer(spread, spread)
        np.testing.assert_allclose(correlation, np.eye(len(spread)), atol=1e-2)
        variances = own.mode_coordinates.variances(fit.covariance[block, block], scale)
        np.testing.assert_allclose(variances, 1.0, atol=2e-2)


def test_the_fit_of_one_effect_alone_is_that_of_the_predictor():
    fit, alone = adapted().smooth, effect(response=Y).smooth
    for name in ("mode_coordinates", "linear_coordinates"):
        own, other = getattr(alone, name), getattr(fit, name)
        np.testing.assert_allclose(own.information, other.information, rtol=1e-4)
        size = np.abs(other.score).max()
        np.testing.assert_allclose(own.score, other.score, atol=1e-3 * size)


def test_curves_of_groups_are_rebuilt_from_what_samplers_see():
    """As a guide returns them, without `coefficients`: coordinates are the same in any plate."""
    f = effect(noise=0.5 * np.sqrt(3.0))

    def model():
        with numpyro.plate("groups", 3):
            f.sample()

    draws = Predictive(model, num_samples=4)(jax.random.key(0))
    names = ("f.scale", "f.modes_coordinates", "f.linear_coordinates")
    found = f.curve({name: draws[name] for name in names})
    assert found.batch_shape == (4, 3)
    expected = f.curve(draws)(X[:9])
    np.testing.assert_allclose(found(X[:9]), expected, atol=1e-5)


def test_predictive_repeats_the_posterior_draws():
    f = effect(response=Y)

    def model(x):
        numpyro.deterministic("mean", f.sample()(x))

    draws = Predictive(model, num_samples=5)(jax.random.key(0), X[:20])
    sites = {k: draws[k] for k in ("f.scale", "f.modes_coordinates", "f.linear_coordinates")}
    again = Predictive(model, sites)(jax.random.key(1), X[:20])
    np.testing.assert_allclose(again["mean"], draws["mean"], atol=1e-5)
    np.testing.assert_allclose(f.curve(sites)(X[:20]), draws["mean"], atol=1e-5)


def test_missing_rows_do_not_count():
    x, y = np.append(X, [0.5, np.nan]), np.append(Y, [np.nan, 1.0])
    own = ns.SplineEffect("f", BASIS, measure=x[:-1], response=y[:-1]).smooth
    whole = effect(response=Y).smooth
    np.testing.assert_allclose(
        own.mode_coordinates.information, whole.mode_coordinates.information, rtol=0.05
    )


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"noise": 0.0}, ValueError, "`noise` must be a positive number.*got 0.0"),
        ({"noise": np.nan}, ValueError, "`noise` must be finite"),
        ({"noise": "small"}, TypeError, "`noise` must hold real numbers"),
        ({"noise": 1.0, "response": Y}, ValueError, "`noise` and `response` must not both"),
        ({"response": Y[:-1]}, ValueError, r"`response` must hold one y.*\(299,\) and \(300,\)"),
        ({"response": 0.0 * Y}, ValueError, "`response` must hold three observations or more"),
        ({"noise": 1.0, "measure": None}, ValueError, "`noise` must come with `measure`"),
        (
            {"noise": 1.0, "prior": ns.MonotonePrior()},
            TypeError,
            "`noise` is for priors that are Gaussian.*MonotoneSmooth",
        ),
    ],
)
def test_what_is_known_must_make_sense(arguments, error, message):
    with pytest.raises(error, match=message):
        ns.SplineEffect("f", BASIS, **{"measure": X, **arguments})


def test_adapted_effects_are_those_that_were_fitted():
    fit = penalized_fit(ns.AdditivePredictor((effect(), X), intercept=dist.Normal()), Y)
    other = ns.SplineEffect("g", BASIS)
    with pytest.raises(ValueError, match=r"`effect` must be one of the effects.*\['f'\]"):
        fit.adapted(other)


def test_an_adapted_predictor_has_the_same_prior_and_starts_at_the_fit(x64):
    terms = {"slope": (np.stack([X, X**2], axis=1), dist.Normal(0.2, 2.0))}
    predictor = ns.AdditivePredictor((effect(), X), intercept=dist.Normal(0.5, 5.0), linear=terms)
    fit = penalized_fit(predictor, Y)
    own = fit.adapted(predictor)
    again = penalized_fit(own, Y)
    start = again.initial_values()
    drawn = {"f.scale", "f.modes_coordinates", "f.linear_coordinates"}
    drawn |= {"intercept_coordinates", "slope_coordinates"}
    for name in drawn - {"f.scale"}:
        np.testing.assert_allclose(start[name], 0.0, atol=1e-4)
        np.testing.assert_allclose(again.inverse_mass_matrix(name)[(name,)], 1.0, rtol=1e-4)

    def seen(values):
        density, trace = log_density(own.sample, (), {}, values)
        return density, {k: v["value"] for k, v in trace.items()}

    rng = np.random.default_rng(2)
    values = [{k: start[k] + rng.normal(size=start[k].shape) for k in drawn} for _ in "ab"]
    values = [{**v, "f.scale": 0.4} for v in values]
    (first, one), (second, other) = (jax.jit(seen)(v) for v in values)
    assert one["intercept"].shape == ()
    difference = 0.0
    for sign, trace in ((1.0, other), (-1.0, one)):
        logarithms = [
            dist.Normal(0.5, 5.0).log_prob(trace["intercept"]),
            dist.Normal(0.2, 2.0).log_prob(trace["slope"]).sum(),
            dist.Normal(0.0, 1.0).log_prob(trace["f.linear"]).sum(),
            dist.Normal(0.0, 0.4).log_prob(trace["f.modes"]).sum(),
        ]
        difference += sign * sum(logarithms)
    np.testing.assert_allclose(second - first, difference, rtol=1e-9)


@pytest.mark.slow
@pytest.mark.parametrize("known", ["inputs", "response"])
def test_simulation_based_calibration(known):
    """Ranks of the truth among posterior draws are uniform: 200 data sets from the prior at once.

    As a plate of data sets. With responses the coordinates know another data set: a guess that is
    off for all of them.
    """
    num, n = 200, 40
    x = np.linspace(0.0, 1.0, n)
    basis = ns.BSplineBasis(ns.knots.uniform(0.0, 1.0, 6))
    wave = np.sin(6.0 * x) + 0.3 * np.random.default_rng(3).normal(size=n)
    guess = {"noise": 0.5} if known == "inputs" else {"response": wave}
    f = ns.SplineEffect("f", basis, measure=x, **guess)

    def model(y=None):
        with numpyro.plate("sets", num):
            sigma = numpyro.sample("sigma", dist.LogNormal(-0.5, 0.5))
            level = numpyro.sample("level", dist.Normal(0.0, 1.0))
            mean = level[:, None] + f.sample()(x)
            numpyro.sample("y", dist.Normal(mean, sigma[:, None]).to_event(1), obs=y)

    truth = Predictive(model, num_samples=1)(jax.random.key(0))
    mcmc = MCMC(NUTS(model), num_warmup=500, num_samples=1000, num_chains=1, progress_bar=False)
    mcmc.run(jax.random.key(1), truth["y"][0])

    def quantities(draws):
        curve = f.curve(draws)(np.array([0.1, 0.5, 0.9]))
        rest = [draws[name][..., None] for name in ("sigma", "level", "f.scale")]
        return np.concatenate([curve, *rest], axis=-1)

    # Every tenth draw is nearly independent of the last.
    draws = quantities(mcmc.get_samples())[::10]
    ranks = (draws < quantities(truth)[0]).sum(axis=0)
    counts = [np.histogram(column, bins=10, range=(-0.5, 100.5))[0] for column in ranks.T]
    # A false alarm in 1600 seeds: six quantities; this seed is fixed.
    assert min(scipy.stats.chisquare(c).pvalue for c in counts) > 1e-4


@pytest.mark.slow
def test_the_latent_inputs_of_the_readme_sample_without_divergences():
    """On ten seeds, as promised."""
    divergences = []
    for seed in range(10):
        rng = np.random.default_rng(seed)
        x = rng.normal(3.0, 1.5, 250)
        w = x + 0.3 * rng.normal(size=250)
        y = np.sin(x) + 0.2 * rng.normal(size=250)
        basis = ns.BSplineBasis(ns.latent.Measured(w, 0.3).knots(15))
        f = ns.SplineEffect("f", basis, measure=w)

        def model(w, y, f=f):
            sigma = numpyro.sample("sigma", dist.HalfNormal(1.0))
            level = numpyro.sample("level", dist.Normal(0.0, 2.0))
            curve = f.sample()
            x = ns.latent.Measured(w, 0.3).sample("x", dist.Normal(3.0, 1.5))
            numpyro.sample("y", dist.Normal(level + curve(x), sigma), obs=y)

        mcmc = MCMC(NUTS(model), num_warmup=400, num_samples=400, progress_bar=False)
        mcmc.run(jax.random.key(seed), w, y)
        divergences.append(int(mcmc.get_extra_fields()["diverging"].sum()))
    assert divergences == [0] * 10
