"""What the draws of latent inputs say about the fit."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpyro.diagnostics import effective_sample_size, split_gelman_rubin
from scipy.special import ndtri

from numpyro_splines.arguments import number, text
from numpyro_splines.posterior.bimodality import THRESHOLD, deepest_valleys
from numpyro_splines.posterior.draws import dataset
from numpyro_splines.validation import float64_array, increasing, is_traced, real_array

# Share of the draws of a row outside the domain above which what f does there matters.
_OUTSIDE = 0.05
_R_HAT = 1.01
# Numbers taken together at one time, for the memory.
_CHUNK = 4_000_000
# Rows that a summary or a warning names.
_NAMED = 5


class InputCheck(NamedTuple):
    """What `check_inputs` found, arrays of shape (n,); its `str` is a summary of a few lines.

    Attributes:
        num_chains: chains.
        num_draws: draws of each chain.
        outside: share of the draws outside the domain, one per row, or None.
        bimodality: depth in standard errors of the deepest valley in the histogram of the draws of
            each row, shape (n,), `numpyro_splines.posterior.bimodality.deepest_valleys`; above 4.5
            there are two modes.
        split: where that valley lies, in the units of x; NaN where there is one mode.
        r_hat: rank-normalized R-hat of split chains, of x or of its distance to the median,
            whichever is larger, shape (n,); NaN where x is constant.
        effective_size: bulk effective sample size, shape (n,); NaN where x is constant.
        contraction: 1 - (posterior variance) / (prior variance), shape (n,), or None.
        influence: by how many posterior standard deviations the curve would move, somewhere,
            without the response of the row, to first order, shape (n,), or None.

    Example:
        >>> x = np.random.default_rng(0).normal(size=(4, 500, 2))
        >>> check = check_inputs(x)
        >>> check.num_chains, check.num_draws, check.r_hat.shape, check.bimodal.size
        (4, 500, (2,), 0)
    """

    num_chains: int
    num_draws: int
    outside: np.ndarray | None
    bimodality: np.ndarray
    split: np.ndarray
    r_hat: np.ndarray
    effective_size: np.ndarray
    contraction: np.ndarray | None
    influence: np.ndarray | None

    @property
    def bimodal(self) -> np.ndarray:
        """Rows with two modes, the clearest first."""
        return _largest(self.bimodality, THRESHOLD)

    def __str__(self) -> str:
        """A summary of a few lines."""
        n = len(self.r_hat)
        lines = [f"Latent inputs: {n} rows, {self.num_chains} chains of {self.num_draws} draws"]
        if self.outside is not None:
            rows = _largest(self.outside, _OUTSIDE)
            lines.append(
                f"Outside the domain: {self.outside.mean():.2%} of all draws; more than "
                f"{_OUTSIDE:.0%} in {_named(rows, self.outside, '.0%')}"
            )
        lines.append(f"Two modes: {_named(self.bimodal, self.split, '.3g', 'split at ')}")
        lines += self._mixing()
        if self.contraction is not None:
            low, middle = np.quantile(self.contraction, [0.05, 0.5])
            lines.append(
                f"Contraction of the variance: median {middle:.2f}, 5 % quantile {low:.2f}"
            )
        if self.influence is not None:
            rows = _largest(self.influence)[:_NAMED]
            lines.append(
                "Influence on the curve, in its standard deviations: largest in "
                f"{_named(rows, self.influence, '.2g')}"
            )
        return "\n".join(lines)

    def _mixing(self) -> list[str]:
        """Lines on R-hat and effective sample sizes."""
        moving = np.flatnonzero(np.isfinite(self.effective_size))
        constant = len(self.r_hat) - len(moving)
        lines = [f"Constant: {constant} row{'s' * (constant > 1)}"] if constant else []
        if not moving.size:
            return lines
        r_hat, size = self.r_hat[moving], self.effective_size[moving]
        lines.append(
            f"R-hat: median {np.median(r_hat):.3f}, 95 % quantile {np.quantile(r_hat, 0.95):.3f}; "
            f"above {_R_HAT} in {_named(_largest(self.r_hat, _R_HAT), self.r_hat, '.2f')}"
        )
        lines.append(
            f"Bulk effective size: median {np.median(size):.0f}, 5 % quantile "
            f"{np.quantile(size, 0.05):.0f}, least {size.min():.0f} in row {moving[size.argmin()]}"
        )
        return lines


def check_inputs(
    draws: Any,
    *,
    domain: tuple[Any, Any] | None = None,
    prior_sd: Any = None,
    curve: Any = None,
    log_likelihood: Any = None,
) -> InputCheck:
    r"""Look at posterior draws of latent inputs: where they lie, how they mix, what they do to f.

    The influence of row i is how far the posterior mean of the curve moves, somewhere on a grid, in
    posterior standard deviations, as the response of the row is left out, to first order:

        max_g |cov(f(g), l_i)| / sd(f(g)),    l_i = log p(y_i | x_i, f, ...)

    the derivative of E f(g) in the power of the likelihood of y_i. Its Monte Carlo error is about
    sd(l_i) over the root of the effective number of draws: rows far above the rest drive the curve.

    Args:
        draws: of the inputs, shape (chain, draw, n), such as
            `mcmc.get_samples(group_by_chain=True)["x"]`; at least 4 draws of each chain.
        domain: left and right end of where f was planned, `f.basis.domain`; leave it out for
            periodic bases. Warns where more than 5 % of the draws of a row lie outside.
        prior_sd: standard deviation of each input before its response was seen (that of the
            population, or of a measurement's error), one number or shape (n,).
        curve: draws of f on a grid, shape (chain, draw, g): `f.curve(samples)(grid)`.
        log_likelihood: draws of l_i, shape (chain, draw, n), such as
            `numpyro.infer.log_likelihood(model, samples, ..., batch_ndims=2)["y"]`.

    Returns:
        Arrays by row; `print` it for a summary.

    Raises:
        TypeError: if draws are traced, or only one of `curve` and `log_likelihood` is given.
        ValueError: if shapes do not fit, draws are not finite, or `prior_sd` is not positive.

    Warns:
        UserWarning: naming the rows that often lie outside the domain.

    Example:
        >>> x = np.random.default_rng(0).normal(size=(4, 500, 3))
        >>> x[:2, :, 2] += 8.0  # two of four chains are stuck elsewhere
        >>> check = check_inputs(x, domain=(-5.0, 15.0), prior_sd=2.0)
        >>> print(check.bimodal, check.contraction.round(1))
        [2] [ 0.7  0.8 -3.2]
        >>> print(str(check).splitlines()[2])
        Two modes: 1 row: 2 (split at 3.85)

    References:
        Vehtari et al., Rank-normalization, folding, and localization: an improved R-hat (2021);
        Millar and Stewart, Assessment of locally influential observations in Bayesian models
        (2007); Giordano and Broderick, The Bayesian infinitesimal jackknife for variance (2023),
        for the derivative as a covariance.
    """
    x = _draws(draws, "draws")
    if x.shape[1] < 4:
        raise ValueError(f"`draws` must hold at least 4 draws of each chain; got shape {x.shape}.")
    outside = None if domain is None else _share_outside(x, domain)
    found = np.full((4, x.shape[2]), np.nan)
    found[0] = 0.0
    for rows in _chunks(x):
        part = x[..., rows]
        moving = np.ptp(part, axis=(0, 1)) > 0.0
        if moving.any():
            part = part[..., moving]
            valleys = deepest_valleys(part)
            found[:, rows[moving]] = [valleys.statistic, valleys.at, *_mixing(part)]
    bimodality, at, r_hat, size = found
    contraction = None if prior_sd is None else _contraction(x, prior_sd)
    return InputCheck(
        x.shape[0],
        x.shape[1],
        outside,
        bimodality,
        np.where(bimodality > THRESHOLD, at, np.nan),
        r_hat,
        size,
        contraction,
        _influence(x, curve, log_likelihood),
    )


def inputs(
    draws: Any,
    name: str = "x",
    *,
    rows: Any = None,
    probability: float = 0.9,
    domain: tuple[Any, Any] | None = None,
) -> pd.DataFrame:
    """Where each latent input is, as a table with a row for each.

    Args:
        draws: as in `dataset`, with the site of the inputs: from a model that sampled them, or
            `latent.draw_inputs` of one that integrated them out.
        name: of the inputs.
        rows: labels of the rows, an index or any sequence; 0, 1, ... if omitted.
        probability: of the interval, equal-tailed.
        domain: as in `check_inputs`.

    Returns:
        Columns `mean`, `sd`, `lower`, `upper` in the units of x; `r_hat` and `effective_size`, NaN
        where x is known; `split`, where two modes meet, NaN where there is one; and `outside`, the
        share of the draws outside the domain, if that was given.

    Raises:
        KeyError: if the draws lack the inputs.
        ValueError: if `rows` has another length, or `probability` is not between 0 and 1.

    Example:
        >>> x = np.random.default_rng(0).normal(size=(4, 500, 2)) * [1.0, 0.0]
        >>> print(inputs({"x": x}, rows=["a", "b"])[["mean", "sd"]].abs().round(1))
           mean   sd
        a   0.0  1.0
        b   0.0  0.0
    """
    probability = number(probability, "probability")
    if not 0.0 < probability < 1.0:
        raise ValueError(f"`probability` must lie between 0 and 1; got {probability}.")
    found = dataset(draws, start=text(name, "name"))
    if name not in found:
        raise KeyError(f"`draws` must hold {name!r}; got {list(map(str, found.data_vars))}.")
    x = found[name].values
    check = check_inputs(x, domain=domain)
    tail = (1.0 - probability) / 2.0
    lower, upper = np.quantile(x, [tail, 1.0 - tail], axis=(0, 1))
    columns = {
        "mean": x.mean(axis=(0, 1), dtype=np.float64),
        "sd": x.std(axis=(0, 1), dtype=np.float64),
        "lower": lower,
        "upper": upper,
        "r_hat": check.r_hat,
        "effective_size": check.effective_size,
        "split": check.split,
    }
    if check.outside is not None:
        columns["outside"] = check.outside
    index = None if rows is None else pd.Index(rows)
    if index is not None and index.size != x.shape[2]:
        raise ValueError(
            f"`rows` must hold a label for each of the {x.shape[2]} inputs; got {index.size}."
        )
    return pd.DataFrame(columns, index=index)


def _share_outside(x: np.ndarray, domain: tuple[Any, Any]) -> np.ndarray:
    ends = increasing(float64_array(domain, "domain", ndim=1), "domain", strict=True)
    if ends.shape != (2,):
        raise ValueError(f"`domain` must be a pair, left and right end; got {ends}.")
    share = np.mean((x < ends[0]) | (x > ends[1]), axis=(0, 1))
    if (rows := _largest(share, _OUTSIDE)).size:
        warnings.warn(
            f"More than {_OUTSIDE:.0%} of the draws lie outside the domain [{ends[0]:.4g}, "
            f"{ends[1]:.4g}] of the curve in {_named(rows, share, '.0%')}. There f is only the "
            "continuation of the basis. Place the knots over a wider range, for example by "
            "numpyro_splines.knots.from_distribution of the population, or look at these rows.",
            stacklevel=3,
        )
    return share


def _mixing(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """R-hat, and bulk effective size: both of split chains of normal scores."""
    scores = _normal_scores(x)
    folded = _normal_scores(np.abs(x - np.median(x, axis=(0, 1))))
    r_hat = np.maximum(split_gelman_rubin(scores), split_gelman_rubin(folded))
    half = x.shape[1] // 2
    return r_hat, effective_sample_size(np.concatenate([scores[:, :half], scores[:, -half:]]))


def _normal_scores(x: np.ndarray) -> np.ndarray:
    """Normal quantiles of the ranks of each row's draws, all chains together."""
    pooled = x.reshape(-1, x.shape[-1])
    size = len(pooled)
    # Equal draws, of chains that do not move, keep their order: their ranks differ a little.
    order = np.argsort(pooled, axis=0, kind="stable")
    scores = np.empty(pooled.shape)
    quantiles = ndtri((np.arange(1, size + 1) - 0.375) / (size + 0.25))
    np.put_along_axis(scores, order, quantiles[:, None], axis=0)
    return scores.reshape(x.shape)


def _contraction(x: np.ndarray, prior_sd: Any) -> np.ndarray:
    sd = float64_array(prior_sd, "prior_sd")
    if sd.shape not in ((), x.shape[2:]) or not np.all(sd > 0.0):
        raise ValueError(
            f"`prior_sd` must be positive, one number or one per row, shape {x.shape[2:]}; got "
            f"{sd if sd.ndim == 0 else f'shape {sd.shape}, least {sd.min(initial=np.inf)}'}."
        )
    return 1.0 - x.var(axis=(0, 1), dtype=np.float64) / sd**2


def _influence(x: np.ndarray, curve: Any, log_likelihood: Any) -> np.ndarray | None:
    if (curve is None) != (log_likelihood is None):
        raise TypeError(
            "`curve` and `log_likelihood` must be given together, for the influence of the rows on "
            "the curve, or not at all."
        )
    if curve is None:
        return None
    f, terms = _draws(curve, "curve"), _draws(log_likelihood, "log_likelihood")
    if f.shape[:2] != x.shape[:2] or terms.shape != x.shape:
        raise ValueError(
            f"`curve` must have shape {x.shape[:2]} and the grid, `log_likelihood` {x.shape}; got "
            f"{f.shape} and {terms.shape}."
        )
    f = f.reshape(-1, f.shape[-1]).astype(np.float64)
    f -= f.mean(axis=0)
    deviation = f.std(axis=0)
    unit = f / np.where(deviation > 0.0, deviation, 1.0) / len(f)
    influence = np.empty(x.shape[2])
    for rows in _chunks(terms):
        part = terms[..., rows].reshape(len(f), -1).astype(np.float64)
        # Centered for the rounding: the curve is centered already.
        influence[rows] = np.abs(unit.T @ (part - part.mean(axis=0))).max(axis=0)
    return influence


def _draws(value: Any, name: str) -> np.ndarray:
    """Finite floats of shape (chain, draw, n), in their own dtype."""
    if is_traced(value):
        raise TypeError(f"`{name}` must be concrete numbers; got a traced value.")
    array = np.asarray(real_array(value, name))
    if array.ndim != 3 or not array.size:
        raise ValueError(
            f"`{name}` must have shape (chain, draw, n), as of "
            f"mcmc.get_samples(group_by_chain=True); got {array.shape}."
        )
    if not np.isfinite(array).all():
        where = tuple(int(i) for i in np.argwhere(~np.isfinite(array))[0])
        raise ValueError(f"`{name}` must be finite; got {array[where]} at index {where}.")
    return array if np.issubdtype(array.dtype, np.floating) else array.astype(np.float64)


def _chunks(x: np.ndarray) -> Iterator[np.ndarray]:
    """Rows in groups of so many numbers that they fit in memory."""
    step = max(_CHUNK // (x.shape[0] * x.shape[1]), 1)
    for start in range(0, x.shape[2], step):
        yield np.arange(start, min(start + step, x.shape[2]))


def _largest(values: np.ndarray, above: float = -np.inf) -> np.ndarray:
    """Rows whose values are above a number, largest first."""
    rows = np.flatnonzero(values > above)
    return rows[np.argsort(-values[rows], kind="stable")]


def _named(rows: np.ndarray, values: np.ndarray, style: str, before: str = "") -> str:
    """How many rows, and the first of them with their values."""
    if not rows.size:
        return "no row"
    first = [f"{i} ({before}{values[i]:{style}})" for i in rows[:_NAMED]]
    more = ", ..." if rows.size > _NAMED else ""
    return f"{rows.size} row{'s' * (rows.size > 1)}: {', '.join(first)}{more}"
