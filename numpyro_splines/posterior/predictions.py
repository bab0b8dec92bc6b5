"""Predictors evaluated with the names of draws and rows."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import jax.numpy as jnp
import numpy as np
import xarray as xr
from jaxtyping import Array

from numpyro_splines.arguments import text
from numpyro_splines.posterior.draws import dataset
from numpyro_splines.posterior.labeled import SAMPLE
from numpyro_splines.regression.predictor import AdditivePredictor, checked_predictor


def linear_predictor(
    predictor: AdditivePredictor,
    draws: Any,
    rows: Any = None,
    *,
    inverse_link: Callable[[Any], Any] | None = None,
    dim: str = "obs",
    prefix: str = "",
) -> xr.DataArray:
    """eta of every draw at rows of data; see `AdditivePredictor.linear_predictor`.

    Args:
        predictor: the predictor.
        draws: as in `dataset`.
        rows: new rows, as `AdditivePredictor.at` takes them; the predictor's own if omitted. The
            index of a pandas frame becomes the coordinate of `dim`.
        inverse_link: h, from the predictor to the response, elementwise in JAX operations, such as
            `jax.numpy.exp`; the identity if omitted.
        dim: name of the axis of the rows.
        prefix: as in `AdditivePredictor.linear_predictor`.

    Returns:
        Axes chain, draw, `dim`; in the units of the predictor, or of the response with
        `inverse_link`.

    Example:
        >>> import numpyro.distributions as dist, numpyro_splines as ns
        >>> eta = ns.AdditivePredictor(
        ...     intercept=None, linear={"b": (np.arange(3.0), dist.Normal())}
        ... )
        >>> draws = {"b": np.full((4, 100), 0.5)}
        >>> print(linear_predictor(eta, draws, {"b": [4.0]}).values[0, 0])
        [2.]
    """
    predictor, named, index = at_rows(predictor, draws, rows, dim)
    eta = predictor.linear_predictor(_arrays(named), prefix=prefix)
    values = eta if inverse_link is None else inverse_link(eta)
    return _labeled(values, named, index, dim, "eta" if inverse_link is None else "h(eta)")


def partial(
    predictor: AdditivePredictor,
    draws: Any,
    rows: Any = None,
    *,
    dim: str = "obs",
    prefix: str = "",
) -> xr.Dataset:
    """What each term adds to eta at rows of data; see `AdditivePredictor.partial`.

    Args:
        predictor: as in `linear_predictor`.
        draws: as there.
        rows: as there.
        dim: as there.
        prefix: as there.

    Returns:
        One variable for each term, with the axes chain, draw, `dim`; in the units of the predictor.

    Example:
        >>> import numpyro.distributions as dist, numpyro_splines as ns
        >>> eta = ns.AdditivePredictor(
        ...     intercept=None, linear={"b": (np.arange(3.0), dist.Normal())}
        ... )
        >>> print(dict(partial(eta, {"b": np.ones((4, 100))}).sizes))
        {'chain': 4, 'draw': 100, 'obs': 3}
    """
    predictor, named, index = at_rows(predictor, draws, rows, dim)
    terms = predictor.partial(_arrays(named), prefix=prefix)
    return xr.Dataset({k: _labeled(v, named, index, dim, k) for k, v in terms.items()})


def response(
    predictor: AdditivePredictor,
    draws: Any,
    family: Any,
    rows: Any = None,
    *,
    dim: str = "obs",
    prefix: str = "",
) -> xr.DataArray:
    """The expected response of every draw at rows of data; see `AdditivePredictor.response`.

    Args:
        predictor: as in `linear_predictor`.
        draws: as there.
        family: of the responses.
        rows: as there.
        dim: as there.
        prefix: as there.

    Returns:
        Axes chain, draw, `dim`, and one of categories where the family has any; in the units of the
        response.

    Example:
        >>> import numpyro.distributions as dist, numpyro_splines as ns
        >>> terms = {"b": (np.arange(3.0), dist.Normal())}
        >>> eta = ns.AdditivePredictor(intercept=None, linear=terms)
        >>> draws = {"b": np.ones((4, 100))}
        >>> print(response(eta, draws, ns.regression.Gaussian()).values[0, 0])
        [0. 1. 2.]
    """
    predictor, named, index = at_rows(predictor, draws, rows, dim)
    values = predictor.response(_arrays(named), family, prefix=prefix)
    return _labeled(values, named, index, dim, "response")


def predict(
    predictor: AdditivePredictor,
    key: Array,
    draws: Any,
    family: Any,
    rows: Any = None,
    *,
    dim: str = "obs",
    prefix: str = "",
    **parameters: Any,
) -> xr.DataArray:
    """Posterior predictive draws at rows of data; see `AdditivePredictor.predict`.

    Args:
        predictor: as in `linear_predictor`.
        key: random key.
        draws: as there, with the parameters of the family.
        family: of the responses.
        rows: as there.
        dim: as there.
        prefix: as there.
        **parameters: as in `AdditivePredictor.predict`.

    Returns:
        Axes chain, draw, `dim`; in the units of the response.

    Example:
        >>> import jax, numpyro.distributions as dist, numpyro_splines as ns
        >>> terms = {"b": (np.arange(3.0), dist.Normal())}
        >>> eta = ns.AdditivePredictor(intercept=None, linear=terms)
        >>> draws = {"b": np.ones((4, 100)), "sigma": np.ones((4, 100))}
        >>> print(predict(eta, jax.random.key(0), draws, ns.regression.Gaussian()).dims)
        ('chain', 'draw', 'obs')
    """
    predictor, named, index = at_rows(predictor, draws, rows, dim)
    values = predictor.predict(key, _arrays(named), family, prefix=prefix, **parameters)
    return _labeled(values, named, index, dim, "prediction")


def levels(
    predictor: AdditivePredictor, draws: Any, name: str, *, prefix: str = ""
) -> xr.DataArray:
    """The value of each level of a factor: zero at the reference, or summing to zero.

    Args:
        predictor: with a factor among its linear terms.
        draws: as in `dataset`.
        name: of the term.
        prefix: as in `AdditivePredictor.linear_predictor`.

    Returns:
        Axes chain, draw and one of the levels, by label, that has the name of the term; in the
        units of the predictor.

    Raises:
        ValueError: if the predictor has no such factor.

    Example:
        >>> import numpyro.distributions as dist, numpyro_splines as ns
        >>> dose = ns.regression.Treatment(["low", "high", "none"], reference="none")
        >>> eta = ns.AdditivePredictor(intercept=None, linear={"dose": (dose, dist.Normal())})
        >>> draws = {"dose": np.full((4, 100, 2), 0.5)}
        >>> print(levels(eta, draws, "dose").mean(("chain", "draw")).to_series())
        dose
        high    0.5
        low     0.5
        none    0.0
        Name: dose, dtype: float64
    """
    pairs = zip(predictor.terms, predictor.contrasts, strict=True)
    factors = {block.site: own for block, own in pairs if own is not None}
    if name not in factors:
        raise ValueError(f"`name` must be one of the factors {list(factors)}; got {name!r}.")
    named = dataset(draws, start=prefix + name)
    values = factors[name].values(named[prefix + name].values)
    coords = {**_sample(named), name: list(factors[name].levels)}
    return xr.DataArray(values, coords, (*SAMPLE, name), name=name)


def at_rows(
    predictor: AdditivePredictor, draws: Any, rows: Any, dim: str
) -> tuple[AdditivePredictor, xr.Dataset, Any]:
    """The predictor at rows of data, the draws, and names of the rows.

    Args:
        predictor: the predictor.
        draws: as in `dataset`.
        rows: as in `linear_predictor`.
        dim: likewise.
    """
    predictor = checked_predictor(predictor)
    named = dataset(draws)
    if text(dim, "dim") in named.dims:
        raise ValueError(f"`dim` must be no axis of the draws; got {dim!r}. Choose another name.")
    if rows is None:
        return predictor, named, np.arange(predictor.num_observations)
    new = predictor.at(rows)
    index = None if isinstance(rows, Mapping) else getattr(rows, "index", None)
    return new, named, np.arange(new.num_observations) if index is None else index


def _arrays(named: xr.Dataset) -> dict[str, Any]:
    return {str(name): jnp.asarray(values.values) for name, values in named.data_vars.items()}


def _sample(named: xr.Dataset) -> dict[str, Any]:
    """Coordinates of chain and draw."""
    return {str(dim): named[dim].values for dim in SAMPLE if dim in named.coords}


def _labeled(values: Any, named: xr.Dataset, index: Any, dim: str, name: str) -> xr.DataArray:
    values = np.asarray(values)
    dims = (*SAMPLE, dim, "category")[: values.ndim]
    return xr.DataArray(values, {**_sample(named), dim: np.asarray(index)}, dims, name=name)
