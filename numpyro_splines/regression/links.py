"""Links of chances: what eta is on the scale of log odds."""

from __future__ import annotations

import abc
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.scipy.special


class AbstractChanceLink(eqx.Module):
    """A chance p as an increasing function of eta, by its log odds.

    Example:
        >>> class Cauchit(AbstractChanceLink):
        ...     def logits(self, eta):
        ...         p = 0.5 + jnp.arctan(eta) / jnp.pi
        ...         return jnp.log(p) - jnp.log1p(-p)
        >>> print(Cauchit().inverse(1.0).round(2))
        0.75
    """

    @abc.abstractmethod
    def logits(self, eta: Any) -> Any:
        """log(p / (1 - p)) in JAX.

        Args:
            eta: linear predictor, any shape.

        Returns:
            The shape of eta.
        """

    def inverse(self, eta: Any) -> Any:
        """p in JAX.

        Args:
            eta: linear predictor, any shape.

        Returns:
            The shape of eta.
        """
        return jax.nn.sigmoid(self.logits(eta))


class Logit(AbstractChanceLink):
    """p = 1 / (1 + exp(-eta)), the canonical link.

    Example:
        >>> print(Logit().inverse(0.0))
        0.5
    """

    def logits(self, eta: Any) -> Any:
        """See `AbstractChanceLink.logits`."""
        return jnp.asarray(eta)


class Probit(AbstractChanceLink):
    """p = Phi(eta), the normal distribution function.

    Example:
        >>> print(Probit().inverse(1.96).round(3))
        0.975
    """

    def logits(self, eta: Any) -> Any:
        """See `AbstractChanceLink.logits`."""
        return jax.scipy.special.log_ndtr(eta) - jax.scipy.special.log_ndtr(-jnp.asarray(eta))


class ComplementaryLogLog(AbstractChanceLink):
    """p = 1 - exp(-exp(eta)): the chance of an event at a rate exp(eta) in one unit of time.

    Example:
        >>> print(ComplementaryLogLog().inverse(0.0).round(3))
        0.632
    """

    def logits(self, eta: Any) -> Any:
        """See `AbstractChanceLink.logits`: log(expm1(exp(eta))), as log(1 - p) = -exp(eta)."""
        eta = jnp.asarray(eta)
        # log(expm1(t)) = t + log(-expm1(-t)); where t is tiny, log t + t / 2 + t^2 / 24 + O(t^4).
        small = eta < -8.0
        rate = jnp.exp(jnp.where(small, 0.0, eta))
        tiny = jnp.exp(jnp.minimum(eta, -8.0))
        return jnp.where(
            small, eta + 0.5 * tiny + tiny**2 / 24.0, rate + jnp.log(-jnp.expm1(-rate))
        )
