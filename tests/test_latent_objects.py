"""What is known of inputs as objects: in plates and scopes, validation data, any law of errors."""

import pickle

import jax
import jax.numpy as jnp
import numpy as np
import numpyro
import numpyro.distributions as dist
import pytest
import scipy.special
import scipy.stats
from numpyro.infer.util import log_density

import numpyro_splines as ns

POPULATION = dist.Normal(1.5, 1.2)
W = np.array([1.0, 2.0, np.nan, 2.9])
Y = np.array([0.3, 1.2, 0.5, 1.0])
NODES, WEIGHTS = np.polynomial.legendre.leggauss(400)
GRID, WEIGHTS = 1.5 + 9.0 * NODES, 9.0 * WEIGHTS


def given(x):
    return dist.Normal(jnp.sin(x), 0.6)


def y_density(x):
    """p(y_i | x) at each x of the grid, shape (n, grid)."""
    return scipy.stats.norm(np.sin(x), 0.6).pdf(Y[:, None])


DATA = {
    "measured": ns.latent.Measured(W, 0.3),
    "replicates": ns.latent.Measured(np.stack([W, W + 0.1], 1), 0.3, truth=[1.1, *[np.nan] * 3]),
    "missing": ns.latent.Missing(W),
    "coarse": ns.latent.Coarse(W - 0.5, W + 0.5),
    "berkson": ns.latent.Berkson(np.nan_to_num(W, nan=2.5), 0.3),
}


def response_of(data, integrated):
    population = () if isinstance(data, ns.latent.Berkson) else (POPULATION,)
    if integrated:
        return data.integrate("x", *population, response=given)
    return given(data.sample("x", *population))


def model(data, integrated):
    numpyro.sample("y", response_of(data, integrated), obs=Y)


def in_plate(data, integrated):
    with numpyro.plate("rows", 4):
        model(data, integrated)


def in_outer_plate(data, integrated):
    """A plate of another size, at the place where the rows would be: around the input alone."""
    with numpyro.plate("studies", 7):
        y_given = response_of(data, integrated)
    numpyro.sample("y", y_given, obs=Y)


def in_scope(data, integrated):
    with numpyro.handlers.scope(prefix="a"):
        in_plate(data, integrated)


@pytest.mark.parametrize("integrated", [False, True])
@pytest.mark.parametrize("name", list(DATA))
def test_plates_and_scopes_around_change_nothing(name, integrated, x64):
    data = DATA[name]

    @jax.jit
    def densities(u):
        found = []
        for variant in (model, in_plate, in_outer_plate, in_scope):
            prefix = "a/" if variant is in_scope else ""
            with numpyro.handlers.block(), numpyro.handlers.trace() as trace:
                numpyro.handlers.seed(variant, 0)(data, integrated)
            sites = {
                name: u * jnp.ones(jnp.shape(site["value"]))
                for name, site in trace.items()
                if site["type"] == "sample" and not site["is_observed"]
            }
            assert all(name.startswith(prefix) for name in sites)
            found.append(log_density(variant, (data, integrated), {}, sites)[0])
        return jnp.stack(found)

    found = np.asarray(densities(0.3))
    np.testing.assert_allclose(found, found[0], rtol=1e-12)


def test_objects_survive_pickling_and_say_what_they_are():
    again = pickle.loads(pickle.dumps(DATA["replicates"]))
    np.testing.assert_array_equal(again.knots(5), DATA["replicates"].knots(5))
    assert repr(again) == "Measured(4 rows, 1 of them known)"
    assert repr(ns.latent.Misclassified([0, -1], 2)) == "Misclassified(2 rows, 1 of them labeled)"


def parts(data, integrated, **options):
    """log densities of the observed sites, by name."""

    @jax.jit
    def run(u):
        def call():
            if integrated:
                y_given = data.integrate("x", POPULATION, response=given, **options)
            else:
                x = data.sample("x", POPULATION, **options)
                y_given = given(x)
            numpyro.sample("y", y_given, obs=Y)

        substituted = numpyro.handlers.substitute(call, data={"x.standardized": u})
        trace = numpyro.handlers.trace(numpyro.handlers.seed(substituted, 0)).get_trace()
        found = {
            name: site["fn"].log_prob(site["value"]).sum()
            for name, site in trace.items()
            if site["type"] == "sample" and site["is_observed"]
        }
        return found, trace["x"]["value"] if "x" in trace else None

    unknown = int(np.isnan(data.known).sum())
    found, x = run(0.3 * np.ones(unknown))
    return {name: float(value) for name, value in found.items()}, x


def integrals(log_error):
    """log p(w) and log p(y | w) from a fine rule; `log_error(x)` is log p(w_i | x), (n, grid)."""
    prior = scipy.stats.norm(1.5, 1.2).pdf(GRID) * WEIGHTS
    before = (prior * np.exp(log_error)).sum(axis=1)
    after = (prior * np.exp(log_error) * y_density(GRID)).sum(axis=1)
    return np.log(before), np.log(after / before)


LAWS = {
    "larger_for_larger_x": (
        lambda x: dist.Normal(x, 0.2 + 0.1 * abs(x)),
        lambda x, w: scipy.stats.norm(x, 0.2 + 0.1 * abs(x)).logpdf(w),
    ),
    # Differential: what was measured depends on the response.
    "biased_and_differential": (
        lambda x: dist.Normal(0.2 + 0.8 * x + 0.3 * jnp.asarray(Y), 0.4),
        lambda x, w: scipy.stats.norm(0.2 + 0.8 * x + 0.3 * Y[:, None], 0.4).logpdf(w),
    ),
    "long_tailed": (
        lambda x: dist.StudentT(4.0, x, 0.4),
        lambda x, w: scipy.stats.t(4.0, x, 0.4).logpdf(w),
    ),
}


@pytest.mark.parametrize("name", list(LAWS))
def test_measurements_may_have_any_law(name, x64):
    law, log_law = LAWS[name]
    data, rule = ns.latent.Measured(W, 0.4), ns.latent.Quadrature(128, half_width=16.0)
    seen = ~np.isnan(W)
    found, x = parts(data, False, measurement=law)
    each = log_law(np.broadcast_to(np.asarray(x)[:, None], (4, 1)), W[:, None])[:, 0]
    np.testing.assert_allclose(found["x.observed"], each[seen].sum(), rtol=1e-10)
    found, _ = parts(data, True, measurement=law, quadrature=rule)
    log_error = np.nan_to_num(log_law(np.broadcast_to(GRID, (4, 400)), W[:, None]))
    before, after = integrals(log_error)
    np.testing.assert_allclose(found["x.observed"], before[seen].sum(), atol=1e-5)
    np.testing.assert_allclose(found["y"], after.sum(), atol=1e-5)


def test_validation_data_tell_how_measurements_err(x64):
    """Rows whose truth is known are no sites, and their measurements count."""
    truth = np.array([np.nan, 1.8, np.nan, np.nan])
    data = ns.latent.Measured(W, truth=truth)
    found, x = parts(data, False, error_sd=0.4)
    x = np.asarray(x)
    assert x[1] == 1.8
    seen = ~np.isnan(W)
    error = scipy.stats.norm(x[seen], 0.4).logpdf(W[seen]).sum()
    np.testing.assert_allclose(found["x.observed"], error, rtol=1e-10)
    np.testing.assert_allclose(found["x.known"], scipy.stats.norm(1.5, 1.2).logpdf(1.8), rtol=1e-12)
    found, _ = parts(data, True, error_sd=0.4)
    log_error = np.nan_to_num(scipy.stats.norm(GRID, 0.4).logpdf(W[:, None]))
    before, after = integrals(log_error)
    before[1] = scipy.stats.norm(1.8, 0.4).logpdf(2.0)
    after[1] = scipy.stats.norm(np.sin(1.8), 0.6).logpdf(1.2)
    np.testing.assert_allclose(found["x.observed"], before[seen].sum(), atol=1e-7)
    np.testing.assert_allclose(found["y"], after.sum(), atol=1e-7)


def test_integrated_measurements_are_drawn_around_known_inputs():
    data = ns.latent.Measured([1.0, 2.0], truth=[5.0, np.nan])

    @jax.jit
    def drawn(key):
        with numpyro.handlers.seed(rng_seed=0), numpyro.handlers.trace() as trace:
            data.integrate("x", POPULATION, response=given, error_sd=0.1)
        return trace["x.observed"]["fn"].sample(key, (2000,))

    draws = np.asarray(drawn(jax.random.key(0)))
    # 4.5 standard errors of a mean: a false alarm in 1.4e-5 of all seeds.
    assert abs(draws[:, 0].mean() - 5.0) < 4.5 * 0.1 / 2000**0.5
    assert abs(draws[:, 1].mean() - 1.5) < 4.5 * np.hypot(1.2, 0.1) / 2000**0.5


def test_correlated_errors_of_two_inputs(x64):
    """The recipe of the docstring is the bivariate normal distribution of both errors."""
    w, v, correlation = np.array([1.0, 2.0, 2.9]), np.array([0.5, 0.4, 1.0]), 0.7
    sd_x, sd_z = 0.3, 0.5
    data_x, data_z = ns.latent.Measured(w, sd_x), ns.latent.Measured(v, sd_z)

    @jax.jit
    def run(u):
        def call():
            x = data_x.sample("x", POPULATION)
            shift = correlation * sd_z / sd_x * (w - x)
            sd = sd_z * (1.0 - correlation**2) ** 0.5
            data_z.sample("z", dist.Normal(), measurement=lambda z: dist.Normal(z + shift, sd))

        sites = {"x.standardized": u, "z.standardized": -u}
        substituted = numpyro.handlers.substitute(numpyro.handlers.seed(call, 0), data=sites)
        trace = numpyro.handlers.trace(substituted).get_trace()
        density = sum(
            trace[name]["fn"].log_prob(trace[name]["value"]).sum()
            for name in ("x.observed", "z.observed")
        )
        return density, trace["x"]["value"], trace["z"]["value"]

    density, x, z = (np.asarray(part) for part in run(np.array([0.2, -0.1, 0.4])))
    covariance = correlation * sd_x * sd_z
    law = scipy.stats.multivariate_normal(
        [0.0, 0.0], [[sd_x**2, covariance], [covariance, sd_z**2]]
    )
    np.testing.assert_allclose(density, law.logpdf(np.stack([w - x, v - z], -1)).sum(), rtol=1e-10)


def test_berkson_errors_may_have_any_law(x64):
    assigned = np.array([0.5, 1.0, 2.0, 3.0])
    data, errors = ns.latent.Berkson(assigned), dist.StudentT(5.0, 0.1, 0.3)

    @jax.jit
    def both(u):
        def sampled():
            return data.sample("x", errors)

        substituted = numpyro.handlers.substitute(sampled, data={"x.standardized": u})
        rule = ns.latent.Quadrature(200)
        integrated = data.integrate("x", errors, rule, response=given)
        x = numpyro.handlers.seed(substituted, 0)()
        density = log_density(sampled, (), {}, {"x.standardized": u})[0]
        return density, x, integrated.log_prob(Y)

    density, x, found = (np.asarray(part) for part in both(np.array([0.2, -0.3, 0.0, 1.0])))
    # A step of one in u is the size of the errors.
    spread = (x[3] - assigned[3]) / 1.0
    log_law = scipy.stats.t(5.0, 0.1, 0.3).logpdf
    expected = log_law(x - assigned).sum() + 4 * np.log(spread)
    np.testing.assert_allclose(density, expected, rtol=1e-9)
    e = 40.0 * np.sinh(8.0 * NODES) / np.sinh(8.0)
    weight = np.polynomial.legendre.leggauss(400)[1] * 320.0 * np.cosh(8.0 * NODES) / np.sinh(8.0)
    likelihood = scipy.stats.norm(np.sin(assigned[:, None] + e), 0.6).pdf(Y[:, None])
    right = np.log((np.exp(log_law(e)) * weight * likelihood).sum(axis=1))
    np.testing.assert_allclose(found, right, atol=1e-4)


CONFUSION = np.array([[0.8, 0.15, 0.05], [0.1, 0.8, 0.1], [0.0, 0.3, 0.7]])
SHARES, MEANS = np.array([0.5, 0.2, 0.3]), np.array([0.0, 1.0, 3.0])


def joint_of_groups(labels, y):
    """log p(group, label, y), shape (group, n), SHARES and CONFUSION."""
    with np.errstate(divide="ignore"):
        label = np.where(labels < 0, 0.0, np.log(CONFUSION[:, np.maximum(labels, 0)]))
        return np.log(SHARES)[:, None] + label + scipy.stats.norm(MEANS[:, None], 0.5).logpdf(y)


def test_groups_are_summed_out_exactly(x64):
    labels, y = np.array([0, 2, -1, 1]), np.array([0.2, 0.9, 2.8, 1.0])
    data = ns.latent.Misclassified(labels, 3)

    def model(confusion):
        numpyro.sample("unused", dist.Normal())
        shares = dist.Categorical(probs=jnp.asarray(SHARES))
        y_given = data.integrate(
            "g", shares, response=lambda g: dist.Normal(jnp.asarray(MEANS)[g], 0.5),
            confusion=confusion,
        )  # fmt: skip
        numpyro.sample("y", y_given, obs=jnp.asarray(y))

    density = jax.jit(
        jax.value_and_grad(lambda c: log_density(model, (c,), {}, {"unused": 0.0})[0])
    )
    value, slope = density(jnp.asarray(CONFUSION))
    joint = joint_of_groups(labels, y)
    expected = scipy.special.logsumexp(joint, axis=0).sum() + scipy.stats.norm.logpdf(0.0)
    np.testing.assert_allclose(value, expected, rtol=1e-12)
    assert np.isfinite(slope[CONFUSION > 0.0]).all()
    draws = ns.latent.draw_inputs(
        jax.random.key(0), model, {"unused": np.zeros((1, 4000))}, CONFUSION
    )["g"][0]
    share = (np.asarray(draws)[..., None] == np.arange(3)).mean(axis=0).T
    right = scipy.special.softmax(joint, axis=0)
    # 12 shares of 4000 draws, 4.5 standard errors: a false alarm in 8e-5 of all seeds.
    assert (abs(share - right) <= 4.5 * np.sqrt(right * (1.0 - right) / 4000)).all()


def test_labels_without_errors_are_the_groups(x64):
    data = ns.latent.Misclassified([1.0, np.nan], 3)

    @jax.jit
    def density(y):
        y_given = numpyro.handlers.seed(data.integrate, 0)(
            "g",
            dist.Categorical(probs=jnp.asarray(SHARES)),
            response=lambda g: dist.Normal(jnp.asarray(MEANS)[g], 0.5),
        )
        return y_given.log_prob(y)

    found = density(jnp.array([1.1, 1.1]))
    each = scipy.stats.norm(MEANS, 0.5).logpdf(1.1)
    np.testing.assert_allclose(found, [each[1], np.log(SHARES @ np.exp(each))], rtol=1e-12)


def test_new_rows_are_drawn_given_what_was_measured_of_them():
    """y and x of new rows, given new measurements: conjugate, two tests of two rows at 1e-4."""
    population, error, slope, noise = dist.Normal(1.5, 1.2), 0.5, 2.0, 0.3

    def line(data, y=None):
        level = numpyro.sample("level", dist.Normal())
        y_given = data.integrate(
            "x", population, response=lambda x: dist.Normal(level + slope * x, noise)
        )
        numpyro.sample("y", y_given, obs=y)

    new = ns.latent.Measured([0.5, np.nan], error)
    draws = {"level": np.full(3000, 0.7)}
    y = numpyro.infer.Predictive(line, draws)(jax.random.key(0), new)["y"]
    x = ns.latent.draw_inputs(jax.random.key(1), line, draws, new)["x"]
    share = 1.2**2 / (1.2**2 + error**2)
    mean = np.array([1.5 + share * (0.5 - 1.5), 1.5])
    variance = 1.2**2 * np.array([1.0 - share, 1.0])
    for i in range(2):
        law = scipy.stats.norm(mean[i], variance[i] ** 0.5)
        assert scipy.stats.kstest(np.asarray(x)[:, i], law.cdf).pvalue > 1e-4
        law = scipy.stats.norm(0.7 + slope * mean[i], np.hypot(slope * variance[i] ** 0.5, noise))
        assert scipy.stats.kstest(np.asarray(y)[:, i], law.cdf).pvalue > 1e-4


@pytest.mark.parametrize("means", [1.5, np.array([1.5, 0.0, 2.0, 3.0])], ids=["one", "by_row"])
def test_normal_populations_need_no_evaluation_at_nodes(means, x64):
    """The closed form and its gradients are those of the nodes of another spelling of the law."""
    w = np.nan_to_num(W, nan=2.5)
    data = ns.latent.Measured(np.stack([w, w + 0.3], axis=1))

    class Bell(dist.Distribution):
        """A normal distribution that does not say so."""

        support = dist.constraints.real

        def __init__(self, law):
            self.law, self.mean_, self.variance_ = law, law.mean, law.variance
            super().__init__(law.batch_shape, ())

        mean = property(lambda self: self.mean_)
        variance = property(lambda self: self.variance_)

        def log_prob(self, value):
            return self.law.log_prob(value)

    def density(parameters, wrap):
        def call():
            shift, sd, error = parameters
            population = wrap(dist.Normal(means + shift, sd))
            rule = ns.latent.Quadrature(160)
            y_given = data.integrate("x", population, rule, response=given, error_sd=error)
            numpyro.sample("y", y_given, obs=Y)

        return log_density(call, (), {}, {})[0]

    at = np.array([0.1, 1.2, 0.4])
    both = jax.jit(
        lambda at: [jax.value_and_grad(density)(at, wrap) for wrap in (lambda law: law, Bell)]
    )
    (value, slope), (other, other_slope) = both(at)
    np.testing.assert_allclose(value, other, rtol=1e-9)
    np.testing.assert_allclose(slope, other_slope, rtol=1e-7)


@pytest.mark.parametrize(
    ("a", "b", "sd"),
    [(0.0, -1.0, 0.3), (0.0, 0.1, 0.05), (10.0, 1.0, 0.3), (100.0, 1.0, 0.3), (0.0, 10.0, 1.0)],
)
def test_nodes_are_where_a_law_of_measurements_puts_x(a, b, sd, x64):
    """Measurements in other units, biased or reversed: w = a + b x + error, conjugate."""
    rng = np.random.default_rng(3)
    w = a + b * rng.normal(size=4) + sd * rng.normal(size=4)
    data, y = ns.latent.Measured(w, sd), np.array([0.3, -0.2, 1.0, 0.0])

    @jax.jit
    def density(shift):
        def call():
            given = data.integrate(
                "x",
                dist.Normal(shift, 1.0),
                response=lambda x: dist.Normal(x, 0.5),
                measurement=lambda x: dist.Normal(a + b * x, sd),
            )
            numpyro.sample("y", given, obs=y)

        return log_density(call, (), {}, {})[0]

    covariance = np.array([[b**2 + sd**2, b], [b, 1.25]])
    law = scipy.stats.multivariate_normal([a, 0.0], covariance)
    expected = law.logpdf(np.stack([w, y], axis=-1)).sum()
    np.testing.assert_allclose(density(0.0), expected, atol=1e-6)


@pytest.mark.parametrize("end", [1.0, 1.1])
def test_intervals_are_cut_to_a_support_whose_end_is_random(end, x64):
    """x between 0.3 and 5 in Uniform(0, end), y ~ Normal(x, 1) at 0; value and derivative."""
    data = ns.latent.Coarse([0.3], [5.0])

    def density(end):
        def call():
            given = data.integrate(
                "x", dist.Uniform(0.0, end), response=lambda x: dist.Normal(x, 1.0)
            )
            numpyro.sample("y", given, obs=np.zeros(1))

        return log_density(call, (), {}, {})[0]

    value, slope = jax.jit(jax.value_and_grad(density))(end)
    mass = scipy.stats.norm.cdf(end) - scipy.stats.norm.cdf(0.3)
    np.testing.assert_allclose(value, np.log(mass / end), atol=1e-6)
    expected = scipy.stats.norm.pdf(end) / mass - 1.0 / end
    np.testing.assert_allclose(slope, expected, atol=1e-5)


def test_wide_intervals_are_resolved_or_reported():
    far = dist.MixtureSameFamily(
        dist.Categorical(probs=np.array([0.5, 0.5])), dist.Normal(np.array([-3.0, 3.0]), 0.05)
    )
    data = ns.latent.Coarse([-50.0], [50.0])
    with (
        pytest.warns(UserWarning, match="does not resolve the population .* in the intervals of 1"),
        numpyro.handlers.seed(rng_seed=0),
    ):
        data.integrate("x", far, response=given)


def test_a_misclassified_group_of_a_surface_is_summed_over_with_a_random_confusion(x64):
    """A curve for each group, the label in the place of the group, and a matrix that is a site."""
    rng = np.random.default_rng(0)
    x, label = rng.uniform(size=12), rng.integers(2, size=12)
    y = rng.normal(size=12)
    margin = ns.CurveMargin(ns.BSplineBasis([0.0, 0.5, 1.0]), measure=x)
    effect = ns.TensorEffect("f", x=margin, g=ns.GroupMargin(label))
    groups = ns.latent.Misclassified(effect.margins["g"].index(label), 2)

    def model(y=None):
        rows = jnp.array([[8.0, 2.0], [3.0, 7.0]])
        confusion = numpyro.sample("confusion", dist.Dirichlet(rows).to_event(1))
        surface = effect.sample()
        curves = jnp.stack([surface(x, jnp.full(12, group)) for group in (0, 1)])
        numpyro.deterministic("curves", curves)
        law = groups.integrate(
            "g", dist.Categorical(probs=jnp.array([0.4, 0.6])), confusion=confusion,
            response=lambda g: dist.Normal(surface(x, g), 0.3),
        )  # fmt: skip
        numpyro.sample("y", law, obs=y)

    @jax.jit
    def run(key):
        trace = numpyro.handlers.trace(numpyro.handlers.seed(model, key)).get_trace(y)
        sites = {n: s["value"] for n, s in trace.items() if s["type"] != "plate"}
        density = sum(trace[n]["fn"].log_prob(trace[n]["value"]).sum() for n in ("y", "g.observed"))
        return sites, density

    sites, density = run(jax.random.key(0))
    joint = np.log([[0.4], [0.6]]) + np.log(sites["confusion"])[:, label]
    joint += scipy.stats.norm(sites["curves"], 0.3).logpdf(y)
    np.testing.assert_allclose(density, np.logaddexp(*joint).sum(), rtol=1e-9)
    names = ["confusion", *(name for name in sites if name.startswith("f."))]
    draws = {name: jnp.broadcast_to(sites[name], (200, *sites[name].shape)) for name in names}
    drawn = ns.latent.draw_inputs(jax.random.key(1), model, draws, y)["g"]
    share = np.exp(joint[1] - np.logaddexp(*joint))
    # Off by 5 standard errors in one of 12 rows: a false alarm in 7e-6 of all runs.
    assert np.all(abs(np.mean(drawn, axis=0) - share) <= 5 * np.sqrt(share * (1 - share) / 200))
