"""Smooths that mgcv computed: designs, penalties, absorbed constraints, predictions and fits."""

import jax.numpy as jnp
import numpy as np
import pytest
from oracle_files import close, load

import numpyro_splines as ns
from numpyro_splines.constraints import ZeroAt, ZeroMean
from numpyro_splines.penalties import Derivative, Shrunk

UNIVARIATE = load("mgcv_univariate")
RANDOM_EFFECT = load("mgcv_random_effect")
REML = 1e-5  # mgcv's own optimum over the scale is good to this


class RandomSlope(ns.AbstractBasis):
    """mgcv's `s(x, bs="re")` for a numeric x: one function, penalized by its square."""

    num_coefficients = property(lambda self: 1)
    domain = (0.0, 1.0)

    def __call__(self, x):
        return jnp.asarray(x)[..., None]


def smooth(case):
    """Our basis and its list of penalties for an mgcv smooth."""
    kind, m = case["bs"], case["m"]
    knots = np.array(case["knots"] or [], dtype=float)
    if kind in ("cr", "cs"):
        basis = ns.CubicRegressionBasis(knots)
        # cs shrinks two directions that are arbitrary; see test_shrinkage.
        return basis, [basis.penalty(2) if kind == "cr" else np.array(case["S"][0])]
    if kind == "cc":
        basis = ns.CyclicCubicRegressionBasis(knots)
        return basis, [basis.penalty(2)]
    if kind == "ps":
        basis = ns.BSplineBasis(knots=knots, degree=m[0] + 1)
        return basis, [basis.difference_penalty(m[1], plain=True)]
    if kind == "cp":
        basis = ns.CyclicBasis(knots, degree=m[0] + 1)
        return basis, [basis.difference_penalty(m[1])]
    if kind == "bs":
        basis = ns.BSplineBasis(knots=knots, degree=m[0])
        return basis, list(basis.penalty(m[1:]))
    if kind == "ad":
        basis = ns.BSplineBasis(knots=knots)
        index = np.arange(1.0, basis.num_coefficients - 1)
        local = ns.BSplineBasis(knots=ns.mgcv.ps_knots(index, 3, degree=2), degree=2)
        difference = np.diff(np.eye(basis.num_coefficients), 2, axis=0)
        weights = local.collocation(index).T
        return basis, [difference.T @ (w[:, None] * difference) for w in weights]
    assert kind == "re"
    return RandomSlope(), [np.eye(1)]


def constraint(case):
    at = case["point_constraint"]
    return ZeroMean(case["x"]) if at is None else ZeroAt(at)


def array(case, name):
    return np.array(case[name], dtype=float)


@pytest.mark.parametrize("case", UNIVARIATE + RANDOM_EFFECT)
def test_designs_and_penalties(case, x64):
    basis, penalties = smooth(case)
    design = basis(array(case, "x"))
    close(design, case["X"])
    close(basis(array(case, "newx")), case["pred_X"])
    assert len(penalties) == len(case["S"])
    for ours, theirs, scale, scaled in zip(
        penalties, case["S"], case["s_scale"], case["S_scaled"], strict=True
    ):
        close(ours, theirs)
        np.testing.assert_allclose(ns.mgcv.penalty_scale(design, ours), scale, rtol=1e-10)
        close(ours / ns.mgcv.penalty_scale(design, ours), scaled)


@pytest.mark.parametrize("case", UNIVARIATE)
def test_absorbed_constraints(case, x64):
    basis, penalties = smooth(case)
    rule = constraint(case)
    close(rule.rows(basis), np.reshape(case["C"], (1, -1)))
    absorbed = basis.constrained(rule)
    close(absorbed(array(case, "x")), case["X_absorbed"])
    close(absorbed(array(case, "newx")), case["pred_X_absorbed"])
    for ours, theirs in zip(penalties, case["S_absorbed"], strict=True):
        close(absorbed.matrix.T @ ours @ absorbed.matrix, theirs)
    # The constraint holds to machine precision.
    rows = rule.rows(basis)
    assert np.abs(rows @ absorbed.matrix).max() < 1e-14 * np.abs(rows).max()


def test_the_methods_of_a_constrained_basis_are_those_forms(x64):
    case = next(p.values[0] for p in UNIVARIATE if p.id == "bs_19")
    basis, penalties = smooth(case)
    absorbed = basis.constrained(constraint(case))
    close(absorbed.penalty([2, 1]), case["S_absorbed"])
    case = next(p.values[0] for p in UNIVARIATE if p.id == "ps_8")
    basis, penalties = smooth(case)
    absorbed = basis.constrained(constraint(case))
    close(absorbed.difference_penalty(2, plain=True), case["S_absorbed"][0])
    # On even knots the general differences are the plain ones.
    close(basis.difference_penalty(2), penalties[0])


@pytest.mark.parametrize("case", UNIVARIATE + RANDOM_EFFECT)
def test_penalized_fits(case, x64):
    basis, penalties = smooth(case)
    if case["C"] is None:
        design, new, matrix = basis, basis, np.eye(basis.num_coefficients)
    else:
        design = new = basis.constrained(constraint(case))
        matrix = design.matrix
    scale = [ns.mgcv.penalty_scale(basis(array(case, "x")), s) for s in penalties]
    absorbed = [matrix.T @ s @ matrix for s in penalties]
    for name in ("fit", "fit_select"):
        if case.get(name):
            null = design.null_space(2) if case["bs"] != "re" else None
            check_fit(case, case[name], design, new, list(absorbed), list(scale), null)


def check_fit(case, fit, design, new, penalties, scale, null):
    if fit["select"]:  # a further penalty on the null space of the first
        directions = np.linalg.qr(null).Q
        penalties.append(directions @ directions.T)
        scale.append(1.0)
    x = np.asarray(design(array(case, "x")))
    X = np.column_stack([np.ones(len(x)), x])
    S = np.zeros((X.shape[1],) * 2)
    for sp, s, penalty in zip(fit["sp"], scale, penalties, strict=True):
        S[1:, 1:] += sp / s * penalty
    y = array(case, "y")
    inverse = np.linalg.inv(X.T @ X + S)
    beta = inverse @ X.T @ y
    fitted = X @ beta
    hat = np.einsum("ij,jk,ik->i", X, inverse, X)
    rss = np.sum((y - fitted) ** 2)
    edf = hat.sum()
    sig2 = rss / (len(y) - edf)
    close(fitted, fit["fitted"], 1e-9)
    close(hat, fit["hat"], 1e-9)
    np.testing.assert_allclose([edf, rss, sig2], [fit[k] for k in ("edf_total", "rss", "sig2")])
    unpenalized = X.shape[1] - np.linalg.matrix_rank(S)
    reml_scale = (rss + beta @ S @ beta) / (len(y) - unpenalized)
    np.testing.assert_allclose(reml_scale, fit["reml_scale"], rtol=REML)
    newx = np.asarray(new(array(case, "newx")))
    P = np.column_stack([np.ones(len(newx)), newx])
    close(P @ beta, fit["pred_newx"], 1e-9)
    se = np.sqrt(np.einsum("ij,jk,ik->i", P, inverse, P) * sig2)
    close(se, fit["pred_newx_se"], 1e-9)


@pytest.mark.parametrize("case", [p for p in UNIVARIATE if p.values[0]["bs"] in ("ps", "bs", "cp")])
def test_knot_rules(case):
    x, k, m = array(case, "x"), case["bs_dim"], case["m"]
    given = np.array(case["knots_given"] or x, dtype=float)
    if given.size > 4 and case["knots_given"]:
        return  # all knots were given
    if case["bs"] == "cp":
        knots = ns.mgcv.cp_knots(given, k)
    elif given.size == 4:
        degree = m[0]
        knots = ns.mgcv.ps_knots(given[1:3], k, degree, base=(given[0], given[3]))
    else:
        knots = ns.mgcv.ps_knots(given, k, m[0] + (case["bs"] == "ps"))
    close(knots, case["knots"], 1e-14)


@pytest.mark.parametrize("case", [p for p in UNIVARIATE if p.values[0]["bs"] in ("cr", "cs", "cc")])
def test_quantile_knots_of_distinct_values_are_mgcvs(case):
    if case["knots_given"] is None:
        knots = ns.knots.quantile(np.unique(case["x"]), len(case["knots"]))
        close(knots, case["knots"], 1e-14)


def test_shrinkage(x64):
    """mgcv's cs: zero eigenvalues become 0.1 and 0.01 of the smallest positive one; ours 0.1.

    After its sum-to-zero constraint all that is left is penalized, as our modes are.
    """
    case = next(p.values[0] for p in UNIVARIATE if p.values[0]["bs"] == "cs")
    plain = ns.CubicRegressionBasis(case["knots"])
    shrunk = Shrunk(Derivative(2), 0.1)
    values = np.linalg.eigvalsh(plain.penalty(2))
    theirs = np.linalg.eigvalsh(np.array(case["S"][0]))
    ours = np.linalg.eigvalsh(shrunk.matrix(plain))
    np.testing.assert_allclose(theirs[:2] / values[2], [0.01, 0.1], rtol=1e-8)
    np.testing.assert_allclose(ours[:2] / values[2], [0.1, 0.1], rtol=1e-8)
    np.testing.assert_allclose(ours[2:], values[2:], rtol=1e-8)
    np.testing.assert_allclose(theirs[2:], values[2:], rtol=1e-8)
    x = array(case, "x")
    absorbed = plain.constrained(ZeroMean(x))
    form = absorbed.matrix.T @ shrunk.matrix(plain) @ absorbed.matrix
    smooth = ns.SmoothnessPrior(penalty=shrunk).bind(plain, x)
    columns = np.asarray(plain(x)) @ smooth.columns
    theirs = np.asarray(absorbed(x)) @ np.linalg.inv(form) @ np.asarray(absorbed(x)).T
    ours = columns @ columns.T
    close(ours / np.trace(ours), theirs / np.trace(theirs), 1e-8)
    assert smooth.num_linear == 0


@pytest.mark.parametrize("case", load("smooth2random"))
def test_random_effect_form(case, x64):
    """Z Z' and the span of the fixed part, which do not depend on signs and rotations."""
    x = array(case, "x")
    for ours, block in enumerate(case["gamm"]):
        level = np.ones(len(x)) if len(case["gamm"]) == 1 else level_of(case, ours)
        basis, penalty = random_effect_smooth(case, x)
        absorbed = basis.constrained(ZeroMean(x))
        # mgcv scales the penalty before it multiplies the rows by the factor's indicator.
        scale = ns.mgcv.penalty_scale(basis(x), penalty)
        form = absorbed.matrix.T @ penalty @ absorbed.matrix / scale
        X = level[:, None] * np.asarray(absorbed(x))
        values, vectors = np.linalg.eigh(form)
        rank = int(np.sum(values > 1e-9 * values.max()))
        covariance = (vectors[:, -rank:] / values[-rank:]) @ vectors[:, -rank:].T
        Z = np.array(block["Z"][0], dtype=float)
        close(X @ covariance @ X.T, Z @ Z.T, 1e-8)
        fixed = X @ vectors[:, :-rank]
        assert fixed.shape[1] == case_fixed(block).shape[1]
        if fixed.shape[1]:
            close(projection(fixed), projection(case_fixed(block)), 1e-8)


def case_fixed(block):
    return np.array(block["Xf"], dtype=float).reshape(len(block["Xf"]), -1)


def projection(columns):
    basis = np.linalg.qr(columns).Q
    return basis @ basis.T


def level_of(case, index):
    levels = np.unique(case["f"])
    return (np.array(case["f"]) == levels[index]).astype(float)


def random_effect_smooth(case, x):
    text = case["smooth"]
    k = int(text.split("k=")[1].split(")")[0])
    if 'bs="ps"' in text:
        basis = ns.BSplineBasis(knots=ns.mgcv.ps_knots(x, k))
        return basis, basis.difference_penalty(2)
    kind = ns.CyclicCubicRegressionBasis if 'bs="cc"' in text else ns.CubicRegressionBasis
    basis = kind(ns.knots.quantile(np.unique(x), k))
    return basis, basis.penalty(2)
