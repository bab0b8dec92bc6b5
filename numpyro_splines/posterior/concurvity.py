"""How far the terms of an additive predictor can stand in for each other."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import scipy.linalg

from numpyro_splines.arguments import instance_of
from numpyro_splines.regression import AdditivePredictor
from numpyro_splines.regression.layout import terms_of
from numpyro_splines.validation import float64_array

# Directions of the columns that are this much shorter than the longest are none.
_ROUNDING = 1e-10


def concurvity(predictor: AdditivePredictor, coefficients: Any = None) -> pd.DataFrame:
    r"""The share of each term that all other columns of the predictor can explain.

    With X the columns of a term at the observations, and P the projection on all other columns:

        worst     largest of |P X b|^2 / |X b|^2 over b
        estimate  |P X|_F^2 / |X|_F^2
        observed  |P X b|^2 / |X b|^2 for the coefficients of a fit

    0 where a term is orthogonal to the others, 1 where they can do all it does. mgcv's measures for
    the full model, with the columns scaled by what the prior says of their sizes: smooth functions
    count for most of the estimate. Effects of several inputs have a row for each component too.

    Args:
        predictor: the predictor.
        coefficients: those of a fit, stacked as the predictor has them, shape (p,); no column
            "observed" if omitted.

    Returns:
        A row for each effect, and for each of its components.

    Raises:
        ValueError: if there are not p coefficients.

    Example:
        >>> import numpyro.distributions as dist, numpyro_splines as ns
        >>> x = np.linspace(0.0, 1.0, 200)
        >>> basis = ns.BSplineBasis(ns.knots.uniform(0.0, 1.0, 4))
        >>> z = (x + np.cos(40.0 * x) + 1.0) / 3.0
        >>> pairs = [(ns.SplineEffect(n, basis, measure=v), v) for n, v in (("f", x), ("g", z))]
        >>> concurvity(ns.AdditivePredictor(*pairs, intercept=dist.Normal())).round(2)
           worst  estimate
        f   0.31      0.22
        g   0.31      0.11

    References:
        Wood, Generalized Additive Models (2017), section 5.6.3, and mgcv's `concurvity`.
    """
    instance_of(predictor, AdditivePredictor, "predictor")
    gram = predictor.gram(np.ones(predictor.num_observations))
    given = None if coefficients is None else float64_array(coefficients, "coefficients")
    if given is not None and given.shape != gram.shape[:1]:
        raise ValueError(
            f"`coefficients` must be the {len(gram)} of the predictor; got shape {given.shape}."
        )
    rows = {}
    for name, columns in terms_of(predictor.effects, predictor.owned).items():
        own, explained = _parts(gram, columns)
        rows[name] = {
            "worst": float(_largest(own, explained)),
            "estimate": float(np.trace(explained) / np.trace(own)),
        }
        if given is not None:
            b = given[columns]
            rows[name]["observed"] = float(b @ explained @ b / (b @ own @ b))
    return pd.DataFrame.from_dict(rows, orient="index").clip(0.0, 1.0)


def _parts(gram: np.ndarray, columns: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """X'X of a term, and X'PX."""
    others = np.setdiff1d(np.arange(len(gram)), columns)
    values, vectors = np.linalg.eigh(_scaled(gram, others))
    kept = values > _ROUNDING * values[-1]
    size = np.sqrt(np.maximum(np.diag(gram)[others], np.finfo(float).tiny))
    between = gram[np.ix_(others, columns)] / size[:, None]
    half = (vectors[:, kept] / np.sqrt(values[kept])).T @ between
    return gram[np.ix_(columns, columns)], half.T @ half


def _scaled(gram: np.ndarray, columns: np.ndarray) -> np.ndarray:
    """The Gram matrix of columns of length one."""
    size = np.sqrt(np.maximum(np.diag(gram)[columns], np.finfo(float).tiny))
    return gram[np.ix_(columns, columns)] / np.outer(size, size)


def _largest(own: np.ndarray, explained: np.ndarray) -> float:
    """The largest of b' explained b / b' own b."""
    size = np.sqrt(np.maximum(np.diag(own), np.finfo(float).tiny))
    values, vectors = np.linalg.eigh(own / np.outer(size, size))
    kept = values > _ROUNDING * values[-1]
    root = vectors[:, kept] / np.sqrt(values[kept]) / size[:, None]
    return scipy.linalg.eigvalsh(root.T @ explained @ root)[-1]
