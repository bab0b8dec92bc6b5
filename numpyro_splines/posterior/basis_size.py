"""Whether the basis of each smooth is large enough: what residuals have left along its inputs."""

from __future__ import annotations

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
import scipy.sparse
from jaxtyping import Array
from scipy.spatial import KDTree

from numpyro_splines.effects import AbstractEffect, TensorEffect
from numpyro_splines.margins.levels import AbstractLevelMargin
from numpyro_splines.posterior.model_draws import ModelDraws, model_draws
from numpyro_splines.posterior.residuals import normal_scores
from numpyro_splines.posterior.summary import Means, coefficient_freedom
from numpyro_splines.regression import AdditivePredictor, Distributional, Elementwise
from numpyro_splines.regression.evaluation import response_draws
from numpyro_splines.regression.families import AbstractFamily
from numpyro_splines.regression.layout import terms_of

# Neighbors of an observation span at most this share of what one coefficient stands for.
_SPAN = 0.3
_MOST = 20

# Of more observations a random part is looked at: as many residuals tell a pattern from noise.
_ROWS = 10_000

# Inputs are moved by this share of their standard deviation, so that no two are the same.
_JITTER = 1e-6


def basis_size(
    predictor: AdditivePredictor,
    draws: Any,
    family: Any,
    y: Any,
    *,
    key: Array | None = None,
    num_draws: int = 400,
    prefix: str = "",
    **parameters: Any,
) -> pd.DataFrame:
    r"""Does the basis of each smooth have functions enough? What mgcv's `k.check` answers.

        index = mean over pairs of neighbors of (r_i - r_j)^2 / (2 var(r))

    About 1 where residuals r do not depend on those nearby, less where they do: where a pattern
    along the inputs of the smooth is left over. r_i is the quantile residual of y_i given a draw
    of eta and of the family's parameters, averaged over its randomization (so that it has no noise
    for binary responses either). The reference is the same index of responses replicated from that
    draw: p is the share of draws in which theirs is no larger than that of the data. Given the true
    parameters both have one distribution, whatever the family and however few the data.

    A small p says that the smooth misses something along its input: too few breakpoints, a scale
    that is held too small, or another term that varies with the same input. Double the breakpoints
    and see whether the curve, and its effective degrees of freedom, change.

    Neighbors are the nearest observations in the inputs of the effect, in units of their standard
    deviations, among those of the same levels where it has groups; so many (1 to 20) that they span
    three tenths of what one coefficient stands for. Where the effect is multiplied, `by=`, so is r.

    Of more than 10 000 observations a random part of this size is looked at, always the same one
    (but of an `Elementwise` family, whose function may know of all rows).

    Args:
        predictor: the predictor.
        draws: as in `dataset`, with the scales and the parameters of the family by site name.
        family: of the responses.
        y: the responses, shape (n,).
        key: random key of the replicates; always the same one if omitted.
        num_draws: at most so many draws, at even distances; p is at least 1 / (num_draws + 1).
        prefix: as in `AdditivePredictor.linear_predictor`.
        **parameters: of the family, in place of those in the draws, as in `residuals`.

    Returns:
        A row for each effect with a numeric input: number of coefficients, effective degrees of
        freedom as in `summary`, neighbors of each observation, index (posterior mean), and p_value.

    Raises:
        KeyError: as `residuals`.
        TypeError: as `residuals`.
        ValueError: as `residuals`.

    Example:
        >>> import jax, numpyro.distributions as dist, numpyro_splines as ns
        >>> x = np.linspace(0.0, 1.0, 200)
        >>> y = np.sin(25.0 * x) + np.random.default_rng(0).normal(size=200)
        >>> def p_value(num):
        ...     basis = ns.BSplineBasis(ns.knots.uniform(0.0, 1.0, num))
        ...     f = ns.SplineEffect("f", basis, measure=x)
        ...     eta = ns.AdditivePredictor((f, x), intercept=dist.Normal())
        ...     fit = ns.regression.penalized_fit(eta, y)
        ...     draws = fit.draw(jax.random.key(0), (1, 400))
        ...     return float(basis_size(eta, draws, ns.regression.Gaussian(), y)["p_value"]["f"])
        >>> p_value(3) < 0.01, p_value(20) > 0.1
        (True, True)

    References:
        Wood, Generalized Additive Models (2017), section 5.9; Gelman, Meng and Stern, Posterior
        predictive assessment of model fitness via realized discrepancies (1996), section 2.
    """
    model = model_draws(
        predictor, draws, family, y, None, parameters, num_draws=num_draws, dim="obs", prefix=prefix
    )
    chosen = _looked_at(model)
    pairs, columns = {}, {}
    every = terms_of(predictor.effects, predictor.owned)
    for position, effect in enumerate(predictor.effects):
        num = _num_neighbors(len(chosen), every[effect.name].size)
        inputs = tuple(x[chosen] for x in predictor.inputs[position])
        own = neighbors(effect, inputs, num)
        if own is not None:
            pairs[position], columns[position] = own, (every[effect.name], num)
    key = jax.random.key(0) if key is None else key
    found, means = _indices(model, pairs, chosen, key)
    freedom = coefficient_freedom(model, means)
    rows = {}
    for position, (own, num) in columns.items():
        observed, replicated = found[position]
        rows[predictor.effects[position].name] = {
            "coefficients": own.size,
            "edf": freedom[own].sum(),
            "neighbors": num,
            "index": observed.mean(),
            "p_value": (1.0 + (replicated <= observed).sum()) / (1.0 + observed.size),
        }
    names = ["coefficients", "edf", "neighbors", "index", "p_value"]
    return pd.DataFrame.from_dict(rows, orient="index", columns=names)


def _looked_at(model: ModelDraws) -> np.ndarray:
    """Which observations are looked at, increasing."""
    num = model.predictor.num_observations
    if num <= _ROWS or isinstance(model.family.pooled, Elementwise):
        return np.arange(num)
    return np.sort(np.random.default_rng(0).choice(num, _ROWS, replace=False))


def _family_at(family: AbstractFamily, chosen: np.ndarray, num: int) -> AbstractFamily:
    """With what the family knows of each of `num` observations at some of them."""
    if num == len(chosen):
        return family
    if isinstance(family, Distributional):
        own = _family_at(family.family, chosen, num)
        return eqx.tree_at(lambda f: f.family, family, own)
    return jax.tree.map(lambda v: v[chosen] if np.shape(v) == (num,) else v, family)


def _num_neighbors(num_observations: int, num_coefficients: int) -> int:
    return int(np.clip(_SPAN * num_observations / num_coefficients, 1, _MOST))


def neighbors(
    effect: AbstractEffect, inputs: tuple[np.ndarray, ...], num: int
) -> scipy.sparse.csr_array | None:
    """Ones where the column is a neighbor of the row.

    Args:
        effect: the effect.
        inputs: its inputs, numbers and positions of levels, each of shape (n,).
        num: of neighbors of each observation.

    Returns:
        Shape (n, n); None where the effect has no numeric input.
    """
    levels = _levels(effect)
    numeric = [x for x, own in zip(inputs, levels, strict=True) if not own]
    if not numeric:
        return None
    points = np.stack(numeric, axis=1)
    points = (points - points.mean(axis=0)) / np.maximum(points.std(axis=0), np.finfo(float).tiny)
    points = points + _JITTER * np.random.default_rng(0).uniform(size=points.shape)
    far = 2.0 * float(np.linalg.norm(np.ptp(points, axis=0)))
    groups = [2.0 * far * x[:, None] for x, own in zip(inputs, levels, strict=True) if own]
    points = np.concatenate([points, *groups], axis=1)
    found: Any = KDTree(points).query(points, k=num + 1, distance_upper_bound=far)
    distance, index = found
    # The nearest is the observation itself; those that are none are infinitely far.
    rows, places = np.nonzero(np.isfinite(distance[:, 1:]))
    ones = np.ones(rows.size)
    return scipy.sparse.csr_array((ones, (rows, index[:, 1:][rows, places])), (len(points),) * 2)


def _levels(effect: AbstractEffect) -> list[bool]:
    """Whether each input is the position of a level."""
    if not isinstance(effect, TensorEffect):
        return [False]
    return [
        isinstance(margin, AbstractLevelMargin)
        for margin in effect.margins.values()
        for _ in range(margin.num_inputs)
    ]


def _indices(
    model: ModelDraws, pairs: dict[int, scipy.sparse.csr_array], chosen: np.ndarray, key: Array
) -> tuple[dict[int, tuple[np.ndarray, np.ndarray]], Means]:
    """Of each effect the index of the responses and of replicates, by draw; posterior means."""
    means = Means()
    found: dict[int, list[list[np.ndarray]]] = {position: [[], []] for position in pairs}
    num = model.predictor.num_observations
    family, responses = _family_at(model.family, chosen, num), model.responses[chosen]
    by_row = {name for name, shape in model.parameter_shapes.items() if shape == (num,)}
    for eta, parameters in model.linear_predictors():
        means = means.plus(eta, parameters, model.num_draws)
        key, own = jax.random.split(key)
        eta = eta[:, chosen]
        parameters = {k: v[:, chosen] if k in by_row else v for k, v in parameters.items()}
        below, upto = family.cumulative(responses, eta, **parameters)
        if np.array_equal(below, upto):
            # Quantile residuals of continuous responses are standard normal, whatever the family.
            replicated = np.asarray(jax.random.normal(own, eta.shape), np.float64)
        else:
            replicated = _replicated(own, family, eta, parameters)
        for which, values in enumerate((normal_scores(below, upto), replicated)):
            for position, near in pairs.items():
                factor = model.predictor.in_memory.multipliers[position]
                index = _index(near, values if factor is None else values * factor[chosen])
                found[position][which].append(index)
    joined = {
        position: (np.concatenate(one), np.concatenate(other))
        for position, (one, other) in found.items()
    }
    return joined, means


def _replicated(
    key: Array, family: AbstractFamily, eta: np.ndarray, parameters: dict[str, np.ndarray]
) -> np.ndarray:
    """Scores of responses that are drawn from the model, shape (draws, n)."""
    drawn = {name: jnp.asarray(values) for name, values in parameters.items()}
    y = np.asarray(response_draws(key, family, jnp.asarray(eta), drawn), np.float64)
    return normal_scores(*family.cumulative(y, eta, **parameters))


def _index(pairs: scipy.sparse.csr_array, values: np.ndarray) -> np.ndarray:
    """Mean squared difference of neighbors over twice the variance, shape (draws,)."""
    values = values - values.mean(axis=1, keepdims=True)
    squares = values**2
    products = values * (pairs @ values.T).T
    degree = pairs.sum(axis=0) + pairs.sum(axis=1)
    total = squares @ degree - 2.0 * products.sum(axis=1)
    with np.errstate(invalid="ignore", divide="ignore"):
        return total / (2.0 * squares.mean(axis=1) * pairs.nnz)
