"""Pointwise log likelihoods, and the form in which ArviZ takes them."""

from __future__ import annotations

from typing import Any

import jax
import numpy as np
import xarray as xr

from numpyro_splines.ops.arrays import in_float64
from numpyro_splines.posterior.draws import dataset
from numpyro_splines.posterior.labeled import SAMPLE
from numpyro_splines.posterior.model_draws import model_draws
from numpyro_splines.regression import AdditivePredictor


def log_likelihood(
    predictor: AdditivePredictor,
    draws: Any,
    family: Any,
    y: Any,
    rows: Any = None,
    *,
    dim: str = "obs",
    prefix: str = "",
    **parameters: Any,
) -> xr.DataArray:
    """log p(y_i | eta_i, parameters) of each response and draw, for leave-one-out and the like.

    Given the coefficients: where a model integrates them out, add them by
    `IntegratedGaussian.draw` or `IntegratedLaplace.draw` first. (The density of the model itself
    is one number for all responses.) Of a model that integrates *inputs* out take that of the
    model, `numpyro.infer.log_likelihood(model, draws, batch_ndims=2)`: with the inputs drawn each
    response has a parameter of its own, and leaving it out changes too much for importance
    sampling.

    Args:
        predictor: the predictor.
        draws: as in `dataset`, with the parameters of the family by site name.
        family: of the responses.
        y: as in `residuals`.
        rows: as there; rows that the draws have not seen have log predictive densities so.
        dim: name of the axis of the rows.
        prefix: as in `AdditivePredictor.linear_predictor`.
        **parameters: as in `residuals`.

    Returns:
        Axes chain, draw, `dim`; numbers in float64, shape (chains, draws, n).

    Raises:
        KeyError: if sites of the predictor or parameters of the family are missing.
        ValueError: if y is impossible under the family, or shapes do not fit.

    Example:
        >>> import numpyro.distributions as dist, numpyro_splines as ns
        >>> terms = {"b": (np.arange(3.0), dist.Normal())}
        >>> eta = ns.AdditivePredictor(intercept=None, linear=terms)
        >>> draws = {"b": np.ones((4, 100)), "sigma": np.ones((4, 100))}
        >>> log_p = log_likelihood(eta, draws, ns.regression.Gaussian(), [0.0, 1.0, 2.0])
        >>> log_p.dims, log_p.values[0, 0].round(3)
        (('chain', 'draw', 'obs'), array([-0.919, -0.919, -0.919]))
    """
    model = model_draws(
        predictor, draws, family, y, rows, parameters, num_draws=None, dim=dim, prefix=prefix
    )
    rest = [_log_prob(model.family, model.responses, *own) for own in model.linear_predictors()]
    values = np.concatenate(rest).reshape(*model.shape, -1)
    coords = {**model.sample, dim: np.asarray(model.index)}
    return xr.DataArray(values, coords, (*SAMPLE, dim), name="y")


def inference_data(draws: Any, log_likelihood: Any) -> Any:
    """Draws and log likelihoods as one object of ArviZ, `InferenceData` or, from 1.0, `DataTree`.

    `az.loo(inference_data(draws, log_likelihood))` and `az.compare` read them.

    Args:
        draws: as in `dataset`.
        log_likelihood: that of `log_likelihood`; or arrays by site name with leading axes (chain,
            draw), as `numpyro.infer.log_likelihood(model, draws, batch_ndims=2)` returns them.

    Returns:
        The groups posterior and log_likelihood.

    Raises:
        TypeError: as `dataset`.
        ValueError: if both have other chains or draws, or as `dataset`.

    Example:
        >>> made = inference_data({"b": np.ones((4, 100))}, {"y": np.zeros((4, 100, 3))})
        >>> dict(made["log_likelihood"].sizes)
        {'chain': 4, 'draw': 100, 'y_dim_0': 3}
    """
    if isinstance(log_likelihood, xr.DataArray):
        log_likelihood = log_likelihood.to_dataset(name=log_likelihood.name or "y")
    groups: dict[str, Any] = {
        "posterior": dataset(draws),
        "log_likelihood": dataset(log_likelihood),
    }
    sizes = {name: tuple(own.sizes[dim] for dim in SAMPLE) for name, own in groups.items()}
    if len(set(sizes.values())) > 1:
        raise ValueError(
            f"`log_likelihood` must be of the chains and draws of `draws`; got {sizes}."
        )
    import arviz as az  # a second, which those who want no such object need not wait

    if az.__version__.startswith("0."):
        return az.InferenceData(**groups)
    return xr.DataTree.from_dict(groups)


def _log_prob(
    family: Any, y: np.ndarray, eta: np.ndarray, parameters: dict[str, np.ndarray]
) -> np.ndarray:
    """Shape (draws, n), in float64: counts have large factorials."""
    return in_float64(_pointwise, family, y, eta, parameters)


@jax.jit
def _pointwise(family: Any, y: Any, eta: Any, parameters: dict[str, Any]) -> Any:
    return family.log_prob(y, eta, **parameters)
