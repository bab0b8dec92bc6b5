"""Checks of what priors are given: penalties, scales and coefficients."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpyro.distributions as dist

from numpyro_splines.penalties import AbstractPenalty
from numpyro_splines.validation import float64_array, is_traced


def check_penalty(penalty: Any) -> AbstractPenalty:
    """An object of `numpyro_splines.penalties`."""
    if not isinstance(penalty, AbstractPenalty):
        raise TypeError(
            "`penalty` must be an object of numpyro_splines.penalties, such as Derivative(2); got "
            f"{penalty!r}."
        )
    return penalty


def check_scale(scale: Any, name: str = "scale") -> Any:
    """A distribution of a standard deviation, or a positive number that fixes it."""
    if isinstance(scale, dist.Distribution):
        check_univariate(scale, name)
        support: Any = scale.support
        # In NumPy, so that it also works while a model is traced.
        below = support(np.asarray(-1e-6))
        if not is_traced(below) and np.any(below):
            raise ValueError(
                f"`{name}` is a standard deviation, so its distribution must be of positive "
                f"numbers; got {type(scale).__name__}. Use for example HalfNormal(1.0)."
            )
        return scale
    return check_positive_number(scale, name)


def check_coefficient(value: Any, name: str) -> dist.Distribution:
    """A distribution of a coefficient; a number s means Normal(0, s)."""
    if isinstance(value, dist.Distribution):
        check_univariate(value, name)
        if getattr(value.support, "is_discrete", False):
            raise TypeError(f"`{name}` must be a continuous distribution; got {value!r}.")
        return value
    return dist.Normal(0.0, float(check_positive_number(value, name)))


def check_univariate(distribution: dist.Distribution, name: str) -> None:
    """Refuse distributions with batch or event axes."""
    if distribution.event_shape != () or distribution.batch_shape != ():
        raise TypeError(
            f"`{name}` must be a univariate distribution without batch dimensions; got "
            f"{type(distribution).__name__} of shape {distribution.shape()}. Plates around "
            "effect.sample() add the batch."
        )


def check_positive_number(value: Any, name: str) -> np.ndarray:
    """A positive number, where a distribution could have stood."""
    value = float64_array(value, name)
    if value.shape != () or not 0.0 < value < 1e100:
        raise ValueError(
            f"`{name}` must be a positive number or a distribution; got {value}. It is a standard "
            "deviation in the units of f."
        )
    return value
