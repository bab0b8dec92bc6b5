"""The hyperparameters of a predictor as one vector, and the prior precisions that they imply."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import numpyro.distributions as dist

from numpyro_splines.regression.drawing import per_coefficient
from numpyro_splines.regression.layout import gaussian
from numpyro_splines.regression.predictor import AdditivePredictor


class Entry(NamedTuple):
    """One hyperparameter: theta[start:stop], the logarithm of the square of a scale.

    Attributes:
        effect: position of the effect.
        name: short name of the site.
        start: first entry.
        stop: one past the last.
        scale: whether it is a scale; else anisotropies, which enter as they are.
    """

    effect: int
    name: str
    start: int
    stop: int
    scale: bool


class Theta:
    """Free hyperparameters of all effects of a predictor; on the host.

    Args:
        predictor: the predictor.
    """

    def __init__(self, predictor: AdditivePredictor):
        self.predictor = predictor
        self.entries: list[Entry] = []
        self.fixed: list[dict[str, np.ndarray]] = []
        stop = 0
        for j, effect in enumerate(predictor.effects):
            smooth, fixed = gaussian(effect), {}
            for name, prior in smooth.scale_priors.items():
                if not isinstance(prior, dist.Distribution):
                    fixed[name] = np.asarray(prior, np.float64)
                    continue
                self.entries.append(Entry(j, name, stop, stop + 1, True))
                stop += 1
            for name, _, num in smooth.anisotropies:
                self.entries.append(Entry(j, name, stop, stop + num, False))
                stop += num
            self.fixed.append(fixed)
        self.size = stop

    def values(self, theta: np.ndarray) -> list[dict[str, np.ndarray]]:
        """Hyperparameters of each effect by short names."""
        values = [dict(fixed) for fixed in self.fixed]
        for entry in self.entries:
            own = theta[entry.start : entry.stop]
            values[entry.effect][entry.name] = (
                np.asarray(np.exp(0.5 * own[0])) if entry.scale else own
            )
        return values

    def sites(self, theta: np.ndarray) -> dict[str, np.ndarray]:
        """Values of free hyperparameters by full names of their sites."""
        values = self.values(theta)
        effects = self.predictor.effects
        return {
            effects[e.effect].site(e.name): np.asarray(values[e.effect][e.name])
            for e in self.entries
        }

    def start(self, signal: float) -> np.ndarray:
        """All scales squared at exp(signal), without anisotropy."""
        theta = np.zeros(self.size)
        for entry in self.entries:
            theta[entry.start : entry.stop] = signal if entry.scale else 0.0
        return theta

    def precisions(self, theta: np.ndarray) -> np.ndarray:
        """Of the random coefficients, those behind the fixed ones, in their order."""
        deviations = np.asarray(self.predictor.deviations(self.values(theta)))
        return per_coefficient(self.predictor, deviations) ** -2.0

    def slopes(self, theta: np.ndarray) -> np.ndarray:
        """Derivatives of the logarithms of the variances of the random coefficients.

        Returns:
            Shape (number of hyperparameters, number of random coefficients).
        """
        first = self.predictor.num_fixed
        result = np.zeros((self.size, self.predictor.num_coefficients - first))
        pairs = zip(self.predictor.effects, self.values(theta), strict=True)
        by_effect: list[dict[str, Any]] = [gaussian(e).log_variance_slopes(v) for e, v in pairs]
        for own in self.predictor.owned:
            slopes = by_effect[own.effect].get(own.site, {})
            for entry in self.entries:
                if entry.effect == own.effect and entry.name in slopes:
                    rows, columns = slice(entry.start, entry.stop), slice(own.start, own.stop)
                    result[rows, columns.start - first : columns.stop - first] = slopes[entry.name]
        return result
