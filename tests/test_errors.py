"""Bad input gets one clear sentence: the argument, the rule, what came."""

import jax
import jax.numpy as jnp
import numpy as np
import numpyro
import numpyro.distributions as dist
import pytest
import xarray as xr

import numpyro_splines as ns
from numpyro_splines import constraints as cs
from numpyro_splines import extrapolation as ex
from numpyro_splines import plotting
from numpyro_splines import posterior as po
from numpyro_splines.latent.directions import direction
from numpyro_splines.posterior.input_checks import check_inputs
from numpyro_splines.regression import (
    Binomial,
    Gaussian,
    IntegratedGaussian,
    MarginalGaussian,
    Poisson,
    penalized_fit,
)
from numpyro_splines.spectrum import karhunen_loeve

KNOTS = ns.knots.clamped([0.0, 0.5, 1.0], 3)
BASIS = ns.BSplineBasis([0.0, 0.5, 1.0])
CURVE = BASIS.curve(np.ones(5))
LINE = ns.BSplineBasis([0.0, 1.0], degree=1)
WAVE = ns.BSplineBasis([0.0, 1.0], extrapolation=ex.Periodic()).curve(np.ones(4))
X = np.linspace(0.0, 1.0, 9)
F = ns.SplineEffect("f", BASIS)
NAN = ns.SplineEffect("f", ns.BSplineBasis([0.0, 1.0], extrapolation=ex.NaN()))
FLAT = dist.ImproperUniform(dist.constraints.real, (), ())
ETA = ns.AdditivePredictor((F, X), intercept=dist.Normal())
LEVEL = ns.AdditivePredictor((F, X), intercept=FLAT)
MARGINAL = IntegratedGaussian(ETA)


class NotGaussianSmooth(ns.AbstractSmooth):
    def sample(self, site):
        return np.zeros(5)


class NotGaussian(ns.AbstractPrior):
    def bind(self, basis, measure=None):
        return NotGaussianSmooth()


# Posterior curves: two chains of three draws, alone and for two groups.
DRAWS = {"f.coefficients": np.zeros((2, 3, 5)), "level": np.zeros((2, 3))}
POST = po.curve(F, DRAWS)
GROUPED = po.LabeledCurve(BASIS.curve(np.zeros((2, 3, 2, 5))), dims=("chain", "draw", "group"))
VALUES = po.values(POST, X)


def linear(**terms):
    return ns.AdditivePredictor((F, X), intercept=None, linear=terms)


BAD = {
    # Found by tests/test_fuzz.py: a crash of the process, and messages of other packages.
    "degree_huge": (lambda: CURVE.elevate(10**18), ValueError, "`degree` must be at most 100; got"),
    "num_huge": (
        lambda: ns.knots.uniform(0.0, 1.0, 10**18),
        ValueError,
        "`num` must be at most 10000000",
    ),
    "x_ragged": (
        lambda: CURVE([[1.0], [1.0, 2.0]]),
        ValueError,
        "`x` must be an array, or lists of one length",
    ),
    "x_beyond_floats": (lambda: CURVE(10**400), ValueError, "`x` must be finite in float64"),
    "breakpoints_too_near": (
        lambda: ns.CubicRegressionBasis([0.0, 5e-324, 1.0]),
        ValueError,
        "`knots` must be between 1e-33 and 1e.33 apart",
    ),
    "labels_nested": (
        lambda: ns.GroupMargin([["a"], ["b", "c"]]),
        TypeError,
        "`labels` must be labels, such as strings",
    ),
    "prefix": (
        lambda: F.curve(DRAWS, prefix=1),  # pyright: ignore
        TypeError,
        "`prefix` must be a string; got int",
    ),
    "draws_no_mapping": (
        lambda: F.curve([1.0]),  # pyright: ignore
        TypeError,
        "`draws` must be a mapping from names; got a list of 1",
    ),
    "scale_text": (
        lambda: ns.distributions.RandomWalk(1, "a"),
        TypeError,
        "`scale` must hold real numbers",
    ),
    "no_constraint": (
        lambda: BASIS.constrained(BASIS),  # pyright: ignore
        TypeError,
        "`constraints` must be a Constraint; got BSplineBasis",
    ),
    "flag": (
        lambda: ns.penalties.Differences(2, plain=X),  # pyright: ignore
        TypeError,
        "`plain` must be True or False; got ndarray",
    ),
    "rule": (
        lambda: ns.TensorEffect(
            "f", x=ns.CurveMargin(BASIS), components=ns.components.FunctionalAnova("sum")
        ),
        TypeError,
        "`rule` must be a Rule; got str",
    ),
    "noise_tiny": (
        lambda: ns.SplineEffect("f", BASIS, measure=X, noise=5e-324),
        ValueError,
        "`noise` must be a positive number",
    ),
    "base_of_one": (
        lambda: ns.mgcv.ps_knots(X, 8, base=(0.0,)),  # pyright: ignore
        ValueError,
        "`base` must be the two ends of an interval; got 1 values",
    ),
    "x_strings": (lambda: ns.bspline_basis(["a"], KNOTS), TypeError, "`x` must hold real numbers"),
    "x_masked": (
        lambda: CURVE(np.ma.array([0.1, -999.0], mask=[False, True])),
        ValueError,
        r"`x` must not have missing values; got 1 among 2 .*x.compressed\(\)",
    ),
    "x_dates": (
        lambda: CURVE(np.array(["2020-01-01"], "M8[D]")),
        TypeError,
        r"days since a date: \(t - t\[0\]\) / np.timedelta64\(1, 'D'\)",
    ),
    "x_durations": (
        lambda: CURVE(np.array([6], "m8[h]")),
        TypeError,
        r"give days: t / np.timedelta64\(1, 'D'\)",
    ),
    "x_complex": (lambda: CURVE(1j), TypeError, "`x` must hold real numbers; got dtype complex"),
    "knots_decrease": (
        lambda: ns.bspline_basis(0.5, [0, 0, 0.7, 0.5, 1, 1], 1),
        ValueError,
        r"`knots` must be non-decreasing; got 0\.\d+ before 0.5 at index 3",
    ),
    "knots_nan": (
        lambda: ns.bspline_basis(0.5, [0, 0, np.nan, 1, 1], 1),
        ValueError,
        "`knots` must be finite; got nan at index 2",
    ),
    "knots_too_few": (
        lambda: ns.bspline_basis(0.5, [0, 0, 1, 1], 3),
        ValueError,
        r"at least 2 \(degree \+ 1\) = 8 values; got shape \(4,\)",
    ),
    "knots_two_dimensional": (
        lambda: ns.bspline_basis(0.5, np.zeros((2, 8))),
        ValueError,
        r"`knots` must have 1 dimension\(s\); got shape \(2, 8\)",
    ),
    "knots_empty_interval": (
        lambda: ns.bspline_basis(0.5, np.zeros(8)),
        ValueError,
        "`knots` must leave a base interval",
    ),
    "traced_knots_too_few": (
        lambda: jax.jit(lambda t: ns.bspline_basis(0.5, t))(np.arange(5.0)),
        ValueError,
        r"`knots` must be one full knot vector.*got shape \(5,\)",
    ),
    "degree_negative": (
        lambda: ns.bspline_basis(0.5, KNOTS, -1),
        ValueError,
        "`degree` must be at least 0; got -1",
    ),
    "degree_float": (
        lambda: ns.BSplineBasis([0, 1], degree=2.5),
        TypeError,
        "`degree` must be an integer; got 2.5",
    ),
    "degree_bool": (
        lambda: ns.BSplineBasis([0, 1], degree=True),
        TypeError,
        "`degree` must be an integer; got True",
    ),
    "derivative_negative": (
        lambda: ns.bspline(0.5, KNOTS, np.ones(5), derivative=-2),
        ValueError,
        "`derivative` must be at least 0; got -2",
    ),
    "coefficients_wrong_number": (
        lambda: ns.bspline(0.5, KNOTS, np.ones(4)),
        ValueError,
        r"`coefficients` must have shape \(\*batch, 5\).*got \(4,\)",
    ),
    "scipy_traced_knots": (
        lambda: jax.jit(lambda t: ns.scipy_bspline_basis(0.5, t))(KNOTS),
        TypeError,
        "`knots` must be concrete numbers; got a traced value",
    ),
    "breakpoints_repeat": (
        lambda: ns.BSplineBasis([0.0, 0.5, 0.5, 1.0]),
        ValueError,
        "`breakpoints` must be strictly increasing; got 0.5 before 0.5 at index 2",
    ),
    "breakpoints_one": (
        lambda: ns.BSplineBasis([0.0]),
        ValueError,
        "`breakpoints` must hold at least 2 values.*got 1",
    ),
    "breakpoints_and_knots": (
        lambda: ns.BSplineBasis([0.0, 1.0], knots=KNOTS),
        TypeError,
        "`breakpoints` or the keyword `knots`.*got both",
    ),
    "breakpoints_nor_knots": (lambda: ns.BSplineBasis(), TypeError, "got neither"),
    "extrapolation_class": (
        lambda: ns.BSplineBasis([0, 1], extrapolation=ex.Linear),
        TypeError,
        r"`extrapolation` must be an object such as .*Linear\(\)",
    ),
    "extrapolation_one_sided_period": (
        lambda: ns.BSplineBasis([0, 1], extrapolation=(ex.Periodic(), ex.Linear())),
        ValueError,
        r"`extrapolation` must be Periodic\(\) on both sides or on neither",
    ),
    "regression_knots_too_few": (
        lambda: ns.CubicRegressionBasis([0.0, 1.0]),
        ValueError,
        "`knots` must hold at least 3 values; got 2",
    ),
    "cyclic_regression_knots_too_few": (
        lambda: ns.CyclicCubicRegressionBasis([0.0, 1.0, 2.0]),
        ValueError,
        "`knots` must hold at least 4 values; got 3",
    ),
    "cyclic_breakpoints_repeat": (
        lambda: ns.CyclicBasis([0.0, 1.0, 1.0]),
        ValueError,
        "`breakpoints` must be strictly increasing",
    ),
    "m_spline_degree": (
        lambda: ns.MSplineBasis([0.0, 1.0], degree=-1),
        ValueError,
        "`degree` must be at least 0; got -1",
    ),
    "penalty_order": (
        lambda: BASIS.penalty(4),
        ValueError,
        "`order` must be at most degree = 3; got 4",
    ),
    "difference_order": (
        lambda: LINE.difference_penalty(2),
        ValueError,
        "`order` must be less than the number of basis functions, 2; got 2",
    ),
    "difference_repeated_knots": (
        lambda: ns.BSplineBasis(knots=[0, 0, 0.5, 0.5, 1, 1], degree=1).difference_penalty(1),
        ValueError,
        "`order` 1 of the difference penalty needs interior knots of multiplicity at most 1",
    ),
    "gram_of_traced_knots": (
        lambda: jax.jit(lambda b: ns.BSplineBasis(b).gram())(jnp.array([0.0, 1.0])),
        TypeError,
        "`knots` must be concrete numbers",
    ),
    "measure_empty": (
        lambda: BASIS.gram(np.array([])),
        ValueError,
        "`measure` must be an array of observations, or a pair",
    ),
    "measure_infinite": (
        lambda: BASIS.gram([0.1, np.inf]),
        ValueError,
        "`measure` must be finite, or NaN where missing; got inf at index 1",
    ),
    "measure_all_missing": (
        lambda: BASIS.gram([np.nan]),
        ValueError,
        "`measure` must hold at least one observation; all entries are NaN",
    ),
    "measure_in_other_units": (
        lambda: BASIS.gram([273.0, 280.0, 0.5]),
        ValueError,
        "got 2 of 3 observations outside the domain",
    ),
    "measure_weights_negative": (
        lambda: BASIS.gram(([0.1, 0.2], [1.0, -1.0])),
        ValueError,
        "`measure` weights must be non-negative with a positive sum",
    ),
    "measure_weights_shape": (
        lambda: BASIS.gram(([0.1, 0.2], [1.0])),
        ValueError,
        "got 2 observations and 1 weights",
    ),
    "natural_even_degree": (
        lambda: ns.NaturalBasis([0.0, 1.0, 2.0], degree=2),
        ValueError,
        "`degree` of a natural spline must be odd, 3 for cubic; got 2",
    ),
    "natural_breakpoints": (
        lambda: ns.NaturalBasis([0.0, 2.0, 1.0]),
        ValueError,
        "`breakpoints` must be strictly increasing; got 2 before 1 at index 2",
    ),
    "bernstein_reversed": (
        lambda: ns.BernsteinBasis(1.0, 0.0),
        ValueError,
        "`upper` must be greater than `lower`; got 0.0 and 1.0",
    ),
    "shrinkage_factor": (
        lambda: ns.penalties.Shrunk(ns.penalties.Derivative(2), 0.0),
        ValueError,
        "`factor` must be one positive number; got 0.0",
    ),
    "shrunk_twice": (
        lambda: ns.penalties.Shrunk(ns.penalties.Shrunk(ns.penalties.Derivative(2))),
        TypeError,
        "`penalty` of Shrunk must be a penalty with a null space, such as",
    ),
    "penalty_by_name": (
        lambda: ns.SmoothnessPrior(penalty="differences"),
        TypeError,
        "`penalty` must be an object of numpyro_splines.penalties, .*; got 'differences'",
    ),
    "penalty_and_order": (
        lambda: ns.SmoothnessPrior(1, penalty=ns.penalties.Derivative(2)),
        TypeError,
        "`order` and `penalty` must not both be given",
    ),
    "derivative_of_order_zero": (
        lambda: ns.penalties.Derivative(0),
        ValueError,
        "`order` must be at least 1; got 0",
    ),
    "constraints_leave_nothing": (
        lambda: LINE.constrained(cs.ZeroStart(), cs.ZeroEnd()),
        ValueError,
        "`constraints` must leave at least one function; got 2 independent conditions on 2",
    ),
    "constraint_matrix_shape": (
        lambda: BASIS.constrained(cs.Linear(np.ones((1, 4)))),
        ValueError,
        r"`matrix` must have 5 columns, one per coefficient; got shape \(1, 4\)",
    ),
    "constraint_not_linear": (
        lambda: BASIS.constrained(cs.Functional(lambda f: f(0.5) - 1.0)),
        ValueError,
        "`constraints` must be finite and linear in the curve, without a constant",
    ),
    "constraint_nan": (
        lambda: ns.BSplineBasis([0, 1], extrapolation=ex.NaN()).constrained(cs.ZeroAt(2.0)),
        ValueError,
        "`constraints` must be finite and linear in the curve",
    ),
    "constraint_of_no_points": (
        lambda: cs.ZeroMean([]),
        ValueError,
        "`x` must hold at least one point; got none",
    ),
    "constraint_point_nan": (
        lambda: cs.ZeroAt(np.nan),
        ValueError,
        "`point` must be finite; got nan",
    ),
    "penalty_interval": (
        lambda: BASIS.penalty(2, lower=0.5, upper=1.5),
        ValueError,
        r"`lower` and `upper` must be increasing and inside the domain \[0.0, 1.0\]; got 0.5 and",
    ),
    "plain_difference_order": (
        lambda: LINE.difference_penalty(2, plain=True),
        ValueError,
        "`order` must be less than the number of basis functions, 2; got 2",
    ),
    "mgcv_knots_too_few": (
        lambda: ns.mgcv.ps_knots([0.0, 1.0], 3),
        ValueError,
        "`num_coefficients` must be at least 4; got 3",
    ),
    "mgcv_base_inside": (
        lambda: ns.mgcv.ps_knots([0.0, 1.0], 8, base=(0.1, 2.0)),
        ValueError,
        "`base, x` must be strictly increasing; got 0.1",
    ),
    "nothing_to_penalize": (
        lambda: karhunen_loeve(np.eye(2), np.eye(2), np.eye(2)),
        ValueError,
        "`penalty` must leave something to penalize",
    ),
    "null_space_too_small": (
        lambda: karhunen_loeve(np.eye(3), np.zeros((3, 3)), np.ones((3, 1))),
        ValueError,
        "`penalty` must be positive definite beyond its null space",
    ),
    "derivative_order": (
        lambda: CURVE.derivative(-1),
        ValueError,
        "`order` must be at least 0; got -1",
    ),
    "antiderivative_twice": (
        lambda: WAVE.antiderivative().antiderivative(),
        ValueError,
        "`antiderivative` needs a curve that is periodic or continued by a polynomial",
    ),
    "pick_without_batch": (lambda: CURVE.pick([0]), ValueError, "`pick` needs a batch of curves"),
    "pick_floats": (
        lambda: BASIS.curve(np.ones((2, 5))).pick([0.0]),
        TypeError,
        "`index` must hold integers, .*; got dtype float64. pandas.factorize makes them",
    ),
    "pick_out_of_bounds": (
        lambda: BASIS.curve(np.ones((2, 5))).pick([0, 2]),
        ValueError,
        r"`index` must lie in \[0, 2\).*got 0 to 2",
    ),
    "each_wrong_shape": (
        lambda: BASIS.curve(np.ones((2, 5))).each(np.zeros(3)),
        ValueError,
        r"`x` must have the leading axes \(2,\), one per curve; got \(3,\)",
    ),
    "inverse_not_monotone": (
        lambda: BASIS.curve([0.0, 2.0, 1.0, 3.0, 0.0]).inverse(0.5),
        ValueError,
        "`inverse` needs a curve that increases or decreases over its whole domain; got one that "
        "does not",
    ),
    "inverse_periodic": (lambda: WAVE.inverse(0.5), ValueError, "got one that is periodic"),
    "roots_level": (
        lambda: CURVE.roots([0.0, 1.0]),
        ValueError,
        r"`level` must be one number; got shape \(2,\)",
    ),
    "roots_size": (lambda: CURVE.roots(size=0), ValueError, "`size` must be at least 1; got 0"),
    "refine_outside": (
        lambda: CURVE.refine([1.5]),
        ValueError,
        r"`points` must lie in the domain \[0.0, 1.0\]; got 0.0 to 1.5",
    ),
    "restrict_outside": (
        lambda: CURVE.restrict(0.5, 1.5),
        ValueError,
        r"`lower` and `upper` must lie in the domain \[0.0, 1.0\]; got 0.5 and 1.5",
    ),
    "restrict_empty": (
        lambda: CURVE.restrict(0.5, 0.5),
        ValueError,
        "`lower, upper` must be strictly increasing",
    ),
    "elevate_down": (
        lambda: CURVE.elevate(2),
        ValueError,
        "`degree` must be at least 3; got 2",
    ),
    "product_of_curves": (
        lambda: CURVE * CURVE,
        TypeError,
        "a curve is multiplied by numbers only; got two curves",
    ),
    "sum_with_periodic": (
        lambda: CURVE + WAVE,
        ValueError,
        "curves can be added if both or neither are periodic",
    ),
    "sum_of_periods": (
        lambda: WAVE + ns.CyclicBasis([0.0, 1.0, 2.0]).curve([1.0, 2.0]),
        ValueError,
        "periodic curves can be added on one period; got domains from 0.0 to 1.0 and from 0.0 to",
    ),
    "traced_refinement": (
        lambda: jax.jit(
            lambda b: ns.BSplineBasis(b, degree=1).curve(jnp.ones(2)).refine([0.5]).table
        )(jnp.array([0.0, 1.0])),
        TypeError,
        "`refine` needs concrete breakpoints common to all curves",
    ),
    "from_scipy_kind": (
        lambda: ns.Curve.from_scipy(np.ones(3)),
        TypeError,
        "`spline` must be a scipy.interpolate.BSpline or PPoly .*; got ndarray",
    ),
    "to_scipy_kind": (
        lambda: CURVE.to_scipy(list),
        TypeError,
        "`kind` must be scipy.interpolate.PPoly or BSpline",
    ),
    "to_scipy_gain": (
        lambda: WAVE.antiderivative().to_scipy(),
        ValueError,
        "`to_scipy` needs common breakpoints and no gain per period",
    ),
    "transform_flat": (
        lambda: ns.SplineTransform(
            ns.BSplineBasis([0.0, 1.0, 2.0, 3.0], degree=1).curve([0.0, 1.0, 1.0, 2.0])
        ),
        ValueError,
        "must be invertible; got one that is flat between 1 and 2",
    ),
    "transform_not_monotone": (
        lambda: ns.SplineTransform(BASIS.curve([0.0, 2.0, 1.0, 3.0, 0.0])),
        ValueError,
        "`curve` must increase or decrease over its whole domain",
    ),
    "transform_batch": (
        lambda: ns.SplineTransform(BASIS.curve(np.ones((2, 5)))),
        ValueError,
        r"`curve` must be one curve; got a batch of shape \(2,\)",
    ),
    "transform_kind": (
        lambda: ns.SplineTransform(BASIS),
        TypeError,
        "`curve` must be a Curve; got BSplineBasis",
    ),
    "uniform_reversed": (
        lambda: ns.knots.uniform(1.0, 0.0, 5),
        ValueError,
        "`upper` must be greater than `lower`; got 0.0 and 1.0",
    ),
    "uniform_too_few": (
        lambda: ns.knots.uniform(0.0, 1.0, 1),
        ValueError,
        "`num` must be at least 2; got 1",
    ),
    "quantile_constant": (
        lambda: ns.knots.quantile([2.0, 2.0], 3),
        ValueError,
        "`x` must hold at least 2 distinct values of positive weight; got 1",
    ),
    "quantile_weights_shape": (
        lambda: ns.knots.quantile([1.0, 2.0], 3, [1.0]),
        ValueError,
        r"`weights` must have the shape of `x`, \(2,\); got \(1,\)",
    ),
    "quantile_weights_negative": (
        lambda: ns.knots.quantile([1.0, 2.0], 3, [1.0, -1.0]),
        ValueError,
        "`weights` must not be negative; got -1",
    ),
    "coverage": (
        lambda: ns.knots.from_distribution(dist.Normal(), 5, coverage=0.0),
        ValueError,
        r"`coverage` must lie in \(0, 1\]; got 0.0",
    ),
    "coverage_unbounded": (
        lambda: ns.knots.from_distribution(dist.Normal(), 5, coverage=1.0),
        ValueError,
        "`coverage` must give a bounded domain",
    ),
    "not_a_distribution": (
        lambda: ns.knots.from_distribution([0.0, 1.0], 5),
        TypeError,
        "`distribution` must be a univariate NumPyro distribution; got list",
    ),
    "penalty_not_symmetric": (
        lambda: ns.distributions.IntrinsicGaussian(np.array([[1.0, 2.0], [0.0, 1.0]])),
        ValueError,
        r"`penalty` must be a symmetric matrix; got shape \(2, 2\)",
    ),
    "penalty_negative": (
        lambda: ns.distributions.KroneckerGaussian((np.eye(2), -np.eye(2))),
        ValueError,
        r"`penalties\[1\]` must be positive semi-definite and not zero",
    ),
    "walk_too_short": (
        lambda: ns.distributions.RandomWalk(2, 1.0, 2),
        ValueError,
        "`num` must be at least 3; got 2",
    ),
    "pc_probability": (
        lambda: ns.scales.pc_scale(1.0, 1.5),
        ValueError,
        r"`probability` must lie in \(0, 1\); got 1.5",
    ),
    "pc_upper": (
        lambda: ns.scales.pc_scale(0.0, 0.5),
        ValueError,
        "`upper` must be one positive number; got 0.0",
    ),
    "bands_shape": (
        lambda: plotting.bands(np.zeros((4, 3)), [0.0, 1.0]),
        ValueError,
        r"`x` must have shape \(3,\), one point for each .* got \(2,\)",
    ),
    "bands_probability": (
        lambda: plotting.bands(np.zeros((4, 2)), [0.0, 1.0], probability=[1.5]),
        ValueError,
        r"`probability` must lie in \(0, 1\); got \[1.5\]",
    ),
    "smooths_without_x": (
        lambda: ns.AdditivePredictor(F, intercept=None),
        TypeError,
        r"`smooths` must be tuples \(effect, inputs\) of an effect and .*; got SplineEffect",
    ),
    "smooth_of_three": (
        lambda: ns.AdditivePredictor((F, X, X), intercept=None),
        ValueError,
        r"`smooths` must have 1 input\(s\) for 'f', \['x'\]; got 2\.",
    ),
    "smooth_the_wrong_way_round": (
        lambda: ns.AdditivePredictor((X, F), intercept=None),
        TypeError,
        r"`smooths` must be tuples .*; got a tuple of 2 \(ndarray, SplineEffect\)",
    ),
    "smooth_not_gaussian": (
        lambda: ns.AdditivePredictor(
            (ns.SplineEffect("f", BASIS, NotGaussian()), X), intercept=None
        ),
        TypeError,
        "`f` must have a prior that is Gaussian given its scale.*got NotGaussian",
    ),
    "smooth_of_random_x": (
        lambda: jax.jit(lambda x: ns.AdditivePredictor((F, x), intercept=None).inputs[0][0])(X),
        TypeError,
        "`x of f` must be concrete numbers; got a traced value",
    ),
    "smooth_undefined": (
        lambda: ns.AdditivePredictor((NAN, X + 0.5), intercept=None),
        ValueError,
        r"`x of f` must lie where the curve is defined; got 1\.125 at index 5",
    ),
    "numbers_of_observations": (
        lambda: linear(b=(X[1:], dist.Normal())),
        ValueError,
        r"one number of observations; got \[8, 9\]",
    ),
    "linear_three_dimensional": (
        lambda: linear(b=(np.ones((9, 2, 2)), dist.Normal())),
        ValueError,
        r"`linear\['b'\]` must have shape \(n,\) or \(n, k\); got \(9, 2, 2\)",
    ),
    "linear_prior": (
        lambda: linear(b=(X, dist.Cauchy())),
        TypeError,
        "Priors of fixed coefficients, `intercept` and `linear`, must be Normal.*got Cauchy",
    ),
    "sites_repeat": (
        lambda: ns.AdditivePredictor((F, X), (F, X), intercept=None),
        ValueError,
        "Names of effects and `linear` terms must differ",
    ),
    "linear_array": (
        lambda: ns.AdditivePredictor((F, X), intercept=FLAT, linear=X),
        TypeError,
        r"`linear` must be pairs \(values, prior\) by name, .*; got ndarray",
    ),
    "linear_without_prior": (
        lambda: linear(dose=X),
        TypeError,
        r"`linear` must be pairs \(values, prior\) by name, .*; got a dict of \{'dose': ndarray\}",
    ),
    "marginal_predictor": (
        lambda: IntegratedGaussian(F),
        TypeError,
        "`predictor` must be an AdditivePredictor; got SplineEffect",
    ),
    "marginal_weights": (
        lambda: IntegratedGaussian(ETA, X),
        ValueError,
        r"`weights` must be 9 positive numbers.*got shape \(9,\) and minimum 0",
    ),
    "marginal_not_identified": (
        lambda: IntegratedGaussian(
            ns.AdditivePredictor(intercept=FLAT, linear={"b": (np.ones(9), FLAT)})
        ),
        ValueError,
        "flat priors must be identified by the data",
    ),
    "marginal_y_shape": (
        lambda: MarginalGaussian(MARGINAL, 1.0, [1.0]).log_prob(X[1:]),
        ValueError,
        r"`y` must have shape \(9,\), one entry for each row.*; got shape \(8,\)",
    ),
    "marginal_y_missing": (
        lambda: MarginalGaussian(MARGINAL, 1.0, [1.0]).log_prob(np.where(X > 0.5, np.nan, X)),
        ValueError,
        "`y` must be finite; got nan at index 5",
    ),
    "marginal_improper": (
        lambda: MarginalGaussian(IntegratedGaussian(LEVEL), 1.0, [1.0]).sample(jax.random.key(0)),
        NotImplementedError,
        "`y` cannot be drawn from an improper prior",
    ),
    "marginal_draws": (
        lambda: MARGINAL.draw(jax.random.key(0), {"sigma": np.ones(3)}, X, np.ones(3)),
        KeyError,
        r"`draws` must hold \['f.scale'\]",
    ),
    "fit_predictor": (lambda: penalized_fit(F, X), TypeError, "`predictor` must be an Additive"),
    "fit_family": (
        lambda: penalized_fit(ETA, X, "poisson"),
        TypeError,
        r"`family` must be an object such as Poisson\(\); got 'poisson'",
    ),
    "fit_y_shape": (
        lambda: penalized_fit(ETA, X[1:]),
        ValueError,
        "`y` must hold 9 observations; got 8",
    ),
    "fit_y_constant": (lambda: penalized_fit(ETA, np.ones(9)), ValueError, "`y` must vary"),
    "fit_weights": (
        lambda: penalized_fit(ETA, X, Gaussian(np.ones(3))),
        ValueError,
        r"`weights` must be 9 positive numbers.*got shape \(3,\)",
    ),
    "fit_exposure_length": (
        lambda: penalized_fit(ETA, np.ones(9), Poisson(np.ones(8))),
        ValueError,
        r"`exposure` must be 9 positive numbers, one for each observation .*got shape \(8,\)",
    ),
    "fit_trials_length": (
        lambda: penalized_fit(ETA, np.ones(9), Binomial(np.full(10, 2.0))),
        ValueError,
        r"`trials` must be 9 whole numbers, .*got shape \(10,\)\. Take them from the same rows",
    ),
    "fit_counts": (
        lambda: penalized_fit(ETA, X, Poisson()),
        ValueError,
        r"`y` must hold numbers of counts; got 0\.125 at index 1",
    ),
    "fit_successes": (
        lambda: penalized_fit(ETA, np.full(9, 3.0), Binomial(np.full(9, 2.0))),
        ValueError,
        "`y` must hold numbers of successes; got 3 at index 0",
    ),
    "fit_exposure": (lambda: Poisson([0.0]), ValueError, "`exposure` must be positive; got 0"),
    "fit_trials": (lambda: Binomial([-1.0]), ValueError, "`trials` must not be negative; got -1"),
    "fit_zero_column": (
        lambda: penalized_fit(linear(b=(np.zeros(9), FLAT)), X),
        ValueError,
        "flat priors must be identified by the data; a column of the design is zero",
    ),
    "fit_separated": (
        lambda: penalized_fit(
            ns.AdditivePredictor(intercept=FLAT, linear={"b": (X - 0.45, FLAT)}),
            (X > 0.45).astype(float),
            Binomial(),
        ),
        ValueError,
        "`penalized_fit` did not converge",
    ),
    "fit_sites": (
        lambda: penalized_fit(ETA, X).inverse_mass_matrix("tau"),
        KeyError,
        r"`sites` must be among .*; got \['tau'\]",
    ),
}


# Posterior.
BAD |= {
    "draws_kind": (
        lambda: po.dataset([1.0]),
        TypeError,
        "`draws` must be arrays by site name, an MCMC, or an ArviZ object.*got list",
    ),
    "draws_without_chains": (
        lambda: po.dataset({"a": np.zeros(3)}),
        ValueError,
        r"`draws` must hold arrays with common leading axes \(chain, draw\); got \{'a': \(3,\)\}",
    ),
    "draws_of_two_lengths": (
        lambda: po.dataset({"a": np.zeros((2, 3)), "b": np.zeros((2, 4))}),
        ValueError,
        "common leading axes.*group_by_chain=True",
    ),
    "dataset_without_chains": (
        lambda: po.dataset(xr.Dataset({"a": ("draw", np.zeros(3))})),
        ValueError,
        r"`draws` must have the axes \('chain', 'draw'\); \['chain'\] are missing",
    ),
    "curve_without_chains": (
        lambda: po.curve(F, {"f.coefficients": np.zeros((3, 5))}),
        ValueError,
        r"`dims` must name the batch axes.*its shape \(3,\).*group_by_chain=True",
    ),
    "curve_without_sites": (
        lambda: po.curve(F, {"g.coefficients": np.zeros((2, 3, 5))}),
        KeyError,
        r"`draws` must hold f\.coefficients, or .*; got \['g\.coefficients'\]\. Is the name",
    ),
    "curve_without_prefix": (
        lambda: po.curve(F, {"s/f.scale": np.zeros((2, 3))}),
        KeyError,
        r"`draws` must hold f\.coefficients, or .*; got \['s/f\.scale'\]",
    ),
    "curve_of_no_effect": (
        lambda: po.curve(BASIS, DRAWS),
        TypeError,
        "`effect` must be a SplineEffect; got BSplineBasis",
    ),
    "labeled_no_curve": (
        lambda: po.LabeledCurve(np.zeros(3)),
        TypeError,
        "`curve` must be a Curve; got ndarray",
    ),
    "labeled_input_name": (
        lambda: po.curve(F, DRAWS, input_name="mean"),
        ValueError,
        "`input_name` and `dims` must be different names and none of.*got 'mean'",
    ),
    "labeled_coords": (
        lambda: po.curve(F, DRAWS, coords={"draw": [1.0]}),
        ValueError,
        r"`coords\['draw'\]` must have 3 entries.*got shape \(1,\)",
    ),
    "curve_stray_coords": (
        lambda: po.curve(F, DRAWS, coords={"group": ["a"]}),
        ValueError,
        r"`coords` must be of the axes of the curves, \('chain', 'draw'\); got \['group'\]",
    ),
    "labeled_no_such_axis": (
        lambda: POST.sel(draw=0),
        KeyError,
        r"`sel` selects along \(\); got 'draw'",
    ),
    "labeled_no_such_group": (
        lambda: GROUPED.sel(group="b"),
        KeyError,
        "`group` must be one of .*; got 'b'",
    ),
    "labeled_other_draws": (
        lambda: POST - po.LabeledCurve(BASIS.curve(np.zeros((2, 4, 5)))),
        ValueError,
        r"'draw' has \[.*\] and \[.*\]. Take as many draws of both",
    ),
    "labeled_other_axes": (
        lambda: POST + xr.DataArray(np.zeros(2), dims=["group"]),
        ValueError,
        r"a labeled array must have axes of the curve, .*got \('group',\)",
    ),
    "labeled_strings": (lambda: POST * "a", TypeError, "`other` must hold real numbers"),
    "labeled_array_first": (
        lambda: xr.DataArray(np.zeros((2, 3)), dims=["chain", "draw"]) + POST,
        TypeError,
        "the curve 'f' is no array.*put the curve first",
    ),
    "values_two_axes": (
        lambda: po.values(POST, np.zeros((2, 2))),
        ValueError,
        r"`x` must have one axis, or names for its axes.*got \(2, 2\)",
    ),
    "values_derivative": (
        lambda: po.values(POST, derivative=-1),
        ValueError,
        "`derivative` must be at least 0; got -1",
    ),
    "integral_bounds": (
        lambda: po.integral(POST, np.zeros((2, 2)), 1.0),
        ValueError,
        r"`lower` and `upper` must be numbers or lists; got shape \(2, 2\)",
    ),
    "inverse_targets": (
        lambda: po.inverse(POST, np.zeros((2, 2))),
        ValueError,
        r"`y` must be a number, a list of numbers, or a DataArray .* got shape \(2, 2\)",
    ),
    "inverse_of_no_monotone": (
        lambda: po.inverse(POST, 0.0),
        ValueError,
        "`inverse` needs a curve that increases or decreases",
    ),
    "partial_sum_terms": (
        lambda: po.partial_sum(POST),
        TypeError,
        r"`terms` must be pairs \(curve, x\) of a LabeledCurve and its input.*; got LabeledCurve",
    ),
    "partial_sum_of_three": (
        lambda: po.partial_sum((POST, X, X)),
        TypeError,
        r"one for each effect; got a tuple of 3 \(LabeledCurve, ndarray, ndarray\)",
    ),
    "partial_sum_rows": (
        lambda: po.partial_sum((POST, X), (POST, X[1:])),
        ValueError,
        r"`terms` must have one number of rows along 'obs'; got \[9, 8\]",
    ),
    "values_other_draws": (
        lambda: po.values(POST, xr.DataArray(np.zeros((9, 2, 4)), dims=["obs", "chain", "draw"])),
        ValueError,
        r"`x` must agree with the curves .*'draw': 3\}; got .*'draw': 4\}",
    ),
    "bands_no_array": (
        lambda: po.bands(np.zeros((2, 3))),
        TypeError,
        "`draws` must be a DataArray.*got ndarray",
    ),
    "bands_no_draws": (
        lambda: po.bands(VALUES.mean("draw")),
        ValueError,
        r"`draws` must have the axes .*; \['draw'\] are missing",
    ),
    "bands_of_one": (
        lambda: po.bands(VALUES, 1.0),
        ValueError,
        r"`probability` must lie in \(0, 1\); got 1.0",
    ),
    "bands_kind": (
        lambda: po.bands(VALUES, kind="hdi"),
        TypeError,
        r"`kind` must be EqualTailed\(\), .*; got 'hdi'",
    ),
    "bands_over": (
        lambda: po.bands(VALUES, kind=po.Simultaneous("z")),
        ValueError,
        r"`over` must name axes of the draws, .*; got \['z'\]",
    ),
    "table_of_numbers": (
        lambda: po.table([1.0]),
        TypeError,
        "`data` must be an xarray object; got list",
    ),
    "labels_no_site": (
        lambda: po.labels({"level": np.zeros((2, 3))}, F),
        KeyError,
        r"`draws` must hold sites of the effect 'f'; got none among \['level'\]",
    ),
    "labels_plates": (
        lambda: po.labels(DRAWS, F, plates={"f": {"group": ["a", "b"]}}),
        ValueError,
        r"`plates\['f'\]` must have the lengths of the first axes .*\(5,\); got \{'group': 2\}",
    ),
    "freedom_no_scale": (
        lambda: po.degrees_of_freedom(F, DRAWS, sigma=1.0, num_observations=9),
        KeyError,
        r"`draws` must hold 'f.scale'; got \['f.coefficients', 'level'\]",
    ),
    "freedom_sigma": (
        lambda: po.degrees_of_freedom(
            F, {"f.scale": np.ones((2, 3))}, sigma=np.ones(6), num_observations=9
        ),
        ValueError,
        r"`sigma` must be the name of a site, a number, or an array.*got shape \(6,\)",
    ),
}


@pytest.mark.parametrize("name", list(BAD))
def test_bad_input_is_refused_clearly(name):
    call, error, message = BAD[name]
    with pytest.raises(error, match=message):
        call()


# Diagnostics of latent inputs, and directions.

INPUT_DRAWS = np.random.default_rng(0).normal(size=(2, 10, 3))
BAD_DRAWS = {
    "draws_without_chains": (
        lambda: check_inputs(INPUT_DRAWS[0]),
        ValueError,
        r"`draws` must have shape \(chain, draw, n\).*got \(10, 3\)",
    ),
    "draws_few": (
        lambda: check_inputs(INPUT_DRAWS[:, :3]),
        ValueError,
        r"`draws` must hold at least 4 draws of each chain; got shape \(2, 3, 3\)",
    ),
    "draws_nan": (
        lambda: check_inputs(np.where(INPUT_DRAWS[1, 2, 0] == INPUT_DRAWS, np.nan, INPUT_DRAWS)),
        ValueError,
        r"`draws` must be finite; got nan at index \(1, 2, 0\)",
    ),
    "draws_strings": (lambda: check_inputs(["a"]), TypeError, "`draws` must hold real numbers"),
    "draws_traced": (
        lambda: jax.jit(check_inputs)(INPUT_DRAWS),
        TypeError,
        "`draws` must be concrete numbers; got a traced value",
    ),
    "draws_domain_reversed": (
        lambda: check_inputs(INPUT_DRAWS, domain=(1.0, 0.0)),
        ValueError,
        "`domain` must be strictly increasing; got 1 before 0",
    ),
    "draws_domain_of_three": (
        lambda: check_inputs(INPUT_DRAWS, domain=(0.0, 1.0, 2.0)),
        ValueError,
        "`domain` must be a pair, left and right end",
    ),
    "draws_prior_sd": (
        lambda: check_inputs(INPUT_DRAWS, prior_sd=-1.0),
        ValueError,
        r"`prior_sd` must be positive, one number or one per row, shape \(3,\); got -1",
    ),
    "draws_prior_sd_shape": (
        lambda: check_inputs(INPUT_DRAWS, prior_sd=np.ones(2)),
        ValueError,
        r"`prior_sd` .*got shape \(2,\)",
    ),
    "draws_curve_alone": (
        lambda: check_inputs(INPUT_DRAWS, curve=INPUT_DRAWS),
        TypeError,
        "`curve` and `log_likelihood` must be given together",
    ),
    "draws_curve_shape": (
        lambda: check_inputs(INPUT_DRAWS, curve=INPUT_DRAWS[:1], log_likelihood=INPUT_DRAWS),
        ValueError,
        r"`curve` must have shape \(2, 10\) and the grid, .*got \(1, 10, 3\) and \(2, 10, 3\)",
    ),
    "draws_log_likelihood_shape": (
        lambda: check_inputs(INPUT_DRAWS, curve=INPUT_DRAWS, log_likelihood=INPUT_DRAWS[..., :2]),
        ValueError,
        r"`log_likelihood` \(2, 10, 3\); got \(2, 10, 3\) and \(2, 10, 2\)",
    ),
    "direction_of_one": (
        lambda: direction("a", 1),
        ValueError,
        "`size` must be at least 2; got 1",
    ),
    "direction_reference": (
        lambda: direction("a", 3, reference=3),
        ValueError,
        "`reference` must be less than `size`, 3; got 3",
    ),
}


@pytest.mark.parametrize("name", list(BAD_DRAWS))
def test_bad_draws_are_refused_clearly(name):
    call, error, message = BAD_DRAWS[name]
    with pytest.raises(error, match=message):
        call()


# Priors of latent inputs.

NORMAL = dist.Normal()


def seeded(function, *arguments, **options):
    return numpyro.handlers.seed(function, rng_seed=0)(*arguments, **options)


def measured(*arguments, **options):
    *data, population = arguments
    seeded(ns.latent.Measured(*data, **options).sample, "x", population)


PAIR = ns.latent.Berkson([0.0, 1.0], 0.1)


BAD_INPUTS = {
    "error_random_in_the_constructor": (
        lambda: jax.jit(lambda sd: measured([1.0, 2.0], sd, NORMAL))(0.1),
        TypeError,
        r"`error_sd` must be numbers here; got a traced value. Give a random one to .sample\(",
    ),
    "error_nowhere": (
        lambda: measured([1.0, 2.0], NORMAL),
        ValueError,
        "`error_sd` must be given where the data were made or here",
    ),
    "error_zero_in_the_model": (
        lambda: seeded(ns.latent.Measured([1.0, 2.0]).sample, "x", NORMAL, error_sd=0.0),
        ValueError,
        "`error_sd` must be positive here; got 0.*an error of zero there, or by `truth`",
    ),
    "error_and_measurement": (
        lambda: seeded(
            ns.latent.Measured([1.0, 2.0]).sample,
            "x",
            NORMAL,
            error_sd=0.1,
            measurement=dist.Normal,
        ),
        ValueError,
        "`measurement` says the whole distribution of what was measured; got `error_sd` too",
    ),
    "measurement_no_distribution": (
        lambda: seeded(ns.latent.Measured([1.0, 2.0]).sample, "x", NORMAL, measurement=lambda x: x),
        TypeError,
        "`measurement` must turn x into a univariate distribution",
    ),
    "truth_length": (
        lambda: ns.latent.Measured([1.0, 2.0], 0.1, truth=[1.0]),
        ValueError,
        r"`truth` must hold one number or NaN for each of the 2 rows; got shape \(1,\)",
    ),
    "truth_infinite": (
        lambda: ns.latent.Measured([1.0, 2.0], 0.1, truth=[np.inf, np.nan]),
        ValueError,
        "`truth` must be finite, or NaN where it is not known; got infinity",
    ),
    "truth_against_what_is_exact": (
        lambda: ns.latent.Measured([1.0, 2.0], [0.0, 1.0], truth=[5.0, np.nan]),
        ValueError,
        "`truth` must be what was observed where `error_sd` is zero; got 5.0 and 1.0 in row 0",
    ),
    "measurement_of_what_is_exact": (
        lambda: seeded(
            ns.latent.Measured([1.0, 2.0], 0.0).sample, "x", NORMAL, measurement=dist.Normal
        ),
        ValueError,
        "`measurement` needs measurements with errors; got rows that are all known exactly",
    ),
    "measurement_a_distribution": (
        lambda: seeded(ns.latent.Measured([1.0, 2.0]).sample, "x", NORMAL, measurement=NORMAL),
        TypeError,
        "`measurement` must be a function of x, such as lambda x",
    ),
    "measurement_shape": (
        lambda: seeded(
            ns.latent.Measured([[1.0], [2.0]]).sample,
            *("x", NORMAL),
            measurement=lambda x: dist.Normal(x + np.zeros(2), 1.0),
        ),
        ValueError,
        r"`measurement` must return a distribution whose batch shape broadcasts with x, \(2, 1\)",
    ),
    "berkson_two_laws": (
        lambda: seeded(ns.latent.Berkson([1.0, 2.0], 0.1).sample, "x", NORMAL),
        ValueError,
        "`population` is the law of the errors here; got `error_sd` too",
    ),
    "coarse_at_infinity": (
        lambda: ns.latent.Coarse([np.inf, 1.0], [np.inf, 2.0]),
        ValueError,
        "`lower` must be less than infinity and `upper` more than minus infinity; got inf",
    ),
    "coarse_touches_the_support": (
        lambda: seeded(ns.latent.Coarse([-1.0], [0.0]).sample, "x", dist.HalfNormal()),
        ValueError,
        "`lower` and `upper` must leave room for x in the support",
    ),
    "berkson_without_error": (
        lambda: seeded(ns.latent.Berkson([1.0, 2.0]).sample, "x"),
        ValueError,
        "`error_sd` must be given where the data are made, or a distribution of the errors",
    ),
    "berkson_knots_of_a_random_one": (
        lambda: jax.jit(lambda a: ns.latent.Berkson(a, 0.1).knots(5))(np.ones(2)),
        TypeError,
        "`assigned` and `error_sd` must be numbers for knots and domains",
    ),
    "ordered_integrated": (
        lambda: ns.latent.Ordered([1.0, 2.0], 0.1).integrate("x", NORMAL, response=dist.Normal),
        TypeError,
        "Ordered inputs depend on one another and cannot be integrated out row by row",
    ),
    "error_negative": (
        lambda: measured([1.0, 2.0], -0.1, NORMAL),
        ValueError,
        "`error_sd` must be finite and not negative, .*got -0.1",
    ),
    "error_shape": (
        lambda: measured([1.0, 2.0], [0.1, 0.1, 0.1], NORMAL),
        ValueError,
        r"`error_sd` must be one number, or of shape \(2,\).*got shape \(3,\)",
    ),
    "all_missing": (
        lambda: measured([np.nan, np.nan], 0.1, NORMAL),
        ValueError,
        "`observed` must hold at least one observation; all entries are NaN",
    ),
    "missing_all_missing": (
        lambda: ns.latent.Missing([np.nan, np.nan]),
        ValueError,
        "`observed` must hold at least one observation",
    ),
    "observed_infinite": (
        lambda: measured([1.0, np.inf], 0.1, NORMAL),
        ValueError,
        "`observed` must be finite, or NaN where missing; got infinity",
    ),
    "observed_three_dimensional": (
        lambda: measured(np.ones((2, 2, 2)), 0.1, NORMAL),
        ValueError,
        r"`observed` must have shape \(n,\) or \(n, replicates\); got \(2, 2, 2\)",
    ),
    "observed_traced": (
        lambda: jax.jit(lambda w: measured(w, 0.1, NORMAL))(np.ones(2)),
        TypeError,
        "`observed` must be concrete numbers; got a traced value",
    ),
    "group_length": (
        lambda: measured([1.0, 2.0, 3.0], 0.1, NORMAL, group=[0, 1]),
        ValueError,
        r"`group` must hold one row for each of the measurements, shape \(3,\); got \(2,\)",
    ),
    "group_floats": (
        lambda: measured([1.0, 2.0], 0.1, NORMAL, group=[0.0, 1.0]),
        TypeError,
        "`group` must hold integers from 0 to n - 1; got dtype float64",
    ),
    "group_negative": (
        lambda: measured([1.0, 2.0], 0.1, NORMAL, group=[0, -1]),
        ValueError,
        "`group` must hold integers from 0 to n - 1; got -1",
    ),
    "known_twice": (
        lambda: measured([[1.0, 2.0]], 0.0, NORMAL),
        ValueError,
        r"`observed` must hold one value where `error_sd` is zero; got \[1. 2.\] in row 0",
    ),
    "population_number": (
        lambda: measured([1.0, 2.0], 0.1, 1.0),
        TypeError,
        "`population` must be a univariate distribution",
    ),
    "population_shape": (
        lambda: measured([1.0, 2.0], 0.1, dist.Normal(np.zeros(3))),
        ValueError,
        r"`population` must be one distribution or one for each of the 2 rows; got.*\(3,\)",
    ),
    "population_discrete": (
        lambda: measured([1.0, 2.0], 0.1, dist.Poisson(2.0)),
        TypeError,
        "`population` must be continuous; got the discrete distribution Poisson",
    ),
    "known_outside_the_support": (
        lambda: seeded(ns.latent.Missing([-1.0, 0.5]).sample, "x", dist.Uniform(0.0, 1.0)),
        ValueError,
        r"`observed` must lie in the support of the population, \[0, 1\].*got -1.0 in row 0",
    ),
    "quadrature_true": (
        lambda: PAIR.integrate("x", None, True, response=dist.Normal),
        TypeError,
        r"`quadrature` must be numpyro_splines.latent.Quadrature\(...\), or None",
    ),
    "draw_inputs_masked": (
        lambda: ns.latent.draw_inputs(
            jax.random.key(0), numpyro.handlers.mask(integrated_model, False), {"sigma": X}
        ),
        ValueError,
        "`draw_inputs` cannot see through the MaskedDistribution at site `y`",
    ),
    "berkson_nan": (
        lambda: ns.latent.Berkson([1.0, np.nan], 0.1),
        ValueError,
        r"`assigned` must be finite, shape \(n,\): NaN is not allowed",
    ),
    "coarse_reversed": (
        lambda: ns.latent.Coarse([0.0, 2.0], [1.0, 1.0]),
        ValueError,
        "`lower` must not be above `upper`; got 2.0 and 1.0 in row 1",
    ),
    "coarse_shapes": (
        lambda: ns.latent.Coarse([0.0, 2.0], [1.0]),
        ValueError,
        r"`lower` and `upper` must have one shape; got \(2,\) and \(1,\)",
    ),
    "coarse_two_dimensional": (
        lambda: ns.latent.Coarse([[0.0]], [[1.0]]),
        ValueError,
        r"`lower` must have one axis, one entry per row; got shape \(1, 1\)",
    ),
    "coarse_nothing_known": (
        lambda: ns.latent.Coarse([np.nan], [np.inf]),
        ValueError,
        "`lower` and `upper` must hold at least one finite end; got none",
    ),
    "coarse_outside_the_support": (
        lambda: seeded(ns.latent.Coarse([-2.0], [-1.0]).sample, "x", dist.LogNormal()),
        ValueError,
        "`lower` and `upper` must leave room for x in the support of the population",
    ),
    "within_mixed_ends": (
        lambda: ns.latent.Within(NORMAL, [0.0, -np.inf], 1.0),
        ValueError,
        "`lower` must be finite everywhere or infinite everywhere",
    ),
    "ordered_exact": (
        lambda: ns.latent.Ordered([1.0, 2.0], 0.0),
        ValueError,
        "`error_sd` of ordered inputs must be positive; got 0",
    ),
    "ordered_population_by_row": (
        lambda: seeded(ns.latent.Ordered([1.0, 2.0], 0.1).sample, "x", dist.Normal(np.zeros(2))),
        ValueError,
        r"`population` of ordered inputs must be one distribution for all rows; got.*\(2,\)",
    ),
    "quadrature_nodes": (
        lambda: ns.latent.Quadrature(4),
        ValueError,
        "`num_nodes` must be at least 8; got 4",
    ),
    "quadrature_width": (
        lambda: ns.latent.Quadrature(half_width=0.0),
        ValueError,
        "`half_width` must be one positive number; got 0",
    ),
    "quadrature_chunk": (
        lambda: ns.latent.Quadrature(chunk=0),
        ValueError,
        "`chunk` must be at least 1; got 0",
    ),
    "response_shape": (
        lambda: PAIR.integrate("x", response=lambda x: dist.Normal(x.sum(), 1.0)),
        ValueError,
        r"`response` must turn x of shape \(nodes, n\) into a distribution .*got \(\)",
    ),
    "draw_inputs_without_any": (
        lambda: ns.latent.draw_inputs(jax.random.key(0), lambda: None, {}),
        ValueError,
        "`model` must have an input that is integrated out",
    ),
    "draw_inputs_missing": (
        lambda: ns.latent.draw_inputs(jax.random.key(0), integrated_model, {}),
        KeyError,
        r"`draws` must hold \['sigma'\]; \['sigma'\] are missing",
    ),
    "knots_of_one_value": (
        lambda: ns.latent.Measured([1.0, 1.0], 0.0).knots(),
        ValueError,
        "Inputs must vary, or have an error; got 1 throughout",
    ),
    "spline_density_of_a_batch": (
        lambda: ns.latent.spline_density(BASIS.curve(np.ones((2, 5)))),
        ValueError,
        "`curve` must be one curve; got a batch",
    ),
}


def integrated_model():
    sigma = numpyro.sample("sigma", dist.HalfNormal())
    given = PAIR.integrate("x", response=lambda x: dist.Normal(x, sigma))
    numpyro.sample("y", given, obs=np.ones(2))


@pytest.mark.parametrize("name", list(BAD_INPUTS))
def test_bad_latent_inputs_are_refused_clearly(name):
    call, error, message = BAD_INPUTS[name]
    with pytest.raises(error, match=message):
        call()
