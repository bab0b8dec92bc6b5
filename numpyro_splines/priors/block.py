"""The coefficients of one site of a smooth of several inputs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import equinox as eqx
import numpy as np

from numpyro_splines.ops.arrays import array_module
from numpyro_splines.priors.coordinates import Coordinates
from numpyro_splines.priors.profiles import AbstractProfile


class Block(eqx.Module):
    r"""Coefficients of one site: independent Normal(0, spread) numbers times known sizes.

    Attributes:
        site: short name of the site: "linear", "x:z.modes".
        entries: their places among all coefficients of products of functions, shape (m,).
        sizes: what takes them to coefficients of products of functions, shape (m,).
        profile: their standard deviations.
        shared: hyperparameters that add variance ratio * value^2, as the average of levels has from
            a population of them.
        ratios: the ratio of each, a number or shape (m,).
        coordinates: how samplers see them.
    """

    site: str = eqx.field(static=True)
    entries: np.ndarray
    sizes: np.ndarray
    profile: AbstractProfile
    shared: tuple[str, ...] = eqx.field(static=True)
    ratios: tuple[np.ndarray, ...]
    coordinates: Coordinates

    @property
    def common(self) -> bool:
        """Whether all have the same standard deviation."""
        return self.profile.common and all(np.ndim(ratio) == 0 for ratio in self.ratios)

    def spread(self, values: Mapping[str, Any]) -> Any:
        """Their standard deviations given the hyperparameters.

        Args:
            values: by short site name, with any common leading axes; NumPy or JAX.

        Returns:
            Shape (*batch,) where it is common, else (*batch, m).
        """
        own = self.profile.deviations(values)
        if not self.shared:
            return own
        xp = array_module(own, *(values[name] for name in self.shared))
        own = xp.asarray(own)
        if self.profile.common and not self.common:
            own = own[..., None]
        # A number of NumPy is an array again: it stays on the host, in its precision.
        return xp.asarray(xp.sqrt(self._variance(own, values)))

    def _variance(self, own: Any, values: Mapping[str, Any]) -> Any:
        variance = own**2
        xp = array_module(own)
        for name, ratio in zip(self.shared, self.ratios, strict=True):
            scale = xp.asarray(values[name])
            if not self.common:
                scale = scale[..., None]
            variance = variance + xp.asarray(ratio, dtype=variance.dtype) * scale**2
        return variance

    def log_variance_slopes(self, values: Mapping[str, Any]) -> dict[str, np.ndarray]:
        """Derivatives of the logarithm of the variances; see `AbstractGaussianSmooth`."""
        slopes = self.profile.log_variance_slopes(values)
        if not self.shared:
            return slopes
        total = np.asarray(self.spread(values)) ** 2
        own = np.asarray(self.profile.deviations(values)) ** 2 / total
        slopes = {name: slope * own for name, slope in slopes.items()}
        for name, ratio in zip(self.shared, self.ratios, strict=True):
            added = ratio * np.asarray(values[name]) ** 2 / total
            slopes[name] = slopes.get(name, 0.0) + added
        return slopes
