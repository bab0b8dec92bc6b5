"""Prior standard deviations of the coefficients of a component, from its hyperparameters."""

from __future__ import annotations

import abc
from collections.abc import Mapping
from typing import Any

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from numpyro_splines.margins.group import contrasts
from numpyro_splines.ops.arrays import array_module


class AbstractProfile(eqx.Module):
    """What the rule of a component is on its coefficients."""

    @abc.abstractmethod
    def deviations(self, values: Mapping[str, Any]) -> Any:
        """Standard deviations, in the units of f; NumPy or JAX.

        Args:
            values: hyperparameters by short site name, each with any common leading axes.

        Returns:
            Shape (*batch,) for one of all coefficients, else (*batch, m).
        """

    @abc.abstractmethod
    def log_variance_slopes(self, values: Mapping[str, Any]) -> dict[str, np.ndarray]:
        """Derivatives of the logarithm of the variances; see `AbstractGaussianSmooth`."""

    @property
    @abc.abstractmethod
    def common(self) -> bool:
        """Whether all coefficients have the same."""


class Known(AbstractProfile):
    """A number."""

    deviation: Float[Array, ""] | np.ndarray

    def deviations(self, values: Mapping[str, Any]) -> Any:
        return self.deviation

    def log_variance_slopes(self, values: Mapping[str, Any]) -> dict[str, np.ndarray]:
        return {}

    @property
    def common(self) -> bool:
        return True


class Scaled(AbstractProfile):
    """One scale, at the site of this name."""

    scale: str = eqx.field(static=True)

    def deviations(self, values: Mapping[str, Any]) -> Any:
        return values[self.scale]

    def log_variance_slopes(self, values: Mapping[str, Any]) -> dict[str, np.ndarray]:
        return {self.scale: np.ones(())}

    @property
    def common(self) -> bool:
        return True


class Balanced(AbstractProfile):
    """v = tau^2 w / sum(w), w = 1 / sum_d exp(alpha_d) q_d, for penalties q_d of shape (D, m)."""

    scale: str = eqx.field(static=True)
    anisotropy: str = eqx.field(static=True)
    penalties: Float[Array, "..."] | np.ndarray

    def deviations(self, values: Mapping[str, Any]) -> Any:
        weighted = self._weighted(values)
        shares = 1.0 / weighted.sum(axis=-2)
        shares = shares / shares.sum(axis=-1, keepdims=True)
        return _float(values[self.scale])[..., None] * array_module(shares).sqrt(shares)

    def log_variance_slopes(self, values: Mapping[str, Any]) -> dict[str, np.ndarray]:
        weighted = self._weighted(values)
        total = weighted.sum(axis=0)
        shares = (1.0 / total) / (1.0 / total).sum()
        # d log w / d alpha_d, less its mean by shares: the sum of all variances stays.
        slopes = -weighted / total
        slopes = slopes - (slopes @ shares)[:, None]
        rows = anisotropies(len(self.penalties)) @ slopes
        return {self.scale: np.ones(shares.shape), self.anisotropy: rows}

    def _weighted(self, values: Mapping[str, Any]) -> Any:
        """exp(alpha_d) q_d, shape (*batch, D, m)."""
        free = _float(values[self.anisotropy])
        xp = array_module(free)
        alpha = free @ xp.asarray(anisotropies(len(self.penalties)), dtype=free.dtype)
        return xp.exp(alpha)[..., None] * xp.asarray(self.penalties, dtype=free.dtype)

    @property
    def common(self) -> bool:
        return False


class Separate(AbstractProfile):
    """v = 1 / sum_d q_d / tau_d^2, for penalties q_d of shape (D, m)."""

    scales: tuple[str, ...] = eqx.field(static=True)
    penalties: Float[Array, "..."] | np.ndarray

    def deviations(self, values: Mapping[str, Any]) -> Any:
        scales = [_float(values[name]) for name in self.scales]
        xp = array_module(*scales)
        precisions = [
            xp.asarray(own, dtype=scale.dtype) / scale[..., None] ** 2
            for scale, own in zip(scales, self.penalties, strict=True)
        ]
        return 1.0 / xp.sqrt(sum(precisions[1:], precisions[0]))

    def log_variance_slopes(self, values: Mapping[str, Any]) -> dict[str, np.ndarray]:
        variances = np.asarray(self.deviations(values)) ** 2
        scales = [np.asarray(values[name], np.float64) for name in self.scales]
        pairs = zip(self.scales, scales, self.penalties, strict=True)
        return {name: variances * own / scale**2 for name, scale, own in pairs}

    @property
    def common(self) -> bool:
        return False


def anisotropies(num: int) -> np.ndarray:
    """Rows that take num - 1 free numbers to alpha_1, ..., alpha_num with sum zero.

    For two, alpha = (a, -a) / 2 with a the logarithm of the ratio; in general a rotation of
    independent normal numbers, so that no margin is singled out. Shape (num - 1, num).
    """
    return -contrasts(num).T / np.sqrt(2.0)


def _float(value: Any) -> Any:
    """On the host where it is NumPy's or a number, else in JAX."""
    if isinstance(value, np.ndarray | float | int | np.floating):
        return np.asarray(value, dtype=np.float64)
    return jnp.asarray(value)
