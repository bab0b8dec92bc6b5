"""Inputs that scatter around what they were meant to be."""

from __future__ import annotations

from typing import Any

import jax.numpy as jnp
import numpy as np
import numpyro
import numpyro.distributions as dist
from jaxtyping import Array

from numpyro_splines.latent.coordinates import check_population, support_ends
from numpyro_splines.latent.input import AbstractInput, Response, Unknown
from numpyro_splines.latent.measurements import Measurements, checked_errors
from numpyro_splines.latent.quadrature import Piece, Quadrature
from numpyro_splines.latent.quantiles import finite_moments
from numpyro_splines.latent.response import IntegratedResponse
from numpyro_splines.latent.sites import sample_rows
from numpyro_splines.latent.unmeasured import unmeasured_piece
from numpyro_splines.validation import check_resolution, is_traced, real_array


class Berkson(AbstractInput):
    """Inputs that scatter around what they were meant to be: x_i ~ Normal(assigned_i, error_sd).

    Berkson error: doses given, settings of an instrument, values known only as the mean of a group
    (assign means[group]). There is no population; y alone tells where in its error x lies. Another
    law of the errors x_i - assigned_i, of the mean zero or not, goes to `sample` or `integrate` in
    the place of the population.

    Sites: `<name>.standardized`, Normal(0, 1) for normal errors, and the deterministic `<name>`;
    none if integrated out.

    Args:
        assigned: shape (n,), finite. It may be random (a group's mean that is itself estimated);
            then the object is made inside the model.
        error_sd: standard deviation, a number or one per row, which may be zero, or random (again
            inside the model); None if the law of the errors is given later.

    Raises:
        TypeError: if a value is no real number.
        ValueError: if an error is negative or not finite, or `assigned` not finite; in the model if
            an error is lost in the rounding of `assigned`.

    Example:
        >>> import numpyro
        >>> doses = [1.0, 2.0, 2.0]
        >>> with numpyro.handlers.seed(rng_seed=0):
        ...     x = Berkson(doses, 0.1).sample("x")
        ...     z = Berkson(doses).sample("z", dist.StudentT(4.0, 0.0, 0.1))
        >>> x.shape, z.shape
        ((3,), (3,))

    References:
        Carroll et al., Measurement Error in Nonlinear Models (2006), section 1.4.
    """

    def __init__(self, assigned: Any, error_sd: Any = None):
        center = real_array(assigned, "assigned")
        if center.ndim != 1 or not (is_traced(center) or np.isfinite(np.asarray(center)).all()):
            raise ValueError("`assigned` must be finite, shape (n,): NaN is not allowed in it.")
        self.assigned = center
        self.error_sd = None if error_sd is None else checked_errors(error_sd, center.shape)
        self.known = np.full(center.shape[0], np.nan)

    def sample(self, name: str, population: Any = None) -> Array:
        """x as a random variable: `assigned` and an error, see `AbstractInput.sample`.

        Args:
            name: prefix of the sites.
            population: of the errors, one distribution or one for each row; Normal(0, error_sd) if
                omitted.

        Returns:
            x, shape (n,).
        """
        center = self._center()
        if population is not None:
            self.check(population)
            return jnp.asarray(numpyro.deterministic(name, center + self._draw(name, population)))
        error = jnp.asarray(self._error(), center.dtype)
        base = dist.Normal().expand((self.num_rows,))
        u = sample_rows(f"{name}.standardized", f"{name}.standardized_rows", base)
        return jnp.asarray(numpyro.deterministic(name, center + error * u))

    def integrate(
        self,
        name: str,
        population: Any = None,
        quadrature: Quadrature | None = None,
        *,
        response: Response,
    ) -> IntegratedResponse:
        """The distribution of a response with x integrated out, see `AbstractInput.integrate`.

        Args:
            name: of the input.
            population: as in `sample`.
            quadrature: the rule.
            response: x to the distribution of y.

        Returns:
            A distribution with batch shape (n,).
        """
        return super().integrate(name, population, quadrature, response=response)

    def _center(self) -> Array:
        return jnp.asarray(self.assigned, jnp.result_type(float))

    def _error(self) -> Any:
        if self.error_sd is None:
            raise ValueError(
                "`error_sd` must be given where the data are made, or a distribution of the errors "
                "here, in the place of the population; got neither."
            )
        check_resolution(self.assigned, self.error_sd, "assigned")
        return self.error_sd

    def measurements(self) -> Measurements:
        if is_traced(self.assigned) or is_traced(self.error_sd):
            raise TypeError(
                "`assigned` and `error_sd` must be numbers for knots and domains; got traced ones."
            )
        rows, value = np.arange(self.num_rows), np.asarray(self.assigned, float)
        error = np.zeros(()) if self.error_sd is None else np.asarray(self._error(), float)
        return Measurements(rows, value, np.broadcast_to(error, value.shape), rows.size)

    def _calibration(self, population: Any) -> tuple[np.ndarray, np.ndarray]:
        """What was assigned: the errors are independent of it."""
        data = self.measurements()
        if population is None:
            return data.value, data.error
        mean, spread, known = (np.asarray(part) for part in finite_moments(population))
        center = data.value + np.where(known, mean, 0.0)
        return center, np.broadcast_to(np.where(known, spread, 1.0), center.shape)

    def _unknown(self, population: Any) -> list[Unknown]:
        rows = np.arange(self.num_rows)
        return [Unknown("standardized", rows, population, np.zeros(rows.size), 1.0)]

    def _pieces(self, name: str, population: Any, quadrature: Quadrature) -> list[Piece]:
        del name
        center, rows = self._center(), np.arange(self.num_rows)
        if population is None:
            error = jnp.asarray(self._error(), center.dtype)

            def scattered(u: Array) -> tuple[Array, Array]:
                # In units of the error, which may be zero.
                return center + error * u, jnp.asarray(dist.Normal().log_prob(u))

            return [Piece(rows, scattered, quadrature.even())]
        self.check(population)
        ends = support_ends(population)
        errors = unmeasured_piece(rows, population, ends, (0.0, 1.0), quadrature)

        def shifted(u: Array) -> tuple[Array, Array]:
            error, log_density = errors.locate(u)
            return center + error, log_density

        return [Piece(rows, shifted, errors.rule)]

    def check(self, population: Any) -> None:
        check_population(population, self.num_rows)
        if self.error_sd is not None:
            raise ValueError(
                "`population` is the law of the errors here; got `error_sd` too, where the data "
                "were made. Give one of them."
            )
