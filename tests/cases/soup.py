"""Public entries with arguments that work, and values that may stand in place of each of them."""

from __future__ import annotations

import datetime
import decimal
import fractions
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
import pandas as pd
import xarray as xr

import numpyro_splines as ns
from numpyro_splines import posterior as po
from numpyro_splines import regression as rg

POINTS = [0.0, 0.3, 0.7, 1.0]
BASIS = ns.BSplineBasis(POINTS)
CURVE = BASIS.curve(np.linspace(-1.0, 1.0, 6))
X = np.linspace(0.0, 1.0, 9)
GROUPS = ["a", "b", "c"] * 3
EFFECT = ns.SplineEffect("f", BASIS, measure=X)
MARGIN = ns.CurveMargin(BASIS, measure=X)
TENSOR = ns.TensorEffect("g", x=MARGIN, group=ns.GroupMargin(GROUPS))
PREDICTOR = ns.AdditivePredictor((EFFECT, X), intercept=dist.Normal())
DRAWS = {"f.coefficients": np.ones((2, 3, 6)), "level": np.zeros((2, 3))}
ROWS = {**DRAWS, "intercept": np.zeros((2, 3)), "sigma": np.ones((2, 3))}
LABELED = po.curve(EFFECT, DRAWS)
ARRAY = xr.DataArray(np.arange(6.0).reshape(2, 3), dims=("chain", "draw"))
NORMAL = dist.Normal(0.5, 1.0)


def deep(depth: int) -> list[Any]:
    value: list[Any] = [1.0]
    for _ in range(depth):
        value = [value]
    return value


SOUP: dict[str, Callable[[], Any]] = {
    "None": lambda: None,
    "True": lambda: True,
    "zero": lambda: 0,
    "three": lambda: 3,
    "minus one": lambda: -1,
    "1.5": lambda: 1.5,
    "nan": lambda: np.nan,
    "inf": lambda: np.inf,
    "-inf": lambda: -np.inf,
    "1e308": lambda: 1e308,
    "tiny": lambda: 5e-324,
    "10**18": lambda: 10**18,
    "10**400": lambda: 10**400,
    "-10**18": lambda: -(10**18),
    "complex": lambda: 1j,
    "text": lambda: "a",
    "no text": lambda: "",
    "bytes": lambda: b"x",
    "no list": list,
    "list of none": lambda: [[]],
    "ragged": lambda: [[1.0], [1.0, 2.0]],
    "deep": lambda: deep(100),
    "dict": lambda: {"a": 1.0},
    "no dict": dict,
    "dict of integers": lambda: {1: 2},
    "set": lambda: {1.0, 2.0},
    "object": object,
    "function": lambda: np.sin,
    "type": lambda: int,
    "slice": lambda: slice(None),
    "range": lambda: range(5),
    "generator": lambda: (v for v in (0.0, 1.0)),
    "no rows": lambda: np.zeros((0, 3)),
    "no columns": lambda: np.zeros((3, 0)),
    "cube": lambda: np.ones((2, 2, 2)),
    "rising": lambda: np.arange(5.0),
    "nine": lambda: np.linspace(0.0, 1.0, 9),
    "falling": lambda: [3.0, 2.0, 1.0],
    "same": lambda: [1.0, 1.0, 1.0],
    "small steps": lambda: [0.0, 5e-324, 1.0],
    "large": lambda: [-1e308, 1e308],
    "hole": lambda: [0.0, np.nan, 1.0],
    "ends": lambda: [-np.inf, np.inf],
    "int8": lambda: np.arange(5, dtype=np.int8),
    "uint64": lambda: np.array([0, 2**64 - 1], np.uint64),
    "float16": lambda: np.arange(5, dtype=np.float16),
    "bool array": lambda: np.array([True, False]),
    "strings": lambda: np.array(["a", "b"]),
    "objects": lambda: np.array([None, 1.0], object),
    "classes": lambda: [int, str],
    "masked": lambda: np.ma.masked_array([0.0, 1.0], [False, True]),
    "dates": lambda: np.array(["2020-01-01"], "M8[D]"),
    "date": lambda: datetime.date(2020, 1, 1),
    "durations": lambda: np.array([1, 2], "m8[s]"),
    "structured": lambda: np.zeros(2, [("a", float)]),
    "series": lambda: pd.Series([0.0, 1.0], index=["u", "v"]),
    "category": lambda: pd.Series(["a", "b"], dtype="category"),
    "Int64": lambda: pd.Series([1, pd.NA], dtype="Int64"),
    "frame": lambda: pd.DataFrame({"a": [0.0, 1.0], "b": [1.0, 2.0]}),
    "no frame": pd.DataFrame,
    "labeled": lambda: xr.DataArray([0.0, 1.0], dims="q"),
    "jax": lambda: jnp.arange(5.0),
    "key": lambda: jax.random.key(0),
    "fraction": lambda: fractions.Fraction(1, 3),
    "decimal": lambda: decimal.Decimal("NaN"),
    "normal": lambda: dist.Normal(0.0, 1.0),
    "normals": lambda: dist.Normal(np.zeros(3), 1.0),
    "vector": lambda: dist.Normal(np.zeros(3), 1.0).to_event(1),
    "category law": lambda: dist.Categorical(np.ones(3) / 3.0),
    "improper": lambda: dist.ImproperUniform(dist.constraints.real, (), ()),
    "basis": lambda: BASIS,
    "curve": lambda: CURVE,
    "prior": ns.SmoothnessPrior,
    "monotone": ns.MonotonePrior,
    "effect": lambda: EFFECT,
    "tensor": lambda: TENSOR,
    "predictor": lambda: PREDICTOR,
    "periodic": ns.extrapolation.Periodic,
    "penalty": lambda: ns.penalties.Differences(3),
    "pair": lambda: (1.0, 2.0),
    "pairs": lambda: [("a", "b"), ("b", "c")],
    "effects": lambda: (EFFECT, EFFECT),
    "letters": lambda: GROUPS,
}


class Entry(NamedTuple):
    """A public entry: how it is called, with what, and by which words a message may name each."""

    call: Callable[..., Any]
    arguments: Mapping[str, Any]
    words: Mapping[str, str] = {}


BP, EX = {"breakpoints": POINTS, "degree": 3}, {"extrapolation": ns.extrapolation.Linear()}
SMOOTH = {"order": 2, "scale": dist.HalfNormal(), "linear": 1.0}
SHAPE = {"smooth": None}


def first(call: Callable[..., Any], name: str, **others: Any) -> Callable[..., Any]:
    """The same where an argument has no name of its own."""
    return lambda **kw: call(kw.pop(name), **kw, **others)


ENTRIES: dict[str, Entry] = {
    "BSplineBasis": Entry(ns.BSplineBasis, {**BP, **EX}),
    "BSplineBasis knots": Entry(ns.BSplineBasis, {"knots": [0, 0, 1, 2, 2.0], "degree": 1}),
    "NaturalBasis": Entry(ns.NaturalBasis, BP),
    "CyclicBasis": Entry(ns.CyclicBasis, BP),
    "BernsteinBasis": Entry(ns.BernsteinBasis, {"lower": 0.0, "upper": 1.0, "degree": 3, **EX}),
    "CubicRegressionBasis": Entry(ns.CubicRegressionBasis, {"knots": POINTS}),
    "CyclicCubicRegressionBasis": Entry(ns.CyclicCubicRegressionBasis, {"knots": POINTS}),
    "MSplineBasis": Entry(ns.MSplineBasis, {**BP, **EX}),
    "CyclicMSplineBasis": Entry(ns.CyclicMSplineBasis, BP),
    "ISplineBasis": Entry(ns.ISplineBasis, {**BP, **EX}),
    "CSplineBasis": Entry(ns.CSplineBasis, {**BP, "scaled": True, **EX}),
    "knots.uniform": Entry(ns.knots.uniform, {"lower": 0.0, "upper": 1.0, "num": 5}),
    "knots.quantile": Entry(ns.knots.quantile, {"x": X, "num": 4, "weights": np.ones(9)}),
    "knots.from_distribution": Entry(
        ns.knots.from_distribution, {"distribution": NORMAL, "num": 5, "coverage": 0.9}
    ),
    "knots.clamped": Entry(ns.knots.clamped, BP),
    "knots.extended": Entry(ns.knots.extended, BP),
    "knots.periodic": Entry(ns.knots.periodic, BP),
    "mgcv.ps_knots": Entry(
        ns.mgcv.ps_knots, {"x": X, "num_coefficients": 6, "degree": 3, "base": (-0.1, 1.1)}
    ),
    "mgcv.cp_knots": Entry(ns.mgcv.cp_knots, {"x": X, "num_coefficients": 6}),
    "mgcv.penalty_scale": Entry(ns.mgcv.penalty_scale, {"design": np.eye(3), "penalty": np.eye(3)}),
    "Derivative": Entry(ns.penalties.Derivative, {"order": 2}),
    "Differences": Entry(ns.penalties.Differences, {"order": 2, "plain": False}),
    "Shrunk": Entry(ns.penalties.Shrunk, {"penalty": ns.penalties.Derivative(), "factor": 0.1}),
    "constraints.ZeroAt": Entry(
        lambda **kw: BASIS.constrained(ns.constraints.ZeroAt(**kw)),
        {"point": 0.5, "derivative": 1},
        {"point": "`constraints`"},
    ),
    "constraints.ZeroMean": Entry(
        lambda **kw: BASIS.constrained(ns.constraints.ZeroMean(**kw)),
        {"x": X},
        {"x": "`constraints`"},
    ),
    "constraints.ZeroIntegral": Entry(
        lambda **kw: BASIS.constrained(ns.constraints.ZeroIntegral(**kw)), {"measure": X}
    ),
    "constraints.ZeroStart": Entry(
        lambda **kw: BASIS.constrained(ns.constraints.ZeroStart(**kw)), {"derivative": 0}
    ),
    "constraints.ZeroEnd": Entry(
        lambda **kw: BASIS.constrained(ns.constraints.ZeroEnd(**kw)), {"derivative": 0}
    ),
    "constraints.Periodic": Entry(
        lambda **kw: BASIS.constrained(ns.constraints.Periodic(**kw)), {"derivatives": 1}
    ),
    "constraints.Linear": Entry(
        lambda **kw: BASIS.constrained(ns.constraints.Linear(**kw)), {"matrix": np.ones((1, 6))}
    ),
    "constraints.Functional": Entry(
        lambda **kw: BASIS.constrained(ns.constraints.Functional(**kw)),
        {"function": lambda curve: curve.integrate(0.0, 1.0)},
    ),
    "constrained": Entry(
        first(BASIS.constrained, "constraint"),
        {"constraint": ns.constraints.ZeroStart()},
        {"constraint": "constraint"},
    ),
    "basis.curve": Entry(BASIS.curve, {"coefficients": np.zeros(6)}),
    "basis.at": Entry(BASIS.at, {"x": X}),
    "basis.collocation": Entry(BASIS.collocation, {"x": X, "derivative": 1}),
    "basis.gram": Entry(BASIS.gram, {"measure": X}),
    "basis.penalty": Entry(BASIS.penalty, {"order": 2}),
    "basis.difference_penalty": Entry(BASIS.difference_penalty, {"order": 2, "plain": False}),
    "basis.null_space": Entry(BASIS.null_space, {"order": 2}),
    "curve.derivative": Entry(CURVE.derivative, {"order": 1}),
    "curve.elevate": Entry(CURVE.elevate, {"degree": 4}),
    "curve.refine": Entry(CURVE.refine, {"points": [0.5]}),
    "curve.restrict": Entry(CURVE.restrict, {"lower": 0.1, "upper": 0.9, **EX}),
    "Curve.from_scipy": Entry(
        ns.Curve.from_scipy, {"spline": CURVE.to_scipy()}, {"spline": "spline"}
    ),
    "SplineTransform": Entry(
        ns.SplineTransform, {"curve": BASIS.curve(np.arange(6.0)), "bounded": False}
    ),
    "SmoothnessPrior": Entry(
        ns.SmoothnessPrior,
        {"order": 2, "scale": 1.0, "linear_scale": dist.HalfNormal(), "mean": np.zeros(6)},
    ),
    "SmoothnessPrior penalty": Entry(
        ns.SmoothnessPrior, {"penalty": ns.penalties.Derivative(), "scale": 1.0}
    ),
    "RandomWalkPrior": Entry(ns.RandomWalkPrior, SMOOTH),
    "MonotonePrior": Entry(
        ns.MonotonePrior,
        {
            "direction": "increasing",
            "rise": dist.HalfNormal(),
            "start": None,
            "finish": None,
            "curvature": None,
            "straight": dist.Uniform(),
            **SHAPE,
        },
    ),
    "ConvexPrior": Entry(
        ns.ConvexPrior,
        {"curvature": "convex", "bend": dist.HalfNormal(), "slope": 1.0, **SHAPE},
    ),
    "PositivePrior": Entry(ns.PositivePrior, {"level": dist.LogNormal(), **SHAPE}),
    "SimplexPrior": Entry(ns.SimplexPrior, SHAPE),
    "AdaptivePrior": Entry(ns.AdaptivePrior, {**SMOOTH, "local": None, "num_local": 5}),
    "HorseshoePrior": Entry(ns.HorseshoePrior, {**SMOOTH, "slab": 10.0}),
    "scales.pc_scale": Entry(ns.scales.pc_scale, {"upper": 1.0, "probability": 0.1}),
    "scales.half_student_t": Entry(ns.scales.half_student_t, {"scale": 1.0, "df": 3.0}),
    "scales.inverse_gamma_variance": Entry(
        ns.scales.inverse_gamma_variance, {"concentration": 1.0, "rate": 1.0}
    ),
    "scales.gamma_precision": Entry(ns.scales.gamma_precision, {"concentration": 1.0, "rate": 1.0}),
    "IntrinsicGaussian": Entry(
        ns.distributions.IntrinsicGaussian,
        {"penalty": BASIS.penalty(2), "scale": 1.0, "rank": 4},
    ),
    "RandomWalk": Entry(ns.distributions.RandomWalk, {"order": 2, "scale": 1.0, "num": 5}),
    "KroneckerGaussian": Entry(
        ns.distributions.KroneckerGaussian,
        {"penalties": (np.eye(2), np.eye(3)), "scale1": 1.0, "scale2": 1.0},
    ),
    "CurveMargin": Entry(ns.CurveMargin, {"basis": BASIS, "order": 2, "measure": X}),
    "GroupMargin": Entry(
        ns.GroupMargin, {"labels": GROUPS, "kind": "population", "correlated": False}
    ),
    "GraphMargin": Entry(
        ns.GraphMargin,
        {
            "neighbours": [("a", "b"), ("b", "c")],
            "levels": None,
            "mixing": 0.5,
            "scaling": "arithmetic",
            "num_modes": None,
            "observations": None,
        },
    ),
    "SurfaceMargin": Entry(
        ns.SurfaceMargin,
        {"basis_x": BASIS, "basis_z": BASIS, "measure": (X, X[::-1] ** 2), "num_modes": 9},
    ),
    "Component": Entry(ns.components.Component, {"name": "x", "rule": ns.components.Product()}),
    "Sum": Entry(ns.components.Sum, {"anisotropy": 2.0}),
    "FunctionalAnova": Entry(
        lambda **kw: ns.TensorEffect(
            "f", x=MARGIN, z=MARGIN, components=ns.components.FunctionalAnova(**kw)
        ),
        {"rule": None},
    ),
    "SplineEffect": Entry(
        ns.SplineEffect,
        {"name": "f", "basis": BASIS, "prior": None, "measure": X, "noise": 1.0},
    ),
    "SplineEffect response": Entry(
        first(ns.SplineEffect, "name", basis=BASIS), {"name": "f", "measure": X, "response": X**2}
    ),
    "TensorEffect": Entry(
        ns.TensorEffect,
        {"name": "g", "x": MARGIN, "components": None, "scales": {}, "linear": 1.0, "noise": 1.0},
        {"x": "margin|`x`"},
    ),
    "effect.curve": Entry(EFFECT.curve, {"draws": DRAWS, "prefix": ""}),
    "AdditivePredictor": Entry(
        first(ns.AdditivePredictor, "term"),
        {
            "term": (EFFECT, X),
            "intercept": dist.Normal(),
            "linear": {"u": (X, dist.Normal())},
            "by": {"f": X},
            "offset": X,
        },
        {"term": "smooth|input|`f`|f's|`x`|`x of f`|rows|measure", "by": "by|rows|factor"},
    ),
    "from_frame": Entry(
        ns.AdditivePredictor.from_frame,
        {
            "frame": pd.DataFrame({"x": X, "g": GROUPS}),
            "linear": {"g": dist.Normal()},
            "intercept": dist.Normal(),
        },
    ),
    "predictor.at": Entry(PREDICTOR.at, {"rows": {"f": X}}, {"rows": "rows|`f`|`x"}),
    "Gaussian": Entry(rg.Gaussian, {"weights": np.ones(9), "site": "sigma"}),
    "Binomial": Entry(rg.Binomial, {"trials": np.ones(9), "link": None}),
    "Beta": Entry(rg.Beta, {"concentration": 1.0, "link": None, "site": "c"}),
    "Gamma": Entry(rg.Gamma, {"concentration": 1.0, "site": "c"}),
    "NegativeBinomial": Entry(
        rg.NegativeBinomial, {"concentration": 1.0, "exposure": np.ones(9), "site": "c"}
    ),
    "Poisson": Entry(rg.Poisson, {"exposure": np.ones(9)}),
    "StudentT": Entry(rg.StudentT, {"df": 4.0, "site": "sigma", "df_site": "df"}),
    "OrderedCategorical": Entry(rg.OrderedCategorical, {"num_categories": 3, "site": "c"}),
    "Distributional": Entry(
        first(rg.Distributional, "family"), {"family": rg.Gaussian(), "sigma": PREDICTOR}
    ),
    "IntegratedGaussian": Entry(
        rg.IntegratedGaussian, {"predictor": PREDICTOR, "weights": np.ones(9)}
    ),
    "IntegratedLaplace": Entry(
        rg.IntegratedLaplace,
        {"predictor": PREDICTOR, "family": rg.Poisson(), "around": "mode"},
    ),
    "Treatment": Entry(rg.Treatment, {"labels": ["a", "b"], "reference": "a"}),
    "SumToZero": Entry(rg.SumToZero, {"labels": ["a", "b"]}),
    "latent.Measured": Entry(
        ns.latent.Measured, {"observed": X, "error_sd": 0.1, "group": None, "truth": None}
    ),
    "latent.Measured truth": Entry(
        ns.latent.Measured, {"observed": X, "truth": np.where(X < 0.5, X, np.nan)}
    ),
    "latent.Missing": Entry(ns.latent.Missing, {"observed": np.where(X < 0.5, X, np.nan)}),
    "latent.Coarse": Entry(ns.latent.Coarse, {"lower": X, "upper": X + 0.1}),
    "latent.Berkson": Entry(ns.latent.Berkson, {"assigned": X, "error_sd": 0.1}),
    "latent.Ordered": Entry(
        ns.latent.Ordered, {"observed": X, "error_sd": 0.1, "group": np.zeros(9, int)}
    ),
    "latent.Misclassified": Entry(
        ns.latent.Misclassified,
        {"observed": np.zeros(9, int), "num_groups": 2, "confusion": [[0.9, 0.1], [0.2, 0.8]]},
    ),
    "latent.Quadrature": Entry(
        ns.latent.Quadrature, {"num_nodes": 8, "half_width": 8.0, "chunk": None}
    ),
    "latent.OrderStatistics": Entry(ns.latent.OrderStatistics, {"population": NORMAL, "size": 3}),
    "latent.Within": Entry(ns.latent.Within, {"population": NORMAL, "lower": 0.0, "upper": 1.0}),
    "latent.knots": Entry(ns.latent.Measured(X, 0.1).knots, {"num": 5, "population": NORMAL}),
    "latent.check_domain": Entry(ns.latent.Measured(X, 0.1).check_domain, {"basis": BASIS}),
    "spline_density": Entry(ns.latent.spline_density, {"curve": BASIS.curve(np.ones(6))}),
    "posterior.dataset": Entry(po.dataset, {"draws": DRAWS, "start": ""}),
    "posterior.curve": Entry(
        po.curve, {"effect": EFFECT, "draws": DRAWS, "dims": None, "coords": None, "prefix": ""}
    ),
    "posterior.values": Entry(
        po.values, {"curve": LABELED, "x": X, "derivative": 0, "dim": None, "num_points": None}
    ),
    "posterior.integral": Entry(po.integral, {"curve": LABELED, "lower": 0.0, "upper": 1.0}),
    "posterior.LabeledCurve": Entry(
        po.LabeledCurve,
        {"curve": BASIS.curve(np.ones((2, 3, 6))), "dims": ("chain", "draw"), "name": "f"},
    ),
    "posterior.bands": Entry(
        po.bands, {"draws": ARRAY, "probability": 0.9, "kind": po.EqualTailed()}
    ),
    "posterior.excludes": Entry(
        po.excludes, {"draws": ARRAY, "reference": 0.0, "probability": 0.9}
    ),
    "posterior.Simultaneous": Entry(
        lambda **kw: po.bands(ARRAY, kind=po.Simultaneous(**kw)), {"over": None}
    ),
    "posterior.table": Entry(po.table, {"data": ARRAY}),
    "posterior.inputs": Entry(
        po.inputs,
        {"draws": {"x": np.arange(32.0).reshape(2, 4, 4)}, "name": "x", "probability": 0.9},
    ),
    "posterior.check_inputs": Entry(
        po.check_inputs, {"draws": np.arange(32.0).reshape(2, 4, 4), "domain": (0.0, 1.0)}
    ),
    "posterior.labels": Entry(po.labels, {"draws": DRAWS, "plates": None}),
    "posterior.linear_predictor": Entry(
        po.linear_predictor, {"predictor": PREDICTOR, "draws": ROWS, "rows": None, "dim": "obs"}
    ),
    "posterior.concurvity": Entry(po.concurvity, {"predictor": PREDICTOR}),
    "posterior.load": Entry(po.load, {"path": "no such file", "classes": []}),
    "degrees_of_freedom": Entry(
        ns.prior_checks.degrees_of_freedom,
        {"effect": EFFECT, "scale": 1.0, "sigma": 1.0, "num_observations": 9},
    ),
    "check_prior": Entry(
        ns.prior_checks.check_prior,
        {"effect": EFFECT, "key": jax.random.key(0), "num_draws": 3, "num_points": 5},
    ),
    "penalized_fit": Entry(rg.penalized_fit, {"predictor": PREDICTOR, "y": X**2, "family": None}),
}
# These compile for every shape and value that comes: the long run has them.
COMPILED: dict[str, Entry] = {
    "bspline_basis": Entry(
        ns.bspline_basis, {"x": X, "knots": BASIS.knots, "degree": 3, "derivative": 0}
    ),
    "bspline": Entry(
        ns.bspline, {"x": X, "knots": BASIS.knots, "coefficients": np.ones(6), "degree": 3}
    ),
    "basis": Entry(BASIS.__call__, {"x": X}),
    "curve": Entry(CURVE.__call__, {"x": X}),
    "curve.integrate": Entry(CURVE.integrate, {"lower": 0.0, "upper": 1.0}),
    "curve.roots": Entry(CURVE.roots, {"level": 0.0, "size": None}),
    "curve.inverse": Entry(BASIS.curve(np.arange(6.0)).inverse, {"y": 1.0}),
    "curve.pick": Entry(BASIS.curve(np.ones((3, 6))).pick, {"index": [0, 1]}),
    "curve.each": Entry(BASIS.curve(np.ones((3, 6))).each, {"x": np.zeros((3, 2))}),
}
