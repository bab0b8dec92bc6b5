"""What margins of levels share: labels, positions, one function of the raw basis for each level."""

from __future__ import annotations

from typing import Any

import equinox as eqx
import numpy as np

from numpyro_splines.functions import IndexAxis
from numpyro_splines.margins.base import AbstractMargin
from numpyro_splines.margins.labels import positions


class AbstractLevelMargin(AbstractMargin):
    """A margin whose input is the position of a level, under the uniform measure.

    Attributes:
        levels: the labels in their order.
    """

    levels: eqx.AbstractVar[tuple[Any, ...]]

    def index(self, labels: Any) -> np.ndarray:
        """The position of each label among the levels: what surfaces are called with.

        Args:
            labels: of any shape, of the kind that the margin was made of.

        Returns:
            Integers of the shape of the labels.

        Raises:
            ValueError: if a label is none of the levels.
        """
        return positions(labels, self.levels, "labels")

    @property
    def discrete(self) -> bool:
        return True

    @property
    def shape(self) -> tuple[int, ...]:
        return (len(self.levels),)

    def axes(self, names: tuple[str, ...]) -> tuple[Any, ...]:
        num = len(self.levels)
        return (IndexAxis(names[0], num, np.full(num, 1.0 / num)),)

    def design(self, *inputs: np.ndarray) -> np.ndarray:
        return np.eye(len(self.levels))[inputs[0]]


def shares(rows: np.ndarray, num: int) -> np.ndarray:
    """Gram matrix of the levels at observations, for weights that sum to one, shape (num, num)."""
    return np.diag(np.bincount(rows, minlength=num) / rows.size)
