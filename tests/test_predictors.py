"""Additive predictors at new rows and after inference: evaluated whole, in terms, as responses."""

import jax
import jax.numpy as jnp
import numpy as np
import numpyro
import numpyro.distributions as dist
import pytest
from numpyro.infer import Predictive
from numpyro.infer.util import log_density

import numpyro_splines as ns
from numpyro_splines.regression import (
    Elementwise,
    IntegratedGaussian,
    MarginalGaussian,
    SumToZero,
    Treatment,
    evaluation,
    penalized_fit,
)
from numpyro_splines.regression.theta import Theta

N = 40
RNG = np.random.default_rng(0)
X, Z, V, OFFSET = RNG.uniform(size=(4, N))
SEX, DOSE = RNG.choice(["f", "m"], N), RNG.choice(["high", "low", "none"], N)
Y = np.sin(6 * X) + V * Z + 0.1 * RNG.normal(size=N)
BASIS = ns.BSplineBasis(ns.knots.uniform(0.0, 1.0, 6))
DOUBLE = ns.SmoothnessPrior(mean=jnp.sin, linear_scale=dist.HalfNormal(1.0))


def wide():
    """All kinds of terms."""
    f = ns.SplineEffect("f", BASIS, DOUBLE, measure=X)
    g = ns.SplineEffect("g", BASIS, measure=Z)
    curves = ns.TensorEffect("h", x=ns.CurveMargin(BASIS, measure=X), sex=ns.GroupMargin(SEX))
    linear = {
        "v": (V, dist.Normal(0.5, 2.0)),
        "dose": (Treatment(DOSE, reference="none"), dist.Normal()),
        "two": (np.stack([X, Z], 1), dist.Normal()),
        "constant": (3.0, dist.Normal()),
    }
    pairs = (f, X), (g, Z), (curves, Z, SEX)
    level = dist.Normal(1.0, 5.0)
    return ns.AdditivePredictor(
        *pairs, intercept=level, linear=linear, by={"g": V}, offset=OFFSET
    )  # fmt: skip


ETA = wide()


def rows(index):
    """What `at` takes, of some of the rows."""
    x, z, v = X[index], Z[index], V[index]
    terms = {"f": x, "g": (z,), "h": (z, SEX[index])}
    terms |= {"v": v, "dose": DOSE[index], "two": np.stack([x, z], 1)}
    return {"rows": terms, "by": {"g": v}, "offset": OFFSET[index]}


def model(eta=ETA, y=None):
    mean = numpyro.deterministic("eta", eta.sample())
    sigma = numpyro.sample("sigma", dist.HalfNormal(1.0))
    numpyro.sample("y", dist.Normal(mean, sigma).to_event(1), obs=y)


def prior_draws(function=model, seed=0):
    draws = Predictive(function, num_samples=6)(jax.random.key(seed))
    return {name: value.reshape(2, 3, *value.shape[1:]) for name, value in draws.items()}


DRAWS = prior_draws()


def test_at_the_same_rows_is_the_same_predictor():
    same = ETA.at(**rows(np.arange(N)))
    np.testing.assert_array_equal(same.design().toarray(), ETA.design().toarray())
    np.testing.assert_array_equal(same.local_matrix, ETA.local_matrix)
    np.testing.assert_array_equal(same.offset, ETA.offset)
    assert (same.blocks, same.scale_sites) == (ETA.blocks, ETA.scale_sites)
    one = {name: value[0, 0] for name, value in DRAWS.items()}
    values = [log_density(model, (own, Y), {}, one)[0] for own in (ETA, same)]
    assert values[0] == values[1]


def test_at_other_rows_is_the_predictor_there():
    index = RNG.integers(0, N, 70)
    new = ETA.at(**rows(index))
    expected = ETA.linear_predictor(DRAWS)[..., index]
    np.testing.assert_allclose(new.linear_predictor(DRAWS), expected, atol=1e-5)
    # In a model that predicts: the sites of the fit give eta there.
    flat = {k: v.reshape(6, *v.shape[2:]) for k, v in DRAWS.items() if k not in ("eta", "y")}
    eta = Predictive(lambda: model(new), flat, return_sites=["eta"])(jax.random.key(1))["eta"]
    np.testing.assert_allclose(eta.reshape(expected.shape), expected, atol=1e-5)
    # New rows of new rows.
    again = new.at(**rows(np.arange(3)))
    np.testing.assert_array_equal(again.columns, ETA.columns[:3])


def test_draws_give_what_the_model_recorded():
    np.testing.assert_allclose(ETA.linear_predictor(DRAWS), DRAWS["eta"], atol=1e-5)
    one = {name: np.asarray(value[0, 0]) for name, value in DRAWS.items()}
    np.testing.assert_allclose(ETA.linear_predictor(one), one["eta"], atol=1e-5)
    # Sites of the effects as guides return them, and under a prefix.
    seen = {f"own/{k}": v for k, v in DRAWS.items() if not k.endswith(".coefficients")}
    np.testing.assert_allclose(
        ETA.linear_predictor(seen, prefix="own/"), DRAWS["eta"], atol=1e-5
    )  # fmt: skip


def test_terms_add_up_to_the_predictor():
    parts = ETA.partial(DRAWS)
    names = ["intercept", "v", "dose", "two", "constant", "f", "g", "h", "offset"]
    assert list(parts) == names
    assert {part.shape for part in parts.values()} == {(2, 3, N)}
    np.testing.assert_allclose(sum(parts.values()), DRAWS["eta"], atol=1e-5)
    curve = ETA.effects[0].curve(DRAWS)
    np.testing.assert_allclose(parts["f"], curve(X), atol=1e-5)
    np.testing.assert_allclose(parts["g"], V * ETA.effects[1].curve(DRAWS)(Z), atol=1e-5)
    alone = ns.AdditivePredictor((ETA.effects[0], X), intercept=None)
    assert list(alone.partial(DRAWS)) == ["f"]


def test_few_draws_at_a_time_are_the_same(monkeypatch):
    expected = ETA.linear_predictor(DRAWS), ETA.partial(DRAWS)
    monkeypatch.setattr(evaluation, "_TOGETHER", 4 * N)
    jax.clear_caches()
    actual = ETA.linear_predictor(DRAWS), ETA.partial(DRAWS)
    assert jax.tree.structure(actual) == jax.tree.structure(expected)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, atol=1e-5), actual, expected)
    jax.clear_caches()


def test_fits_and_integrated_coefficients_are_evaluated():
    fit = penalized_fit(ETA, Y)
    np.testing.assert_allclose(ETA.linear_predictor(fit.values), fit.linear_predictor, atol=1e-4)
    adapted = fit.adapted(ETA).at(**rows(np.arange(5)))
    np.testing.assert_allclose(
        adapted.linear_predictor(fit.values), fit.linear_predictor[:5], atol=1e-4
    )
    assert adapted.coordinates[0].known
    with pytest.raises(KeyError, match=r"`draws` must hold the coefficients.*\['intercept', 'v'"):
        ETA.linear_predictor({k: v for k, v in DRAWS.items() if k.endswith("scale")})
    simple = ns.AdditivePredictor((ETA.effects[1], Z), intercept=dist.Normal())
    regression = IntegratedGaussian(simple)
    scales = {"g.scale": jnp.ones((2, 3))}
    draws = regression.draw(jax.random.key(0), scales, Y, 0.1 * jnp.ones((2, 3)))
    expected = draws["intercept"][..., None] + simple.effects[0].curve(draws)(Z)
    np.testing.assert_allclose(simple.linear_predictor(draws), expected, atol=1e-5)


OUTSIDE = np.array([-1.0, 0.5, 2.0])


@pytest.mark.parametrize(
    "rule", [ns.extrapolation.Linear(), ns.extrapolation.Constant(), ns.extrapolation.NaN()]
)
def test_beyond_the_domain_the_extrapolation_speaks(rule):
    basis = ns.BSplineBasis(ns.knots.uniform(0.0, 1.0, 6), extrapolation=rule)
    f = ns.SplineEffect("f", basis, measure=X)
    eta = ns.AdditivePredictor((f, X), intercept=dist.Normal())
    new = eta.at({"f": OUTSIDE})
    draws = {"f.coefficients": RNG.normal(size=(5, 8)), "intercept": np.ones(5)}
    expected = 1.0 + f.curve(draws)(OUTSIDE)
    np.testing.assert_allclose(new.linear_predictor(draws), expected, rtol=1e-5)
    design = new.design() @ new.local_matrix
    if isinstance(rule, ns.extrapolation.NaN):
        np.testing.assert_array_equal(np.isnan(design).any(1), [True, False, True])
        with pytest.raises(ValueError, match="must be defined at all rows to be fitted"):
            IntegratedGaussian(new)
    else:
        assert np.isfinite(design).all()


def test_a_predictor_at_new_rows_crosses_jit():
    new = ETA.at(**rows(np.arange(7)))
    leaves, tree = jax.tree.flatten(new)
    again = jax.tree.unflatten(tree, leaves)
    coefficients = jnp.asarray(RNG.normal(size=new.num_coefficients), jnp.result_type(float))
    expected = new.evaluate(coefficients)
    np.testing.assert_allclose(
        jax.jit(lambda p, c: p.evaluate(c))(again, coefficients), expected, atol=1e-5
    )
    shifted = new.linear_predictor(new.sites(coefficients))
    np.testing.assert_allclose(shifted, expected + new.offset, atol=1e-5)
    compiled = jax.jit(lambda p, d: p.linear_predictor(d))(new, DRAWS)
    np.testing.assert_allclose(compiled, new.linear_predictor(DRAWS), atol=1e-5)


# A known mean of the curve, and a scale of its linear part.


def test_a_known_mean_is_an_offset(x64):
    curve = ns.SmoothnessPrior(mean=lambda x: x**2)
    f = ns.SplineEffect("f", BASIS, curve, measure=X)
    plain = ns.SplineEffect("f", BASIS, measure=X)
    level = dist.Normal(0.0, 5.0)
    mean = np.asarray(BASIS.curve(f.smooth.mean)(X))
    np.testing.assert_allclose(mean, X**2 - np.mean(X**2), atol=1e-12)
    own = ns.AdditivePredictor((f, X), intercept=level, by={"f": V})
    known = ns.AdditivePredictor((plain, X), intercept=level, by={"f": V}, offset=V * mean)
    np.testing.assert_allclose(own.offset, known.offset, atol=1e-12)
    np.testing.assert_allclose(own.local_matrix, known.local_matrix, atol=1e-12)
    densities = [
        MarginalGaussian(IntegratedGaussian(eta), 0.2, [0.7]).log_prob(Y) for eta in (own, known)
    ]
    np.testing.assert_allclose(densities[0], densities[1], rtol=1e-10)
    fits = [penalized_fit(eta, Y) for eta in (own, known)]
    np.testing.assert_allclose(fits[0].linear_predictor, fits[1].linear_predictor, rtol=1e-8)
    fitted = own.linear_predictor(fits[0].values)
    np.testing.assert_allclose(fitted, fits[0].linear_predictor, rtol=1e-8)


def test_a_scale_of_the_linear_part_is_integrated_out_like_others(x64):
    f = ns.SplineEffect(
        "f", BASIS, ns.SmoothnessPrior(linear_scale=dist.HalfNormal(1.0)), measure=X
    )
    eta = ns.AdditivePredictor((f, X), intercept=dist.Normal(0.0, 2.0))
    assert eta.scale_sites == ("f.scale", "f.linear_scale")
    tau, beta, sigma = 0.7, 0.3, 0.4

    def given(y):
        numpyro.sample("y", IntegratedGaussian(eta).distribution(sigma), obs=y)

    scales = {"f.scale": tau, "f.linear_scale": beta}
    joint, _ = log_density(given, (Y,), {}, scales)
    priors = sum(dist.HalfNormal(1.0).log_prob(s) for s in (tau, beta))
    design = eta.design() @ eta.local_matrix
    variance = np.concatenate([[4.0], [beta**2], np.full(f.smooth.num_modes, tau**2)])
    covariance = (design * variance) @ design.T + sigma**2 * np.eye(N)
    expected = dist.MultivariateNormal(jnp.zeros(N), covariance).log_prob(Y)
    np.testing.assert_allclose(joint - priors, expected, rtol=1e-9)


def test_a_scale_of_the_linear_part_is_fitted_and_starts_the_model(x64):
    f = ETA.effects[0]
    first = penalized_fit(ns.AdditivePredictor((f, X), intercept=dist.Normal()), Y)
    assert set(first.log_scale_variances) == {"f.scale", "f.linear_scale", "sigma"}
    eta = first.adapted(first.predictor)
    fit = penalized_fit(eta, Y)
    np.testing.assert_allclose(fit.linear_predictor, first.linear_predictor, atol=1e-6)
    # What the data say of the linear part once its prior at the estimated scale is taken off.
    linear = eta.effects[0].smooth.linear_coordinates
    precision = 1.0 / first.covariance[1, 1] - first.values["f.linear_scale"] ** -2.0
    np.testing.assert_allclose(linear.information, [precision], rtol=1e-6)
    values = fit.initial_values()
    seeded = numpyro.handlers.seed(model, 0)
    trace = numpyro.handlers.trace(numpyro.handlers.substitute(seeded, values)).get_trace(eta, Y)
    sampled = {k for k, v in trace.items() if v["type"] == "sample" and not v["is_observed"]}
    assert {names[0] for names in fit.inverse_mass_matrix()} == sampled
    np.testing.assert_allclose(trace["f.linear"]["value"], fit.values["f.linear"], rtol=1e-6)
    np.testing.assert_allclose(trace["eta"]["value"], fit.linear_predictor, rtol=1e-6)
    # The first fit knows the new coordinates if it is told of them.
    moved = first.initial_values(eta)
    trace = numpyro.handlers.trace(numpyro.handlers.substitute(seeded, moved)).get_trace(eta, Y)
    np.testing.assert_allclose(trace["eta"]["value"], first.linear_predictor, rtol=1e-6)
    matrix, own = first.inverse_mass_matrix(predictor=eta), fit.inverse_mass_matrix()
    for name, variance in matrix.items():
        np.testing.assert_allclose(variance, own[name], rtol=1e-3)
    with pytest.raises(ValueError, match="`predictor` must be the predictor that was fitted"):
        first.initial_values(ETA)


def test_the_scale_of_the_linear_part_has_its_slope(x64):
    theta = Theta(ETA)
    at = np.linspace(-1.0, 0.5, theta.size)
    step = 1e-5 * np.eye(theta.size)
    logs = [[-np.log(theta.precisions(at + s)) for s in (h, -h)] for h in step]
    expected = np.array([(up - down) / 2e-5 for up, down in logs])
    np.testing.assert_allclose(theta.slopes(at), expected, atol=1e-8)


# Responses.


def skewed(exposure=1.0):
    """exp(eta) times errors."""
    return Elementwise(
        lambda eta, spread: dist.LogNormal(eta + jnp.log(exposure), spread),
        {"spread": 1.0},
        inverse_link=lambda eta, **_: jnp.exp(eta),
    )


def test_responses_are_on_their_scale():
    eta = np.asarray(ETA.linear_predictor(DRAWS))
    np.testing.assert_allclose(ETA.response(DRAWS, skewed()), np.exp(eta), rtol=1e-5)
    tight = {**DRAWS, "spread": jnp.full((2, 3), 1e-6)}
    drawn = ETA.predict(jax.random.key(0), tight, skewed(np.full(N, 2.0)))
    np.testing.assert_allclose(drawn, 2.0 * np.exp(eta), rtol=1e-4)
    given = ETA.predict(jax.random.key(0), DRAWS, skewed(), spread=0.5 * jnp.ones((2, 3)))
    # Errors of all draws and rows are independent and normal.
    errors = (np.log(given) - eta) / 0.5
    assert abs(errors.mean()) < 4.0 / np.sqrt(errors.size)
    assert abs(errors.std() - 1.0) < 4.0 / np.sqrt(2 * errors.size)


# Factors.

R_SUM = np.array([[1.0, 0, 0], [0, 1, 0], [0, 0, 1], [-1, -1, -1]])  # contr.sum(4)
R_TREATMENT = np.array([[1.0, 0, 0], [0, 0, 0], [0, 1, 0], [0, 0, 1]])  # contr.treatment(4, 2)
R_HELMERT = np.array([[-1.0, -1, -1], [1, -1, -1], [0, 2, -1], [0, 0, 3]])  # contr.helmert(4)


def test_contrasts_are_those_of_r():
    labels = list("abcd")
    np.testing.assert_array_equal(Treatment(labels, "b").matrix, R_TREATMENT)
    own = SumToZero(labels).matrix
    # Helmert's columns, in sizes of their own; what they span is what the columns of contr.sum do.
    sizes = np.linalg.norm(R_HELMERT, axis=0) * np.sqrt(3 / 4)
    np.testing.assert_allclose(own, R_HELMERT / sizes)
    np.testing.assert_allclose(own @ np.linalg.lstsq(own, R_SUM)[0], R_SUM, atol=1e-14)
    means = RNG.normal(size=4)
    average = means - means.mean()
    np.testing.assert_allclose(
        SumToZero(labels).values(np.linalg.lstsq(own, average)[0]), average, atol=1e-14
    )
    np.testing.assert_allclose(R_SUM @ np.linalg.lstsq(R_SUM, average)[0], average, atol=1e-14)


def test_every_level_has_the_same_prior_about_the_average():
    """Variance one of each level, equal covariances: the order of the levels changes nothing."""
    for num in (2, 3, 7):
        matrix = SumToZero(np.arange(num)).matrix
        expected = (num * np.eye(num) - 1.0) / (num - 1.0)
        np.testing.assert_allclose(matrix @ matrix.T, expected, atol=1e-14)
        np.testing.assert_allclose(matrix.sum(0), 0.0, atol=1e-14)


@pytest.mark.parametrize("kind", [Treatment, SumToZero])
def test_flat_factors_are_group_means(kind):
    """With flat priors the fit of a factor alone has the averages of its levels."""
    flat = dist.ImproperUniform(dist.constraints.real, (), ())
    terms = {"dose": (kind(DOSE), flat)}
    fit = penalized_fit(ns.AdditivePredictor(intercept=flat, linear=terms), Y)
    factor = terms["dose"][0]
    own = fit.values["intercept"] + factor.values(fit.values["dose"])
    expected = [Y[level == DOSE].mean() for level in factor.levels]
    np.testing.assert_allclose(own, expected, rtol=1e-10)


REFUSED = {
    "no_mapping": (lambda: ETA.at(X), TypeError, "`rows` must be a mapping from names of terms"),
    "missing": (
        lambda: ETA.at({k: v for k, v in rows([0])["rows"].items() if k not in ("f", "v")}),
        ValueError,
        r"`rows` must have the data of \['f', 'g', .*got none of \['f', 'v'\]",
    ),
    "unknown_term": (
        lambda: ETA.at({**rows([0])["rows"], "q": X}),
        ValueError,
        r"`rows` must name terms of the predictor.*got \['q'\]",
    ),
    "unknown_label": (
        lambda: ETA.at(**{**rows([0]), "rows": {**rows([0])["rows"], "dose": ["huge"]}}),
        ValueError,
        "`dose` must hold levels that are known, 'high', 'low', 'none'; got 'huge'",
    ),
    "unknown_group": (
        lambda: ETA.at(**{**rows([0]), "rows": {**rows([0])["rows"], "h": ([0.1], ["q"])}}),
        ValueError,
        "`sex of h` must hold levels that are known, 'f', 'm'; got 'q'",
    ),
    "columns": (
        lambda: ETA.at(**{**rows([0]), "rows": {**rows([0])["rows"], "two": [[1.0]]}}),
        ValueError,
        r"`two` must have 2 column\(s\), one for each coefficient of the term; got 1",
    ),
    "lengths": (
        lambda: ETA.at(**{**rows([0]), "rows": {**rows([0])["rows"], "v": [1.0, 2.0]}}),
        ValueError,
        r"one number of observations; got \[1, 2\]",
    ),
    "offset_missing": (
        lambda: ETA.at(**{**rows([0]), "offset": None}),
        ValueError,
        "`offset` must be given at new rows where the predictor has one.*got none",
    ),
    "offset_length": (
        lambda: ETA.at(**{**rows([0]), "offset": [1.0, 2.0]}),
        ValueError,
        r"`offset` must hold one number for each of the 1 observations; got shape \(2,\)",
    ),
    "by_missing": (
        lambda: ETA.at(**{**rows([0]), "by": None}),
        ValueError,
        r"`by` must have the numbers that multiply \['g'\]",
    ),
    "by_labels": (
        lambda: ns.AdditivePredictor((ETA.effects[0], X), intercept=None, by={"f": SEX}),
        TypeError,
        r"`by\['f'\]` must hold numbers; got labels.*GroupMargin",
    ),
    "linear_labels": (
        lambda: ns.AdditivePredictor(intercept=None, linear={"sex": (SEX, dist.Normal())}),
        TypeError,
        r"`linear\['sex'\]` must hold numbers; got labels.*regression.Treatment",
    ),
    "unbound": (
        lambda: ns.AdditivePredictor(intercept=None, linear={"s": (Treatment(), dist.Normal())}),
        ValueError,
        r"`labels` must be given, one for each observation: Treatment\(labels\)",
    ),
    "reference": (
        lambda: Treatment(DOSE, "nothing"),
        ValueError,
        r"`reference` must be one of the levels \('high', 'low', 'none'\); got 'nothing'",
    ),
    "one_level": (
        lambda: SumToZero(["a", "a"]),
        ValueError,
        r"`labels` must have two levels or more; got \('a',\)",
    ),
    "labels_shape": (
        lambda: SumToZero([["a", "b"]]),
        ValueError,
        r"`labels` must hold one label for each observation; got shape \(1, 2\)",
    ),
    "names": (
        lambda: ns.AdditivePredictor(
            (ETA.effects[0], X), intercept=None, linear={"f": (V, dist.Normal())}
        ),
        ValueError,
        "Names of effects and `linear` terms must differ",
    ),
    "name_of_the_offset": (
        lambda: ns.AdditivePredictor(intercept=None, linear={"offset": (V, dist.Normal())}),
        ValueError,
        "from each other and from 'offset'",
    ),
    "no_parameter": (
        lambda: ETA.predict(jax.random.key(0), DRAWS, skewed()),
        KeyError,
        r"`draws` must hold the parameters of Elementwise; \['spread'\] are missing",
    ),
    "family_of_other_rows": (
        lambda: ETA.predict(jax.random.key(0), DRAWS, skewed(np.ones(3)), spread=1.0),
        ValueError,
        r"`family` must fit the 40 rows of the predictor.*exposures",
    ),
    "family_of_many_rows_at_one": (
        lambda: ETA.at(**rows([0])).predict(
            jax.random.key(0), DRAWS, skewed(np.ones(N)), spread=1.0
        ),
        ValueError,
        r"`family` must fit the 1 rows of the predictor",
    ),
    "sizes": (
        lambda: ETA.linear_predictor({**DRAWS, "two": jnp.ones((2, 3, 4))}),
        ValueError,
        r"`draws\['two'\]` must have 2 coefficients on its last axis; got shape \(2, 3, 4\)",
    ),
    "leading_axes": (
        lambda: ETA.linear_predictor({**DRAWS, "v": jnp.ones(3)}),
        ValueError,
        "`draws` must have common leading axes; got",
    ),
}


@pytest.mark.parametrize("name", list(REFUSED))
def test_bad_input_is_refused_clearly(name):
    call, error, match = REFUSED[name]
    with pytest.raises(error, match=match):
        call()


def test_terms_at_some_rows():
    """The same draw, rows by an index that is traced, as in a minibatch."""
    index = np.array([3, 0, 39, 3])
    with numpyro.handlers.seed(rng_seed=1):
        whole = ETA.sample()
    with numpyro.handlers.seed(rng_seed=1):
        terms = ETA.sample_terms()
    some = jax.jit(lambda i: terms(i))(index)
    np.testing.assert_allclose(some, whole[index], rtol=1e-5, atol=1e-5)
    np.testing.assert_array_equal(terms(), whole)


def test_minibatches_scale_the_likelihood():
    """The mean of the subsampled log density over all rows in turn is that of the whole."""

    def subsampled(size):
        terms = ETA.sample_terms()
        with numpyro.plate("rows", N, subsample_size=size) as i:
            numpyro.sample("y", dist.Normal(terms(i), 0.3), obs=jnp.asarray(Y)[i])

    def density(rows):
        own = numpyro.handlers.substitute(subsampled, {"rows": rows})
        return log_density(own, (len(rows),), {}, sites)[0]

    with numpyro.handlers.seed(rng_seed=0):
        trace = numpyro.handlers.trace(subsampled).get_trace(N)
    sites = {k: v["value"] for k, v in trace.items() if v["type"] == "sample" and k != "y"}
    whole, *parts = map(jax.jit(density), (jnp.arange(N), *jnp.arange(N).reshape(4, 10)))
    np.testing.assert_allclose(np.mean(parts), whole, rtol=1e-5)


def test_sums_of_products_keep_their_digits():
    """A surface whose margins have wide and narrow cells: powers in place of Legendre's polynomials
    lose five digits."""
    rng = np.random.default_rng(3)
    data = {"east": rng.normal(size=500), "north": rng.standard_t(3.0, 500)}
    eta = ns.AdditivePredictor.from_frame(data, ("east", "north"), intercept=dist.Normal())
    dense = eta.design() @ eta.local_matrix
    exact = dense.T @ dense
    np.testing.assert_allclose(eta.gram(np.ones(500)), exact, atol=1e-13 * np.abs(exact).max())
