"""Priors for standard deviations, in the units of f."""

from __future__ import annotations

import numpy as np
import numpyro.distributions as dist
from numpyro.distributions.transforms import PowerTransform

from numpyro_splines.validation import float64_array, positive_number


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

    Raises:
        ValueError: if a number is not positive.

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

    Raises:
        ValueError: if a number is not positive.

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

    Raises:
        ValueError: if a number is not positive.

    Example:
        >>> print(gamma_precision(1.0, 0.01).log_prob(0.1).round(4))
        1.9957
    """
    a, b = positive_number(concentration, "concentration"), positive_number(rate, "rate")
    return dist.TransformedDistribution(dist.Gamma(float(a), float(b)), PowerTransform(-0.5))
