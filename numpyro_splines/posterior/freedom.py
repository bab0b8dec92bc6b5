"""Effective degrees of freedom, draw by draw."""

from __future__ import annotations

from typing import Any

import numpy as np
import xarray as xr

from numpyro_splines import prior_checks
from numpyro_splines.effects import SplineEffect, TensorEffect
from numpyro_splines.posterior.draws import dataset
from numpyro_splines.posterior.labeled import SAMPLE
from numpyro_splines.validation import float64_array


def degrees_of_freedom(
    effect: SplineEffect | TensorEffect,
    draws: Any,
    *,
    sigma: Any,
    num_observations: float,
) -> xr.DataArray:
    """Effective degrees of freedom of a smooth for every draw of its scale and of the noise.

    See `prior_checks.degrees_of_freedom` for the formula, which is for Gaussian responses whose x
    have the distribution of the effect's measure, and `component_degrees_of_freedom` for effects of
    several inputs.

    Args:
        effect: an effect with a smoothness prior, or of several inputs.
        draws: as in `dataset`.
        sigma: noise standard deviation, in the units of f: the name of a site, a labeled array, an
            array with leading axes (chain, draw), or a number.
        num_observations: n.

    Returns:
        One number for each draw: axes chain, draw, and those of plates around the effect; and
        "component" for effects of several inputs.

    Raises:
        KeyError: if the draws lack the scale or `sigma`.
        TypeError: if the prior of the effect is no smoothness prior.
        ValueError: if a number is not positive.

    Example:
        >>> import numpyro_splines as ns
        >>> f = ns.SplineEffect("f", ns.BSplineBasis(ns.knots.uniform(0.0, 1.0, 20)))
        >>> draws = {"f.scale": np.full((1, 2), 0.1), "sigma": np.array([[0.5, 2.0]])}
        >>> print(degrees_of_freedom(f, draws, sigma="sigma", num_observations=200).values.round(1))
        [[2.7 1.4]]
    """
    data = dataset(draws)
    if isinstance(effect, TensorEffect):
        return _of_components(effect, data, sigma, num_observations)
    prior = prior_checks.gaussian_smooth(effect)
    parts = [_effect_site(data, effect, "scale", prior.scale), _noise(data, sigma)]
    if prior.linear_scale is not None:
        parts.append(_effect_site(data, effect, "linear_scale", prior.linear_scale))
    shape = [data.sizes[dim] for dim in SAMPLE]
    coords = {dim: data[dim] for dim in SAMPLE if dim in data.coords}
    every = xr.DataArray(np.zeros(shape), coords, SAMPLE)
    every, *parts = xr.broadcast(every, *parts)
    scale, noise, *linear_scale = (part.values for part in parts)
    values = prior_checks.degrees_of_freedom(
        effect,
        scale,
        sigma=noise,
        num_observations=num_observations,
        linear_scale=linear_scale[0] if linear_scale else None,
    )
    return every.copy(data=values).rename(f"degrees of freedom of {effect.name}")


def _of_components(
    effect: TensorEffect, data: xr.Dataset, sigma: Any, num_observations: float
) -> xr.DataArray:
    smooth = effect.smooth
    drawn = [n for n, prior in smooth.scale_priors.items() if not isinstance(prior, np.ndarray)]
    drawn += [name for name, _, _ in smooth.anisotropies]
    values = {name: _site(data, effect.site(name)).values for name in drawn}
    noise = _noise(data, sigma)
    shape = tuple(data.sizes[dim] for dim in SAMPLE)
    found = prior_checks.component_degrees_of_freedom(
        effect,
        values,
        sigma=np.broadcast_to(noise.values, shape),
        num_observations=num_observations,
    )
    rows = np.stack([np.broadcast_to(own, shape) for own in found.values()], axis=-1)
    coords = {dim: data[dim] for dim in SAMPLE if dim in data.coords}
    return xr.DataArray(
        rows,
        {**coords, "component": list(found)},
        [*SAMPLE, "component"],
        name=f"degrees of freedom of {effect.name}",
    )


def _effect_site(data: xr.Dataset, effect: SplineEffect, short: str, fixed: Any) -> xr.DataArray:
    """Draws of a scale of the effect, or the number that fixes it."""
    site = effect.site(short)
    if site not in data and isinstance(fixed, np.ndarray):
        return xr.DataArray(fixed)
    values = _site(data, site)
    # Plates without names are the same for all sites of an effect.
    names = {str(dim): str(dim).replace(site, effect.name) for dim in values.dims}
    return values.rename({old: new for old, new in names.items() if old.startswith(f"{site}_dim_")})


def _noise(data: xr.Dataset, sigma: Any) -> xr.DataArray:
    if isinstance(sigma, str):
        return _site(data, sigma)
    if isinstance(sigma, xr.DataArray):
        return sigma
    values = float64_array(sigma, "sigma")
    if values.ndim not in (0, 2):
        raise ValueError(
            "`sigma` must be the name of a site, a number, or an array with axes (chain, draw); "
            f"got shape {values.shape}."
        )
    return xr.DataArray(values, dims=SAMPLE[: values.ndim])


def _site(data: xr.Dataset, site: str) -> xr.DataArray:
    if site not in data:
        raise KeyError(f"`draws` must hold {site!r}; got {sorted(map(str, data.data_vars))}.")
    return data[site]
