"""What each term of a predictor does, in one table."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

import jax
import numpy as np
import pandas as pd

from numpyro_splines.effects import TensorEffect
from numpyro_splines.ops.arrays import in_float64
from numpyro_splines.posterior.model_draws import ModelDraws, model_draws
from numpyro_splines.priors.sections import component_of
from numpyro_splines.regression import AdditivePredictor
from numpyro_splines.regression.drawing import per_coefficient
from numpyro_splines.regression.families import Gaussian
from numpyro_splines.regression.layout import gaussian, terms_of
from numpyro_splines.regression.likelihoods import freedom_of, invert
from numpyro_splines.regression.newton import information_of


def summary(
    predictor: AdditivePredictor,
    draws: Any,
    family: Any = None,
    y: Any = None,
    *,
    probability: float = 0.95,
    num_draws: int = 200,
    prefix: str = "",
    **parameters: Any,
) -> pd.DataFrame:
    r"""A row for each term: coefficients, degrees of freedom, scale, share of the variance.

        edf = sum over its coefficients of the diagonal of (Phi' W Phi + P)^-1 Phi' W Phi

    with W = -d^2 log p(y_i) / d eta_i^2 at the posterior means of eta and of the family's
    parameters, and P the prior precisions of a draw; averaged over draws. At the estimates of a
    `penalized_fit` these are its `edf`.

    Args:
        predictor: the predictor.
        draws: as in `dataset`, with the scales and the parameters of the family by site name.
        family: of the responses, `Gaussian()` if omitted.
        y: the responses, shape (n,), needed where W depends on them: for other families than
            Gaussian, Poisson and Binomial ones with the canonical link.
        probability: of the intervals of scales, equal-tailed.
        num_draws: at most so many draws, at even distances.
        prefix: as in `AdditivePredictor.linear_predictor`.
        **parameters: of the family, in place of those in the draws, as in `residuals`.

    Returns:
        Linear terms, effects, components of effects of several inputs ("f.x:z"; parts of the row
        of "f"), "offset" where there is one, and "total". Columns:

        coefficients  their number
        edf           effective degrees of freedom, posterior mean
        scale         posterior median of the prior scale, and lower, upper: its interval
        variance      mean of var(term) / var(eta), variances over the rows of each draw: terms that
                      are correlated share what these leave of, or have beyond, one
        covariance    mean of cov(term, eta) / var(eta): sums to one; negative where a term works
                      against the others

        A scale that belongs to no such term has a row by the name of its site.

    Raises:
        KeyError: if sites of the predictor, scales or parameters of the family are missing.
        TypeError: if y is needed.
        ValueError: if y is impossible under the family, or shapes do not fit.

    Example:
        >>> import numpyro.distributions as dist, numpyro_splines as ns
        >>> x, z = np.random.default_rng(0).uniform(size=(2, 200))
        >>> f = ns.SplineEffect("f", ns.BSplineBasis(ns.knots.uniform(0.0, 1.0, 10)), measure=x)
        >>> terms = {"z": (z, dist.Normal())}
        >>> eta = ns.AdditivePredictor((f, x), intercept=dist.Normal(0.0, 9.0), linear=terms)
        >>> fit = ns.regression.penalized_fit(eta, np.sin(6 * x) + z + 0.1 * np.cos(1e4 * x**2))
        >>> draws = {name: value[None, None] for name, value in fit.values.items()}
        >>> print(summary(eta, draws)[["coefficients", "edf", "covariance"]].round(2))
                   coefficients    edf  covariance
        intercept             1   1.00        0.00
        z                     1   1.00        0.15
        f                    11   9.58        0.85
        total                13  11.58        1.00

    References:
        Wood, Generalized Additive Models (2017), section 6.1.2, on effective degrees of freedom.
    """
    family = Gaussian() if family is None else family
    model = model_draws(
        predictor, draws, family, y, None, parameters, num_draws=num_draws, dim="obs", prefix=prefix
    )
    if not 0.0 < probability < 1.0:
        raise ValueError(f"`probability` must lie in (0, 1); got {probability}.")
    tail = (1.0 - probability) / 2.0
    every, means = _shares(model)
    columns, freedom = _columns(predictor), coefficient_freedom(model, means)
    rows: dict[str, dict[str, float]] = {
        name: {"coefficients": own.size, "edf": freedom[own].sum()} for name, own in columns.items()
    }
    for site, values in _scales(model):
        row = site.removesuffix(".scale")
        middle, lower, upper = np.quantile(values, [0.5, tail, 1.0 - tail])
        rows.setdefault(row if row in rows else site, {}).update(
            scale=middle, scale_lower=lower, scale_upper=upper
        )
    for name, shares in every.items():
        rows.setdefault(name, {}).update(shares)
    rows["total"] = {"coefficients": len(freedom), "edf": freedom.sum(), "covariance": 1.0}
    table = pd.DataFrame.from_dict(rows, orient="index").reindex(columns=_COLUMNS)
    return table.astype({"coefficients": "Int64"})


_COLUMNS = [
    "coefficients", "edf", "scale", "scale_lower", "scale_upper", "variance", "covariance",
]  # fmt: skip


class Means(NamedTuple):
    """Posterior means, added up over pieces of the draws.

    Attributes:
        eta: shape (n,).
        parameters: of the family.
    """

    eta: Any = 0.0
    parameters: Mapping[str, Any] = MappingProxyType({})

    def plus(self, eta: np.ndarray, parameters: Mapping[str, np.ndarray], num_draws: int) -> Means:
        """With some more of all draws.

        Args:
            eta: shape (draws, n).
            parameters: likewise.
            num_draws: number of all draws.
        """
        added = {k: v.sum(axis=0) / num_draws for k, v in parameters.items()}
        return Means(
            self.eta + eta.sum(axis=0) / num_draws,
            {name: self.parameters.get(name, 0.0) + value for name, value in added.items()},
        )


def coefficient_freedom(model: ModelDraws, means: Means) -> np.ndarray:
    """Effective degrees of freedom of each coefficient, posterior mean; see `summary`.

    Args:
        model: draws of the predictor and the family.
        means: posterior means.

    Returns:
        Shape (p,).
    """
    predictor, information = model.predictor, _information(model, means)
    deviations = predictor.deviations(_hyperparameters(model))
    every = np.broadcast_to(deviations, (model.num_draws, np.shape(deviations)[-1]))
    random = per_coefficient(predictor, np.asarray(every, np.float64)) ** -2.0
    total = np.zeros(predictor.num_coefficients)
    for own in random:
        precision = np.concatenate([predictor.scale**-2.0, own])
        inverse, _ = invert(information + np.diag(precision))
        total += freedom_of(inverse, information)
    return total / model.num_draws


def _information(model: ModelDraws, means: Means) -> np.ndarray:
    """Phi' W Phi at posterior means."""
    predictor, family = model.predictor, model.family
    # Of these the second derivative is without y.
    known = isinstance(family.pooled, Gaussian) or family.canonical
    if model.y is None and not known:
        raise TypeError(
            f"`y` must be given for {type(family).__name__}: what a response tells of eta depends "
            "on it."
        )
    y = np.zeros(predictor.num_observations) if model.y is None else model.y
    if family.canonical:
        return predictor.gram(family.cumulants(means.eta)[1])
    # Of a dict: parameters that nothing was added to are a view of one.
    return predictor.gram(in_float64(_weights, family, y, means.eta, dict(means.parameters)))


_weights = jax.jit(information_of)


def _hyperparameters(model: ModelDraws) -> list[dict[str, np.ndarray]]:
    """Of each effect by short names: draws, or the number that fixes them."""
    result = []
    for effect in model.predictor.effects:
        smooth, own = gaussian(effect), {}
        for name in smooth.hyperparameter_names:
            site, fixed = model.prefix + effect.site(name), smooth.scale_priors.get(name)
            if site not in model.sites and not isinstance(fixed, np.ndarray):
                raise KeyError(f"`draws` must hold {site!r}; got {sorted(model.sites)}.")
            own[name] = np.asarray(model.sites.get(site, fixed), np.float64)
        result.append(own)
    return result


def _scales(model: ModelDraws) -> Iterator[tuple[str, np.ndarray]]:
    """Scales by the names of their sites."""
    pairs = zip(model.predictor.effects, _hyperparameters(model), strict=True)
    for effect, values in pairs:
        for name in gaussian(effect).scale_priors:
            yield effect.site(name), values[name]


def _columns(predictor: AdditivePredictor) -> dict[str, np.ndarray]:
    """Where the coefficients of each term lie: linear ones, effects and their components."""
    linear = {block.site: np.arange(block.start, block.stop) for block in predictor.terms}
    return linear | terms_of(predictor.effects, predictor.owned)


def _shares(model: ModelDraws) -> tuple[dict[str, dict[str, float]], Means]:
    """Of the variance of eta over the rows, by term, and what else is a mean over draws."""
    sums: dict[str, np.ndarray] = {}
    means = Means()
    for sites, parameters in model.pieces():
        parts = model.predictor.partial(sites, prefix=model.prefix)
        terms = {name: np.asarray(own, np.float64) for name, own in parts.items()}
        eta = np.sum(list(terms.values()), axis=0)
        means = means.plus(eta, parameters, model.num_draws)
        terms |= _components(model.predictor, sites, model.prefix)
        eta = eta - eta.mean(axis=1, keepdims=True)
        with np.errstate(invalid="ignore"):
            for name, own in terms.items():
                own = own - own.mean(axis=1, keepdims=True)
                both = np.stack([(own**2).mean(axis=1), (own * eta).mean(axis=1)])
                share = (both / (eta**2).mean(axis=1)).sum(axis=1)
                sums[name] = sums.get(name, 0.0) + share
    shares = {name: total / model.num_draws for name, total in sums.items()}
    return {k: {"variance": v[0], "covariance": v[1]} for k, v in shares.items()}, means


def _components(
    predictor: AdditivePredictor, sites: Mapping[str, Any], prefix: str
) -> dict[str, np.ndarray]:
    """Values at the rows of components of effects of several inputs, where their sites are there.

    Returns:
        By name, shape (draws, n).
    """
    result = {}
    for j, effect in enumerate(predictor.effects):
        if not isinstance(effect, TensorEffect):
            continue
        for own in (own for own in predictor.owned if own.effect == j):
            site = prefix + effect.site(own.site)
            if site in sites:
                matrix = predictor.local_matrix[:, own.start : own.stop]
                values = predictor.design() @ (matrix @ np.asarray(sites[site], np.float64).T)
                result[effect.site(component_of(own.site))] = values.T
    return result
