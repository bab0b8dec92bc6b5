"""Any elementwise NumPyro distribution as a family."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import equinox as eqx
import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist

from numpyro_splines.regression.families.base import (
    AbstractFamily,
    along_rows,
    observations,
    possible,
)


class Elementwise(AbstractFamily):
    """y_i ~ function(eta_i, parameters): any NumPyro distribution of one number.

    Its density has to be differentiable in eta. Where it is not log-concave in eta, the estimate is
    a mode near the start, eta = 0.

    Args:
        function: (eta, **parameters) -> a NumPyro distribution of batch shape (..., n); parameters
            come with a last axis of length one, or n (see `Distributional`).
        parameters: by site name, from what to start; positive numbers, or pairs (start,
            constraint) of a NumPyro constraint for one number.
        inverse_link: (eta, **parameters) -> expected response; the mean of the distribution if
            omitted.

    Raises:
        TypeError: if `function` is no function.

    Example:
        >>> def weibull(eta, shape):
        ...     return dist.Weibull(jnp.exp(eta), shape)
        >>> family = Elementwise(weibull, {"shape": 1.0})
        >>> print(family.distribution(jnp.zeros(1), shape=1.0).mean)
        [1.]
    """

    function: Callable[..., dist.Distribution] = eqx.field(static=True)
    mean: Callable[..., Any] | None = eqx.field(static=True)
    parameters: tuple[tuple[str, float, Any], ...] = eqx.field(static=True)

    def __init__(
        self,
        function: Callable[..., dist.Distribution],
        parameters: Mapping[str, Any] | None = None,
        *,
        inverse_link: Callable[..., Any] | None = None,
    ):
        if not callable(function):
            raise TypeError(
                "`function` must be a function of eta that returns a NumPyro distribution; got "
                f"{function!r}."
            )
        self.function, self.mean = function, inverse_link
        own = []
        for name, start in (parameters or {}).items():
            value, support = start if isinstance(start, tuple) else (start, _POSITIVE)
            own.append((name, float(value), support))
        self.parameters = tuple(own)

    @property
    def supports(self) -> dict[str, Any]:
        """See `AbstractFamily.supports`."""
        return {name: support for name, _, support in self.parameters}

    def distribution(self, eta: Any, **parameters: Any) -> dist.Distribution:
        """See `AbstractFamily.distribution`."""
        own = {name: along_rows(value) for name, value in parameters.items()}
        return self.function(jnp.asarray(eta), **own)

    def inverse_link(self, eta: Any, **parameters: Any) -> Any:
        """See `AbstractFamily.inverse_link`."""
        if self.mean is None:
            return self.distribution(eta, **parameters).mean
        own = {name: along_rows(value) for name, value in parameters.items()}
        return self.mean(jnp.asarray(eta), **own)

    def check(self, y: Any, num_observations: int) -> np.ndarray:
        """See `AbstractFamily.check`."""
        y = observations(y, num_observations)
        valid = np.broadcast_to(np.asarray(self.support(jnp.asarray(y))), y.shape)
        return possible(y, valid, "values that its distribution allows")

    def start(self, y: np.ndarray) -> np.ndarray:
        """See `AbstractFamily.start`."""
        return np.zeros(y.size)

    def start_parameters(self, y: np.ndarray) -> dict[str, Any]:
        """See `AbstractFamily.start_parameters`."""
        return {name: np.asarray(start) for name, start, _ in self.parameters}


_POSITIVE = dist.constraints.positive
