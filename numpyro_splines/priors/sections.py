"""What regressions need of Gaussian smooths, whatever their inputs."""

from __future__ import annotations

import abc
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np
import numpyro
import numpyro.distributions as dist

from numpyro_splines.priors.base import AbstractSmooth
from numpyro_splines.priors.modes import draw, draw_anisotropies, draw_correlations
from numpyro_splines.priors.sizes import typical_size


class Section(NamedTuple):
    """The coefficients of one site of a smooth, independent given its hyperparameters.

    Attributes:
        site: short name of the site, such as "linear" or "modes".
        size: how many there are.
        prior: of each, where it is known; None for normal ones whose standard deviation depends on
            hyperparameters.
        common: whether all have the same standard deviation.
    """

    site: str
    size: int
    prior: dist.Distribution | None
    common: bool = True


def component_of(site: str) -> str:
    """The component of an effect of several inputs that a section is.

    Args:
        site: its short name, such as "x:z.modes".

    Returns:
        "x:z"; "linear" for what has no scale, "modes" for a component without a name.
    """
    return site.removesuffix(".modes")


class AbstractGaussianSmooth(AbstractSmooth):
    """A smooth whose coefficients are normal given a few hyperparameters.

    Hyperparameters go by short site names: scales, and what else their priors have.
    """

    @property
    @abc.abstractmethod
    def sections(self) -> tuple[Section, ...]:
        """The coefficients by site."""

    @property
    @abc.abstractmethod
    def scale_priors(self) -> dict[str, Any]:
        """By short site name, the prior of each scale, or the number that fixes it."""

    @property
    def anisotropies(self) -> tuple[tuple[str, float, int], ...]:
        """Short name, prior standard deviation and number of each set of anisotropies."""
        return ()

    @property
    def correlations(self) -> tuple[tuple[str, int, float], ...]:
        """Short name, size and concentration of the LKJ prior of each correlation matrix."""
        return ()

    @property
    def hyperparameter_names(self) -> tuple[str, ...]:
        """Short names of the sites of all hyperparameters."""
        further = (*self.anisotropies, *self.correlations)
        return (*self.scale_priors, *(name for name, _, _ in further))

    def hyperparameters(
        self, site: Callable[[str], str], given: Mapping[str, Any] | None = None
    ) -> dict[str, Any]:
        """Draw the hyperparameters inside a model, or take what is fixed, by short names.

        Args:
            site: full name of a site from its short one.
            given: all scales, instead of drawing them; recorded as deterministic sites.
        """
        values = {
            name: numpyro.deterministic(site(name), given[name]) if given else draw(site(name), own)
            for name, own in self.scale_priors.items()
        }
        for name, deviation, num in self.anisotropies:
            values[name] = draw_anisotropies(site(name), deviation, num)
        for name, num, concentration in self.correlations:
            values[name] = draw_correlations(site(name), num, concentration)
        return values

    def typical(self) -> dict[str, Any]:
        """Typical sizes of the hyperparameters before data, by short names; on the host."""
        sizes = {name: np.asarray(typical_size(own)) for name, own in self.scale_priors.items()}
        sizes |= {name: np.zeros(num) for name, _, num in self.anisotropies}
        return {**sizes, **{name: np.eye(num) for name, num, _ in self.correlations}}

    @abc.abstractmethod
    def spreads(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """Standard deviations by short site name, of sections without a known prior.

        Args:
            values: the hyperparameters, with any common leading axes; NumPy or JAX.

        Returns:
            Shape (*batch,) where common, else (*batch, size).
        """

    @abc.abstractmethod
    def log_variance_slopes(self, values: Mapping[str, Any]) -> dict[str, dict[str, np.ndarray]]:
        """Derivatives of the logarithms of the variances of `spreads`, on the host.

        Args:
            values: the hyperparameters, one of each.

        Returns:
            By short site name of the section, then of the hyperparameter: with respect to the
            logarithm of the square of a scale, shape () or (size,), or to each anisotropy, shape
            (number of them, size).
        """

    @abc.abstractmethod
    def center_of(self, site: str) -> Any:
        """Prior mean of each coefficient of a section, a number.

        Args:
            site: its short name.
        """

    @abc.abstractmethod
    def combined(self, values: Mapping[str, Any]) -> Any:
        """Coefficients of the basis from those of all sections; NumPy or JAX.

        Args:
            values: by short site name, shape (*batch, size).
        """

    @property
    def known_mean(self) -> Any:
        """Coefficients of the known curve that f varies about; None for zero."""
        return None

    def varying(self, values: Mapping[str, Any]) -> Any:
        """`combined` without the known mean: linear in the coefficients of the sections."""
        return self.combined(values)

    @abc.abstractmethod
    def sampled(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """What samplers see for values of all sites, by short names, where it is another site.

        Args:
            values: sections and hyperparameters by short names, with any common leading axes.
        """

    @abc.abstractmethod
    def variances_seen(
        self, covariances: Mapping[str, np.ndarray], values: Mapping[str, Any]
    ) -> dict[str, np.ndarray]:
        """Posterior variances of what samplers see, by short names; on the host.

        Args:
            covariances: of the sections, given the hyperparameters.
            values: the hyperparameters.
        """

    @abc.abstractmethod
    def adapted(
        self, covariance: np.ndarray, estimates: Mapping[str, np.ndarray], values: Mapping[str, Any]
    ) -> Any:
        """The same prior in coordinates in which each section is standard, the others unknown.

        Args:
            covariance: posterior covariance of all sections, in their order, given the
                hyperparameters.
            estimates: posterior mean of each section by short site name.
            values: the hyperparameters, by short names; typical correlations where these are left
                out.
        """
