"""Contrasts of factors: what a linear term of labels says of its levels."""

from __future__ import annotations

import abc
from typing import Any, Self

import equinox as eqx
import numpy as np

from numpyro_splines.margins.group import contrasts
from numpyro_splines.margins.labels import levels_of, positions
from numpyro_splines.ops.arrays import array_module

_ADVICE = (
    "Coefficients of other levels are not known: make the factor of all labels, or let the levels "
    "be a sample, GroupMargin(labels) of a TensorEffect."
)


class AbstractContrasts(eqx.Module):
    """A factor of L levels as L - 1 columns of a linear term.

    Attributes:
        levels: the labels in their order; none where labels are to come from a frame.
        rows: position of the level of each observation, shape (n,); None without any.
    """

    levels: eqx.AbstractVar[tuple[Any, ...]]
    rows: eqx.AbstractVar[np.ndarray | None]

    @property
    @abc.abstractmethod
    def matrix(self) -> np.ndarray:
        """The value of each level in terms of the coefficients, shape (L, L - 1)."""

    @property
    @abc.abstractmethod
    def names(self) -> tuple[Any, ...]:
        """The level that each coefficient speaks of."""

    @abc.abstractmethod
    def _made(self, labels: Any) -> Self:
        """The like of these contrasts of the levels of labels."""

    def of(self, labels: Any, name: str = "labels") -> Self:
        """The same contrasts at other observations.

        Args:
            labels: of the observations; of contrasts without levels they tell these too.
            name: of the argument, for messages.

        Returns:
            Contrasts of the same levels.

        Raises:
            ValueError: if a label is none of the levels.
        """
        if not self.levels:
            return self._made(labels)
        rows = _rows(labels, self.levels, name)
        return eqx.tree_at(lambda c: c.rows, self, rows, is_leaf=lambda v: v is None)

    def columns(self) -> np.ndarray:
        """The columns at the observations, shape (n, L - 1).

        Raises:
            ValueError: if there are none: labels are to come from a frame.
        """
        if self.rows is None:
            raise ValueError(
                f"`labels` must be given, one for each observation: {type(self).__name__}(labels). "
                "Only where a data frame has them may they be left out."
            )
        return self.matrix[self.rows]

    def values(self, coefficients: Any) -> Any:
        """The value of each level.

        Args:
            coefficients: draws of the site of the term, shape (..., L - 1), NumPy or JAX.

        Returns:
            Shape (..., L), in the units of the predictor.
        """
        xp = array_module(coefficients)
        coefficients = xp.asarray(coefficients)
        return coefficients @ xp.asarray(self.matrix.T, dtype=coefficients.dtype)


class Treatment(AbstractContrasts):
    """A factor against a reference level: coefficient k is level k minus the reference.

    For a term of an `AdditivePredictor`, `linear={"sex": (Treatment(sex), dist.Normal(0.0, s))}`.
    The intercept is the level of the reference, and the prior is that of a difference from it: of
    two other levels it is Normal(0, s sqrt(2)). R's `contr.treatment`.

    Args:
        labels: one for each observation, as for `GroupMargin`; None where a data frame has them.
        reference: the label of the reference level; the first if omitted.

    Attributes:
        levels: the labels in their order: pandas categories (those that occur) in theirs, else
            sorted.

    Raises:
        TypeError: if labels are not of one kind.
        ValueError: if there are fewer than two levels, or the reference is none of them.

    Example:
        >>> dose = Treatment(["none", "high", "low", "none"], reference="none")
        >>> dose.levels, dose.names
        (('high', 'low', 'none'), ('high', 'low'))
        >>> print(dose.columns()[0], dose.values(np.array([3.0, 1.0])))
        [0. 0.] [3. 1. 0.]
    """

    levels: tuple[Any, ...] = eqx.field(static=True)
    rows: np.ndarray | None
    reference: Any = eqx.field(static=True)

    def __init__(self, labels: Any = None, reference: Any = None):
        self.levels, self.rows = _bound(labels)
        self.reference = self.levels[0] if self.levels and reference is None else reference
        if self.levels and not _among(self.reference, self.levels):
            raise ValueError(
                f"`reference` must be one of the levels {self.levels}; got {reference!r}."
            )

    @property
    def matrix(self) -> np.ndarray:
        return np.delete(np.eye(len(self.levels)), self.levels.index(self.reference), axis=1)

    @property
    def names(self) -> tuple[Any, ...]:
        return tuple(level for level in self.levels if level != self.reference)

    def _made(self, labels: Any) -> Treatment:
        return Treatment(labels, self.reference)


class SumToZero(AbstractContrasts):
    r"""A factor about the average of its levels: their values sum to zero.

    The intercept is the average of the levels. The columns are Helmert's, of a size at which
    coefficients ~ Normal(0, s) make the value of *each* level Normal(0, s), and any two levels
    equally different: whatever the order of the levels, the prior is the same. With R's `contr.sum`
    it is not: there the last level, minus the sum of the others, is sqrt(L - 1) times as wide.
    `values` has the levels one by one. Where s is to be learned from the levels, take
    `GroupMargin(labels, "fixed")` of a `TensorEffect`.

    Args:
        labels: as for `Treatment`.

    Attributes:
        levels: the labels in their order.

    Raises:
        TypeError: if labels are not of one kind.
        ValueError: if there are fewer than two levels.

    Example:
        >>> sex = SumToZero(["f", "m", "f"])
        >>> print(sex.columns().ravel(), sex.values(np.array([0.5])))
        [-1.  1. -1.] [-0.5  0.5]

    References:
        Rouder, Morey, Speckman and Province (2012), Default Bayes factors for ANOVA designs.
    """

    levels: tuple[Any, ...] = eqx.field(static=True)
    rows: np.ndarray | None

    def __init__(self, labels: Any = None):
        self.levels, self.rows = _bound(labels)

    @property
    def matrix(self) -> np.ndarray:
        num = len(self.levels)
        return np.sqrt(num / (num - 1.0)) * contrasts(num)

    @property
    def names(self) -> tuple[Any, ...]:
        return self.levels[1:]

    def _made(self, labels: Any) -> SumToZero:
        return SumToZero(labels)


def contrasts_of(values: Any) -> AbstractContrasts | None:
    """The contrasts of a factor without the rows at which they were made; None of numbers."""
    if not isinstance(values, AbstractContrasts):
        return None
    return eqx.tree_at(lambda c: c.rows, values, None)


def _among(label: Any, levels: tuple[Any, ...]) -> bool:
    try:
        return label in frozenset(levels)
    except TypeError:  # arrays and other things that are no labels
        return False


def _bound(labels: Any) -> tuple[tuple[Any, ...], np.ndarray | None]:
    """Levels and the position of each label; none without labels."""
    if labels is None:
        return (), None
    levels = levels_of(labels, "labels")
    if len(levels) < 2:
        raise ValueError(
            f"`labels` must have two levels or more; got {levels}. One level has no contrast: "
            "leave the factor out."
        )
    return levels, _rows(labels, levels)


def _rows(labels: Any, levels: tuple[Any, ...], name: str = "labels") -> np.ndarray:
    rows = positions(labels, levels, name, _ADVICE)
    if rows.ndim != 1:
        raise ValueError(
            f"`{name}` must hold one label for each observation; got shape {rows.shape}."
        )
    return rows
