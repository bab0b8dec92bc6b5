"""Families whose parameters have predictors of their own: location, scale and shape."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpyro
import numpyro.distributions as dist
from jaxtyping import Array, Float

from numpyro_splines.arguments import instance_of
from numpyro_splines.regression.families.base import AbstractFamily, ByRow, checked_family
from numpyro_splines.regression.predictor import AdditivePredictor


class Distributional(AbstractFamily):
    r"""A family whose parameters follow additive predictors too: theta_i = h(zeta_i).

    h maps the real line to the support of the parameter: exp for positive ones, such as the
    standard deviation of a `Gaussian`. Its predictor zeta is then log theta:

        log_sigma = ns.AdditivePredictor((g, x), intercept=dist.Normal(0.0, 2.0))
        family = ns.regression.Distributional(ns.regression.Gaussian(), sigma=log_sigma)

        def model(y):
            eta = mean.sample()
            response = family.distribution(eta, **family.sample_parameters())
            numpyro.sample("y", response, obs=y)

    or `IntegratedLaplace(mean, family)`, where the coefficients of `mean` alone are integrated out
    (for Gaussian responses without error) and those of zeta are sampled.

    Sites of zeta have the name of the parameter before them, "sigma/intercept", so both predictors
    may have the same terms: take `g.curve(draws, prefix="sigma/")`. At new rows, `family.at(rows)`
    goes with `mean.at(rows)`.

    For good coordinates of the sampler, say what the data know of zeta: an observation of a
    Gaussian has the information 2 on log sigma, so effects of it are to be made with
    `noise=2**-0.5`.

    Args:
        family: of the responses.
        **predictors: by the name of the parameter's site, at the rows of the predictor of eta.
            Parameters without one stay the same for all observations.

    Raises:
        TypeError: if arguments are of the wrong kind.
        ValueError: if the family has no such parameter, or it is no single number.

    Example:
        >>> zeta = AdditivePredictor(intercept=None, linear={"b": ([0.0, 1.0], dist.Normal())})
        >>> from numpyro_splines.regression import Gaussian
        >>> family = Distributional(Gaussian(), sigma=zeta)
        >>> sigma = family.drawn_parameters({"sigma/b": np.log(3.0)})["sigma"]
        >>> print(family.distribution(np.zeros(2), sigma=sigma).variance.round(3))
        [1. 9.]

    References:
        Rigby and Stasinopoulos, Generalized additive models for location, scale and shape (2005).
    """

    family: AbstractFamily
    predictors: dict[str, AdditivePredictor]

    def __init__(self, family: AbstractFamily, /, **predictors: AdditivePredictor):
        self.family = checked_family(family)
        shapes = family.parameter_shapes(0)
        numbers = [name for name, shape in shapes.items() if shape == ()]
        unknown = [name for name in predictors if name not in numbers]
        if unknown or not predictors:
            got = unknown or "none"
            raise ValueError(
                f"`predictors` must be given of parameters of {type(family).__name__} that are "
                f"numbers to be estimated, {numbers}; got {got}."
            )
        self.predictors = {
            name: instance_of(own, AdditivePredictor, name) for name, own in predictors.items()
        }

    def at(self, rows: Any) -> Distributional:
        """The same family with the predictors of its parameters at new rows.

        What the family knows of each observation (exposures, trials, weights) stays as it is.

        Args:
            rows: a data frame with the columns of all of them; or by the name of each parameter
                its rows, as `AdditivePredictor.at` takes them.

        Returns:
            The family at the new rows.

        Raises:
            ValueError: if the rows of a parameter are missing, or as `AdditivePredictor.at`.
        """
        if isinstance(rows, Mapping):
            if set(rows) != set(self.predictors):
                raise ValueError(
                    f"`rows` must be a frame, or the rows of each of {sorted(self.predictors)} by "
                    f"name; got {sorted(rows)}."
                )
            own = {name: p.at(rows[name]) for name, p in self.predictors.items()}
        else:
            own = {name: predictor.at(rows) for name, predictor in self.predictors.items()}
        return Distributional(self.family, **own)

    @property
    def supports(self) -> dict[str, Any]:
        """See `AbstractFamily.supports`: of parameters without a predictor."""
        own = self.family.supports
        return {name: support for name, support in own.items() if name not in self.predictors}

    @property
    def pooled(self) -> AbstractFamily:
        """See `AbstractFamily.pooled`."""
        return self.family

    @property
    def support(self) -> Any:
        """See `AbstractFamily.support`."""
        return self.family.support

    def parameter_shapes(self, num_observations: int) -> dict[str, tuple[int, ...]]:
        """See `AbstractFamily.parameter_shapes`."""
        shapes = self.family.parameter_shapes(num_observations)
        return shapes | dict.fromkeys(self.predictors, (num_observations,))

    def sample_parameters(self) -> dict[str, Float[Array, "..."]]:
        """See `AbstractFamily.sample_parameters`."""
        result = {}
        for name, predictor in self.predictors.items():
            with numpyro.handlers.scope(prefix=name):
                result[name] = self._mapped(name, predictor.sample())
        return result

    def drawn_parameters(self, draws: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
        """See `AbstractFamily.drawn_parameters`."""
        result = super().drawn_parameters(draws, prefix)
        for name, predictor in self.predictors.items():
            zeta = predictor.linear_predictor(draws, prefix=f"{prefix}{name}/")
            result[name] = self._mapped(name, zeta)
        return result

    def distribution(self, eta: Any, **parameters: Any) -> dist.Distribution:
        """See `AbstractFamily.distribution`."""
        return self.family.distribution(eta, **self._by_row(parameters))

    def inverse_link(self, eta: Any, **parameters: Any) -> Any:
        """See `AbstractFamily.inverse_link`."""
        return self.family.inverse_link(eta, **self._by_row(parameters))

    def log_prob(self, y: Any, eta: Any, **parameters: Any) -> Any:
        """See `AbstractFamily.log_prob`."""
        return self.family.log_prob(y, eta, **self._by_row(parameters))

    def cumulative(
        self, y: np.ndarray, eta: np.ndarray, **parameters: Any
    ) -> tuple[np.ndarray, np.ndarray]:
        """See `AbstractFamily.cumulative`."""
        return self.family.cumulative(y, eta, **self._by_row(parameters))

    def check(self, y: Any, num_observations: int) -> np.ndarray:
        """See `AbstractFamily.check`."""
        for name, predictor in self.predictors.items():
            if predictor.num_observations != num_observations:
                raise ValueError(
                    f"`{name}` must have a predictor at the {num_observations} rows of that of the "
                    f"responses; got one at {predictor.num_observations}."
                )
        return self.family.check(y, num_observations)

    def start(self, y: np.ndarray) -> np.ndarray:
        """See `AbstractFamily.start`."""
        return self.family.start(y)

    def start_parameters(self, y: np.ndarray) -> dict[str, Any]:
        """See `AbstractFamily.start_parameters`."""
        values = self.family.start_parameters(y)
        return {name: values[name] for name in self.supports}

    def _mapped(self, name: str, zeta: Any) -> Any:
        return dist.biject_to(self.family.supports[name])(zeta)

    def _by_row(self, parameters: Mapping[str, Any]) -> dict[str, Any]:
        return {
            name: ByRow(value) if name in self.predictors else value
            for name, value in parameters.items()
        }
