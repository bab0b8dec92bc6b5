"""The margin of a number: functions of a basis, in Karhunen-Loeve coordinates."""

from __future__ import annotations

from typing import Any

import equinox as eqx
import numpy as np
from jaxtyping import Array, Float

from numpyro_splines.arguments import kinds_of
from numpyro_splines.bases import AbstractBasis
from numpyro_splines.functions import BasisAxis, PolynomialAxis, cell_means
from numpyro_splines.margins.base import AbstractMargin
from numpyro_splines.measure import Measure
from numpyro_splines.penalties import AbstractPenalty, Derivative
from numpyro_splines.spectrum import Spectrum, karhunen_loeve
from numpyro_splines.validation import float64_array


class CurveMargin(AbstractMargin):
    """A numeric input: the functions of a basis, from constant to wiggly.

    The decomposition of `numpyro_splines.spectrum` with respect to a reference measure: the
    constant, the functions that the penalty leaves free, orthonormal, and the modes. (A basis
    without the constant, such as a constrained one, has no such part.)

    Args:
        basis: any basis: constrained and cyclic ones, and one of your own, too.
        order: of the penalized derivative, from 1 to the degree of the basis; 2 if omitted.
        measure: as in `SplineEffect`: observed (or noisily observed) inputs, a pair (x, weights),
            or None for uniform on the domain.
        penalty: an object of `numpyro_splines.penalties`, instead of `order`.

    Attributes:
        basis: the basis.
        penalty: the penalty.
        mu: the measure.
        spectrum: the decomposition.

    Raises:
        TypeError: if an argument is of the wrong kind, or both `order` and `penalty` are given.
        ValueError: if the measure is not one of the basis, or the penalty leaves no modes.

    Example:
        >>> import numpyro_splines as ns
        >>> margin = CurveMargin(ns.BSplineBasis(ns.knots.uniform(0.0, 1.0, 6)))
        >>> margin.num_constant, margin.num_linear, margin.num_modes
        (1, 1, 6)
    """

    basis: AbstractBasis
    penalty: AbstractPenalty
    mu: Measure
    spectrum: Spectrum
    functions: Float[Array, "..."] | np.ndarray
    variances: Float[Array, "..."] | np.ndarray
    observed: Float[Array, "..."] | np.ndarray
    rows: tuple[np.ndarray, ...] | None
    num_observations: float = eqx.field(static=True)
    num_constant: int = eqx.field(static=True)
    num_linear: int = eqx.field(static=True)

    def __init__(
        self,
        basis: AbstractBasis,
        order: int | None = None,
        *,
        measure: Any = None,
        penalty: AbstractPenalty | None = None,
    ):
        if not isinstance(basis, AbstractBasis):
            raise TypeError(
                "`basis` must be an object such as numpyro_splines.BSplineBasis(...); got "
                f"{kinds_of(basis)}."
            )
        if order is not None and penalty is not None:
            raise TypeError(
                "`order` and `penalty` must not both be given: the order is that of the penalty."
            )
        penalty = Derivative(2 if order is None else order) if penalty is None else penalty
        if not isinstance(penalty, AbstractPenalty):
            raise TypeError(
                "`penalty` must be an object such as numpyro_splines.penalties.Derivative(2); got "
                f"{penalty!r}."
            )
        self.basis, self.penalty = basis, penalty
        self.mu = basis.measure(measure)
        self.observed = basis.gram(self.mu.observations)
        self.spectrum = karhunen_loeve(
            basis.gram(self.mu),
            penalty.matrix(basis),
            penalty.unpenalized(basis),
            self.observed,
        )
        polynomials = np.asarray(self.spectrum.polynomials)
        self.functions = np.concatenate([polynomials, np.asarray(self.spectrum.modes)], axis=1)
        free = np.ones(polynomials.shape[1])
        deviations = np.asarray(self.spectrum.standard_deviations)
        self.variances = np.concatenate([free, deviations**2])
        # Some bases lack the constant: constrained and integrated ones.
        self.num_constant = basis.null_space(1).shape[-1]
        self.num_linear = polynomials.shape[1] - self.num_constant
        self.num_observations = float(self.mu.num_observations)
        plain = measure is not None and not isinstance(measure, tuple)
        self.rows = None
        if plain:
            self.rows = (float64_array(measure, "measure", missing="nan").ravel(),)

    @property
    def linear(self) -> np.ndarray:
        """Coefficients of the linear functions, shape (K, number of them)."""
        return np.take(self.functions, self.part("linear"), axis=1)

    @property
    def constant(self) -> np.ndarray:
        """Coefficients of the constant, shape (K, 1 or 0)."""
        return np.take(self.functions, self.part("constant"), axis=1)

    @property
    def discrete(self) -> bool:
        return False

    @property
    def shape(self) -> tuple[int, ...]:
        return (self.basis.num_coefficients,)

    def axes(self, names: tuple[str, ...]) -> tuple[Any, ...]:
        mu = self.mu.observations
        pieces = getattr(self.basis, "pieces", None)
        if pieces is None:
            return (BasisAxis(names[0], self.basis, 0, mu.points, mu.weights),)
        breakpoints, table, periodic = pieces()
        order = table.shape[-1] - 1
        weights = cell_means(mu.points, mu.weights, breakpoints, order, periodic=periodic)
        return (PolynomialAxis(names[0], breakpoints, table, periodic, weights),)

    def design(self, *inputs: np.ndarray) -> np.ndarray:
        return self.basis.collocation(inputs[0])
