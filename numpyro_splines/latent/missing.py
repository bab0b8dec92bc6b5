"""Inputs that are known in some rows and missing in the others."""

from __future__ import annotations

from typing import Any

import numpy as np

from numpyro_splines.latent.coordinates import check_spread, rows_of, support_ends
from numpyro_splines.latent.input import AbstractInput, Unknown
from numpyro_splines.latent.measurements import Measurements, observations
from numpyro_splines.latent.quadrature import Piece, Quadrature
from numpyro_splines.latent.unmeasured import unmeasured_piece


class Missing(AbstractInput):
    """Inputs of which some are missing: x_i ~ population, known where `observed` is not NaN.

    Only the missing ones are sampled; the known ones inform the population. Whether x is missing
    must not depend on its value (nor on y, given the model).

    Sites: `<name>.standardized` (u of the missing rows), `<name>.known`, and the deterministic
    `<name>`.

    Args:
        observed: shape (n,), NaN where missing.

    Raises:
        TypeError: if values are traced, or no real numbers.
        ValueError: if nothing was observed, or a value is infinite.

    Example:
        >>> import numpyro, numpyro.distributions as dist
        >>> with numpyro.handlers.seed(rng_seed=0):
        ...     x = Missing([1.0, np.nan, 2.0]).sample("x", dist.Normal(1.5, 1.0))
        >>> print(x[0], x[2])
        1.0 2.0

    References:
        Little and Rubin, Statistical Analysis with Missing Data (2019), section 1.3.
    """

    def __init__(self, observed: Any):
        value, layout = observations(observed, None)
        if len(layout.shape) != 1:
            raise ValueError(f"`observed` must have shape (n,); got {layout.shape}.")
        self.known = np.full(layout.num_rows, np.nan)
        self.known[layout.seen] = value

    def measurements(self) -> Measurements:
        rows = self.known_rows
        return Measurements(rows, self.known[rows], np.zeros(rows.size), self.num_rows)

    def check(self, population: Any) -> None:
        super().check(population)
        check_spread(self.known, population)

    def _unknown(self, population: Any) -> list[Unknown]:
        rows, (center, spread) = self.unknown_rows, self.measurements().overall()
        if not rows.size:
            return []
        law = rows_of(population, rows)
        return [Unknown("standardized", rows, law, np.full(rows.size, center), spread)]

    def _pieces(self, name: str, population: Any, quadrature: Quadrature) -> list[Piece]:
        pieces, rows = self._known_pieces(name, population, quadrature), self.unknown_rows
        if not rows.size:
            return pieces
        own, ends = rows_of(population, rows), support_ends(population)
        place = self.measurements().overall()
        return [*pieces, unmeasured_piece(rows, own, ends, place, quadrature)]
