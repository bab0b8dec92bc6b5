"""What is known of an input of each row: made from the data, then sampled or integrated out."""

from __future__ import annotations

import abc
import math
from collections.abc import Callable
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np
import numpyro
import numpyro.distributions as dist
from jaxtyping import Array, Float

from numpyro_splines.latent.coordinates import (
    check_population,
    check_support,
    coordinates,
    rows_of,
    standardized,
)
from numpyro_splines.latent.domain import calibration, check_covered, plausible_knots
from numpyro_splines.latent.measurements import Measurements
from numpyro_splines.latent.quadrature import (
    IntegratedInput,
    Piece,
    Quadrature,
    checked_quadrature,
    known_piece,
)
from numpyro_splines.latent.response import IntegratedResponse
from numpyro_splines.latent.sites import sample_rows
from numpyro_splines.ops.arrays import set_rows
from numpyro_splines.validation import positive_number

Response = Callable[[Array], dist.Distribution]


class Unknown(NamedTuple):
    """Rows of one kind whose input is to be sampled.

    Attributes:
        kind: last part of the name of their site.
        rows: indices, shape (k,).
        law: of their inputs, univariate.
        center: where measurements put them, one per row.
        spread: how exactly.
    """

    kind: str
    rows: np.ndarray
    law: Any
    center: Any
    spread: Any


class AbstractInput(abc.ABC):
    r"""What is known of an input x of each row, checked once, when it is made from the data.

    Inside a model `sample` makes x a random variable, and `integrate` makes the distribution of a
    response with x integrated out. Both give the same posterior; see `sample` for what samplers
    see.

    `known` holds x where it is known and NaN elsewhere, shape (n,), float64.

    Example:
        >>> import numpyro_splines as ns
        >>> data = ns.latent.Measured([1.0, 2.0, np.nan], 0.2)
        >>> isinstance(data, AbstractInput), data.num_rows, data.knots(3).round(1).tolist()
        (True, 3, [0.2, 1.5, 2.8])
    """

    known: Float[np.ndarray, " n"]

    @property
    def num_rows(self) -> int:
        """How many inputs, n."""
        return self.known.size

    @property
    def known_rows(self) -> np.ndarray:
        """Which are known, increasing."""
        return np.flatnonzero(~np.isnan(self.known))

    @property
    def unknown_rows(self) -> np.ndarray:
        """Which are not, increasing."""
        return np.flatnonzero(np.isnan(self.known))

    def __repr__(self) -> str:
        rows = f"{self.num_rows} rows, {self.known_rows.size} of them known"
        return f"{type(self).__name__}({rows})"

    def sample(self, name: str, population: Any) -> Array:
        """x as a random variable of the model: x_i ~ population, given what is known of it.

        Only what is not known is sampled. Samplers see u_i with x_i = T(c_i + s_i u_i): T takes the
        line to the support of the population (exp for positive inputs), c_i is where the data put
        x_i and s_i how exactly they do, so samplers start where x can be, with a step that fits.
        Its rows are plates of their own: plates around it neither repeat nor weigh them.

        Args:
            name: prefix of the sites: those of u (the class says their names), `<name>.known` where
                rows are known, whose population they inform, and the deterministic `<name>`.
            population: where inputs come from: a univariate distribution, or one for each row
                (batch shape (n,)), whose parameters may be random. Its support bounds x.

        Returns:
            x, shape (n,).

        Raises:
            TypeError: if the population is no continuous univariate distribution.
            ValueError: if it has another number of rows, a known x is outside of its support, or
                its spread is lost in the rounding of x.
        """
        return jnp.asarray(numpyro.deterministic(name, self._draw(name, population)))

    def integrate(
        self,
        name: str,
        population: Any,
        quadrature: Quadrature | None = None,
        *,
        response: Response,
    ) -> IntegratedResponse:
        r"""The distribution of y with x integrated out: a model reads the same in both forms.

        p(y_i | what is known of x_i) = int p(y_i | x_i) p(x_i | what is known of x_i) dx_i.

            def given(x):
                return dist.Normal(level + curve(x), sigma)

            y_given = given(data.sample("x", population))            # sampled
            y_given = data.integrate("x", population, response=given)  # integrated out
            numpyro.sample("y", y_given, obs=y)

        x is no site then: `draw_inputs` draws it afterwards, exactly.

        Args:
            name: of the input, and prefix of the sites of what was observed of it.
            population: as in `sample`.
            quadrature: the rule, `Quadrature()` if omitted.
            response: x, shape (nodes, n), to the distribution of y given x with that batch shape,
                without random sites of its own. What else it needs of each row, shape (n,),
                broadcasts. Several responses of a row are one distribution, with `.to_event`. If it
                has a second argument named `rows`, integers of shape (m,), it is asked for these
                rows alone, x of shape (nodes, m): once for rows that are known, at all nodes for
                the others. What else it needs of each row is then `offset[rows]`.

        Returns:
            A distribution with batch shape (n,).

        Raises:
            TypeError: as `sample`, or if `quadrature` is something else.
            ValueError: as `sample`, or if `response` returns no distribution of the right shape.

        Warns:
            UserWarning: if the rule does not resolve a population of concrete parameters.
        """
        rule = checked_quadrature(quadrature)
        return self._integrated(name, self._pieces(name, population, rule), rule, response)

    def knots(self, num: int = 20, *, population: Any = None) -> Float[np.ndarray, " num"]:
        """Evenly spaced breakpoints over the range where inputs can plausibly be.

        From the smallest to the largest of mean_i -+ 4 error_i, where mean_i is the mean of the
        measurements of row i and error_i its standard error; not farther beyond the means than 4 of
        their standard deviations, or than the reach of the median row if that is more. Beyond the
        knots the curve goes on straight (`extrapolation.Linear`, the default), so an input that
        strays is led back; the penalty covers the whole domain.

        Args:
            num: how many breakpoints.
            population: a univariate distribution of concrete parameters: its central 99.9 % widen
                the range (for rows that are missing or censored), and its support bounds it.

        Returns:
            Breakpoints, shape (num,).

        Raises:
            ValueError: if the range is empty.
        """
        return plausible_knots(self.measurements(), num, population)

    def check_domain(self, basis: Any) -> float:
        """Warn where an input could plausibly lie beyond the knots of a basis.

        Args:
            basis: of the curve of x; anything with a `domain`.

        Returns:
            The share of rows whose mean lies outside the domain.

        Raises:
            TypeError: if the basis has no domain.

        Warns:
            UserWarning: if the mean of the measurements of some row lies outside.
        """
        if not hasattr(basis, "domain"):
            raise TypeError(f"`basis` must have a domain; got {type(basis).__name__}.")
        return check_covered(self.measurements(), basis.domain)

    def calibrated(self, population: Any = None) -> Float[np.ndarray, " n"]:
        r"""E(x_i | what was measured of x_i): the inputs of regression calibration.

        In the place of x they give a fit whose bias is of the second order in the errors, where the
        measurements themselves attenuate the curve: for a first look and, with
        `regression.penalized_fit` and `warm_start`, as the start of a sampler.

        Args:
            population: of concrete parameters, one or one for each row, for its mean and standard
                deviation; those that the measurements tell, less their errors, if omitted or where
                it has none.

        Returns:
            Numbers, shape (n,): x where it is known, the mean of the population where nothing was
            measured.

        References:
            Carroll et al., Measurement Error in Nonlinear Models (2006), chapter 4.
        """
        return self._calibration(population)[0]

    def initial_values(self, name: str, population: Any = None) -> dict[str, np.ndarray]:
        """Where samplers start: the inputs where the data put them, by site for `warm_start`.

        Args:
            name: that of `sample`.
            population: for `Coarse`, if its support bounds x.

        Returns:
            Zeros of shape (rows,) for the sites of u; empty if all inputs are known.
        """
        kinds = self._kinds_of_rows(population)
        return {f"{name}.{kind}": np.zeros(rows.size) for kind, rows in kinds.items()}

    def quadrature(self, curve: Any, noise: Any, population: Any = None) -> Quadrature:
        r"""The rule with as many nodes as a response Normal(curve(x), noise) needs, and no more.

        Given its response the input of row i is known to about

            (1 / s_i^2 + max f'^2 / noise^2)^(-1/2)

        with s_i its standard deviation given the measurements, and f' the slope within 4 s_i of
        them. Nodes are 0.7 of that apart in the row that needs them nearest to each other: of a
        smooth curve the rule errs by 3e-18, and by 1e-4 should it turn out twice as steep; the
        third derivative of a cubic one jumps at its knots, which leaves some 1e-6.

        Args:
            curve: about the curve of the response, such as one of a fit to `calibrated()`; one that
                is too flat gives too few nodes, of which `draw_inputs` warns.
            noise: about the standard deviation of the response.
            population: as in `calibrated`.

        Returns:
            The rule, at least 16 nodes.

        Raises:
            ValueError: if `noise` is not positive.
        """
        noise = float(positive_number(noise, "noise"))
        center, spread = self._calibration(population)
        x = center + spread * np.linspace(-4.0, 4.0, 17)[:, None]
        slope = np.abs(np.asarray(curve.derivative()(x), float)).max(axis=0)
        narrowest = float(np.min(1.0 / np.hypot(1.0, slope * spread / noise)))
        return Quadrature(max(math.ceil(16.0 / (0.7 * narrowest)) + 1, 16))

    def _calibration(self, population: Any) -> tuple[np.ndarray, np.ndarray]:
        """Mean and standard deviation of each x given what was measured of it."""
        return calibration(self.measurements(), population)

    @abc.abstractmethod
    def measurements(self) -> Measurements:
        """What says where inputs can be, in numbers."""

    def _kinds_of_rows(self, population: Any) -> dict[str, np.ndarray]:
        """Rows of each site to be sampled."""
        del population
        rows = self.unknown_rows
        return {"standardized": rows} if rows.size else {}

    def _unknown(self, population: Any) -> list[Unknown]:
        """The rows to be sampled one by one, by kind."""
        del population
        return []

    @abc.abstractmethod
    def _pieces(self, name: str, population: Any, quadrature: Quadrature) -> list[Piece]:
        """The rows to be integrated over, by kind; sites of what was observed of them."""

    def check(self, population: Any) -> None:
        """Refuse a population that does not fit what is known.

        Args:
            population: of x.

        Raises:
            TypeError: as `sample`.
            ValueError: as `sample`.
        """
        check_population(population, self.num_rows)
        check_support(self.known[self.known_rows], self.known_rows, population)

    def _draw(self, name: str, population: Any) -> Float[Array, " n"]:
        """x, and the sites of what is known and of u."""
        self.check(population)
        x = self._place_known(name, population)
        for kind, rows, law, center, spread in self._unknown(population):
            transform = coordinates(law, center, spread)
            base = standardized(law, transform)
            base = base if base.batch_shape else base.expand((rows.size,))
            u = sample_rows(f"{name}.{kind}", f"{name}.{kind}_rows", base)
            x = set_rows(x, rows, transform(u))
        return x

    def _integrated(
        self, name: str, pieces: list[Piece], quadrature: Quadrature, response: Response
    ) -> IntegratedResponse:
        inputs = IntegratedInput(name, self.num_rows, pieces, quadrature.chunk)
        return IntegratedResponse(inputs, response)

    def _place_known(self, name: str, population: Any) -> Float[Array, " n"]:
        """x where it is known, zero elsewhere, and the site of that."""
        rows = self.known_rows
        x = jnp.asarray(np.nan_to_num(self.known), jnp.result_type(float))
        if rows.size:
            sample_rows(f"{name}.known", f"{name}.known_rows", rows_of(population, rows), x[rows])
        return x

    def _known_pieces(self, name: str, population: Any, quadrature: Quadrature) -> list[Piece]:
        """The rows that are known, as a piece, and their site."""
        self.check(population)
        rows, x = self.known_rows, self._place_known(name, population)
        return [known_piece(rows, x[rows], quadrature)] if rows.size else []
