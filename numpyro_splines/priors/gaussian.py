"""The Gaussian smooth: spectrum, scales and the coordinates of samplers in one object."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import equinox as eqx
import numpy as np
import numpyro.distributions as dist
from jaxtyping import Array, Float

from numpyro_splines.priors.coordinates import Coordinates, informed, seen_apart
from numpyro_splines.priors.modes import combine, draw, draw_vector
from numpyro_splines.priors.sections import AbstractGaussianSmooth, Section
from numpyro_splines.spectrum import Spectrum


class GaussianSmooth(AbstractGaussianSmooth):
    r"""f = mean + sum_j beta_j phi_j + sum_m b_m sd_m psi_m, b_m ~ Normal(0, tau), in a model.

    What `SmoothnessPrior.bind` returns, with the notation of `Spectrum`: beta are the coefficients
    at site `linear`, b those at site `modes`, tau the scale.

    Attributes:
        spectrum: the Karhunen-Loeve decomposition.
        linear: coefficients of the unpenalized functions but the constant, which is left out: that
            centers f. Shape (K, number of them).
        mean: coefficients of the curve around which f varies, shape (K,); None for zero.
        scale: prior of tau, or the number that fixes it.
        linear_prior: prior of each beta_j.
        linear_scale: prior of their standard deviation, in place of `linear_prior`; or None.
        mode_coordinates: how samplers see b.
        linear_coordinates: how they see beta.
    """

    spectrum: Spectrum
    linear: Float[Array, "..."] | np.ndarray
    mean: Float[Array, "..."] | np.ndarray | None
    scale: Any
    linear_prior: dist.Distribution
    linear_scale: dist.Distribution | None
    mode_coordinates: Coordinates
    linear_coordinates: Coordinates

    @property
    def num_modes(self) -> int:
        """The number of modes psi_m."""
        return self.spectrum.modes.shape[-1]

    @property
    def num_linear(self) -> int:
        """The number of unpenalized functions phi_j."""
        return self.linear.shape[-1]

    @property
    def columns(self) -> Any:
        """Coefficients of the functions sd_m psi_m, shape (K, number of modes)."""
        return self.spectrum.modes * self.spectrum.standard_deviations

    def sample(self, site: Callable[[str], str]) -> Float[Array, "*batch num_coefficients"]:
        modes = self.mode_coordinates.sample(site("modes"), self.scales(site))
        linear = self._sample_linear(site) if self.num_linear else None
        return self.coefficients(modes, linear)

    def scales(self, site: Callable[[str], str]) -> Float[Array, "*batch"]:
        """Draw tau inside a model, or take it where it is fixed: all that is not Gaussian.

        Args:
            site: as in `AbstractSmooth.sample`; site "scale".

        Returns:
            tau, in the units of f, with the shape of the surrounding plates.
        """
        return draw(site("scale"), self.scale)

    def deviations(self, scale: Any, linear_scale: Any = None) -> tuple[Any, Any]:
        """Prior standard deviations of each b_m and each beta_j, infinite where flat.

        Args:
            scale: tau.
            linear_scale: that of the beta_j; of their prior if omitted.

        Returns:
            A pair, in the units of f: tau, and a number.
        """
        if linear_scale is not None:
            return scale, linear_scale
        flat = isinstance(self.linear_prior, dist.ImproperUniform)
        return scale, np.inf if flat else float(np.sqrt(self.linear_prior.variance))

    def coefficients(self, modes: Any, linear: Any = None) -> Any:
        """Basis coefficients of f from b and beta, of any batch shape; NumPy or JAX.

        Args:
            modes: b, shape (*batch, number of modes).
            linear: beta, shape (*batch, number of them); left out if None.

        Returns:
            Shape (*batch, K).
        """
        return self._combined(modes, linear, self.mean)

    def _combined(self, modes: Any, linear: Any, mean: Any) -> Any:
        terms = [self.columns, modes]
        terms += [] if linear is None else [self.linear, linear]
        return combine(*terms, shift=mean)

    def informed(self, information: np.ndarray, score: np.ndarray | None = None) -> GaussianSmooth:
        """The same prior in coordinates for data with a known likelihood.

        Args:
            information: minus the second derivative of the log likelihood in the coefficients of
                the basis, shape (K, K): for Gaussian data the sum of b(x_i) b(x_i)' / sigma^2.
            score: its gradient at the prior mean of f, shape (K,); zero if omitted.

        Returns:
            A smooth with other coordinates and nothing else changed.
        """

        def seen(functions: np.ndarray) -> Coordinates:
            own = None if score is None else functions.T @ score
            return informed(functions.T @ information @ functions, own)

        return self.in_coordinates(seen(self.columns), seen(np.asarray(self.linear)))

    def in_coordinates(self, modes: Coordinates, linear: Coordinates) -> GaussianSmooth:
        """The same prior in these coordinates of b and beta."""
        return eqx.tree_at(
            lambda s: [s.mode_coordinates, s.linear_coordinates], self, [modes, linear]
        )

    def sampled(self, values: Mapping[str, Any]) -> dict[str, Any]:
        scale = values["scale"]
        result = {"modes_coordinates": self.mode_coordinates.standardized(values["modes"], scale)}
        if self.num_linear and self._standardizes_linear:
            center, spread = self._linear_moments(values.get("linear_scale"))
            xi = self.linear_coordinates.standardized(values["linear"] - center, spread)
            result["linear_coordinates"] = xi
        return result

    def variances_seen(
        self, covariances: Mapping[str, np.ndarray], values: Mapping[str, Any]
    ) -> dict[str, np.ndarray]:
        own = self.mode_coordinates.variances(covariances["modes"], values["scale"])
        result = {"modes_coordinates": own}
        if self.num_linear and self._standardizes_linear:
            _, spread = self._linear_moments(values.get("linear_scale"))
            own = self.linear_coordinates.variances(covariances["linear"], spread)
            result["linear_coordinates"] = own
        elif self.num_linear:
            result["linear"] = np.diag(covariances["linear"])
        return result

    @property
    def sections(self) -> tuple[Section, ...]:
        modes = Section("modes", self.num_modes, None)
        if not self.num_linear:
            return (modes,)
        prior = self.linear_prior if self.linear_scale is None else None
        return Section("linear", self.num_linear, prior), modes

    @property
    def scale_priors(self) -> dict[str, Any]:
        own = {"scale": self.scale}
        if self.linear_scale is not None and self.num_linear:
            own["linear_scale"] = self.linear_scale
        return own

    def spreads(self, values: Mapping[str, Any]) -> dict[str, Any]:
        names = {"scale": "modes", "linear_scale": "linear"}
        return {names[name]: values[name] for name in self.scale_priors}

    def log_variance_slopes(self, values: Mapping[str, Any]) -> dict[str, dict[str, np.ndarray]]:
        names = {"modes": "scale", "linear": "linear_scale"}
        return {site: {names[site]: np.ones(())} for site in self.spreads(values)}

    def center_of(self, site: str) -> Any:
        given = site == "linear" and self.linear_scale is None
        return getattr(self.linear_prior, "loc", 0.0) if given else 0.0

    def combined(self, values: Mapping[str, Any]) -> Any:
        return self.coefficients(values["modes"], values.get("linear"))

    def adapted(
        self, covariance: np.ndarray, estimates: Mapping[str, np.ndarray], values: Mapping[str, Any]
    ) -> GaussianSmooth:
        spread = self.deviations(values["scale"], values.get("linear_scale"))
        # The linear coefficients come first.
        first = slice(self.num_linear, None)
        modes = seen_apart(covariance[first, first], estimates["modes"], spread[0] ** -2.0)
        if not self.num_linear:
            return self.in_coordinates(modes, self.linear_coordinates)
        last = slice(self.num_linear)
        linear = estimates["linear"] - np.asarray(self.center_of("linear"))
        own = seen_apart(covariance[last, last], linear, spread[1] ** -2.0)
        return self.in_coordinates(modes, own)

    @property
    def known_mean(self) -> Any:
        return self.mean

    def varying(self, values: Mapping[str, Any]) -> Any:
        return self._combined(values["modes"], values.get("linear"), None)

    def degrees_of_freedom(
        self, scale: Any, noise: Any, num_observations: float, linear_scale: Any = None
    ) -> np.ndarray:
        """Trace of the smoother matrix for n Gaussian observations whose x follow the measure.

        Args:
            scale: tau, any shape.
            noise: standard deviation of the observations, broadcast against `scale`.
            num_observations: n.
            linear_scale: as in `deviations`.

        Returns:
            The common shape of `scale` and `noise`.
        """
        tau, spread = self.deviations(scale, linear_scale)
        noise = np.asarray(noise) ** 2 / num_observations
        deviations = np.asarray(self.spectrum.standard_deviations)
        signal = (np.asarray(tau)[..., None] * deviations) ** 2
        known = 1.0 / (1.0 + noise / np.asarray(spread) ** 2)
        return (signal / (signal + noise[..., None])).sum(-1) + known * self.num_linear

    @property
    def _standardizes_linear(self) -> bool:
        """Whether `linear` is sampled in coordinates: normal, and something is known of it."""
        if self.linear_scale is not None:
            return True
        return type(self.linear_prior) is dist.Normal and self.linear_coordinates.known

    def _linear_moments(self, linear_scale: Any) -> tuple[Any, Any]:
        if self.linear_scale is not None:
            return 0.0, linear_scale
        prior: Any = self.linear_prior
        return prior.loc, prior.scale

    def _sample_linear(self, site: Callable[[str], str]) -> Array:
        if not self._standardizes_linear:
            return draw_vector(site("linear"), self.num_linear, self.linear_prior)
        drawn = None
        if self.linear_scale is not None:
            drawn = draw(site("linear_scale"), self.linear_scale)
        center, spread = self._linear_moments(drawn)
        return self.linear_coordinates.sample(site("linear"), spread, center)
