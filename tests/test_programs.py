"""How many programs are compiled: none to make things, one to evaluate them, few to start a model.

Counted by `jax.monitoring`; a program read from the cache on disk counts as well.
"""

import jax
import jax.monitoring
import jax.numpy as jnp
import numpy as np
import numpyro
import numpyro.distributions as dist
import pytest
from numpyro.infer.util import initialize_model

import numpyro_splines as ns

_COMPILED = "/jax/core/compile/backend_compile_duration"
_count = 0


def _listen(event, duration, **_):
    global _count
    _count += event == _COMPILED


jax.monitoring.register_event_duration_secs_listener(_listen)


def programs(function):
    """How many programs a call compiles beyond those that were compiled before in the process."""
    before = _count
    function()
    return _count - before


UNEVEN = np.array([-1.0, -0.7, 0.2, 0.25, 1.0, 3.0])
X = np.random.default_rng(0).uniform(-1.0, 3.0, 37)
BASES = {
    "bspline": lambda: ns.BSplineBasis(UNEVEN),
    "high_degree": lambda: ns.BSplineBasis(UNEVEN, degree=9),
    "bernstein": lambda: ns.BernsteinBasis(0.0, 1.0, degree=12),
    "natural": lambda: ns.NaturalBasis(UNEVEN),
    "cyclic": lambda: ns.CyclicBasis(UNEVEN),
    "regression": lambda: ns.CubicRegressionBasis(UNEVEN),
    "cyclic_regression": lambda: ns.CyclicCubicRegressionBasis(UNEVEN),
    "m_spline": lambda: ns.MSplineBasis(UNEVEN),
    "cyclic_m_spline": lambda: ns.CyclicMSplineBasis(UNEVEN),
    "i_spline": lambda: ns.ISplineBasis(UNEVEN),
    "c_spline": lambda: ns.CSplineBasis(UNEVEN),
}
CONSTRAINTS = {
    "zero_integral": ns.constraints.ZeroIntegral(),
    "zero_integral_data": ns.constraints.ZeroIntegral(X),
    "zero_mean": ns.constraints.ZeroMean(X),
    "zero_at": ns.constraints.ZeroAt([0.1, 0.9], 1),
    "zero_start": ns.constraints.ZeroStart(),
    "zero_end": ns.constraints.ZeroEnd(1),
    "clamped": ns.constraints.Clamped(),
    "periodic": ns.constraints.Periodic(1),
    "linear": ns.constraints.Linear(np.eye(1, 8)),
}
PRIORS = {
    "smoothness": lambda: ns.SmoothnessPrior(),
    "walk": lambda: ns.RandomWalkPrior(1),
    "shrunk": lambda: ns.SmoothnessPrior(penalty=ns.penalties.Shrunk(ns.penalties.Derivative(2))),
    "mean": lambda: ns.SmoothnessPrior(mean=np.sin, linear_scale=dist.HalfNormal(1.0)),
    "adaptive": lambda: ns.AdaptivePrior(),
    "horseshoe": lambda: ns.HorseshoePrior(),
    "monotone": lambda: ns.MonotonePrior(start=0.0),
    "convex_rise": lambda: ns.MonotonePrior(curvature="convex"),
    "convex": lambda: ns.ConvexPrior(),
}


@pytest.mark.parametrize("name", BASES)
def test_making_a_basis_compiles_nothing(name):
    def make():
        basis = BASES[name]()
        basis.constrained()
        basis.collocation(X[:5] + 1.0, 1)
        basis.gram(X if basis.domain[0] == -1.0 else None)
        basis.penalty(1)
        basis.difference_penalty(1)

    assert programs(make) == 0


@pytest.mark.parametrize("name", CONSTRAINTS)
def test_making_a_constrained_basis_compiles_nothing(name):
    assert programs(lambda: ns.BSplineBasis(UNEVEN).constrained(CONSTRAINTS[name])) == 0


@pytest.mark.parametrize("name", PRIORS)
def test_making_an_effect_compiles_nothing(name):
    prior = PRIORS[name]()
    assert programs(lambda: ns.SplineEffect("f", ns.BSplineBasis(UNEVEN), prior, measure=X)) == 0


def test_making_a_predictor_and_its_marginal_compiles_nothing():
    def make():
        f = ns.SplineEffect("f", ns.BSplineBasis(UNEVEN), measure=X)
        predictor = ns.AdditivePredictor((f, X), intercept=dist.Normal(0.0, 1.0))
        ns.regression.IntegratedGaussian(predictor)
        ns.regression.penalized_fit(predictor, np.sin(X))

    assert programs(make) == 0


def test_new_rows_compile_nothing_and_draws_of_a_predictor_one_program():
    jax.clear_caches()
    frame = {"x": X, "z": X**2, "g": np.array(list("abc"))[np.arange(X.size) % 3]}
    normal = dist.Normal(0.0, 1.0)
    _ = normal.variance  # The one program that effects of several inputs need: NumPyro's.

    def make():
        return ns.AdditivePredictor.from_frame(
            frame, "x", ("z", "g"), intercept=normal, linear={"g": normal}
        ).at({name: column[:20] for name, column in frame.items()})

    assert programs(make) == 0
    predictor = make()
    values = np.ones((2, 3, predictor.num_coefficients), np.float32)
    draws = {site: np.asarray(value) for site, value in predictor.sites(values).items()}
    predictor.linear_predictor(draws)
    # The functions of the effects are there already.
    assert programs(lambda: predictor.partial(draws)) == 1
    assert programs(lambda: (predictor.partial(draws), predictor.linear_predictor(draws))) == 0
    assert programs(lambda: predictor.at(frame).linear_predictor(draws)) == 1


def test_an_eager_curve_is_one_program():
    jax.clear_caches()
    points = X[:31]

    def curve(scale=1.0):
        basis = ns.BSplineBasis(scale * UNEVEN)
        return basis.curve(np.arange(float(basis.num_coefficients)))

    one = curve()
    assert programs(lambda: one(points)) <= 2
    assert programs(lambda: one(points + 0.1)) == 0
    # Other knots in the same number are the same program.
    assert programs(lambda: curve(1.5)(points)) == 0
    assert programs(lambda: one.derivative()(points)) <= 3
    assert programs(lambda: one.integrate(0.0, points)) <= 3
    assert programs(lambda: ns.BSplineBasis(UNEVEN)(points)) <= 2
    assert programs(lambda: ns.bspline(points, ns.knots.clamped(UNEVEN, 3), np.ones(8))) <= 2


def by_hand():
    """A smooth as people write it: a mixed model on a design matrix."""
    knots = ns.knots.clamped(UNEVEN, 3)
    design = np.asarray(ns.BSplineBasis(knots=knots).collocation(X))
    rest = design @ np.linalg.pinv(np.diff(np.eye(8), n=2, axis=0))

    def model():
        level = numpyro.sample("level", dist.Normal(0.0, 1.0))
        slope = numpyro.sample("slope", dist.Normal(0.0, 1.0).expand([1]).to_event(1))
        scale = numpyro.sample("scale", dist.HalfNormal(1.0))
        z = numpyro.sample("z", dist.Normal(jnp.zeros(6), 1.0).to_event(1))
        sigma = numpyro.sample("sigma", dist.HalfNormal(1.0))
        mean = level + jnp.asarray(X[:, None]) @ slope + scale * (jnp.asarray(rest) @ z)
        numpyro.sample("y", dist.Normal(mean, sigma), obs=np.sin(X))

    return model


def test_starting_a_model_with_an_effect_compiles_little_more_than_the_model_by_hand():
    jax.clear_caches()
    initialize_model(jax.random.key(0), by_hand())
    f = ns.SplineEffect("f", ns.BSplineBasis(UNEVEN), measure=X)

    def model():
        level = numpyro.sample("level", dist.Normal(0.0, 1.0))
        sigma = numpyro.sample("sigma", dist.HalfNormal(1.0))
        numpyro.sample("y", dist.Normal(level + f(X), sigma), obs=np.sin(X))

    assert programs(lambda: initialize_model(jax.random.key(0), model)) <= 60
