"""Functionals of posterior curves against brute force on fine grids, bands, tables, ArviZ."""

from types import SimpleNamespace

import arviz as az
import jax
import jax.numpy as jnp
import numpy as np
import numpyro
import numpyro.distributions as dist
import pandas as pd
import pytest
import xarray as xr
from numpyro.infer import HMC, MCMC, Predictive
from scipy.stats import binom
from test_penalized_fits import load, mgcv_problem

import numpyro_splines as ns
from numpyro_splines import posterior as po
from numpyro_splines.regression import penalized_fit

NEW_ARVIZ = int(az.__version__.split(".")[0]) > 0
KNOTS = ns.knots.uniform(-1.0, 3.0, 7)
F = ns.SplineEffect("f", ns.BSplineBasis(KNOTS), ns.SmoothnessPrior(linear=1.5))
G = ns.SplineEffect("g", ns.CubicRegressionBasis([-1.0, 0.1, 1.2, 3.0]))
GROUPS = ["a", "b", "c"]
RNG = np.random.default_rng(0)
DRAWS = {
    "f.coefficients": RNG.normal(size=(2, 25, 3, 9)),
    "f.scale": RNG.gamma(2.0, size=(2, 25, 3)),
    "g.coefficients": RNG.normal(size=(2, 25, 4)),
    "level": RNG.normal(size=(2, 25)),
    "sigma": RNG.gamma(4.0, size=(2, 25)),
}
# Two grids for all: programs are compiled anew for each number of points.
FINE = np.linspace(-1.0, 3.0, 4001)
WIDE = np.linspace(-2.0, 4.0, 100)

pytestmark = pytest.mark.usefixtures("x64")


def curves(effect=F, **options):
    if effect is F:
        options = {"dims": ["group"], "coords": {"group": GROUPS}, **options}
    return po.curve(effect, DRAWS, **options)


def arviz_object(draws, **options):
    return az.from_dict({"posterior": draws} if NEW_ARVIZ else draws, **options)


def sign_changes(values, level=0.0):
    """Numbers and places (to a step of the grid) of changes of sign along the fine grid."""
    changes = np.diff(np.sign(values - level), axis=-1) != 0
    return changes.sum(-1), [FINE[:-1][row] for row in changes.reshape(-1, FINE.size - 1)]


def test_values_have_names_and_are_those_of_the_effect():
    values = po.values(curves(input_name="dose"))
    assert values.dims == ("chain", "draw", "group", "dose")
    assert values.sizes == {"chain": 2, "draw": 25, "group": 3, "dose": 100}
    assert values.coords["group"].values.tolist() == GROUPS
    assert (values.name, values.dose.values[0], values.dose.values[-1]) == ("f", -1.0, 3.0)
    expected = F.curve(DRAWS)(values.dose.values)
    np.testing.assert_array_equal(values, expected)
    # Plates without names are called as ArviZ would.
    assert po.curve(F, DRAWS).dims == ("chain", "draw", "f_dim_0")
    assert po.values(curves(G), 0.5).dims == ("chain", "draw")


@pytest.mark.parametrize("order", [1, 2, 3])
def test_derivatives_are_differences_of_the_lower_ones(order):
    lower = po.values(curves(), FINE, derivative=order - 1)
    slope = po.values(curves(), FINE + 5e-4, derivative=order)
    # Second order in the step, first where the derivative is linear between its breakpoints.
    error = abs(np.diff(lower, axis=-1) / 1e-3 - slope.values[..., :-1])
    away = abs(FINE[:-1, None] + 5e-4 - KNOTS).min(1) > 2e-3
    assert error[..., away].max() < 1e-4
    assert slope.name == "f" + "'" * order
    by_curve = po.values(curves().derivative(order), FINE + 5e-4)
    xr.testing.assert_identical(slope, by_curve)


# One of each family here, the others in the slow run.
OF_MGCV = [
    case
    if case.id in ("mcycle_ps", "menarche_binomial", "discoveries_poisson")
    else pytest.param(*case.values, id=case.id, marks=pytest.mark.slow)
    for case in load()
]


@pytest.mark.parametrize("case", OF_MGCV)
def test_slopes_are_those_of_mgcv(case):
    """Draws from mgcv's posterior, Gaussian given the scales, against its standard errors."""
    predictor, y, family = mgcv_problem(case)
    fit, num = penalized_fit(predictor, y, family), 4000
    center = np.concatenate([np.atleast_1d(fit.values[b.site]) for b in predictor.blocks])
    root = np.linalg.cholesky(fit.covariance)
    noise = np.random.default_rng(0).normal(size=(2, num // 2, center.size))
    draws = predictor.sites(center + noise @ root.T)
    for effect, smooth in zip(predictor.effects, case["smooths"], strict=True):
        x, deviation = case["grid"][effect.name], np.array(smooth["deriv"]["d1_se"])
        point = effect.curve(fit.values).derivative()(np.array(x, dtype=float))
        assert np.all(np.abs(point - np.array(smooth["deriv"]["d1"])) < 5e-3 * deviation)
        slope = po.bands(po.values(po.curve(effect, draws), x, derivative=1))
        # Five standard deviations of a mean, and of a standard deviation, of so many draws.
        assert np.all(np.abs(slope["mean"] - point) < 5 * deviation / np.sqrt(num))
        np.testing.assert_allclose(slope["sd"], deviation, rtol=5 / np.sqrt(2 * num))


def test_differences_and_sums_act_by_the_names_of_axes():
    f, g, level = curves(), curves(G), DRAWS["level"]
    x = WIDE
    difference = f.sel(group="c") - f.sel(group="a")
    assert (difference.dims, difference.name) == (("chain", "draw"), "f[c] - f[a]")
    own = F.curve(DRAWS)
    expected = own(x)[:, :, 2] - own(x)[:, :, 0]
    np.testing.assert_allclose(po.values(difference, x), expected, atol=1e-12)
    slope = own.derivative()(x)
    expected = slope[:, :, 2] - slope[:, :, 0]
    np.testing.assert_allclose(po.values(difference, x, derivative=1), expected, atol=1e-12)
    # Another model, other knots, no groups; the names of the axes decide, not their order.
    expected = g.curve(x)[:, :, None] - own(x) + level[..., None, None]
    for both in (
        g - f + level,
        level + (-f) + g,
        -(f - g) + xr.DataArray(level, dims=["chain", "draw"]),
    ):
        values = po.values(both, x).transpose("chain", "draw", "group", "x")
        np.testing.assert_allclose(values, expected, atol=1e-12)
    np.testing.assert_allclose(po.values(f * -2.0, x), -2.0 * own(x))


def test_integrals_are_sums_over_a_fine_grid():
    f = curves()
    lower, upper = [-1.0, 0.5], [0.2, 3.0]
    integral = po.integral(f, lower, upper)
    assert integral.dims == ("chain", "draw", "group", "interval")
    values = po.values(f, FINE).values
    for i, (a, b) in enumerate(zip(lower, upper, strict=True)):
        inside = (a - 1e-9 <= FINE) & (b + 1e-9 >= FINE)
        expected = np.trapezoid(values[..., inside], FINE[inside])
        np.testing.assert_allclose(integral[..., i], expected, atol=1e-5)
    whole = po.integral(f)
    assert whole.dims == ("chain", "draw", "group")
    np.testing.assert_allclose(whole, np.trapezoid(values, FINE), atol=1e-5)


def test_crossings_extrema_and_inflections_are_changes_of_sign_on_a_fine_grid():
    f = curves()
    crossings, extrema, inflections = po.crossings(f, 0.3), po.extrema(f), po.inflections(f)
    for found, order, level in ((crossings, 0, 0.3), (extrema, 1, 0.0), (inflections, 2, 0.0)):
        counts, places = sign_changes(po.values(f, FINE, derivative=order).values, level)
        np.testing.assert_array_equal(found["count"], counts)
        (dim,) = set(found.dims) - set(f.dims)
        assert found["x"].dims == (*f.dims, dim)
        assert found.sizes[dim] == counts.max() > 1
        for row, expected in zip(found["x"].values.reshape(-1, counts.max()), places, strict=True):
            assert np.isnan(row[len(expected) :]).all()
            assert np.all(row[: len(expected)] - expected >= 0.0)
            assert np.all(row[: len(expected)] - expected <= 1.001e-3)
    bend = F.curve(DRAWS).derivative(2).each(extrema["x"].values)
    kept = np.isfinite(extrema["x"].values)
    np.testing.assert_array_equal(extrema["maximum"].values[kept], (bend < 0)[kept])
    value = F.curve(DRAWS).each(extrema["x"].values)
    np.testing.assert_allclose(extrema["value"], value, atol=1e-12)


@pytest.mark.parametrize("lowest", [False, True])
def test_the_peak_is_the_largest_value_ends_included(lowest):
    peak, values = po.peak(curves(), lowest=lowest), po.values(curves(), FINE)
    expected = values.min("x") if lowest else values.max("x")
    np.testing.assert_allclose(peak["value"], expected, atol=1e-4)
    np.testing.assert_array_equal((peak["value"] - expected) * (-1) ** lowest >= -1e-12, True)
    place = values.idxmin("x") if lowest else values.idxmax("x")
    np.testing.assert_allclose(peak["x"], place, atol=2e-3)
    assert set(peak["x"].values.ravel()) & {-1.0, 3.0}  # some draws have it at an end
    steps = ns.BSplineBasis([0.0, 1.0, 2.0], degree=0).curve(np.array([[[0.0, 3.0]]]))
    assert float(po.peak(po.LabeledCurve(steps))["x"].item()) == 1.0


def test_inverse_values_and_crossings_on_the_scale_of_the_response():
    steps = np.cumsum(RNG.gamma(1.0, size=(2, 25, 9)), axis=-1) - 2.0
    rising = po.LabeledCurve(F.basis.curve(steps), name="rising")
    logistic = jax.nn.sigmoid
    targets = [0.3, 0.5]
    doses = po.inverse(rising, targets, inverse_link=logistic)
    plain = po.inverse(rising, np.log([0.3 / 0.7, 1.0]))
    np.testing.assert_allclose(doses, plain, rtol=1e-12)
    np.testing.assert_array_equal(doses.target, targets)
    for link, y in ((jnp.exp, -1.0), (logistic, 1.0), (jnp.exp, 0.0)):
        assert np.isnan(po.inverse(rising, y, inverse_link=link)).all()
    found = po.crossings(curves(), 0.6, inverse_link=lambda eta: -3.0 * eta)
    np.testing.assert_allclose(found["x"], po.crossings(curves(), -0.2)["x"], rtol=1e-12)
    with pytest.raises(ValueError, match="`inverse_link` must be strictly increasing"):
        po.inverse(rising, 1.0, inverse_link=jnp.abs)


def test_targets_that_differ_from_draw_to_draw():
    steps = np.cumsum(RNG.gamma(1.0, size=(2, 25, 9)), axis=-1) - 2.0
    rising = po.LabeledCurve(F.basis.curve(steps), name="rising", input_name="dose")
    ends = po.values(rising, [-1.0, 3.0], inverse_link=jax.nn.sigmoid)
    half = ends.mean("dose")
    relative = po.inverse(rising, half, inverse_link=jax.nn.sigmoid)
    assert relative.dims == ("chain", "draw")
    at = rising.curve.each(np.asarray(relative)[..., None])[..., 0]
    np.testing.assert_allclose(jax.nn.sigmoid(at), half, rtol=1e-10)
    np.testing.assert_allclose(
        po.crossings(rising, half, inverse_link=jax.nn.sigmoid)["dose"][..., 0], relative
    )
    share = xr.DataArray([0.1, 0.5], dims="share", coords={"share": [10, 50]})
    low, high = ends.isel(dose=0), ends.isel(dose=1)
    several = po.inverse(rising, low + share * (high - low), inverse_link=jax.nn.sigmoid)
    assert several.dims == ("chain", "draw", "share")
    np.testing.assert_allclose(several.sel(share=50), relative, rtol=1e-10)
    # One draw without a target, one whose target no curve has; numbers give the same.
    odd = half.copy()
    odd[0, 0], odd[0, 1] = np.nan, 2.0
    found = po.crossings(rising, odd, inverse_link=jax.nn.sigmoid)
    assert np.isnan(found["count"][0, 0])
    np.testing.assert_array_equal(np.ravel(found["count"])[1:4], [0, 1, 1])
    assert list(np.isnan(po.inverse(rising, odd, inverse_link=jax.nn.sigmoid)[0, :3])) == [
        True, True, False,
    ]  # fmt: skip
    with pytest.raises(TypeError, match="`inverse_link` must be a function such as"):
        po.inverse(rising, 0.5, inverse_link="logit")
    with pytest.raises(ValueError, match="`y` must have the coordinates of the curves along"):
        po.inverse(rising, half.assign_coords(chain=[1, 2]))
    with pytest.raises(ValueError, match="a labeled array must have axes of the curve"):
        po.crossings(rising, low + share)


def test_inverse_values_are_found_on_a_fine_grid():
    basis = ns.ISplineBasis(KNOTS)
    rising = po.LabeledCurve(basis.curve(np.exp(DRAWS["f.coefficients"][:, :, 0])))
    half = 0.5
    doses = po.inverse(rising, [0.1, half])
    assert doses.dims == ("chain", "draw", "target")
    values = po.values(rising, FINE).values
    first = FINE[np.argmax(values >= half, axis=-1)]
    np.testing.assert_allclose(doses.sel(target=half), first, atol=1.1e-3)
    np.testing.assert_array_equal(po.inverse(rising, half), doses.sel(target=half))


@pytest.mark.parametrize("entries", [np.s_[1, 2], np.s_[1, 2, 4], np.s_[:]])
def test_a_draw_that_is_no_number_leaves_the_others_alone(entries):
    """A whole draw, one of its coefficients, and all draws."""
    coefficients = np.cumsum(np.exp(DRAWS["f.coefficients"][:, :, 0]), axis=-1)
    broken = coefficients.copy()
    broken[entries] = np.nan
    bad = np.isnan(broken).any(axis=-1)
    good, some = (po.LabeledCurve(F.basis.curve(c)) for c in (coefficients, broken))
    for function in (
        po.peak,
        lambda f: po.peak(f, lowest=True),
        lambda f: po.inverse(f, 4.0).to_dataset(name="x"),
        lambda f: po.inverse(f, [4.0, 5.0]).to_dataset(name="x"),
        lambda f: po.crossings(f, 4.0),
        po.extrema,
        po.inflections,
        lambda f: po.integral(f).to_dataset(name="integral"),
    ):
        expected, got = function(good), function(some)
        for name, values in got.data_vars.items():
            other = expected[name].values
            width = (Ellipsis, slice(values.shape[-1])) if values.ndim > 2 else Ellipsis
            np.testing.assert_array_equal(values.values[~bad], other[~bad][width])
            if values.dtype != bool:
                assert np.isnan(values.values[bad]).all()
        if "count" in got:
            assert expected["count"].dtype.kind == "i"
            assert len(po.table(got)) == np.nansum(got["count"])


def test_a_draw_with_knots_of_its_own_that_are_no_numbers():
    def line(points):
        return ns.BSplineBasis(points, degree=1).curve(jnp.array([0.0, 1.0, 3.0]))

    points = jnp.array([[[0.0, 1.0, 2.0], [0.0, np.nan, 2.0]]])
    f = po.LabeledCurve(jax.vmap(jax.vmap(line))(points))
    np.testing.assert_allclose(po.inverse(f, 2.0), [[1.5, np.nan]])
    np.testing.assert_allclose(po.peak(f)["value"], [[3.0, np.nan]])


def test_responses_and_their_derivatives_follow_the_chain_rule():
    eta = curves(G) + DRAWS["level"]
    x = WIDE
    value, slope, bend = (po.values(eta, x, derivative=m).values for m in range(3))
    rate = po.values(eta, x, inverse_link=jnp.exp)
    np.testing.assert_allclose(rate, np.exp(value))
    by_link = po.values(eta, x, derivative=1, inverse_link=jnp.exp)
    np.testing.assert_allclose(by_link, np.exp(value) * slope)
    by_link = po.values(eta, x, derivative=2, inverse_link=jnp.exp)
    np.testing.assert_allclose(by_link, np.exp(value) * (slope**2 + bend), atol=1e-10)
    assert (rate.name, by_link.name) == ("h(g)", "h(g)''")


def test_partial_sums_are_those_of_rows():
    f, g = curves(), curves(G)
    frame = pd.DataFrame({"x": [0.1, 0.7, 2.9], "z": [3.5, 0.0, -0.2]}, index=["r", "s", "t"])
    total = po.partial_sum((f, frame["x"]), (g + DRAWS["level"], frame["z"]))
    assert total.dims == ("chain", "draw", "group", "obs")
    assert total.obs.values.tolist() == ["r", "s", "t"]
    x, z = frame["x"].to_numpy(), frame["z"].to_numpy()
    half = po.partial_sum((f, x), (g + DRAWS["level"], frame["z"]))
    xr.testing.assert_identical(half, total)
    with pytest.raises(ValueError, match="align"):
        po.partial_sum((f, frame["x"]), (g, frame["z"].set_axis(["u", "v", "w"])))
    rest = G.curve(DRAWS)(z) + DRAWS["level"][..., None]
    np.testing.assert_allclose(total, F.curve(DRAWS)(x) + rest[:, :, None])
    response = po.partial_sum((f, x), (g + DRAWS["level"], z), inverse_link=jax.nn.sigmoid)
    np.testing.assert_allclose(response, jax.nn.sigmoid(total.values))


def test_draws_of_a_latent_input_meet_their_own_curves():
    x = xr.DataArray(RNG.uniform(-1.0, 3.0, (5, 2, 25)), dims=["obs", "chain", "draw"])
    values = po.values(curves(G), x)
    assert values.dims == ("chain", "draw", "obs")
    expected = G.curve(DRAWS).each(x.transpose("chain", "draw", "obs").values)
    np.testing.assert_array_equal(values, expected)
    grouped = po.values(curves(), x).transpose("chain", "draw", "obs", "group")
    expected = F.curve(DRAWS).each(
        np.broadcast_to(x.transpose("chain", "draw", "obs").values[:, :, None], (2, 25, 3, 5))
    )
    np.testing.assert_array_equal(grouped, np.moveaxis(np.asarray(expected), 2, 3))


def test_a_basis_of_ones_own_can_be_evaluated():
    class Wave(ns.AbstractBasis):
        num_coefficients = property(lambda self: 1)
        domain = (0.0, 1.0)

        def __call__(self, x):
            return jnp.sin(jnp.asarray(x))[..., None]

    f = po.LabeledCurve(Wave().curve(np.full((1, 2, 1), 3.0)))
    np.testing.assert_allclose(po.values(f, 0.2, derivative=1), 3 * np.cos(0.2))
    with pytest.raises(TypeError, match=r"`integral` needs piecewise polynomials.*got Combination"):
        po.integral(f)


def test_pointwise_bands_are_those_of_arviz():
    draws = po.values(curves(G), [0.0, 1.0])
    eti = po.bands(draws, 0.8)
    flat = draws.values.reshape(-1, 2)
    np.testing.assert_allclose(eti["mean"], flat.mean(0))
    np.testing.assert_allclose(eti["sd"], flat.std(0, ddof=1))
    np.testing.assert_allclose(eti["lower"], np.quantile(flat, 0.1, axis=0))
    np.testing.assert_allclose(eti["upper"], np.quantile(flat, 0.9, axis=0))
    hdi = po.bands(draws, 0.8, po.HighestDensity())
    for i in range(2):
        expected = az.hdi(flat[:, i], **{"prob" if NEW_ARVIZ else "hdi_prob": 0.8})
        np.testing.assert_allclose([hdi["lower"][i], hdi["upper"][i]], expected)
    several = po.bands(draws, [0.8, 0.5])
    assert several["lower"].dims == ("probability", "x")
    np.testing.assert_array_equal(several["lower"].sel(probability=0.8), eti["lower"])
    hole = draws.where(draws.x > 0.5)
    for kind in (po.EqualTailed(), po.HighestDensity(), po.Simultaneous("x")):
        assert np.isnan(po.bands(hole, kind=kind)["lower"].values[0])


def test_simultaneous_bands_have_the_definition_of_gratia():
    draws = po.values(curves()).isel(x=slice(0, 100, 5))
    band = po.bands(draws, 0.9, po.Simultaneous(over="x"))
    for group in GROUPS:
        values = draws.sel(group=group).values.reshape(50, 20)
        center, sd = values.mean(0), values.std(0, ddof=1)
        critical = np.quantile((abs(values - center) / sd).max(1), 0.9)
        np.testing.assert_allclose(band["upper"].sel(group=group), center + critical * sd)
        np.testing.assert_allclose(band["lower"].sel(group=group), center - critical * sd)
    # By default jointly over the groups, too: wider.
    joint = po.Simultaneous().critical(draws, 0.9)
    assert joint.dims == ()
    assert float(joint) >= float(po.Simultaneous("x").critical(draws, 0.9).max())
    # Where the draws do not vary nothing divides by zero.
    pinned = xr.concat([draws * 0.0, draws], "side").isel(group=0, x=3, drop=True)
    assert float(po.bands(pinned, kind=po.Simultaneous())["upper"][0]) == 0.0


def test_simultaneous_bands_cover_the_truth_jointly():
    """Truths from the prior, exact Gaussian posteriors: 90 % of the truths lie in the band."""
    num, num_draws, noise = 200, 400, 0.3
    basis, rng = F.basis, np.random.default_rng(1)
    design = np.asarray(basis(np.linspace(-1.0, 3.0, 60)))
    grid = np.linspace(-1.0, 3.0, 30)
    truth = rng.normal(size=(num, 9))
    y = truth @ design.T + noise * rng.normal(size=(num, 60))
    covariance = np.linalg.inv(np.eye(9) + design.T @ design / noise**2)
    center = y @ design @ covariance / noise**2
    root = np.linalg.cholesky(covariance)
    draws = center + rng.normal(size=(1, num_draws, num, 9)) @ root.T
    values = po.values(
        po.LabeledCurve(basis.curve(draws), dims=("chain", "draw", "replicate")), grid
    )
    exact = np.asarray(basis.curve(truth)(grid))

    def covered(kind):
        band = po.bands(values, 0.9, kind)
        inside = (band["lower"].values <= exact) & (exact <= band["upper"].values)
        return inside.all(-1).sum()

    # A right band fails this once in 10 000 runs.
    low, high = binom.ppf([5e-5, 1.0 - 5e-5], num, 0.9)
    assert low <= covered(po.Simultaneous("x")) <= high
    assert covered(po.EqualTailed()) < low


def test_flags_say_where_a_slope_excludes_zero():
    rising = po.LabeledCurve(F.basis.curve(np.arange(9.0) ** 2 + RNG.normal(size=(2, 50, 9))))
    slope = po.values(rising, derivative=1)
    flags = po.excludes(slope, probability=0.9)
    band = po.bands(slope, 0.9)
    np.testing.assert_array_equal(flags == 1, band["lower"] > 0.0)
    assert set(np.unique(flags)) == {0, 1}
    assert flags.dims == ("x",)
    np.testing.assert_array_equal(po.excludes(-slope, probability=0.9), -flags)
    strict = po.excludes(slope, probability=0.9, kind=po.Simultaneous())
    assert 0 < int(strict.sum()) < int(flags.sum())
    assert not po.excludes(slope * np.nan).any()


def test_tables_are_tidy():
    values = po.values(curves(), num_points=4)
    table = po.table(values)
    assert list(table) == ["chain", "draw", "group", "x", "f"]
    assert len(table) == 2 * 25 * 3 * 4
    row = table.iloc[-1]
    assert (row["group"], row["f"]) == ("c", float(values[-1, -1, -1, -1]))
    bands = po.table(po.bands(values, [0.5, 0.9]))
    assert {"group", "x", "probability", "mean", "sd", "lower", "upper"} == set(bands)
    assert len(bands) == 3 * 4 * 2
    extrema = po.extrema(curves())
    table = po.table(extrema)
    assert len(table) == int(extrema["count"].sum())
    assert table[["x", "value"]].notna().all(axis=None)
    assert len(po.table(po.bands(po.integral(curves().sel(group="b"))))) == 1
    assert "interval" in po.table(po.integral(curves(), [0.0, 1.0], 2.0))
    # Values that would have the name of an axis.
    assert list(po.table(values.rename("x")))[-1] == "value"


def test_degrees_of_freedom_are_those_of_each_draw():
    freedom = po.degrees_of_freedom(F, DRAWS, sigma="sigma", num_observations=80)
    assert freedom.dims == ("chain", "draw", "f_dim_0")
    expected = ns.prior_checks.degrees_of_freedom(
        F,
        DRAWS["f.scale"][1, 3, 2],
        sigma=DRAWS["sigma"][1, 3],
        num_observations=80,
    )
    np.testing.assert_allclose(freedom[1, 3, 2], expected)
    same = po.degrees_of_freedom(F, DRAWS, sigma=DRAWS["sigma"], num_observations=80)
    xr.testing.assert_identical(same, freedom)
    fixed = ns.SplineEffect("h", F.basis, ns.SmoothnessPrior(scale=0.5))
    number = po.degrees_of_freedom(fixed, DRAWS, sigma=0.3, num_observations=80)
    assert number.dims == ("chain", "draw")
    assert np.ptp(number.values) == 0.0
    double = ns.SplineEffect("h", F.basis, ns.SmoothnessPrior(linear_scale=dist.HalfNormal(1.0)))
    draws = {"h.scale": np.ones((1, 2)), "h.linear_scale": np.array([[1.5, 1e-9]])}
    large, small = po.degrees_of_freedom(double, draws, sigma=0.3, num_observations=80).values[0]
    as_fixed = ns.prior_checks.degrees_of_freedom(F, 1.0, sigma=0.3, num_observations=80)
    np.testing.assert_allclose([large, small + 1.0], as_fixed, atol=0.01)


def test_draws_in_an_arviz_object_bring_their_names():
    data = arviz_object(
        DRAWS,
        coords={"group": GROUPS},
        dims={"f.coefficients": ["group", "f.coefficient"]},
    )
    for draws in (data, data["posterior"], data.posterior):
        named = po.curve(F, draws)
        assert named.dims == ("chain", "draw", "group")
        xr.testing.assert_identical(po.values(named), po.values(curves()))
    assert po.curve(F, arviz_object(DRAWS)).dims == ("chain", "draw", "f_dim_0")
    freedom = po.degrees_of_freedom(F, data, sigma="sigma", num_observations=80)
    expected = po.degrees_of_freedom(F, DRAWS, sigma="sigma", num_observations=80)
    np.testing.assert_array_equal(freedom, expected)
    assert set(po.dataset(DRAWS)) == set(DRAWS)
    assert set(po.dataset(data)) == set(DRAWS)


def test_labels_name_the_axes_of_sites():
    plates = {"f": {"group": GROUPS}}
    draws = {**DRAWS, "f.modes": RNG.normal(size=(2, 25, 3, 7)), "g.linear": np.ones((2, 25, 1))}
    names = po.labels(draws, F, G, plates=plates)
    data = arviz_object(draws, **names)["posterior"]
    assert data["f.modes"].dims == ("chain", "draw", "group", "f.mode")
    assert data["f.scale"].dims == ("chain", "draw", "group")
    assert data["f.mode"].values.tolist() == [1, 2, 3, 4, 5, 6, 7]
    assert data["g.linear"].dims == ("chain", "draw", "g.polynomial")
    named = po.curve(F, data)
    xr.testing.assert_identical(po.values(named), po.values(curves()))
    summary = az.summary(arviz_object(draws, **names), var_names=["f.modes"])
    assert summary.index[0] == "f.modes[a, 1]"
    # Plates without names keep ArviZ' own.
    assert po.labels(draws, F)["dims"]["f.modes"] == ["f.modes_dim_0", "f.mode"]


def model(x):
    level = numpyro.sample("level", dist.Normal())
    numpyro.deterministic("eta", level + G.sample()(x))


def test_new_data_agree_with_predictive():
    x, new = np.linspace(-1.0, 3.0, 6), np.array([-2.0, 0.3, 5.0])
    flat = jax.jit(Predictive(model, num_samples=6))(jax.random.key(0), x)
    sites = {name: value for name, value in flat.items() if name != "eta"}
    predicted = Predictive(model, sites, return_sites=["eta"])(jax.random.key(1), new)
    draws = {name: value.reshape(2, 3, *value.shape[1:]) for name, value in sites.items()}
    own = po.values(po.curve(G, draws) + draws["level"], new)
    np.testing.assert_allclose(own.values.reshape(6, 3), predicted["eta"], rtol=1e-12)


def test_what_has_samples_gives_them_by_chain():
    mcmc = SimpleNamespace(get_samples=lambda group_by_chain: DRAWS if group_by_chain else {})
    xr.testing.assert_identical(po.dataset(mcmc), po.dataset(DRAWS))


@pytest.mark.slow
def test_an_mcmc_and_its_arviz_object_are_read():
    options = {"num_warmup": 2, "num_samples": 3, "num_chains": 2, "progress_bar": False}
    kernel = HMC(model, trajectory_length=None, num_steps=1)
    mcmc = MCMC(kernel, chain_method="vectorized", **options)
    mcmc.run(jax.random.key(0), np.linspace(-1.0, 3.0, 6))
    values = po.values(po.curve(G, mcmc))
    assert values.sizes == {"chain": 2, "draw": 3, "x": 100}
    data = az.from_numpyro(mcmc, log_likelihood=False, **po.labels(mcmc, G))
    assert data["posterior"]["g.modes"].dims[-1] == "g.mode"
    by_arviz = po.curve(G, data)
    xr.testing.assert_identical(po.values(by_arviz), values)


def test_draws_under_a_scope_are_found_by_their_prefix():
    draws = {"season/g.coefficients": DRAWS["g.coefficients"]}
    scoped = po.curve(G, draws, prefix="season/")
    xr.testing.assert_identical(po.values(scoped), po.values(curves(G)))
