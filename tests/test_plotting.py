"""Every function of plotting makes its picture, from the names of what it draws."""

import io
from functools import cache
from pathlib import Path
from types import SimpleNamespace

import jax
import jax.numpy as jnp
import matplotlib
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
import xarray as xr
from matplotlib.testing.compare import compare_images

import numpyro_splines as ns
from numpyro_splines import plotting
from numpyro_splines import posterior as po
from numpyro_splines.posterior import LabeledCurve, Simultaneous, bands, excludes, values

BASELINE = Path(__file__).parent / "pictures" / "effect.png"
BASIS = ns.BSplineBasis(ns.knots.uniform(0.0, 2.0, 8))
EFFECT = ns.SplineEffect("f", BASIS)
rng = np.random.default_rng(0)
X = rng.uniform(0.0, 2.0, 40)


@pytest.fixture(autouse=True)
def headless():
    """No window, and no figure left open for the next test."""
    before = matplotlib.get_backend()
    plt.switch_backend("agg")
    yield
    plt.close("all")
    plt.switch_backend(before)


@cache
def fitted(groups=()):
    """Draws around a sine, in two chains."""
    points = np.linspace(0.0, 2.0, BASIS.num_coefficients)
    noise = np.random.default_rng(1).normal(size=(2, 100, *map(len, groups), points.size))
    dims = ("chain", "draw", *(f"group_{i}" for i in range(len(groups))))
    coords = dict(zip(dims[2:], groups, strict=True))
    curves = BASIS.curve(np.sin(3.0 * points) + 0.1 * noise)
    return LabeledCurve(curves, dims=dims, coords=coords, name="growth", input_name="dose (mg)")


@cache
def check():
    return ns.prior_checks.check_prior(EFFECT, jax.random.key(0), num_draws=50)


@cache
def surface():
    """Draws of a surface around a wave, of inputs in different units."""
    bases = {"heat": BASIS, "time": ns.BSplineBasis(ns.knots.uniform(0.0, 60.0, 4))}
    made = ns.TensorEffect("growth", **{name: ns.CurveMargin(b) for name, b in bases.items()})
    x, z = (np.linspace(-1.0, 1.0, b.num_coefficients) for b in bases.values())
    noise = np.random.default_rng(2).normal(size=(2, 20, x.size, z.size))
    draws = {"growth.coefficients": np.sin(2.0 * x)[:, None] * np.cos(z) + 0.1 * noise}
    return po.surface(made, draws)


@cache
def by_group(num=4, *, area=False):
    """Draws of a number for each of several groups, and of a curve for each of them."""
    labels = [f"g{i}" for i in range(num)]
    group = ns.GroupMargin(labels)
    margins = {"area": group} if area else {"dose": ns.CurveMargin(BASIS), "boy": group}
    made = ns.TensorEffect("growth", **margins)
    noise = np.random.default_rng(3).normal(size=(2, 20, *made.coefficient_shape))
    return po.surface(made, {"growth.coefficients": noise})


def pair_of_groups():
    made = ns.TensorEffect("growth", a=ns.GroupMargin(["u", "v"]), b=ns.GroupMargin(14))
    return po.surface(made, {"growth.coefficients": rng.normal(size=(2, 20, 2, 14))})


def square(x, size=1.0):
    corners = np.array([[0, 0], [1, 0], [1, 1], [0, 1], [0, 0]])
    return SimpleNamespace(coords=x + size * corners)


def geometries(num=4):
    """What GeoPandas has: squares with a hole, the last one in two parts."""
    holed = [SimpleNamespace(exterior=square(i), interiors=[square(i, 0.3)]) for i in range(num)]
    several = SimpleNamespace(geoms=[holed[-1], SimpleNamespace(exterior=square(7), interiors=())])
    return pd.Series([*holed[:-1], several], index=[f"g{i}" for i in range(num)])


FRAME = SimpleNamespace(geometry=geometries())
CASES = {
    "surface": lambda: plotting.surface(surface()),
    "surface_with_data": lambda: plotting.surface(
        surface() + 9.0, observed=(X, 30.0 * X), num_points=20
    ),
    "plain_surface": lambda: plotting.surface(
        surface(), signed=False, num_contours=0, num_points=9, label="height"
    ),
    "sd_of_surface": lambda: plotting.surface(surface(), sd=True, inverse_link=jnp.exp),
    "slices": lambda: plotting.slices(surface(), observed=X),
    "slices_of_groups": lambda: plotting.slices(by_group()),
    "groups_with_data": lambda: plotting.groups(
        by_group(), observed=X, response=X, group=["g1"] * 40
    ),
    "groups_of_surface": lambda: plotting.groups(by_group()),
    "anova": lambda: plotting.anova(surface(), observed={"heat": X, "time": 30.0 * X}),
    "anova_of_groups": lambda: plotting.anova(by_group(6)),
    "anova_of_pairs_of_groups": lambda: plotting.anova(pair_of_groups()),
    "levels": lambda: plotting.levels(by_group(area=True)),
    "areas": lambda: plotting.areas(by_group(area=True), FRAME),
    "areas_as_dots": lambda: plotting.areas(by_group(area=True), rng.uniform(size=(4, 2)), sd=True),
    "bands": lambda: plotting.bands(values(fitted())),
    "bands_of_arrays": lambda: plotting.bands(rng.normal(size=(2, 50, 40)), X),
    "effect": lambda: plotting.effect(fitted()),
    "effect_with_data": lambda: plotting.effect(fitted(), observed=X, residuals=0.1 * X),
    "effect_on_response": lambda: plotting.effect(fitted(), inverse_link=jnp.exp),
    "effect_of_groups": lambda: plotting.effect(fitted((("a", "b"),)), observed=X),
    "groups": lambda: plotting.groups(fitted((tuple("abcdefgh"),)), observed=X, group=["c"] * 40),
    "effects": lambda: plotting.effects([fitted(), 2.0 * fitted()], observed={"dose (mg)": X}),
    "effects_in_rows": lambda: plotting.effects(dict.fromkeys("abcde", fitted()), columns=2),
    "compare": lambda: plotting.compare({"one": fitted(), "two": 2.0 * fitted()}),
    "spaghetti": lambda: plotting.spaghetti(fitted(), num_draws=10),
    "derivative": lambda: plotting.derivative(fitted()),
    "effect_and_derivative": lambda: plotting.effect_and_derivative(
        fitted(), observed=X, residuals=0.1 * X, kind=Simultaneous()
    ),
    "basis": lambda: plotting.basis(BASIS),
    "weighted_basis": lambda: plotting.basis(BASIS, np.ones(10), derivative=1),
    "modes": lambda: plotting.modes(EFFECT),
    "scaled_modes": lambda: plotting.modes(EFFECT, 3, scaled=True),
    "penalty": lambda: plotting.penalty(BASIS),
    "prior": lambda: plotting.prior(check()),
    "prior_posterior": lambda: plotting.prior_posterior(check(), fitted()),
    "residuals": lambda: plotting.residuals(rng.normal(size=40)),
    "residuals_by_input": lambda: plotting.residuals(rng.normal(size=40), pd.Series(X, name="x")),
    "latent_inputs": lambda: plotting.latent_inputs(X + rng.normal(size=(2, 50, 40)), X),
}


def test_every_function_is_tried():
    drawn = {name for name in vars(plotting) if callable(getattr(plotting, name))}
    assert drawn <= CASES.keys()


@pytest.mark.parametrize("case", CASES)
def test_makes_a_picture_in_one_line(case):
    panels = np.ravel(CASES[case]())
    first = panels[0]
    buffer = io.BytesIO()
    first.figure.savefig(buffer, dpi=50)
    picture = plt.imread(io.BytesIO(buffer.getvalue()))[..., :3]
    assert np.mean(np.any(picture < 0.9, axis=-1)) > 0.01  # not blank
    named = all(axes.get_xlabel() for axes in panels[-1:])
    assert named or case in ("bands_of_arrays", "latent_inputs")


def test_cells_far_from_data_are_left_out():
    """As mgcv's exclude.too.far: farther than a tenth of the grid from all data."""
    grids = {"heat": np.linspace(0.0, 2.0, 11), "time": np.linspace(0.0, 60.0, 11)}
    axes = plotting.surface(surface(), grids, observed=([1.0, np.nan], [30.0, 3.0]), too_far=0.11)
    shown = ~np.ma.getmaskarray(axes.collections[0].get_array()).reshape(11, 11)
    expected = np.zeros((11, 11), bool)
    expected[5, 4:7] = expected[4:7, 5] = True
    np.testing.assert_array_equal(shown, expected)
    turned = plotting.surface(surface(), {"time": None}, num_points=5)
    assert (turned.get_xlabel(), turned.get_ylabel()) == ("time", "heat")


def test_colors_have_a_bar_as_high_as_the_axes():
    def bar(axes):
        axes.figure.canvas.draw()
        (found,) = axes.child_axes
        return found

    axes = plotting.surface(surface(), signed=False, num_points=5, label="height")
    assert bar(axes).get_ylabel() == "height"
    assert axes.collections[0].get_cmap().name == "viridis"
    assert plotting.surface(surface(), num_points=5).collections[0].get_cmap().name == "RdBu_r"
    # Of equal units in both directions: low axes in a high figure.
    axes = plotting.areas(by_group(area=True), [(i, 0.1 * i) for i in range(4)], label="crimes")
    beside = bar(axes)
    assert beside.get_ylabel() == "crimes"
    heights = [one.get_window_extent().height for one in (beside, axes)]
    np.testing.assert_allclose(*heights, rtol=1e-6)


def test_heat_maps_of_components_leave_out_what_is_far():
    panels = plotting.anova(surface(), observed={"heat": [1.0], "time": [30.0]}, too_far=0.02)
    shown = ~np.ma.getmaskarray(panels[-1].collections[0].get_array())
    assert 0 < shown.sum() < 9


def test_data_by_group_are_dots():
    panels = plotting.groups(by_group(), observed=X, response=2.0 * X, group=["g1"] * 40)
    dots = [[line for line in panel.lines if line.get_marker() == "o"] for panel in panels]
    assert [len(own[0].get_xdata()) for own in dots] == [0, 40, 0, 0]
    np.testing.assert_array_equal(dots[1][0].get_ydata(), 2.0 * X)


def test_maps_color_each_area_by_its_number():
    draws = values(by_group(area=True))
    dots = plotting.areas(draws, {f"g{i}": (i, 0.0) for i in (3, 2, 1, 0)}).collections[0]
    mean = draws.mean(["chain", "draw"])
    np.testing.assert_allclose(dots.get_array(), mean)
    np.testing.assert_allclose(dots.get_offsets()[:, 0], [0, 1, 2, 3])
    axes = plotting.areas(draws, FRAME)
    polygons = axes.collections[0]
    np.testing.assert_allclose(polygons.get_array(), [*mean, mean[-1]])  # of two parts
    canvas = axes.figure.canvas
    canvas.draw()
    pixels = np.asarray(canvas.buffer_rgba())[::-1]

    def white(x, y):
        column, row = axes.transData.transform((x, y)).astype(int)
        return bool((pixels[row, column] == 255).all())

    # Both rings turn the same way, as in some files: the hole is one nevertheless.
    assert [white(*point) for point in ((0.15, 0.15), (0.6, 0.6), (5.0, 0.5))] == [1, 0, 1]


@pytest.mark.parametrize(
    ("draw", "error", "message"),
    [
        (lambda: plotting.surface(fitted()), TypeError, "`surface` must be a LabeledSurface"),
        (lambda: plotting.surface(by_group()), ValueError, "must have two numeric inputs"),
        (lambda: plotting.surface(surface(), observed=X), ValueError, "`observed` must be a pair"),
        (
            lambda: plotting.surface(surface(), observed=(X, X[1:])),
            ValueError,
            "`observed` must be of one length",
        ),
        (lambda: plotting.slices(surface(), "dose"), ValueError, "`along` must be a numeric input"),
        (lambda: plotting.groups(surface()), ValueError, "one numeric input and one group"),
        (
            lambda: plotting.groups(by_group(), observed=X, group=["g1"] * 40, response=X[1:]),
            ValueError,
            "`response` must hold a number for each of the 40 observed inputs; got 39",
        ),
        (lambda: plotting.levels(by_group()), ValueError, "`draws` must be of one group"),
        (lambda: plotting.levels(X), TypeError, "`draws` must be a LabeledSurface of one group"),
        (lambda: plotting.areas(values(fitted((("a", "b"),))), []), ValueError, "one more axis"),
        (
            lambda: plotting.areas(by_group(area=True), {"g0": (0.0, 0.0)}),
            ValueError,
            r"must hold a place for each area; got none for \['g1', 'g2', 'g3'\]",
        ),
        (
            lambda: plotting.areas(by_group(area=True), [[0.0, 1.0]]),
            ValueError,
            r"a pair \(x, y\) for each of the 4 areas",
        ),
    ],
)
def test_pictures_of_several_inputs_refuse(draw, error, message):
    with pytest.raises(error, match=message):
        draw()


def test_axes_in_axes_out():
    _, axes = plt.subplots()
    assert plotting.effect(fitted(), axes=axes) is axes
    assert plotting.prior_posterior(check(), fitted(), axes=axes) is axes
    _, pair = plt.subplots(2)
    assert list(plotting.effect_and_derivative(fitted(), axes=pair)) == list(pair)
    assert len(plt.get_fignums()) == 2


def test_names_come_from_the_data_and_can_be_changed():
    axes = plotting.effect(fitted())
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("dose (mg)", "growth")
    _, named = plt.subplots()
    named.set(xlabel="own")
    plotting.effect(fitted(), axes=named)
    assert named.get_xlabel() == "own"
    groups = plotting.effect(fitted((("a", "b"),)))
    assert groups.get_ylabel() == "growth"
    assert [text.get_text() for text in groups.get_legend().texts] == ["group_0 a", "group_0 b"]


def test_bands_are_those_of_the_draws():
    draws = values(fitted())
    axes = plotting.bands(draws, probability=0.8)
    expected = bands(draws, 0.8)
    vertices = axes.collections[0].get_paths()[0].vertices
    np.testing.assert_allclose(vertices[:, 1].max(), expected["upper"].max())
    np.testing.assert_allclose(vertices[:, 1].min(), expected["lower"].min())
    np.testing.assert_allclose(axes.lines[0].get_ydata(), expected["mean"])


def test_rows_in_any_order():
    draws = rng.normal(size=(2, 50, 40))
    axes = plotting.bands(draws, X)
    order = np.argsort(X)
    np.testing.assert_array_equal(axes.lines[0].get_xdata(), X[order])
    np.testing.assert_allclose(axes.lines[0].get_ydata(), draws.mean((0, 1))[order])


def test_stretches_are_where_the_band_excludes_zero():
    axes = plotting.derivative(fitted())
    flags = excludes(values(fitted(), derivative=1)).values
    thick = [line for line in axes.lines if line.get_linewidth() == 4.0]
    for line, sign in zip(thick, (1, -1), strict=True):
        np.testing.assert_array_equal(np.isfinite(line.get_ydata()), flags == sign)


def test_partial_residuals_stand_on_the_mean_curve():
    residuals = pd.Series(rng.normal(size=40))
    axes = plotting.effect(fitted(), observed=pd.Series(X), residuals=residuals)
    mean = values(fitted(), X, dim="obs").mean(["chain", "draw"])
    points = axes.lines[0]
    np.testing.assert_array_equal(points.get_xdata(), X)
    np.testing.assert_allclose(points.get_ydata(), mean + residuals)


def test_effects_share_the_vertical_axis():
    frame = pd.DataFrame({"dose (mg)": X, "other": X})
    panels = plotting.effects([fitted(), 5.0 * fitted()], observed=frame, residuals=0.0 * X)
    assert panels[0].get_ylim() == panels[1].get_ylim()
    assert [len(axes.lines) for axes in panels] == [2, 2]


@pytest.mark.parametrize("num", [2, 6, 26])
def test_groups_have_a_panel_each_on_common_axes(num):
    curve = fitted((tuple(range(num)),))
    group = np.arange(40) % num
    panels = plotting.groups(curve, observed=X, group=group, probability=0.8)
    assert panels.shape == (num,)
    assert len({(panel.get_xlim(), panel.get_ylim()) for panel in panels}) == 1
    draws = values(curve)
    expected = bands(draws, 0.8)
    for index, panel in enumerate(panels):
        assert panel.get_title() == f"group_0 {index}"
        everyone, own = panel.lines
        np.testing.assert_allclose(own.get_ydata(), expected["mean"][index], rtol=1e-6)
        np.testing.assert_allclose(everyone.get_ydata(), expected["mean"].mean("group_0"), 1e-5)
        top = panel.collections[0].get_paths()[0].vertices[:, 1].max()
        np.testing.assert_allclose(top, expected["upper"][index].max())
        rugs = [segment[0, 0] for segment in panel.collections[-1].get_segments()]
        np.testing.assert_array_equal(rugs, X[group == index])
    last = [bool(panel.get_xlabel()) for panel in panels]
    columns = {2: 2, 6: 3, 26: 6}[num]
    assert last == [False] * (num - columns) + [True] * columns


def test_panels_of_groups_are_as_large_as_panels_of_one():
    """Neither titles nor many groups squeeze them: at least an inch each way."""
    labels = tuple(f"Saint Lawrence County, part {i}" for i in range(26))
    panels = plotting.groups(fitted((labels,)))
    panels[0].figure.canvas.draw()
    for panel in panels:
        box = panel.get_window_extent().transformed(panels[0].figure.dpi_scale_trans.inverted())
        assert min(box.width, box.height) > 1.0
    assert panels[3].get_title() == "Saint Lawrence County,\npart 3"


def size(axes):
    axes.figure.canvas.draw()
    box = axes.get_window_extent().transformed(axes.figure.dpi_scale_trans.inverted())
    return np.array([box.width, box.height])


def test_legends_do_not_squeeze_the_panel():
    plain = size(plotting.spaghetti(fitted()))
    few = plotting.effect(fitted((tuple("abcdef"),)))
    names = [f"with a name as long as this, {i}" for i in range(12)]
    many = plotting.compare(dict.fromkeys(names, fitted()))
    modes = plotting.modes(ns.SplineEffect("f", ns.BSplineBasis(ns.knots.uniform(0, 1, 30))), 30)
    for axes in (few, many, modes):
        assert np.all(size(axes) > 0.9 * plain)
    sizes = []
    for draw, curve in (
        (plotting.spaghetti, fitted()),
        (plotting.effect, fitted((tuple("abcdef"),))),
    ):
        _, small = plt.subplots(3, 3, figsize=(6.0, 3.0), layout="constrained")
        for axes in small.ravel():
            draw(curve, axes=axes)
        sizes.append(size(small[1, 1]))
    assert np.all(sizes[1] > 0.9 * sizes[0])


def picture(axes, path):
    """The picture without text, whose shapes differ between versions of FreeType."""
    axes.set_axis_off()
    axes.figure.savefig(path, dpi=50)
    return str(path)


def test_effect_looks_as_it_should(tmp_path):
    data = {"observed": X, "residuals": np.cos(9.0 * X) / 3.0}
    seen = picture(plotting.effect(fitted(), **data), tmp_path / "effect.png")
    # Root mean square of the 0-255 differences: another anti-aliasing gives about 1.
    assert compare_images(str(BASELINE), seen, tol=3.0) is None
    other = picture(plotting.effect(1.05 * fitted(), **data), tmp_path / "other.png")
    assert compare_images(str(BASELINE), other, tol=3.0) is not None


def test_any_grid_is_drawn_in_order():
    at = np.array([1.5, 0.2, 1.0, 0.7])
    for axes in (plotting.derivative(fitted(), at), plotting.spaghetti(fitted(), list(at))):
        for line in axes.lines:
            if len(line.get_xdata()) == at.size:
                np.testing.assert_array_equal(line.get_xdata(), np.sort(at))
    one = plotting.effect(fitted(), xr.DataArray(np.sort(at), dims="obs"))
    np.testing.assert_array_equal(one.lines[0].get_xdata(), np.sort(at))


def test_a_draw_that_is_no_number_is_said_where_it_leaves_nothing_to_show():
    draws = xr.DataArray(rng.normal(size=(2, 50, 40)), dims=("chain", "draw", "x"))
    draws[1, 3, 5] = np.nan
    assert np.isnan(plotting.bands(draws, X).lines[0].get_ydata()).sum() == 1
    draws[1, 3] = np.nan
    with pytest.warns(UserWarning, match="`draws` leave nothing to show: 1 of 100 have NaN"):
        plotting.bands(draws, X)


def test_missing_rows_are_left_out():
    gap = np.where(np.arange(40) == 3, np.nan, X)
    axes = plotting.effect(fitted(), observed=gap, residuals=0.0 * X)
    assert axes.lines[0].get_xdata().size == 39


def test_effects_on_given_axes_share_their_scale():
    _, made = plt.subplots(1, 2)
    first, second = plotting.effects([fitted(), 5.0 * fitted()], axes=made)
    assert first.get_ylim() == second.get_ylim()


def test_latent_inputs_go_by_the_names_of_axes():
    draws = xr.DataArray(rng.normal(size=(2, 40, 50)), dims=("chain", "obs", "draw"))
    axes = plotting.latent_inputs(draws, X)
    np.testing.assert_allclose(axes.lines[0].get_xdata(), draws.median(["chain", "draw"]))


def test_slope_of_the_response():
    axes = plotting.derivative(fitted(), inverse_link=jnp.exp)
    expected = values(fitted(), derivative=1, inverse_link=jnp.exp).mean(["chain", "draw"])
    np.testing.assert_allclose(axes.lines[0].get_ydata(), expected)


def test_curves_of_several_names_have_no_name_for_all():
    other = fitted().derivative()
    assert plotting.compare({"f": fitted(), "slope": other}).get_ylabel() == ""
    assert plotting.compare({"a": fitted(), "b": fitted()}).get_ylabel() == "growth"


ERRORS = {
    "empty_grid": (lambda: plotting.effect(fitted(), []), ValueError, "`at` must hold at least"),
    "grid_of_draws": (
        lambda: plotting.spaghetti(fitted(), np.ones((2, 3))),
        ValueError,
        "`at` must have 1 dimension",
    ),
    "same_labels": (
        lambda: plotting.effect(fitted((("a", "a"),))),
        ValueError,
        "`curve` must have different labels along 'group_0'",
    ),
    "too_many_groups": (
        lambda: plotting.effect(fitted((tuple(range(7)),))),
        ValueError,
        r"at most 6 groups .* got 7 along 'group_0'\. Use plotting\.groups\(curve\)",
    ),
    "too_many_to_compare": (
        lambda: plotting.compare({str(i): fitted() for i in range(13)}),
        ValueError,
        r"`curves` must be at most 12 .* got 13\. Use plotting\.effects\(curves\)",
    ),
    "groups_of_one": (
        lambda: plotting.groups(fitted()),
        ValueError,
        r"`curve` must have an axis of groups besides \('chain', 'draw'\).*plotting\.effect",
    ),
    "groups_of_two_axes": (
        lambda: plotting.groups(fitted((("a",), ("b",)))),
        ValueError,
        "`curve` must have one curve for each draw",
    ),
    "groups_of_draws": (lambda: plotting.groups(X), TypeError, "`curve` must be a LabeledCurve"),
    "groups_of_inputs_alone": (
        lambda: plotting.groups(fitted((("a", "b"),)), observed=X),
        ValueError,
        "`observed` and `group` must be given together",
    ),
    "groups_length": (
        lambda: plotting.groups(fitted((("a", "b"),)), observed=X, group=["a"]),
        ValueError,
        r"`group` must hold a label for each of the 40 observed inputs; got shape \(1,\)",
    ),
    "groups_unknown": (
        lambda: plotting.groups(fitted((("a", "b"),)), observed=X, group=["c"] * 40),
        ValueError,
        r"`group` must hold labels of the curves, \['a', 'b'\]; got \['c'\]",
    ),
    "groups_axes": (
        lambda: plotting.groups(fitted((("a", "b"),)), axes=plt.figure().subplots(1, 3)),
        ValueError,
        "`axes` must hold 2 axes, one for each panel; got 3",
    ),
    "observed_without_names": (
        lambda: plotting.effects([fitted()], observed=X),
        TypeError,
        "`observed` must be inputs by name",
    ),
    "residuals_of_other_inputs": (
        lambda: plotting.effects([fitted()], observed={"doze": X}, residuals=X),
        ValueError,
        r"`residuals` must come with `observed`.* got \['doze'\] for \['dose \(mg\)'\]",
    ),
    "residuals_of_other_rows": (
        lambda: plotting.residuals(X, X[:3]),
        ValueError,
        "`x` must hold 40 numbers, one for each residual; got 3",
    ),
    "probability_of_residuals": (
        lambda: plotting.residuals(X, probability=0.0),
        ValueError,
        r"`probability` must lie in \(0, 1\); got 0.0",
    ),
    "prior_of_groups": (
        lambda: plotting.prior_posterior(check(), fitted((("a", "b"),))),
        ValueError,
        "`curve` must have one curve for each draw",
    ),
    "modes_of_a_basis": (
        lambda: plotting.modes(BASIS),
        TypeError,
        "`effect` must have a smoothness prior.* got BSplineBasis",
    ),
    "no_probability": (
        lambda: plotting.effect(fitted(), probability=[]),
        ValueError,
        r"`probability` must lie in \(0, 1\); got \[\]",
    ),
    "axes": (lambda: plotting.effect(fitted(), axes=1), TypeError, "`axes` must be one Axes"),
    "number_of_axes": (
        lambda: plotting.effects([fitted()], axes=plt.subplots(2)[1]),
        ValueError,
        "`axes` must hold 1 axes, one for each panel; got 2",
    ),
    "no_curves": (lambda: plotting.effects([]), ValueError, "`curves` must hold at least one"),
    "not_a_mapping": (lambda: plotting.compare(fitted()), TypeError, "`curves` must be curves by"),
    "not_a_curve": (
        lambda: plotting.effect(BASIS.curve(np.ones(10))),
        TypeError,
        "`curve` must be a LabeledCurve.*got Curve",
    ),
    "groups": (
        lambda: plotting.spaghetti(fitted((("a", "b"),))),
        ValueError,
        "`curve` must have one curve for each draw; got further axes",
    ),
    "two_axes_of_groups": (
        lambda: plotting.effect(fitted((("a",), ("b",)))),
        ValueError,
        "`curve` must have one curve for each draw",
    ),
    "grouped_draws": (
        lambda: plotting.bands(values(fitted((("a", "b"),)))),
        ValueError,
        "`draws` must have the axes chain, draw and one more",
    ),
    "no_grid": (lambda: plotting.bands(np.ones((4, 3))), ValueError, "`x` must hold the grid"),
    "residuals_alone": (
        lambda: plotting.effect(fitted(), residuals=X),
        ValueError,
        "`residuals` must come with `observed`",
    ),
    "residuals_length": (
        lambda: plotting.effect(fitted(), observed=X, residuals=X[1:]),
        ValueError,
        "`residuals` must be one for each of the 40 observed inputs; got 39",
    ),
    "coefficients": (
        lambda: plotting.basis(BASIS, np.ones(3)),
        ValueError,
        "`coefficients` must be 10, one for each basis function; got 3",
    ),
    "not_a_basis": (lambda: plotting.penalty(EFFECT), TypeError, "`basis` must be a basis"),
    "no_modes": (
        lambda: plotting.modes(ns.SplineEffect("f", BASIS, ns.MonotonePrior())),
        TypeError,
        "`effect` must have a smoothness prior",
    ),
    "not_a_check": (lambda: plotting.prior(EFFECT), TypeError, "`check` must be what"),
    "latent_shape": (
        lambda: plotting.latent_inputs(np.ones((4, 3)), [1.0, 2.0]),
        ValueError,
        r"`draws` must have shape \(..., 2\), one input for each response",
    ),
    "latent_probability": (
        lambda: plotting.latent_inputs(np.ones((4, 2)), [1.0, 2.0], probability=1.0),
        ValueError,
        r"`probability` must lie in \(0, 1\)",
    ),
}


@pytest.mark.parametrize("case", ERRORS)
def test_errors(case):
    call, error, message = ERRORS[case]
    with pytest.raises(error, match=message):
        call()
