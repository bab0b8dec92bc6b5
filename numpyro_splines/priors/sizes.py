"""The size of a scale before data, from its prior; on the host, compiling nothing."""

from __future__ import annotations

from functools import singledispatch
from typing import Any

import jax
import numpy as np
import numpyro.distributions as dist
import scipy.special
import scipy.stats
from numpyro.distributions.transforms import PowerTransform

from numpyro_splines.validation import is_traced

# The median of |z| for z ~ Normal(0, 1): a half-normal distribution has the size of its own scale.
_HALF_NORMAL_MEDIAN = float(scipy.special.ndtri(0.75))


def typical_size(scale: Any) -> float:
    """Median of the prior of a scale over that of the standard half-normal distribution.

    Args:
        scale: a distribution of positive numbers, or the number itself.

    Returns:
        The size, in the units of f; infinite, which stands for not known, where the parameters of
        the distribution are traced.
    """
    if not isinstance(scale, dist.Distribution):
        return float(scale)
    if any(is_traced(leaf) for leaf in jax.tree.leaves(scale)):
        return np.inf
    return float(_median(scale)) / _HALF_NORMAL_MEDIAN


@singledispatch
def _median(prior: Any) -> Any:
    """Of a distribution without a formula here: its own quantile, else a median of draws."""
    try:
        return prior.icdf(0.5)
    except NotImplementedError:
        return _median_of_draws(prior)


def _median_of_draws(prior: Any) -> Any:
    return np.median(prior.sample(jax.random.key(0), (999,)))


@_median.register
def _(prior: dist.HalfNormal) -> Any:
    return _HALF_NORMAL_MEDIAN * np.asarray(prior.scale)


@_median.register
def _(prior: dist.HalfCauchy) -> Any:
    return prior.scale


@_median.register
def _(prior: dist.Exponential) -> Any:
    return np.log(2.0) / np.asarray(prior.rate)


@_median.register
def _(prior: dist.LogNormal) -> Any:
    return np.exp(np.asarray(prior.loc))


@_median.register
def _(prior: dist.Gamma) -> Any:
    return scipy.stats.gamma.median(prior.concentration) / np.asarray(prior.rate)


@_median.register
def _(prior: dist.InverseGamma) -> Any:
    return np.asarray(prior.rate) / scipy.stats.gamma.median(prior.concentration)


@_median.register
def _(prior: dist.Uniform) -> Any:
    return (np.asarray(prior.low) + np.asarray(prior.high)) / 2.0


@_median.register
def _(prior: dist.FoldedDistribution) -> Any:
    base: Any = prior.base_dist
    if isinstance(base, dist.StudentT) and np.all(np.asarray(base.loc) == 0.0):
        return scipy.stats.t.ppf(0.75, base.df) * np.asarray(base.scale)
    return _median_of_draws(prior)


@_median.register
def _(prior: dist.TransformedDistribution) -> Any:
    match prior.transforms:
        # Powers are monotone on positive numbers.
        case [PowerTransform(exponent=exponent)]:
            return np.asarray(_median(prior.base_dist)) ** exponent
    return _median_of_draws(prior)
