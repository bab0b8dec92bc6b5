"""Margins: laws that all of them keep, and what each does by itself."""

import functools

import numpy as np
import pandas as pd
import pytest
import scipy.sparse
from cases import Fourier
from scipy.linalg import block_diag

import numpyro_splines as ns
from numpyro_splines.constraints import ZeroAt, ZeroMean
from numpyro_splines.functions import Surface
from numpyro_splines.margins import CurveMargin, GraphMargin, GroupMargin, SurfaceMargin
from numpyro_splines.margins.base import PARTS
from numpyro_splines.margins.surface import energy, unpenalized
from numpyro_splines.measure import UNIFORM_SHARE
from numpyro_splines.spectrum import canonical

RANDOM = np.random.default_rng(3)
X = RANDOM.beta(2.0, 4.0, 60)
Z = 0.6 * X + 0.4 * RANDOM.uniform(size=60)
CUBIC = ns.BSplineBasis(ns.knots.uniform(0.0, 1.0, 6))
CYCLIC = ns.CyclicBasis(ns.knots.uniform(0.0, 1.0, 6))
TIED = ns.BSplineBasis([0.0, 0.2, 1.0]).constrained(ZeroAt(0.3))
NATURAL = ns.NaturalBasis(ns.knots.quantile(np.append(X, [0.0, 1.0]), 5))
LABELS = ["b", "a", "c", "a", "a", "d", "b", "a"]
TABLE = {"a": ["b", "d"], "b": ["a", "c"], "c": ["b", "d"], "d": ["c", "a"]}  # a ring
MAP = {**TABLE, "e": ["f"], "f": ["e", "g"], "g": ["f"], "island": []}

MARGINS = {
    "cubic": lambda: CurveMargin(CUBIC, measure=X),
    "cubic_uniform": lambda: CurveMargin(CUBIC, 1),
    "cyclic": lambda: CurveMargin(CYCLIC, measure=X),
    "constrained": lambda: CurveMargin(CUBIC.constrained(ZeroMean(X)), measure=X),
    "tied": lambda: CurveMargin(TIED, measure=X),
    "natural": lambda: CurveMargin(NATURAL, measure=X),
    "own": lambda: CurveMargin(Fourier(np.arange(1.0, 3.0)), measure=X),
    "population": lambda: GroupMargin(LABELS),
    "fixed": lambda: GroupMargin(LABELS, "fixed"),
    "independent": lambda: GroupMargin(LABELS, "independent"),
    "ring": lambda: GraphMargin(TABLE, observations=LABELS),
    "map": lambda: GraphMargin(MAP),
    "inla": lambda: GraphMargin(MAP, scaling="geometric"),
    "bym2": lambda: GraphMargin(MAP, mixing=0.4),
    "few_areas": lambda: GraphMargin(MAP, num_modes=2),
    "surface": lambda: SurfaceMargin(CUBIC, NATURAL, measure=(X, Z)),
    "surface_uniform": lambda: SurfaceMargin(CUBIC, CUBIC, num_modes=9),
    "surface_tied": lambda: SurfaceMargin(CUBIC, TIED, measure=(X, Z), share=1.0),
    "surface_cyclic": lambda: SurfaceMargin(CYCLIC, CUBIC, measure=(X, Z)),
}
# Numbers of functions in the three parts.
SIZES = {
    "cubic": (1, 1, 6),
    "cubic_uniform": (1, 0, 7),
    "cyclic": (1, 0, 4),
    "constrained": (0, 1, 6),
    "tied": (0, 1, 3),
    "natural": (1, 1, 3),
    "own": (1, 0, 4),
    "population": (1, 0, 3),
    "fixed": (1, 0, 3),
    "independent": (0, 0, 4),
    "ring": (1, 0, 3),
    "map": (1, 2, 5),
    "inla": (1, 2, 5),
    "bym2": (1, 0, 7),
    "few_areas": (1, 2, 2),
    "surface": (1, 2, 30),
    "surface_uniform": (1, 2, 9),
    "surface_tied": (0, 1, 31),
    "surface_cyclic": (1, 1, 30),
}


@pytest.fixture(params=MARGINS)
def name(request):
    return request.param


@pytest.fixture
def margin(name):
    return made(name)


@functools.cache
def made(name):
    return MARGINS[name]()


def of_levels(margin):
    return isinstance(margin, GroupMargin | GraphMargin)


def gram(margin):
    """That of the measure, from the definition."""
    if of_levels(margin):
        return np.eye(margin.shape[0]) / margin.shape[0]
    if isinstance(margin, CurveMargin):
        return margin.basis.gram(margin.mu)
    uniform = np.kron(*(basis.gram() for basis in margin.bases))
    if margin.rows is None:
        return uniform
    rows = margin.design(*margin.rows)
    return (1 - UNIFORM_SHARE) * rows.T @ rows / len(rows) + UNIFORM_SHARE * uniform


def test_functions_come_in_three_parts(margin, name):
    constant, linear, modes = sizes = SIZES[name]
    assert margin.functions.shape == (np.prod(margin.shape), sum(sizes))
    assert tuple(len(margin.part(part)) for part in PARTS) == sizes
    assert (margin.num_constant, margin.num_linear, margin.num_modes) == (constant, linear, modes)
    columns = np.concatenate([margin.part(part) for part in PARTS])
    np.testing.assert_array_equal(columns, np.arange(margin.num_functions))


def test_functions_are_orthonormal(margin):
    """Lengths are under the measure; across the parts, angles are at the observations alone."""
    inner = margin.functions.T @ gram(margin) @ margin.functions
    np.testing.assert_allclose(np.diag(inner), 1.0, atol=1e-10)
    modes = margin.part("modes")
    np.testing.assert_allclose(inner[np.ix_(modes, modes)], np.eye(modes.size), atol=1e-10)
    # Levels count the same, however often they are observed.
    centering = gram(margin) if of_levels(margin) else margin.observed
    inner = margin.functions.T @ centering @ margin.functions
    inner[np.ix_(modes, modes)] = 0.0
    np.testing.assert_allclose(inner, np.diag(np.diag(inner)), atol=1e-10)


def test_variances_say_how_large_parts_are(margin, name):
    modes = margin.variances[margin.part("modes")]
    np.testing.assert_array_equal(margin.variances[: -modes.size], 1.0)
    assert np.all(modes > 0)
    assert np.all(np.diff(modes) <= 1e-12)
    # Contrasts of a population are all of the variance of its levels but that of their average.
    total = (modes.size / (modes.size + 1)) if name == "population" else 1.0
    if name != "inla":
        np.testing.assert_allclose(modes.sum(), total, rtol=1e-12)


def test_the_constant_is_one_and_others_average_to_zero(margin):
    if margin.num_constant == 0:
        return
    if of_levels(margin):
        inputs = (np.arange(margin.shape[0]),)
    else:
        inputs = margin.rows or (np.linspace(0.0, 1.0, 50),) * margin.num_inputs
    values = margin.design(*inputs) @ margin.functions
    np.testing.assert_allclose(values[:, 0], 1.0, atol=1e-9)
    if of_levels(margin) or margin.rows:
        np.testing.assert_allclose(values[:, 1:].mean(axis=0), 0.0, atol=1e-9)


def test_signs_and_rotations_follow_the_rule(margin, name):
    """The choice is idempotent, also where eigenvalues coincide: on a ring, and a square."""
    if isinstance(margin, GroupMargin):
        return
    which = margin.part("modes")
    if name == "bym2":  # Contrasts between components come last, of one variance.
        which = which[:5]
    modes = margin.functions[:, which]
    np.testing.assert_allclose(canonical(modes, margin.variances[which]), modes, atol=1e-8)


def test_observed_is_the_gram_matrix_at_the_rows(margin):
    if margin.rows is None:
        assert margin.num_observations == 0
        return
    rows = margin.design(*margin.rows)
    assert margin.num_observations == len(rows)
    np.testing.assert_allclose(margin.observed, rows.T @ rows / len(rows), atol=1e-12)


def test_axes_are_those_of_the_design(margin):
    names = ("x", "z")[: margin.num_inputs]
    axes = margin.axes(names)
    assert tuple(axis.name for axis in axes) == names
    assert tuple(axis.num_functions for axis in axes) == margin.shape
    if of_levels(margin):
        np.testing.assert_allclose(axes[0].means(), 1.0 / margin.shape[0])
    elif margin.rows:  # Their means are those of the observations, one input by itself.
        bases = margin.bases if margin.num_inputs == 2 else [margin.basis]
        for axis, basis, x in zip(axes, bases, margin.rows, strict=True):
            expected = basis.collocation(x).mean(axis=0)
            np.testing.assert_allclose(axis.means(), expected, atol=1e-12)


@pytest.mark.parametrize("name", ["surface", "surface_tied", "surface_cyclic"])
def test_raw_coefficients_of_a_surface_are_a_matrix(name, x64):
    """The first input varies slowest: reshaped, they are the coefficients of a `Surface`."""
    margin = made(name)
    raw = margin.functions @ np.arange(1.0, margin.num_functions + 1)
    surface = Surface(raw.reshape(margin.shape), margin.axes(("x", "z")))
    np.testing.assert_allclose(surface(X, Z), margin.design(X, Z) @ raw, rtol=1e-9, atol=1e-9)


# Groups.


def test_labels_of_all_kinds():
    boys = GroupMargin(np.array(["Tom", "Ann", "Tom", "Bob"]))
    assert boys.levels == ("Ann", "Bob", "Tom")
    np.testing.assert_array_equal(boys.index([["Bob"], ["Tom"]]), [[1], [2]])
    np.testing.assert_array_equal(boys.rows[0], [2, 0, 2, 1])
    dose = pd.Series(pd.Categorical(["low", "high", "low"], ["low", "mid", "high"], ordered=True))
    assert GroupMargin(dose).levels == ("low", "high")
    np.testing.assert_array_equal(GroupMargin(dose).index(dose), [0, 1, 0])
    np.testing.assert_array_equal(GroupMargin(dose).index(["high"]), [1])
    assert GroupMargin(pd.Series([3, 1, 3], dtype="Int64")).levels == (1, 3)
    assert GroupMargin(np.array([3.0, 1.0])).levels == (1, 3)
    assert GroupMargin(4).levels == (0, 1, 2, 3)
    assert GroupMargin(1, "independent").num_modes == 1


def test_the_average_of_a_population_and_its_contrasts_are_its_levels():
    """b + u_g is s + d_g: Var s = 1 + tau^2 / G, and contrasts have tau^2 (I - 1 1' / G)."""
    margin = GroupMargin(5)
    modes = margin.functions[:, margin.part("modes")]
    covariance = (modes * margin.variances[1:]) @ modes.T
    np.testing.assert_allclose(covariance, np.eye(5) - 0.2, atol=1e-14)
    alone = GroupMargin(5, "independent")
    covariance = (alone.functions * alone.variances) @ alone.functions.T
    np.testing.assert_allclose(covariance, np.eye(5), atol=1e-14)


# Areas.


def grid(rows, columns):
    """A rectangular map: areas with a common side are neighbors."""
    path = [np.eye(n, k=1) + np.eye(n, k=-1) for n in (rows, columns)]
    return np.kron(path[0], np.eye(columns)) + np.kron(np.eye(rows), path[1])


def covariance(margin):
    which = margin.part("modes")
    modes = margin.functions[:, which]
    return (modes * margin.variances[which]) @ modes.T


def test_every_component_has_the_same_variance_and_islands_none():
    """As for 49, 3 and 1 areas by themselves, whatever the size of a component."""
    parts = [grid(7, 7), grid(1, 3), np.zeros((1, 1))]
    margin = GraphMargin(block_diag(*parts))
    np.testing.assert_array_equal(margin.components, np.repeat([0, 1, 2], [49, 3, 1]))
    # tau^2 is the average over all areas, the island's zero included.
    variance = np.diag(covariance(margin)) * 52 / 53
    means = [variance[margin.components == c].mean() for c in range(3)]
    np.testing.assert_allclose(means, [1.0, 1.0, 0.0], atol=1e-12)
    for part, areas in zip(parts[:2], (slice(0, 49), slice(49, 52)), strict=True):
        alone = covariance(GraphMargin(part))
        np.testing.assert_allclose(covariance(margin)[areas, areas] * 52 / 53, alone, atol=1e-12)
    # Contrasts between components are constant on each.
    values = margin.functions[:, margin.part("linear")]
    assert all(np.ptp(values[margin.components == c], axis=0).max() < 1e-12 for c in range(3))


@pytest.mark.parametrize("weights", [1.0, 2.5])
def test_a_field_is_the_inverse_of_the_laplacian(weights):
    margin = GraphMargin(weights * grid(4, 5))
    inverse = np.linalg.pinv(margin.penalty)
    np.testing.assert_allclose(covariance(margin), inverse / np.diag(inverse).mean(), atol=1e-12)


def test_the_scale_of_inla():
    plain = GraphMargin(grid(4, 5))
    inverse = np.linalg.pinv(plain.penalty)
    geometric = np.exp(np.log(np.diag(inverse)).mean())
    margin = GraphMargin(grid(4, 5), scaling="geometric")
    np.testing.assert_allclose(covariance(margin), inverse / geometric, atol=1e-12)
    np.testing.assert_allclose(margin.variances[1:].sum(), np.diag(inverse).mean() / geometric)
    # BYM2 with the average of all areas taken off, islands included.
    ties = block_diag(grid(4, 5), 0.0)
    mixed = GraphMargin(ties, mixing=0.3, scaling="geometric")
    field = np.zeros((21, 21))
    field[:20, :20] = inverse / geometric
    expected = 0.3 * field + 0.7 * (np.eye(21) - 1 / 21)
    np.testing.assert_allclose(covariance(mixed), expected, atol=1e-12)


def test_mixing_has_one_scale_and_all_functions():
    ties = block_diag(grid(3, 3), grid(1, 2), 0.0)
    margin = GraphMargin(ties, mixing=0.3)
    assert (margin.num_linear, margin.num_modes) == (0, 11)
    plain = GraphMargin(ties)
    expected = 0.3 * covariance(plain) * 11 / 12 + 0.7 * (np.eye(12) - 1 / 12)
    np.testing.assert_allclose(covariance(margin), expected / np.trace(expected) * 12, atol=1e-12)


def test_few_modes_are_the_smoothest():
    every, few = GraphMargin(grid(4, 5)), GraphMargin(grid(4, 5), num_modes=6)
    np.testing.assert_array_equal(few.functions, every.functions[:, :7])
    ratio = few.variances[1:] / every.variances[1:7]
    np.testing.assert_allclose(ratio, ratio[0])


def test_neighbours_come_in_many_forms():
    expected = GraphMargin(TABLE)
    pairs = [("a", "b"), ("b", "c"), ("d", "c"), ("a", "d"), ("d", "a")]
    frame = pd.DataFrame(pairs, columns=["area", "neighbour"])
    ties = np.array([[0, 1, 0, 1], [1, 0, 1, 0], [0, 1, 0, 1], [1, 0, 1, 0]])
    forms = [
        (pairs, None),
        (np.array(pairs).tolist(), None),
        (frame, None),
        (ties, list("abcd")),
        (scipy.sparse.csr_array(ties), list("abcd")),
        ({area: np.array(others) for area, others in TABLE.items()}, None),
    ]
    for neighbours, levels in forms:
        margin = GraphMargin(neighbours, levels=levels)
        assert margin.levels == expected.levels
        np.testing.assert_array_equal(margin.penalty, expected.penalty)
        np.testing.assert_array_equal(margin.functions, expected.functions)
    turned = GraphMargin(pairs, levels=["d", "c", "b", "a", "island"])
    assert turned.levels == ("d", "c", "b", "a", "island")
    np.testing.assert_array_equal(turned.penalty[:4, :4], expected.penalty[::-1, ::-1])
    np.testing.assert_array_equal(turned.index(["island", "d"]), [4, 0])
    assert GraphMargin(ties).levels == (0, 1, 2, 3)
    assert GraphMargin({2: [10], 10: [2]}).levels == (2, 10)


# Surfaces.


def test_the_energy_of_a_surface():
    """Of x^3 z^2: by hand, 36 x^2 z^4 + 2 (6 x^2 z)^2 + 4 x^6 on the unit square."""
    cubic = ns.BSplineBasis([0.0, 1.0])
    x = np.linspace(0.0, 1.0, 4)
    first, second = (np.linalg.solve(cubic.collocation(x), x**power) for power in (3, 2))
    coefficients = np.kron(first, second)
    expected = 36 / 3 / 5 + 72 / 5 / 3 + 4 / 7
    np.testing.assert_allclose(coefficients @ energy(cubic, cubic) @ coefficients, expected)
    x = np.linspace(0.0, 1.0, 9)
    margin = SurfaceMargin(cubic, cubic)
    np.testing.assert_allclose(margin.design(x, x[::-1]) @ coefficients, x**3 * x[::-1] ** 2)


@pytest.mark.parametrize("bases", [(CUBIC, NATURAL), (CYCLIC, CUBIC), (TIED, CUBIC), (TIED, TIED)])
def test_what_is_free_is_all_that_the_energy_does_not_see(bases):
    form, free = energy(*bases), unpenalized(*bases)
    sizes = np.linalg.eigvalsh(form)
    assert np.sum(sizes < 1e-10 * sizes[-1]) == free.shape[1]
    np.testing.assert_allclose(form @ free, 0.0, atol=1e-12 * sizes[-1])


def test_linear_functions_of_a_surface_are_planes():
    margin = SurfaceMargin(CUBIC, NATURAL, measure=(X, Z))
    values = margin.design(X, Z) @ margin.functions[:, margin.part("linear")]
    planes = np.stack([np.ones_like(X), X, Z], axis=1)
    slopes, rest, *_ = np.linalg.lstsq(planes, values, rcond=None)
    assert rest.max() < 1e-20
    # First along x alone, then what z adds.
    assert abs(slopes[2, 0]) < 1e-10
    assert slopes[1, 0] > 0
    assert slopes[2, 1] > 0


def test_rows_with_a_gap_do_not_count():
    x, z = np.append(X, [np.nan, 0.5]), np.append(Z, [0.5, np.nan])
    whole, gaps = (SurfaceMargin(CUBIC, CUBIC, measure=m) for m in ((X, Z), (x, z)))
    np.testing.assert_array_equal(gaps.functions, whole.functions)
    assert gaps.num_observations == 60
    assert gaps.rows[0].shape == (62,)


def test_modes_that_hold_the_share():
    every = SurfaceMargin(CUBIC, CUBIC, share=1.0)
    assert every.num_modes == 61
    sums = np.cumsum(every.variances[3:])
    share = SurfaceMargin(CUBIC, CUBIC, share=0.9999)
    assert sums[share.num_modes - 1] >= 0.9999 > sums[share.num_modes - 2]
    assert SurfaceMargin(CUBIC, CUBIC, share=0.5).num_modes == 30
    few = ns.BSplineBasis([0.0, 1.0])
    assert SurfaceMargin(few, few).num_modes == 13


# Bad input gets one clear sentence.

RING = np.array([[0, 1, 1], [1, 0, 1], [1, 1, 0]], dtype=float)
ONE_SIDED = np.array([[0, 1, 0], [1, 0, 1], [0, 0, 0]])
MANY = ns.BSplineBasis(ns.knots.uniform(0.0, 1.0, 29))


def graph(neighbours, **options):
    return lambda: GraphMargin(neighbours, **options)


BAD = {
    "curve_basis": (lambda: CurveMargin([0.0, 1.0]), TypeError, "`basis` must be an object such"),
    "curve_both": (
        lambda: CurveMargin(CUBIC, 1, penalty=ns.penalties.Derivative(1)),
        TypeError,
        "`order` and `penalty` must not both be given",
    ),
    "curve_penalty": (
        lambda: CurveMargin(CUBIC, penalty=2),
        TypeError,
        r"`penalty` must be an object such as .*Derivative\(2\); got 2",
    ),
    "group_one": (lambda: GroupMargin(["a", "a"]), ValueError, "two levels or more; got .'a',."),
    "group_none": (lambda: GroupMargin([]), ValueError, "at least one label; got none"),
    "group_number": (lambda: GroupMargin(0), ValueError, "at least one level; got 0"),
    "group_text": (lambda: GroupMargin("abc"), TypeError, "labels in a sequence .*; got 'abc'"),
    "group_kind": (lambda: GroupMargin(3, "random"), ValueError, "`kind` must be .*; got 'random'"),
    "group_fraction": (
        lambda: GroupMargin([0.5, 1.0]),
        TypeError,
        "labels, not measurements; got fractions such as 0.5",
    ),
    "group_mixed": (
        lambda: GroupMargin(np.array(["a", 1], dtype=object)),
        TypeError,
        "labels of one kind; got .'int', 'str'.. Convert them to strings",
    ),
    "group_missing": (
        lambda: GroupMargin(["a", None, "b"]),
        ValueError,
        "`labels` must not have missing labels",
    ),
    "group_missing_number": (
        lambda: GroupMargin([1.0, np.nan]),
        ValueError,
        "must not have missing labels",
    ),
    "group_missing_category": (
        lambda: GroupMargin(pd.Series(["a", None, "b"], dtype="category")),
        ValueError,
        "must not have missing labels",
    ),
    "group_masked": (
        lambda: GroupMargin(np.ma.array(["a", "b"], mask=[False, True])),
        ValueError,
        "must not have missing labels",
    ),
    "group_unknown": (
        lambda: GroupMargin(["a", "b"]).index(["a", "x", "y"]),
        ValueError,
        "`labels` must hold levels that are known, 'a', 'b'; got 'x', 'y'. For new levels",
    ),
    "graph_kind": (graph(5), TypeError, "`neighbours` must be a table .area -> list"),
    "graph_strings": (graph(["ab", "cd"]), TypeError, "`neighbours` must be a table"),
    "graph_wide_frame": (
        graph(pd.DataFrame(np.ones((2, 3)))),
        TypeError,
        "a data frame of two columns",
    ),
    "graph_scalar": (
        graph({"a": "b", "b": ["a"]}),
        TypeError,
        "map each area to a list of its neighbors; got 'b' for 'a'",
    ),
    "graph_one_sided": (
        graph({"a": ["b"], "b": []}),
        ValueError,
        "must be symmetric; got 'b' among the neighbors of 'a', but not 'a' among those of 'b'",
    ),
    "graph_unknown": (
        graph({"a": ["b"], "b": ["a", "c"]}),
        ValueError,
        "`neighbours` must .* known, 'a', 'b'; got 'c'",
    ),
    "graph_unknown_level": (
        graph([("a", "b")], levels=["a", "c"]),
        ValueError,
        "`neighbours` must .* known, 'a', 'c'; got 'b'",
    ),
    "graph_self": (graph([("a", "a"), ("a", "b")]), ValueError, "its own neighbor; got 'a'"),
    "graph_negative": (graph(-RING), ValueError, "must not have negative weights; got -1"),
    "graph_uneven": (
        graph(ONE_SIDED),
        ValueError,
        r"must be symmetric; got 1 from 1 to 2 and 0 back. Use \(W \+ W.T\) / 2",
    ),
    "graph_not_square": (
        graph(np.ones((5, 2))),
        ValueError,
        r"must be a square matrix, areas x areas; got shape \(5, 2\). Pairs .*tolist",
    ),
    "graph_nan": (graph(RING * np.nan), ValueError, "`neighbours`"),
    "graph_level_number": (
        graph(RING, levels=["a", "b"]),
        ValueError,
        "`levels` must name the 3 areas of the matrix in their order; got 2",
    ),
    "graph_level_twice": (
        graph(RING, levels=["a", "b", "a"]),
        ValueError,
        "`levels` must all be different; got 'a' twice",
    ),
    "graph_one_area": (graph({"a": []}), ValueError, "of two areas or more; got .'a',."),
    "graph_no_ties": (
        graph(np.zeros((3, 3))),
        ValueError,
        "must tie some areas; got 3 areas without neighbors. .* GroupMargin",
    ),
    "graph_mixing": (
        graph(RING, mixing=1.0),
        ValueError,
        "`mixing` must be a number between 0 and 1; got 1.0. For 1 leave it out; for 0",
    ),
    "graph_scaling": (graph(RING, scaling="inla"), ValueError, "`scaling` must be .*got 'inla'"),
    "graph_mixed_modes": (
        graph(RING, mixing=0.5, num_modes=1),
        ValueError,
        "`num_modes` must not be given with `mixing`",
    ),
    "graph_modes": (graph(RING, num_modes=3), ValueError, "`num_modes` must be at most 2"),
    "graph_observations": (
        graph(RING, observations=[0, 7]),
        ValueError,
        "`observations` must hold levels that are known, 0, 1, 2; got 7",
    ),
    "surface_basis": (
        lambda: SurfaceMargin(CUBIC, Fourier(np.arange(1.0, 3.0))),
        TypeError,
        "`basis_z` must be a basis of piecewise polynomials.*; got Fourier",
    ),
    "surface_size": (
        lambda: SurfaceMargin(MANY, MANY),
        ValueError,
        "at most 900 products of functions; got 31 x 31. Use fewer breakpoints",
    ),
    "surface_measure": (
        lambda: SurfaceMargin(CUBIC, CUBIC, measure=X),
        TypeError,
        r"`measure` must be a pair \(x, z\) .*; got ndarray",
    ),
    "surface_lengths": (
        lambda: SurfaceMargin(CUBIC, CUBIC, measure=(X, Z[:-1])),
        ValueError,
        "`measure` must hold x and z of the same rows; got 60 and 59",
    ),
    "surface_gaps": (
        lambda: SurfaceMargin(CUBIC, CUBIC, measure=([np.nan, 0.5], [0.5, np.nan])),
        ValueError,
        "at least one row with both x and z; got none",
    ),
    "surface_modes": (
        lambda: SurfaceMargin(CUBIC, CUBIC, num_modes=62),
        ValueError,
        "`num_modes` must be at most 61",
    ),
    "surface_share": (
        lambda: SurfaceMargin(CUBIC, CUBIC, share=1.5),
        ValueError,
        r"`share` must lie in \(0, 1\]; got 1.5",
    ),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_input_gets_one_clear_sentence(name):
    call, kind, message = BAD[name]
    with pytest.raises(kind, match=message):
        call()
