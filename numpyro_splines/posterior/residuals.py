"""Randomized quantile residuals: standard normal where a model is true, whatever its family."""

from __future__ import annotations

from typing import Any

import jax
import numpy as np
import scipy.special
import xarray as xr
from jaxtyping import Array

from numpyro_splines.posterior.model_draws import model_draws
from numpyro_splines.regression import AdditivePredictor

# Probabilities closer to 0 and 1 than this have residuals beyond 8.2, and 1 - u no digits.
_SMALLEST = np.finfo(np.float64).eps / 2.0

# Where a response has less probability than this it is as good as continuous.
_CONTINUOUS = 1e-7


def residuals(
    predictor: AdditivePredictor,
    draws: Any,
    family: Any,
    y: Any,
    rows: Any = None,
    *,
    key: Array | None = None,
    num_draws: int = 400,
    dim: str = "obs",
    prefix: str = "",
    **parameters: Any,
) -> xr.DataArray:
    r"""Randomized quantile residuals of the responses under the posterior predictive.

        u_i = mean over draws of P(Y < y_i) + v_i P(Y = y_i),    residual_i = Phi^-1(u_i)

    with v_i uniform on (0, 1), one for each observation; responses that are continuous need none.
    Where the model is true the residuals are standard normal for every family, so that they can be
    looked at as those of a linear model: against the normal quantiles, against inputs, in time.
    (The data that the draws have seen are fitted a little better than that.)

    Args:
        predictor: the predictor.
        draws: as in `dataset`, with the parameters of the family by site name.
        family: of the responses.
        y: the responses, shape (n,); the index of a Series becomes the coordinate of `dim`.
        rows: other rows than those of the predictor that `y` belongs to, as in `linear_predictor`.
        key: random key of the v_i; always the same ones if omitted.
        num_draws: at most so many draws, at even distances. The mean of 400 is off by a twentieth
            of the posterior standard deviation of the probability, itself small against 1.
        dim: name of the axis of the rows.
        prefix: as in `AdditivePredictor.linear_predictor`.
        **parameters: of the family, in place of those in the draws: one number, or axes (chain,
            draw).

    Returns:
        Axis `dim`; standard normal numbers, no larger than 8.2.

    Raises:
        KeyError: if sites of the predictor or parameters of the family are missing.
        TypeError: if an `Elementwise` family has a distribution without `cdf`.
        ValueError: if y is impossible under the family, or shapes do not fit.

    Example:
        >>> import numpyro.distributions as dist, numpyro_splines as ns
        >>> terms = {"b": (np.arange(3.0), dist.Normal())}
        >>> eta = ns.AdditivePredictor(intercept=None, linear=terms)
        >>> draws = {"b": np.ones((4, 100)), "sigma": np.full((4, 100), 0.5)}
        >>> print(residuals(eta, draws, ns.regression.Gaussian(), [0.0, 1.5, 1.0]).values.round(6))
        [ 0.  1. -2.]

    References:
        Dunn and Smyth, Randomized quantile residuals (1996), section 2.
    """
    model = model_draws(
        predictor, draws, family, y, rows, parameters, num_draws=num_draws, dim=dim, prefix=prefix
    )
    below, upto = np.zeros((2, model.predictor.num_observations))
    for eta, own in model.linear_predictors():
        parts = model.family.cumulative(model.responses, eta, **own)
        below, upto = below + parts[0].sum(axis=0), upto + parts[1].sum(axis=0)
    key = jax.random.key(0) if key is None else key
    share = np.asarray(jax.random.uniform(key, below.shape), np.float64)
    values = quantiles((below + share * (upto - below)) / model.num_draws)
    return xr.DataArray(values, {dim: np.asarray(model.index)}, (dim,), name="residual")


def quantiles(probabilities: np.ndarray) -> np.ndarray:
    """Standard normal quantiles, finite ones.

    Args:
        probabilities: any shape.
    """
    return scipy.special.ndtri(np.clip(probabilities, _SMALLEST, 1.0 - _SMALLEST))


def normal_scores(below: np.ndarray, upto: np.ndarray) -> np.ndarray:
    """Quantile residuals averaged over their randomization: E[Phi^-1(a + v (b - a))].

    (phi(Phi^-1(a)) - phi(Phi^-1(b))) / (b - a), the mean of a standard normal number between the
    quantiles of a and b: what the response says, without the noise.

    Args:
        below: a = P(Y < y), any shape.
        upto: b = P(Y <= y), the same shape.

    Returns:
        The same shape.
    """
    mass = upto - below
    narrow = mass < _CONTINUOUS
    heights = [np.exp(-0.5 * scipy.special.ndtri(p) ** 2) for p in (below, upto)]
    mean = (heights[0] - heights[1]) / np.where(narrow, 1.0, mass) / np.sqrt(2.0 * np.pi)
    return np.where(narrow, quantiles(0.5 * (below + upto)), mean)
