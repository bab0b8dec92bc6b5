"""Predictors by the names of columns, from the frame to labeled predictions at new rows."""

import jax
import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
import pandas as pd
import pytest

import numpyro_splines as ns
from numpyro_splines import posterior as po
from numpyro_splines.regression import Poisson, SumToZero, Treatment, penalized_fit

N = 90
RNG = np.random.default_rng(1)
NORMAL = dist.Normal(0.0, 2.0)
FRAME = pd.DataFrame(
    {
        "age": RNG.uniform(20.0, 70.0, N),
        "east": RNG.normal(size=N),
        "north": RNG.normal(size=N),
        "school": RNG.choice(["a", "b", "c"], N),
        "sex": pd.Categorical(RNG.choice(["f", "m"], N), ["m", "f", "never"]),
        "visits": RNG.integers(0, 4, N),
        "dose": RNG.normal(size=N),
        "log_exposure": RNG.normal(size=N),
        "unused": np.nan,
    },
    index=[f"row {i}" for i in range(N)],
)
SMOOTHS = "age", ("east", "north"), "school"
TERMS = {
    "intercept": NORMAL,
    "linear": {"dose": NORMAL, "sex": NORMAL},
    "by": {"age": "dose"},
    "offset": "log_exposure",
}
ETA = ns.AdditivePredictor.from_frame(FRAME, *SMOOTHS, **TERMS)


def design(eta):
    return eta.design() @ eta.local_matrix


def test_a_frame_is_its_columns():
    """The same predictor by hand."""
    curve = ns.BSplineBasis(ns.knots.quantile(FRAME["age"], 10))
    margins = {
        name: ns.CurveMargin(
            ns.BSplineBasis(ns.knots.quantile(FRAME[name], 5)), measure=FRAME[name]
        )
        for name in ("east", "north")
    }
    by_hand = ns.AdditivePredictor(
        (ns.SplineEffect("age", curve, measure=FRAME["age"]), FRAME["age"]),
        (ns.TensorEffect("east_north", **margins), FRAME["east"], FRAME["north"]),
        (ns.TensorEffect("school", school=ns.GroupMargin(FRAME["school"])), FRAME["school"]),
        intercept=NORMAL,
        linear={"dose": (FRAME["dose"], NORMAL), "sex": (Treatment(FRAME["sex"]), NORMAL)},
        by={"age": FRAME["dose"]},
        offset=FRAME["log_exposure"],
    )
    assert ETA.blocks == by_hand.blocks
    np.testing.assert_array_equal(design(ETA), design(by_hand))
    np.testing.assert_array_equal(ETA.offset, FRAME["log_exposure"])
    # Categories keep their order, and one that never occurs is no level.
    assert ETA.contrasts[2].levels == ("m", "f")
    arrays = {name: FRAME[name].to_numpy() for name in FRAME}
    np.testing.assert_array_equal(
        design(ns.AdditivePredictor.from_frame(arrays, *SMOOTHS, **TERMS))[:, 0], 1.0
    )


def test_new_frames_are_read_by_name():
    order = RNG.permutation(N)[:50]
    new = FRAME.iloc[order, ::-1].drop(columns="unused").assign(more=1.0).reset_index(drop=True)
    new["sex"] = new["sex"].cat.reorder_categories(["f", "never", "m"])
    at = ETA.at(new)
    np.testing.assert_array_equal(design(at), design(ETA)[order])
    np.testing.assert_array_equal(at.offset, ETA.offset[order])
    # Text, and levels that do not occur: what counts are the labels.
    one = new.iloc[:1].astype({"sex": str})
    np.testing.assert_array_equal(design(at.at(one)), design(ETA)[order[:1]])


def test_own_effects_and_factors_by_column():
    season = ns.SplineEffect("season", ns.CyclicBasis(ns.knots.uniform(0.0, 4.0, 5)))
    eta = ns.AdditivePredictor.from_frame(
        FRAME,
        (season, "visits"),
        ("age", "school"),
        intercept=None,
        linear={"visits": (Treatment(reference=2), NORMAL), "sex": (SumToZero(), NORMAL)},
    )
    sizes = {block.site: block.stop - block.start for block in eta.blocks}
    assert (sizes["visits"], sizes["sex"]) == (3, 1)
    assert eta.effects[1].margins["school"].levels == ("a", "b", "c")
    assert eta.contrasts[0].names == (0, 1, 3)
    # Integers are numbers, until a factor is made of them.
    plain = ns.AdditivePredictor.from_frame(FRAME, intercept=None, linear={"visits": NORMAL})
    np.testing.assert_array_equal(plain.columns[:, 0], FRAME["visits"])


def test_few_distinct_values_take_few_knots():
    eta = ns.AdditivePredictor.from_frame(FRAME, "visits", intercept=NORMAL)
    np.testing.assert_array_equal(eta.effects[0].basis.domain, (0, 3))
    assert eta.effects[0].basis.num_coefficients == 6


def test_a_predictor_of_a_frame_crosses_jit(x64):
    leaves, tree = jax.tree.flatten(ETA)
    again = jax.tree.unflatten(tree, leaves)
    np.testing.assert_array_equal(design(again.at(FRAME)), design(ETA))
    coefficients = jnp.ones(ETA.num_coefficients)
    np.testing.assert_allclose(
        jax.jit(lambda p: p.evaluate(coefficients))(ETA), ETA.evaluate(coefficients), atol=1e-11
    )


# Draws as the posterior room has them.

DRAWS = ETA.sites(RNG.normal(size=(2, 3, ETA.num_coefficients)).astype(np.float32))


def test_predictions_have_the_names_of_rows():
    new = FRAME.iloc[[7, 3]]
    eta = po.linear_predictor(ETA, DRAWS, new)
    assert eta.dims == ("chain", "draw", "obs")
    assert list(eta["obs"].values) == ["row 7", "row 3"]
    own = po.linear_predictor(ETA, DRAWS)
    np.testing.assert_array_equal(own["obs"], np.arange(N))
    np.testing.assert_allclose(eta.values, own.values[..., [7, 3]], atol=1e-4)
    parts = po.partial(ETA, DRAWS, new, dim="row")
    assert set(parts.data_vars) == {
        *["age", "east_north", "school", "dose", "sex", "intercept", "offset"]
    }
    np.testing.assert_allclose(sum(parts.data_vars.values()), eta, atol=1e-4)
    scaled = po.linear_predictor(ETA, DRAWS, new, inverse_link=jnp.exp)
    np.testing.assert_allclose(scaled, np.exp(eta), rtol=1e-5)
    assert po.bands(eta)["lower"].dims == ("obs",)


def test_levels_are_labeled():
    values = po.levels(ETA, DRAWS, "sex")
    assert values.dims == ("chain", "draw", "sex")
    np.testing.assert_array_equal(values.sel(sex="m"), 0.0)
    np.testing.assert_array_equal(values.sel(sex="f"), DRAWS["sex"][..., 0])
    names = po.labels(DRAWS, ETA)
    assert names["dims"]["sex"] == ["sex.level"]
    assert list(names["coords"]["sex.level"]) == ["f"]
    assert names["dims"]["age.modes"] == ["age.mode"]


def test_responses_are_labeled():
    small = {name: 0.1 * value for name, value in DRAWS.items()}
    mean = po.response(ETA, small, Poisson(), FRAME)
    counts = po.predict(ETA, jax.random.key(0), small, Poisson(), FRAME)
    assert mean.dims == counts.dims == ("chain", "draw", "obs")
    assert list(counts["obs"].values[:2]) == ["row 0", "row 1"]
    assert np.all(counts == np.round(counts))
    # The standardized sum of all counts.
    assert abs(float((counts - mean).sum() / np.sqrt(mean.sum()))) < 4.0


def test_a_fit_predicts_new_rows():
    y = np.sin(FRAME["age"] / 10.0) + FRAME["log_exposure"]
    fit = penalized_fit(ETA, y)
    new = fit.adapted(ETA).at(FRAME[::-1])
    np.testing.assert_allclose(
        new.linear_predictor(fit.values), fit.linear_predictor[::-1], atol=1e-4
    )


def refused(*smooths, frame=FRAME, **terms):
    return lambda: ns.AdditivePredictor.from_frame(
        frame, *smooths, **{"intercept": NORMAL, **terms}
    )


GAPS = FRAME.assign(dose=[None, *FRAME["dose"][1:]], east=np.where(FRAME["east"] > 1, np.nan, 0))
REFUSED = {
    "unknown_columns": (
        refused("age", "hight", linear={"sux": NORMAL}),
        ValueError,
        r"`frame` must have the columns \['hight', 'sux'\]; it has \['age', 'east'",
    ),
    "new_rows_without_a_column": (
        lambda: ETA.at(FRAME.drop(columns=["north", "log_exposure"])),
        ValueError,
        r"`frame` must have the columns \['north', 'log_exposure'\]",
    ),
    "missing_values": (
        lambda: ETA.at(GAPS),
        ValueError,
        r"missing values in the columns that are used; got \d+ in \d+ rows: {'east': \d+, 'dose'"
        r": 1}.*frame.dropna\(subset=\['east', 'dose'\]\)",
    ),
    "missing_labels": (
        refused("school", frame=FRAME.assign(school=None)),
        ValueError,
        r"got 90 in 90 rows: {'school': 90}",
    ),
    "unknown_label": (
        lambda: ETA.at(FRAME.assign(sex="x")),
        ValueError,
        "`sex` must hold levels that are known, 'm', 'f'; got 'x'. Coefficients of other levels",
    ),
    "unknown_group": (
        lambda: ETA.at(FRAME.assign(school="z")),
        ValueError,
        r"`school of school` must hold levels that are known.*got 'z'. For new levels draw",
    ),
    "no_frame": (lambda: ETA.at(3), TypeError, "`frame` must be a data frame.*got int"),
    "no_names": (
        refused((FRAME["age"],)),
        TypeError,
        r'`smooths` must be names of columns: "age".*got a tuple of 1 \(Series\)',
    ),
    "by_twice": (
        lambda: ETA.at(FRAME, offset=1.0),
        TypeError,
        "`by` and `offset` must be left out where the predictor is made of a frame",
    ),
    "constant": (
        refused("age", frame=FRAME.assign(age=1.0)),
        ValueError,
        r"`age` must vary for a smooth of it; got \[1.\]",
    ),
    "taken_name": (
        refused(("noise", "east"), frame=FRAME.rename(columns={"age": "noise"})),
        ValueError,
        r"\['noise'\] are arguments of TensorEffect. Rename these columns",
    ),
    "linear_pair": (
        refused(linear={"sex": ("treatment", NORMAL)}),
        TypeError,
        r"`linear` must hold priors by column.*got a tuple of 2 \(str, Normal\)",
    ),
    "levels": (
        lambda: po.levels(ETA, DRAWS, "dose"),
        ValueError,
        r"`name` must be one of the factors \['sex'\]; got 'dose'",
    ),
    "predictor": (
        lambda: po.linear_predictor(ETA.effects[0], DRAWS),
        TypeError,
        "`predictor` must be an AdditivePredictor; got SplineEffect",
    ),
    "dim": (
        lambda: po.linear_predictor(ETA, DRAWS, dim="draw"),
        ValueError,
        "`dim` must be no axis of the draws; got 'draw'",
    ),
}


@pytest.mark.parametrize("name", list(REFUSED))
def test_bad_input_is_refused_clearly(name):
    call, error, match = REFUSED[name]
    with pytest.raises(error, match=match):
        call()


def test_series_of_other_rows_are_refused():
    """pandas goes by labels, the package by position: what differs in either is refused."""
    frame = pd.DataFrame({"x": np.linspace(0.0, 1.0, 30), "v": np.ones(30)}, index=range(100, 130))
    y = pd.Series(np.arange(30.0) % 4, frame.index)
    f = ns.SplineEffect("f", ns.BSplineBasis([0.0, 0.5, 1.0]))
    eta = ns.AdditivePredictor.from_frame(frame, (f, "x"), intercept=dist.Normal())
    order = r"`y` .* the same labels in another order: 129 in place of 100 at position 0"
    family = ns.regression.Poisson()
    fit = ns.regression.penalized_fit(eta, y, family)
    for own in (y.to_numpy(), y):
        np.testing.assert_array_equal(
            ns.regression.penalized_fit(eta, own, family).coefficients, fit.coefficients
        )
    with pytest.raises(ValueError, match=order):
        ns.regression.penalized_fit(eta, y[::-1], family)
    with pytest.raises(ValueError, match=order):
        ns.regression.IntegratedGaussian(eta).statistics(y[::-1])
    laplace = ns.regression.MarginalLaplace(ns.regression.IntegratedLaplace(eta, family), [1.0])
    with pytest.raises(ValueError, match=order):
        laplace.log_prob(y[::-1])
    with pytest.raises(ValueError, match=order):
        ns.posterior.residuals(eta, fit.draw(jax.random.key(0), (1, 2)), family, y[::-1])
    with pytest.raises(ValueError, match=r"`y` .* other labels: 0 in place of 100 at position 0"):
        ns.regression.penalized_fit(eta, y.reset_index(drop=True), family)
    with pytest.raises(ValueError, match=r"`offset` must be in the rows .* pass offset.to_numpy"):
        ns.AdditivePredictor((f, frame["x"]), intercept=None, offset=frame["v"][::-1])
    linear = ns.AdditivePredictor.from_frame(
        frame, intercept=dist.Normal(), linear={"x": dist.Normal()}
    )
    with pytest.raises(ValueError, match=order):
        ns.regression.penalized_fit(linear, y[::-1], family)
