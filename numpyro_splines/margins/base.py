"""What every margin offers: orthonormal functions of one input, in three parts."""

from __future__ import annotations

import abc
from typing import Any

import equinox as eqx
import numpy as np
from jaxtyping import Array, Float

# What the functions of a margin are split into, in the order of their columns.
PARTS = ("constant", "linear", "modes")


class AbstractMargin(eqx.Module):
    r"""One input of an effect of several: functions orthonormal with respect to a measure of it.

    The functions are combinations of a *raw* basis and come in three parts: the constant, the
    *linear* ones (what the penalty leaves free but the constant) and the *modes* (what it sees),
    with prior variances 1, 1 and sd_m^2, sum_m sd_m^2 = 1. An effect multiplies functions of its
    margins; see `numpyro_splines.components`.

    Attributes:
        functions: coefficients of the functions in the raw basis, columns in the order constant,
            linear, modes; shape (K, k).
        variances: prior variances of the functions, shape (k,).
        observed: Gram matrix of the raw basis at the observations, for weights that sum to one;
            shape (K, K).
        num_observations: how many there are; 0 for none.
        rows: the observed inputs one by one, for margins that see the same observations: one array
            of shape (n,) for each input; None where they are not known.
        num_constant: 1, or 0 where the margin has no constant.
        num_linear: the number of linear functions.
    """

    functions: eqx.AbstractVar[Float[Array, "..."] | np.ndarray]
    variances: eqx.AbstractVar[Float[Array, "..."] | np.ndarray]
    observed: eqx.AbstractVar[Float[Array, "..."] | np.ndarray]
    num_observations: eqx.AbstractVar[float]
    rows: eqx.AbstractVar[tuple[np.ndarray, ...] | None]
    num_constant: eqx.AbstractVar[int]
    num_linear: eqx.AbstractVar[int]

    @property
    @abc.abstractmethod
    def discrete(self) -> bool:
        """Whether the input is a position among levels rather than a number."""

    @property
    def num_functions(self) -> int:
        """The number k of functions."""
        return self.functions.shape[-1]

    @property
    def num_modes(self) -> int:
        """The number of modes."""
        return self.num_functions - self.num_constant - self.num_linear

    def part(self, name: str) -> np.ndarray:
        """Columns of `functions` that are one part.

        Args:
            name: "constant", "linear" or "modes".

        Returns:
            Their positions, one per function of the part; empty where there is none.
        """
        stops = np.cumsum([0, self.num_constant, self.num_linear, self.num_modes])
        position = PARTS.index(name)
        return np.arange(stops[position], stops[position + 1])

    @property
    @abc.abstractmethod
    def shape(self) -> tuple[int, ...]:
        """Numbers of raw basis functions of each input; their product is K."""

    @property
    def num_inputs(self) -> int:
        """The number of inputs: 1, or 2 for an isotropic surface."""
        return len(self.shape)

    @abc.abstractmethod
    def axes(self, names: tuple[str, ...]) -> tuple[Any, ...]:
        """The axes of surfaces that have the raw basis of this margin.

        Args:
            names: of the inputs.
        """

    @abc.abstractmethod
    def design(self, *inputs: np.ndarray) -> np.ndarray:
        """The raw basis at known inputs on the host.

        Args:
            *inputs: each of shape (n,).

        Returns:
            Shape (n, K), float64.
        """
