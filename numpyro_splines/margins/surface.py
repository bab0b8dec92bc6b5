"""The margin of two numbers in the same unit: surfaces that are alike in all directions."""

from __future__ import annotations

from typing import Any

import equinox as eqx
import numpy as np
from jaxtyping import Array, Float

from numpyro_splines.arguments import kinds_of
from numpyro_splines.bases import AbstractBasis
from numpyro_splines.functions import PolynomialAxis, cell_means
from numpyro_splines.margins.base import AbstractMargin
from numpyro_splines.measure import UNIFORM_SHARE, Measure
from numpyro_splines.spectrum import Spectrum, karhunen_loeve
from numpyro_splines.validation import float64_rows, integer_at_least

# The decomposition is dense: at this many functions it takes seconds, and grows with the cube.
_MOST_FUNCTIONS = 900

# However few modes hold the share of the prior variance that is asked for, so many are kept.
_FEWEST_MODES = 30

# Rows whose products of functions are formed at once.
_CHUNK = 4096


class SurfaceMargin(AbstractMargin):
    r"""Two inputs whose distances are of one kind, as in space: an isotropic surface.

    On products of the functions of two bases the penalty is the thin-plate energy over their
    rectangle

        J(f) = int f_xx^2 + 2 f_xz^2 + f_zz^2 dx dz,    S = P2 x G + 2 P1 x P1 + G x P2

    with P1, P2 the derivative penalties of each basis and G its integral of products. It leaves 1,
    x and z free: the constant and the linear functions, as far as the bases contain them. Both
    inputs must be in the same unit; for inputs that are not, multiply two `CurveMargin`s.

    Widen the domains by a quarter of the range of the data on each side, as in the example: the
    thin-plate spline of the whole plane is flat far away, and a rectangle that ends with the data
    lets the ends bend more freely. So fits are near those of mgcv's `s(x, z)`, not the same: in an
    example with 30 observations and one smoothing parameter for both they differ by 16 % of max|f|
    on the range itself, by 10 % with a quarter of it more on each side, and by 6 % with all of it.
    Errors against a known surface are as small.

    Args:
        basis_x: a piecewise polynomial basis of this package, of degree 2 or more; at most 900
            products in all.
        basis_z: the same for z.
        measure: a pair (x, z) of observed inputs, row by row: their joint empirical measure with
            1 % of the uniform one, and centering at the observations alone. Rows with a NaN do not
            count. None for uniform on the rectangle.
        num_modes: how many modes to keep, the smoothest; if omitted as many as hold `share` of the
            prior variance, but at least 30 (or all).
        share: in (0, 1]. The variance of modes left out goes to those kept, in proportion.

    Attributes:
        bases: the pair of bases.
        mu: the measure of each input, a pair.
        spectrum: the decomposition, of all modes. Coefficient i K_z + j is that of the product of
            functions i of x and j of z.

    Raises:
        TypeError: if an argument is of the wrong kind.
        ValueError: if there are too many functions, or inputs are not of one length.

    Example:
        >>> import numpy as np, numpyro_splines as ns
        >>> x, z = np.random.default_rng(0).uniform(size=(2, 200))
        >>> wide = ns.BSplineBasis(ns.knots.uniform(-0.25, 1.25, 7))
        >>> margin = SurfaceMargin(wide, wide, measure=(x, z))
        >>> margin.shape, margin.num_linear, margin.num_modes
        ((9, 9), 2, 30)

    References:
        Wood, Generalized Additive Models (2017), section 5.5.1, for the energy.
    """

    bases: tuple[AbstractBasis, AbstractBasis]
    mu: tuple[Measure, Measure]
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
        basis_x: AbstractBasis,
        basis_z: AbstractBasis,
        *,
        measure: Any = None,
        num_modes: int | None = None,
        share: float = 0.995,
    ):
        self.bases = (basis_x, basis_z)
        _check_bases(self.bases)
        self.rows = None if measure is None else _pair(measure)
        seen = None if self.rows is None else _complete(self.rows)
        if seen is None:
            self.mu = (basis_x.measure(), basis_z.measure())
        else:
            self.mu = (basis_x.measure(seen[0]), basis_z.measure(seen[1]))
        self.num_observations = float(self.mu[0].num_observations)
        gram = np.kron(basis_x.gram(), basis_z.gram())
        self.observed = gram
        if seen is not None:
            # The marginal measures begin with the observations, moved into the domain.
            inside = [mu.points[: seen[0].size] for mu in self.mu]
            self.observed = self._gram(*inside)
            gram = (1.0 - UNIFORM_SHARE) * self.observed + UNIFORM_SHARE * gram
        free = unpenalized(basis_x, basis_z)
        self.spectrum = karhunen_loeve(gram, energy(basis_x, basis_z), free, self.observed)
        variances = np.asarray(self.spectrum.standard_deviations) ** 2
        kept = _kept(variances, num_modes, share)
        polynomials, modes = np.asarray(self.spectrum.polynomials), np.asarray(self.spectrum.modes)
        self.functions = np.concatenate([polynomials, modes[:, :kept]], axis=1)
        self.variances = np.ones(self.functions.shape[1])
        self.variances[free.shape[1] :] = variances[:kept] / variances[:kept].sum()
        self.num_constant = min(basis.null_space(1).shape[1] for basis in self.bases)
        self.num_linear = free.shape[1] - self.num_constant

    @property
    def discrete(self) -> bool:
        return False

    @property
    def shape(self) -> tuple[int, ...]:
        return tuple(basis.num_coefficients for basis in self.bases)

    def axes(self, names: tuple[str, ...]) -> tuple[Any, ...]:
        axes = []
        for name, basis, measure in zip(names, self.bases, self.mu, strict=True):
            mu = measure.observations
            breakpoints, table, periodic = _pieces(basis)
            order = table.shape[-1] - 1
            means = cell_means(mu.points, mu.weights, breakpoints, order, periodic=periodic)
            axes.append(PolynomialAxis(name, breakpoints, table, periodic, means))
        return tuple(axes)

    def design(self, *inputs: np.ndarray) -> np.ndarray:
        first, second = (b.collocation(x) for b, x in zip(self.bases, inputs, strict=True))
        return (first[:, :, None] * second[:, None, :]).reshape(len(first), -1)

    def _gram(self, x: np.ndarray, z: np.ndarray) -> np.ndarray:
        """Mean product of the functions at the rows, a part of them at a time."""
        num = int(np.prod(self.shape))
        total = np.zeros((num, num))
        for start in range(0, x.size, _CHUNK):
            rows = self.design(x[start : start + _CHUNK], z[start : start + _CHUNK])
            total += rows.T @ rows
        return total / x.size


def energy(basis_x: AbstractBasis, basis_z: AbstractBasis) -> np.ndarray:
    """The thin-plate energy of products of the functions of two bases, over their rectangle.

    Args:
        basis_x: the basis of the input that varies slowest.
        basis_z: the other.

    Returns:
        S, positive semi-definite, shape (K_x K_z, K_x K_z), in units of f^2 / (unit of x)^2.
    """
    gram_x, slope_x, bend_x = basis_x.penalty((0, 1, 2))
    gram_z, slope_z, bend_z = basis_z.penalty((0, 1, 2))
    return np.kron(bend_x, gram_z) + 2.0 * np.kron(slope_x, slope_z) + np.kron(gram_x, bend_z)


def unpenalized(basis_x: AbstractBasis, basis_z: AbstractBasis) -> np.ndarray:
    """Coefficients of 1, x and z, as far as products of the bases contain them.

    A basis of one input may have the constant and x, one of them, or x - c alone.

    Args:
        basis_x: the basis of the input that varies slowest.
        basis_z: the other.

    Returns:
        Shape (K_x K_z, at most 3), first the constant where it is one of them.
    """
    constants, lines = zip(*map(_constant_and_line, (basis_x, basis_z)), strict=True)
    columns = [
        np.kron(constants[0], constants[1]),
        np.kron(lines[0], constants[1]),
        np.kron(constants[0], lines[1]),
    ]
    return np.concatenate(columns, axis=1)


def _constant_and_line(basis: AbstractBasis) -> tuple[np.ndarray, np.ndarray]:
    """Coefficients of the constant, and of a line, each of shape (K, 1), or (K, 0) if missing."""
    free = basis.null_space(2)
    num = basis.null_space(1).shape[1]
    return free[:, :num], free[:, num:]


def _check_bases(bases: tuple[AbstractBasis, AbstractBasis]) -> None:
    for name, basis in zip(("basis_x", "basis_z"), bases, strict=True):
        if not isinstance(basis, AbstractBasis) or not hasattr(basis, "pieces"):
            raise TypeError(
                f"`{name}` must be a basis of piecewise polynomials, such as "
                f"numpyro_splines.BSplineBasis(...); got {kinds_of(basis)}."
            )
    numbers = [basis.num_coefficients for basis in bases]
    if numbers[0] * numbers[1] > _MOST_FUNCTIONS:
        raise ValueError(
            f"`basis_x` and `basis_z` must have at most {_MOST_FUNCTIONS} products of functions; "
            f"got {numbers[0]} x {numbers[1]}. Use fewer breakpoints."
        )


def _pieces(basis: Any) -> tuple[np.ndarray, np.ndarray, bool]:
    return basis.pieces()


def _pair(measure: Any) -> tuple[np.ndarray, np.ndarray]:
    """The two columns of observed inputs, NaN where one is missing."""
    if not isinstance(measure, tuple | list) or len(measure) != 2:
        raise TypeError(
            "`measure` must be a pair (x, z) of observed inputs, row by row, or None; got "
            f"{kinds_of(measure)}."
        )
    x, z = (float64_rows(values, "measure") for values in measure)
    if x.shape != z.shape:
        raise ValueError(
            f"`measure` must hold x and z of the same rows; got {x.size} and {z.size} of them."
        )
    return x, z


def _complete(rows: tuple[np.ndarray, ...]) -> tuple[np.ndarray, ...]:
    """The rows without a NaN."""
    seen = ~np.isnan(np.stack(rows)).any(axis=0)
    if not seen.any():
        raise ValueError(
            "`measure` must hold at least one row with both x and z; got none. Leave it out for "
            "the uniform measure."
        )
    return tuple(values[seen] for values in rows)


def _kept(variances: np.ndarray, num_modes: int | None, share: float) -> int:
    """How many modes are kept, of those with these variances."""
    if num_modes is not None:
        kept = integer_at_least(num_modes, 1, "num_modes")
        if kept > variances.size:
            raise ValueError(
                f"`num_modes` must be at most {variances.size}, all modes there are; got {kept}."
            )
        return kept
    if not 0.0 < share <= 1.0:
        raise ValueError(f"`share` must lie in (0, 1]; got {share}.")
    if share == 1.0:
        return variances.size
    enough = 1 + int(np.searchsorted(np.cumsum(variances), share * variances.sum()))
    return min(max(enough, _FEWEST_MODES), variances.size)
