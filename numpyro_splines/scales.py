"""Priors for standard deviations, in the units of f: of one effect, and of several jointly.

Those of one are distributions for `scale=` of a prior; those of several are drawn inside a model
and given to effects as `f.sample(scale=...)`.
"""

from __future__ import annotations

from typing import Any

import jax.numpy as jnp
import numpy as np
import numpyro
import numpyro.distributions as dist
from jaxtyping import Array, ArrayLike, Float
from numpyro.distributions.transforms import PowerTransform

from numpyro_splines.priors.arguments import check_scale
from numpyro_splines.priors.modes import draw, draw_vector, limited
from numpyro_splines.validation import float64_array, integer_at_least, positive_number


def pc_scale(upper: float, probability: float) -> dist.Distribution:
    """Penalized-complexity prior: exponential with P(scale > upper) = probability.

    Args:
        upper: a scale that would surprise, in the units of f, positive.
        probability: how much, in (0, 1).

    Returns:
        An exponential distribution of rate -log(probability) / upper.

    Raises:
        ValueError: if `upper` is not positive or the probability not in (0, 1).

    Example:
        >>> prior = pc_scale(2.0, 0.05)
        >>> print((1.0 - prior.cdf(2.0)).round(4))
        0.05

    References:
        Simpson et al., Penalising model component complexity (2017), section 3.3.
    """
    largest = float(positive_number(upper, "upper"))
    share = float64_array(probability, "probability")
    if share.shape != () or not 0.0 < share < 1.0:
        raise ValueError(f"`probability` must lie in (0, 1); got {share}.")
    return dist.Exponential(float(-np.log(share) / largest))


def half_student_t(scale: float = 2.5, df: float = 3.0) -> dist.Distribution:
    """Half-Student-t: |t| with `df` degrees of freedom times `scale`.

    brms takes df = 3 and as scale R's mad(y), 1.4826 times the median absolute deviation, if it is
    above 2.5, else 2.5.

    Args:
        scale: in the units of f, positive.
        df: degrees of freedom, positive.

    Returns:
        A distribution of positive numbers.

    Example:
        >>> print(half_student_t(1.0).log_prob(1.0).round(4))
        -0.8832
    """
    size, tail = positive_number(scale, "scale"), positive_number(df, "df")
    return dist.FoldedDistribution(dist.StudentT(float(tail), 0.0, float(size)))


def inverse_gamma_variance(concentration: float, rate: float) -> dist.Distribution:
    """Prior of a standard deviation whose square is inverse-gamma; liesel_gam's default form.

    Args:
        concentration: shape of the inverse gamma, positive.
        rate: its scale, in squared units of f, positive.

    Returns:
        A distribution of positive numbers, of the standard deviation.

    Example:
        >>> print(inverse_gamma_variance(1.0, 0.01).log_prob(0.1).round(4))
        1.9957
    """
    a, b = positive_number(concentration, "concentration"), positive_number(rate, "rate")
    return dist.TransformedDistribution(dist.InverseGamma(float(a), float(b)), PowerTransform(0.5))


def gamma_precision(concentration: float, rate: float) -> dist.Distribution:
    """Prior of a standard deviation whose inverse square is gamma; jagam's form.

    Args:
        concentration: shape of the gamma, positive; jagam's is 0.05.
        rate: its rate, in squared units of f, positive; jagam's is 0.005.

    Returns:
        A distribution of positive numbers, of the standard deviation.

    Example:
        >>> print(gamma_precision(1.0, 0.01).log_prob(0.1).round(4))
        1.9957
    """
    a, b = positive_number(concentration, "concentration"), positive_number(rate, "rate")
    return dist.TransformedDistribution(dist.Gamma(float(a), float(b)), PowerTransform(-0.5))


def variance_partition(
    name: str,
    num: int,
    total: Any = dist.HalfNormal(1.0),
    *,
    concentration: ArrayLike = 1.0,
) -> Float[Array, "*batch num"]:
    r"""Scales tau_j = total sqrt(share_j): a total, and how the variance is shared out.

    total ~ `total`, share ~ Dirichlet(concentration, ..., concentration). As each tau_j^2 is the
    prior mean square of the penalized part of its effect, total^2 is that of all effects together.

    With `total` given as sigma * sqrt(r2 / (1 - r2)), r2 ~ Beta(a, b) drawn by the model, this is
    the R2-D2 prior: r2 is the share of the variance of y that the effects explain.

    Sites: `<name>.total` (where a distribution) and `<name>.shares`.

    Args:
        name: prefix of the sites.
        num: number of scales, at least 2.
        total: a distribution of positive numbers, or the value, in the units of f.
        concentration: positive; one number, or one per effect. Below 1 few effects dominate,
            above 1 they share alike.

    Returns:
        The scales, shape (*batch, num) with the shape of the surrounding plates as batch, for
        `effect.sample(scale=scales[..., j])`.

    Raises:
        ValueError: if `num` is below 2 or a concentration is not positive.

    Example:
        >>> import numpyro, numpyro_splines as ns
        >>> basis = ns.BSplineBasis(ns.knots.uniform(0.0, 1.0, 10))
        >>> effects = [ns.SplineEffect(name, basis) for name in ("f", "g")]
        >>> with numpyro.handlers.seed(rng_seed=0):
        ...     scales = variance_partition("tau", 2)
        ...     curves = [e.sample(scale=scales[j]) for j, e in enumerate(effects)]
        >>> scales.shape
        (2,)

    References:
        Zhang et al., Bayesian regression using a prior on the model fit: the R2-D2 shrinkage prior
        (2022); Fuglstad et al., Intuitive joint priors for variance parameters (2020).
    """
    num = integer_at_least(num, 2, "num")
    weights = float64_array(concentration, "concentration")
    if weights.shape not in ((), (num,)) or not np.all(weights > 0.0):
        raise ValueError(
            f"`concentration` must be positive, one number or {num}, one per effect; got {weights}."
        )
    if isinstance(total, dist.Distribution):
        total = check_scale(total, "total")
    amount = draw(f"{name}.total", total)
    prior = dist.Dirichlet(jnp.asarray(np.broadcast_to(weights, num), amount.dtype))
    shares = numpyro.sample(f"{name}.shares", prior)
    return amount[..., None] * jnp.sqrt(jnp.asarray(shares))


def regularized_horseshoe(
    name: str,
    num: int,
    global_scale: float,
    *,
    slab: Any = dist.HalfNormal(1.0),
) -> Float[Array, "*batch num"]:
    r"""Scales of many effects of which few matter.

    tau_j = slab g l_j / sqrt(slab^2 + g^2 l_j^2) with g ~ HalfCauchy(global_scale) and
    l_j ~ HalfCauchy(1): most scales are of the size of g, none is above the slab.

    Sites: `<name>.global`, `<name>.local` and `<name>.slab` (where a distribution).

    Args:
        name: prefix of the sites.
        num: number of scales.
        global_scale: positive, in the units of f. With p0 effects of num expected to matter and
            noise sigma, Piironen and Vehtari take p0 / (num - p0) sigma / sqrt(n).
        slab: the largest scale: a distribution of positive numbers, or a number, in the units of f.

    Returns:
        The scales, shape (*batch, num) with the shape of the surrounding plates as batch, for
        `effect.sample(scale=scales[..., j])`.

    Example:
        >>> import numpyro
        >>> with numpyro.handlers.seed(rng_seed=0):
        ...     scales = regularized_horseshoe("tau", 12, 0.1)
        >>> scales.shape
        (12,)

    References:
        Piironen and Vehtari, Sparsity information and regularization in the horseshoe and other
        shrinkage priors (2017), equations (2.8) and (3.12).
    """
    num = integer_at_least(num, 1, "num")
    center = float(positive_number(global_scale, "global_scale"))
    shared = draw(f"{name}.global", dist.HalfCauchy(center))[..., None]
    own = draw_vector(f"{name}.local", num, dist.HalfCauchy(1.0))
    largest = draw(f"{name}.slab", check_scale(slab, "slab"))[..., None]
    return limited(shared * own, largest)
