"""Smooths by group, of areas and of two inputs that mgcv computed: fits in our coordinates.

A function psi of a term has precision lambda psi' S psi there, whatever functions span the term,
as long as S is diagonal on them.
"""

import numpy as np
import pytest
from oracle_files import close, load
from scipy.optimize import minimize_scalar

import numpyro_splines as ns
from numpyro_splines.margins import CurveMargin, GraphMargin, GroupMargin, SurfaceMargin
from numpyro_splines.margins.surface import energy
from numpyro_splines.measure import Measure
from numpyro_splines.penalties import Differences
from numpyro_splines.spectrum import karhunen_loeve

FACTOR = {p.id: p.values[0] for p in load("mgcv_factor")}
GROUPS = {p.id: p.values[0] for p in load("gam_fits_groups")}
(ISOTROPIC,) = load("mgcv_isotropic2d")
FREE = 0.0  # the precision of columns without a penalty


def array(case, name):
    return np.array(case["data"][name], dtype=float)


def diagonal(functions, penalty):
    """psi' S psi of each function, which must not mix."""
    form = functions.T @ penalty @ functions
    own = np.diag(form)
    np.testing.assert_allclose(form, np.diag(own), atol=1e-9 * max(own.max(), 1e-9))
    return own


def terms(*blocks):
    """Columns and precisions of terms, each (columns, precisions)."""
    columns = [np.reshape(x, (len(x), -1)) for x, _ in blocks]
    precisions = [np.broadcast_to(p, x.shape[1]) for x, (_, p) in zip(columns, blocks, strict=True)]
    return np.concatenate(columns, axis=1), np.concatenate(precisions)


def penalized(columns, precisions, y):
    """Fitted values and hat matrix of penalized least squares."""
    hat = columns @ np.linalg.solve(columns.T @ columns + np.diag(precisions), columns.T)
    return hat @ y, hat


def check(case, columns, precisions, tolerance=1e-10):
    fitted, hat = penalized(columns, precisions, array(case, "y"))
    close(fitted, case["fit"]["fitted"], tolerance)
    close(np.diag(hat), case["fit"]["hat"], tolerance)
    np.testing.assert_allclose(np.trace(hat), case["fit"]["edf_total"], rtol=tolerance)


def dummies(labels):
    return np.eye(len(set(labels)))[np.unique(labels, return_inverse=True)[1]]


def empirical(x):
    """The measure of x without our share of the uniform one."""
    equal = np.full(x.size, 1.0 / x.size)
    return Measure(x, equal, float(x.size), equal)


def curve(case, x, order=2, which=0):
    """The curve of a smooth: columns of its three parts, and precisions of its modes."""
    knots = case["smooths"][which]["knots"]
    if "ps" in case["tag"]:
        basis, penalty = ns.BSplineBasis(knots=np.array(knots)), Differences(order, plain=True)
        margin = CurveMargin(basis, penalty=penalty, measure=empirical(x))
    else:
        margin = CurveMargin(ns.CubicRegressionBasis(np.array(knots)), measure=empirical(x))
    values = margin.design(x) @ margin.functions
    parts = [values[:, margin.part(name)] for name in ("constant", "linear", "modes")]
    form = margin.penalty.matrix(margin.basis)
    precisions = diagonal(margin.functions[:, margin.part("modes")], form)
    # The profile of the margin is that of the penalty.
    close(margin.variances[margin.part("modes")], 1.0 / precisions / np.sum(1.0 / precisions))
    return *parts, precisions


def rows(columns, of):
    """Products of the columns with those of a group, row by row."""
    return (of[:, :, None] * columns[:, None, :]).reshape(len(columns), -1)


@pytest.mark.parametrize("name", ["factor_by_factor_1", "factor_by_factor_ps_2"])
def test_a_curve_by_level(name):
    case = FACTOR[name]
    x, levels = array(case, "x"), dummies(case["data"]["f"])
    _, linear, modes, precisions = curve(case, x)
    blocks = [(levels, FREE)]
    for level, strength in zip(levels.T, case["fit"]["lambda_raw"], strict=True):
        own = level[:, None]
        blocks += [(own * linear, FREE), (own * modes, strength * precisions)]
    check(case, *terms(*blocks))


def test_a_curve_and_deviations_by_ordered_level():
    case = FACTOR["factor_by_ordered_3"]
    levels = dummies(case["data"]["f"])
    _, linear, modes, precisions = curve(case, array(case, "x"))
    blocks = [(levels, FREE)]
    shares = [np.ones(len(levels)), *levels.T[1:]]
    for level, strength in zip(shares, case["fit"]["lambda_raw"], strict=True):
        own = level[:, None]
        blocks += [(own * linear, FREE), (own * modes, strength * precisions)]
    check(case, *terms(*blocks))


def test_a_curve_times_a_number():
    case = FACTOR["factor_by_numeric_4"]
    constant, linear, modes, precisions = curve(case, array(case, "x"))
    (strength,), v = case["fit"]["lambda_raw"], array(case, "v")[:, None]
    free = np.concatenate([np.ones_like(v), v * constant, v * linear], axis=1)
    check(case, *terms((free, FREE), (v * modes, strength * precisions)))


def test_curves_of_levels_with_a_curve_of_all():
    """mgcv's fs. Its two null functions are an arbitrary rotation of (1, x): they are given."""
    case = FACTOR["factor_fs_cr_6"]
    margin = GroupMargin(case["data"]["f"], "independent")
    levels = np.eye(3)[margin.index(case["data"]["f"])]
    constant, linear, modes, precisions = curve(case, array(case, "x"))
    given = np.array(case["smooths"][0]["X"]).reshape(-1, 3, 5).sum(axis=1)[:, 3:]
    ours = np.concatenate([constant, linear], axis=1)
    # They span what ours do; a rotation, for both have mean square one.
    turn = np.linalg.lstsq(ours, given, rcond=None)[0]
    close(ours @ turn, given)
    close(turn @ turn.T, np.eye(2))
    strength = case["fit"]["lambda_raw"]
    check(
        case,
        *terms(
            (np.concatenate([constant, linear], axis=1), FREE),
            (modes, strength[0] * precisions),
            (rows(modes, levels), np.tile(strength[1] * precisions, 3)),
            (rows(given[:, :1], levels), strength[2]),
            (rows(given[:, 1:], levels), strength[3]),
        ),
    )


def test_curves_of_levels_with_first_differences():
    """The null function is the constant alone, so nothing is arbitrary."""
    case = FACTOR["factor_fs_ps_7"]
    constant, linear, modes, precisions = curve(case, array(case, "x"), order=1)
    assert linear.shape[1] == 0
    levels, strength = dummies(case["data"]["f"]), case["fit"]["lambda_raw"]
    check(
        case,
        *terms(
            (np.ones(len(levels)), FREE),
            (rows(modes, levels), np.tile(strength[0] * precisions, 3)),
            (rows(constant, levels), strength[1]),
        ),
    )


@pytest.mark.parametrize("name", ["factor_re_intercept_8", "factor_re_slope_9"])
def test_random_intercepts_and_slopes(name):
    case = FACTOR[name]
    margin = GroupMargin(case["data"]["f"], "independent")
    values = margin.design(*margin.rows) @ margin.functions
    precisions = diagonal(margin.functions, np.eye(3))
    x = array(case, "x")[:, None]
    blocks = [(np.ones_like(x), FREE), (x, FREE)]
    for strength, of in zip(case["fit"]["lambda_raw"], (1.0, x), strict=False):
        blocks.append((of * values, strength * precisions))
    check(case, *terms(*blocks), tolerance=1e-9)


def test_sleepstudy():
    case = GROUPS["sleepstudy_re"]
    margin = GroupMargin(case["data"]["Subject"], "independent")
    values = margin.design(*margin.rows) @ margin.functions
    precisions = diagonal(margin.functions, np.eye(18))
    days = array(case, "Days")[:, None]
    strength = [smooth["lambda_raw"][0] for smooth in case["smooths"]]
    columns, every = terms(
        (np.ones_like(days), FREE),
        (days, FREE),
        (values, strength[0] * precisions),
        (days * values, strength[1] * precisions),
    )
    fitted, hat = penalized(columns, every, array(case, "Reaction"))
    close(fitted, case["fitted"], 1e-9)
    np.testing.assert_allclose(np.trace(hat), case["edf_total"], rtol=1e-9)


def test_areas():
    case = FACTOR["factor_mrf_full_10"]
    margin = GraphMargin(case["neighbours"], observations=case["data"]["g"])
    modes = margin.functions[:, margin.part("modes")]
    precisions = diagonal(modes, margin.penalty)
    close(margin.variances[1:], 1.0 / precisions / np.sum(1.0 / precisions))
    values = margin.design(*margin.rows) @ modes
    (strength,) = case["fit"]["lambda_raw"]
    check(case, *terms((np.ones(len(values)), FREE), (values, strength * precisions)))


def test_areas_with_few_modes():
    """mgcv's modes are those under the measure of the observations, not the uniform one."""
    case = FACTOR["factor_mrf_reduced_11"]
    margin = GraphMargin(case["neighbours"], observations=case["data"]["g"])
    spectrum = karhunen_loeve(margin.observed, margin.penalty, np.ones((6, 1)))
    modes = np.asarray(spectrum.modes)[:, :3]
    values = margin.design(*margin.rows) @ modes
    (strength,) = case["fit"]["lambda_raw"]
    free = np.stack([np.ones(len(values)), array(case, "x")], axis=1)
    precisions = strength * diagonal(modes, margin.penalty)
    check(case, *terms((free, FREE), (values, precisions)))


def columbus():
    """Terms of crime ~ areas + income, and mgcv's fit; the smoothing parameters are left open."""
    case = GROUPS["columb_mrf"]
    areas = GraphMargin(
        case["extra"]["neighbours"], num_modes=19, observations=case["data"]["district"]
    )
    modes = areas.functions[:, areas.part("modes")]
    income = array(case, "income")
    basis = ns.CubicRegressionBasis(np.array(case["smooths"][1]["knots"]))
    margin = CurveMargin(basis, measure=empirical(income))
    curves = margin.design(income) @ margin.functions
    linear, wiggles = (curves[:, margin.part(name)] for name in ("linear", "modes"))
    precisions = diagonal(margin.functions[:, margin.part("modes")], basis.penalty(2))
    free = np.concatenate([np.ones((49, 1)), linear], axis=1)
    seen = areas.design(*areas.rows) @ modes
    return case, free, (seen, diagonal(modes, areas.penalty)), (wiggles, precisions)


def test_columbus():
    case, free, areas, income = columbus()
    strength = [smooth["lambda_raw"][0] for smooth in case["smooths"]]
    columns, precisions = terms(
        (free, FREE), (areas[0], strength[0] * areas[1]), (income[0], strength[1] * income[1])
    )
    fitted, hat = penalized(columns, precisions, array(case, "crime"))
    close(fitted, case["fitted"], 1e-9)
    np.testing.assert_allclose(np.trace(hat), case["edf_total"], rtol=1e-9)


def restricted(columns, precisions, y):
    """-2 log restricted likelihood with the noise profiled out, up to a constant."""
    seen = precisions > 0
    form = columns.T @ columns + np.diag(precisions)
    coefficients = np.linalg.solve(form, columns.T @ y)
    rest = np.sum((y - columns @ coefficients) ** 2) + np.sum(precisions * coefficients**2)
    freedom = len(y) - np.sum(~seen)
    logs = np.linalg.slogdet(form)[1] - np.sum(np.log(precisions[seen]))
    return freedom * np.log(rest) + logs


def test_the_restricted_likelihood_of_columbus_is_largest_where_mgcv_says():
    """Income has a straight line there, so the areas' smoothing parameter is what is left."""
    case, free, areas, _ = columbus()

    def criterion(strength):
        columns, precisions = terms((free, FREE), (areas[0], np.exp(strength) * areas[1]))
        return restricted(columns, precisions, array(case, "crime"))

    best = minimize_scalar(criterion, bounds=(-3.0, 3.0), method="bounded", options={"xatol": 1e-9})
    # mgcv stops where income's curve still has 0.0002 degrees of freedom.
    np.testing.assert_allclose(np.exp(best.x), case["smooths"][0]["lambda_raw"], rtol=1e-4)


def thin_plate(x, z, y, strength):
    """The thin-plate spline of the plane with a smoothing parameter, at the observations."""
    distance = np.hypot(x[:, None] - x, z[:, None] - z)
    kernel = distance**2 * np.log(np.where(distance > 0, distance, 1.0)) / (8 * np.pi)
    flat = np.stack([np.ones_like(x), x, z], axis=1)
    system = np.block([[kernel + strength * np.eye(len(x)), flat], [flat.T, np.zeros((3, 3))]])
    solution = np.linalg.solve(system, np.concatenate([y, np.zeros(3)]))
    return kernel @ solution[: len(x)] + flat @ solution[len(x) :]


def test_isotropic_surfaces_approach_the_thin_plate_spline():
    """Of the plane, where ours has the energy over its rectangle: the wider, the nearer.

    The smoothing parameter is that of mgcv's `s(x, z)`, for the energy is the same one. With a
    rectangle of three times the range, and the resolution that is affordable, 6 % are left.
    """
    (case,) = ISOTROPIC.values
    x, z, y = (np.array(case[name]) for name in "xzy")
    (strength,) = case["fit"]["lambda_raw"]
    expected = thin_plate(x, z, y, strength)
    distances = []
    for wider, num in [(0.0, 7), (0.25, 9), (1.0, 14)]:
        bases = []
        for values in (x, z):
            extra = wider * np.ptp(values)
            points = ns.knots.uniform(values.min() - extra, values.max() + extra, num)
            bases.append(ns.BSplineBasis(points))
        margin = SurfaceMargin(*bases, share=1.0)
        values = margin.design(x, z) @ margin.functions
        free, modes = values[:, :3], values[:, 3:]
        precisions = diagonal(margin.functions[:, 3:], energy(*bases))
        fitted, _ = penalized(*terms((free, FREE), (modes, strength * precisions)), y)
        distances.append(np.abs(fitted - expected).max() / np.abs(expected).max())
    assert distances[0] > distances[1] > distances[2]
    assert distances[1] < 0.12
    assert distances[2] < 0.07


def test_an_isotropic_surface_finds_mgcvs_example_surface():
    """n = 200, noise 0.3: thin-plate splines of mgcv are off by 0.105 to 0.107 (rms) there.

    In another draw of the data, so the bound leaves a quarter; a plane is off by 0.31.
    """
    generator = np.random.default_rng(20240)
    x, z = generator.uniform(size=(2, 200))
    truth = _two_hills(x, z)
    y = truth + 0.3 * generator.normal(size=200)
    basis = ns.BSplineBasis(ns.knots.uniform(-0.25, 1.25, 8))
    margin = SurfaceMargin(basis, basis, measure=(x, z))
    values = margin.design(x, z) @ margin.functions
    profile = 1.0 / margin.variances[margin.part("modes")]

    def fit(strength):
        return terms((values[:, :3], FREE), (values[:, 3:], np.exp(strength) * profile))

    best = minimize_scalar(lambda s: restricted(*fit(s), y), bounds=(-12.0, 12.0), method="bounded")
    fitted, hat = penalized(*fit(best.x), y)
    assert np.sqrt(np.mean((fitted - truth) ** 2)) < 0.13
    assert 10 < np.trace(hat) < 40


def _two_hills(x, z, sx=0.3, sz=0.4):
    """The example surface of mgcv's documentation."""
    first = 1.2 * np.exp(-((x - 0.2) ** 2) / sx**2 - (z - 0.3) ** 2 / sz**2)
    second = 0.8 * np.exp(-((x - 0.7) ** 2) / sx**2 - (z - 0.8) ** 2 / sz**2)
    return np.pi**2 * sx * sz * (first + second)
