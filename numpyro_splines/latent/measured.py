"""Inputs measured with error: a known or an estimated one, in replicates, with validation data."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax.numpy as jnp
import numpy as np
import numpyro
import numpyro.distributions as dist
from jaxtyping import Array

from numpyro_splines.latent.coordinates import check_spread, rows_of, support_ends
from numpyro_splines.latent.error_models import AbstractErrorModel, AnyErrors, NormalErrors
from numpyro_splines.latent.input import AbstractInput, Response, Unknown
from numpyro_splines.latent.measured_pieces import MeasuredTogether, measured_piece
from numpyro_splines.latent.measurements import Measurements, error_guess, observations
from numpyro_splines.latent.quadrature import Piece, Quadrature, checked_quadrature
from numpyro_splines.latent.resolution import check_measured
from numpyro_splines.latent.response import IntegratedResponse
from numpyro_splines.latent.sites import sample_together
from numpyro_splines.latent.unmeasured import unmeasured_piece
from numpyro_splines.validation import check_resolution, float64_rows, is_traced

Measurement = Callable[[Array], dist.Distribution]


class Measured(AbstractInput):
    r"""Inputs with classical error: x_i ~ population, observed_ij ~ Normal(x_i, error_sd).

    One measurement per row, or several (replicates, as many as there are). Rows without any are
    missing: they have their population alone. Rows whose `error_sd` is zero, and those whose
    `truth` is given, are known and are not sampled.

    An error whose size is not known is a random variable of the model, and goes to `sample` or
    `integrate`; there a function may also say any other law of the measurements:

        data = ns.latent.Measured(w)
        x = data.sample("x", population, error_sd=sigma)          # estimated
        x = data.sample("x", population, measurement=lambda x: dist.Normal(x, 0.1 * x))
        x = data.sample("x", population, measurement=lambda x: dist.Normal(a + b * x + c * y, s))

    (a standard deviation that grows with x; a biased and differential error, which validation data
    identify). Errors of two inputs with correlation r: `x = data_x.sample("x", ...)` first, then
    `data_z.sample("z", ..., measurement=lambda z: dist.Normal(z + r * sd_z / sd_x * (w_x - x),
    sd_z * sqrt(1 - r**2)))`, which is the bivariate normal distribution of both.

    Args:
        observed: what was measured: shape (n,), or (n, r) for up to r replicates, NaN where nothing
            was; or, with `group`, all measurements one below the other, shape (m,).
        error_sd: standard deviation of the error of one measurement in the units of x: a number,
            one per row, or one per measurement (the shape of `observed`), NaN allowed where nothing
            was measured. None if it is estimated, or a number as its likely size: from there
            samplers start.
        group: which row each measurement belongs to, integers from 0 to n - 1, shape (m,): ragged
            replicates, or one x shared by a group, to be used as x[group].
        truth: x of the rows where it is known besides (validation data), shape (n,), NaN elsewhere.
            Their measurements tell how the others err.

    Raises:
        TypeError: if numbers are traced, or `group` does not hold integers.
        ValueError: if an error is negative or not finite where something was observed, nothing was
            observed, shapes differ, or a row that is known exactly has two values; in the model if
            x is so far from zero that floats do not resolve its errors.

    Example:
        >>> import numpyro
        >>> data = Measured([[1.0, 1.2], [2.0, np.nan]], 0.1)
        >>> data
        Measured(2 rows, 0 of them known)
        >>> with numpyro.handlers.seed(rng_seed=0):
        ...     x = data.sample("x", dist.Normal(1.5, 1.0))
        >>> x.shape
        (2,)

    References:
        Carroll et al., Measurement Error in Nonlinear Models (2006), section 1.2 and chapter 9.
    """

    def __init__(
        self, observed: Any, error_sd: Any = None, *, group: Any = None, truth: Any = None
    ):
        if is_traced(error_sd):
            raise TypeError(
                "`error_sd` must be numbers here; got a traced value. Give a random one to "
                ".sample(..., error_sd=error_sd) or .integrate(..., error_sd=error_sd)."
            )
        value, layout = observations(observed, group)
        error = np.nan if error_sd is None else layout.errors(error_sd)
        error = np.broadcast_to(np.asarray(error, float), value.shape)
        data = Measurements(layout.row[layout.seen], value, error, layout.num_rows)
        if error_sd is None:
            data = data._replace(error=np.full(value.shape, error_guess(data)))
        self.known = _known(data, truth)
        # What is known exactly is no measurement.
        kept = np.flatnonzero(data.error > 0.0)
        self._given_error = error_sd is not None
        self._layout = layout._replace(seen=layout.seen[kept])
        self._data = Measurements(data.row[kept], data.value[kept], data.error[kept], data.num_rows)

    def sample(
        self,
        name: str,
        population: Any,
        *,
        error_sd: Any = None,
        measurement: Measurement | None = None,
    ) -> Array:
        """x as a random variable, see `AbstractInput.sample`.

        Sites: `<name>.standardized` (u of the rows that are not known), `<name>.observed` (the
        measurements), `<name>.known`, and the deterministic `<name>`.

        Args:
            name: prefix of the sites.
            population: of x.
            error_sd: of the measurements, in the shapes of that of the constructor, in whose place
                it is; may be random.
            measurement: x -> the distribution of what was measured of it, any univariate one whose
                batch shape broadcasts with x, which comes in the shape of `observed`: for a table
                of replicates a covariate of the rows is `covariate[:, None]`.

        Returns:
            x, shape (n,).
        """
        errors = self.errors(error_sd, measurement)
        x = self._draw(name, population)
        if self._data.row.size:
            errors.observe(name, x)
        return jnp.asarray(numpyro.deterministic(name, x))

    def integrate(
        self,
        name: str,
        population: Any,
        quadrature: Quadrature | None = None,
        *,
        response: Response,
        error_sd: Any = None,
        measurement: Measurement | None = None,
    ) -> IntegratedResponse:
        """The distribution of a response with x integrated out, see `AbstractInput.integrate`.

        Sites: `<name>.observed` (all measurements, with x integrated out) and `<name>.known`.

        Args:
            name: of the input.
            population: of x.
            quadrature: the rule.
            response: x to the distribution of y.
            error_sd: as in `sample`.
            measurement: as in `sample`.

        Returns:
            A distribution with batch shape (n,).
        """
        rule, errors = checked_quadrature(quadrature), self.errors(error_sd, measurement)
        pieces = self._pieces(name, population, rule, errors)
        return self._integrated(name, pieces, rule, response)

    def measurements(self) -> Measurements:
        kept, rows = self._data.of_rows(np.isnan(self.known)), self.known_rows
        return Measurements(
            np.concatenate([self._data.row[kept], rows]),
            np.concatenate([self._data.value[kept], self.known[rows]]),
            np.concatenate([self._data.error[kept], np.zeros(rows.size)]),
            self.num_rows,
        )

    def check(self, population: Any) -> None:
        super().check(population)
        if self._given_error:
            check_resolution(self._data.value, self._data.error, "observed")
        check_spread(np.concatenate([self._data.value, self.known]), population)

    def errors(self, error_sd: Any, measurement: Measurement | None = None) -> AbstractErrorModel:
        """The law of the measurements.

        Args:
            error_sd: as in `sample`.
            measurement: as in `sample`.

        Returns:
            What gives their density.

        Raises:
            ValueError: if neither is known, both are given, or an error is zero.
        """
        if measurement is not None:
            if not self._data.row.size:
                raise ValueError(
                    "`measurement` needs measurements with errors; got rows that are all known "
                    "exactly, by an `error_sd` of zero. Leave it out where the data are made."
                )
            if error_sd is not None:
                raise ValueError(
                    "`measurement` says the whole distribution of what was measured; got "
                    "`error_sd` too. Give one of them."
                )
            return AnyErrors(self._data, self._layout, measurement)
        if error_sd is None:
            if not self._given_error:
                raise ValueError(
                    "`error_sd` must be given where the data were made or here, where it may be "
                    "random; got neither."
                )
            return NormalErrors(self._data, self._layout, self._data.error)
        sd = self._layout.errors(error_sd)
        if not is_traced(sd) and np.any(np.asarray(sd) == 0.0):
            raise ValueError(
                "`error_sd` must be positive here; got 0. Rows that are known exactly are named "
                "where the data are made: by an error of zero there, or by `truth`."
            )
        return NormalErrors(self._data, self._layout, sd)

    def _unknown(self, population: Any) -> list[Unknown]:
        rows = self.unknown_rows
        if not rows.size:
            return []
        part = self._data.only(np.isnan(self.known))
        return [Unknown("standardized", rows, rows_of(population, rows), *part.placement())]

    def _pieces(
        self,
        name: str,
        population: Any,
        quadrature: Quadrature,
        errors: AbstractErrorModel | None = None,
    ) -> list[Piece]:
        """Rows that are known, with measurements, without any; and the site of the measurements."""
        errors = self.errors(None) if errors is None else errors
        pieces, ends = self._known_pieces(name, population, quadrature), support_ends(population)
        measured = self._data.num_measured[self.unknown_rows] > 0
        rows, unseen = self.unknown_rows[measured], self.unknown_rows[~measured]

        def piece(value: Any) -> Piece:
            own = rows_of(population, rows)
            return measured_piece(rows, own, ends, errors, value, quadrature)

        if self._data.row.size:
            made = piece if rows.size else None
            together = MeasuredTogether(self.known, population, errors, made, quadrature.chunk)
            sample_together(f"{name}.observed", together, errors.value)
        if rows.size:
            check_measured(rows, rows_of(population, rows), ends, errors, piece)
            pieces.append(piece(errors.value))
        if unseen.size:
            own, place = rows_of(population, unseen), self.measurements().overall()
            pieces.append(unmeasured_piece(unseen, own, ends, place, quadrature))
        return pieces


def _known(data: Measurements, truth: Any) -> np.ndarray:
    """x where an error is zero or the truth was given, NaN elsewhere."""
    known = np.full(data.num_rows, np.nan)
    exact = data.error == 0.0
    known[data.row[exact]] = data.value[exact]
    sure = ~np.isnan(known[data.row])
    if np.any(wrong := sure & exact & (known[data.row] != data.value)):
        row = int(data.row[np.argmax(wrong)])
        raise ValueError(
            "`observed` must hold one value where `error_sd` is zero; got "
            f"{np.unique(data.value[data.row == row])} in row {row}."
        )
    if truth is None:
        return known
    true = float64_rows(truth, "truth")
    if np.isinf(true).any():
        raise ValueError("`truth` must be finite, or NaN where it is not known; got infinity.")
    if true.shape != known.shape:
        raise ValueError(
            f"`truth` must hold one number or NaN for each of the {data.num_rows} rows; got shape "
            f"{true.shape}."
        )
    if np.any(wrong := ~np.isnan(true) & ~np.isnan(known) & (true != known)):
        row = int(np.argmax(wrong))
        raise ValueError(
            "`truth` must be what was observed where `error_sd` is zero; got "
            f"{true[row]} and {known[row]} in row {row}."
        )
    return np.where(np.isnan(true), known, true)
