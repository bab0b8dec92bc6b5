"""Sums of squares of a linear model over rows of data, which may come in batches."""

from __future__ import annotations

from typing import Any

import equinox as eqx
import numpy as np

from numpyro_splines.ops.piecewise import array_module
from numpyro_splines.regression.sparse import SparseDesign

# Relative variance of a direction below which rows do not show it.
_SEEN = 1e-6


class LeastSquares(eqx.Module):
    """sum_i w_i (y_i - phi_i' c)^2 for any c: all that a Gaussian likelihood needs of the rows.

    Written about coefficients a: with r_i = y_i - phi_i' a, and so whatever the
    level of y, nothing cancels. The offset is taken off y.

    Attributes:
        about: a, shape (p,).
        pull: sum_i w_i r_i phi_i, shape (p,).
        square: sum_i w_i r_i^2.
        gram: sum_i w_i phi_i phi_i', shape (p, p).
        spread: sum_i w_i (y_i - m)^2 about the weighted mean m of y.
        log_weights: sum_i log w_i.
        num: number of rows.
    """

    about: Any
    pull: Any
    square: Any
    gram: Any
    spread: Any
    log_weights: Any
    num: int = eqx.field(static=True)

    def moved(self, coefficients: Any) -> tuple[Any, Any]:
        """The pull and the square about other coefficients; NumPy or JAX.

        Args:
            coefficients: shape (p,).
        """
        step = coefficients - self.about
        turned = self.gram @ step
        return self.pull - turned, self.square - (2.0 * self.pull - turned) @ step

    def along(self, directions: Any) -> tuple[Any, Any]:
        """Coordinates D' Phi' W y for orthonormal columns of W^1/2 Phi D, and what they leave.

        Args:
            directions: D, shape (p, r).

        Returns:
            Shape (r,), and the weighted sum of squares of what is left of y.
        """
        whole = self.pull + self.gram @ self.about
        along = directions.T @ whole
        along = along + directions.T @ self.moved(directions @ along)[0]
        square = self.moved(directions @ along)[1]
        return along, array_module(square).maximum(square, 0.0)


class RowSums:
    """Sums of products over rows, added up batch by batch; float64, compensated.

    What rounding takes from each addition is kept beside the sum (Neumaier 1974): sums over many
    batches are as right as those within one.

    Args:
        about: coefficients that residuals are taken about, shape (p,).
    """

    NAMES = ("gram", "pull", "square", "log_weights", "weight", "shift", "spread")

    def __init__(self, about: np.ndarray):
        p = about.size
        self.about, self.num, self.num_batches = about, 0, 0
        self.sums = {name: np.zeros(()) for name in self.NAMES}
        self.sums |= {"gram": np.zeros((p, p)), "pull": np.zeros(p)}
        self.lost = {name: np.zeros_like(value) for name, value in self.sums.items()}
        self.center = 0.0

    def add(self, design: SparseDesign, y: np.ndarray, weights: np.ndarray | None) -> None:
        """Add the rows of a part of the data.

        Args:
            design: of the rows.
            y: shape (n,), the offset taken off.
            weights: shape (n,), None for ones.
        """
        w = np.ones(y.size) if weights is None else weights
        if self.num == 0:
            self.center = float(w @ y) / float(w.sum())
        residual = y - design.values(self.about)
        away = y - self.center
        new = {
            "gram": design.gram(w),
            "pull": design.transposed(w * residual),
            "square": (w * residual) @ residual,
            "log_weights": 0.0 if weights is None else np.log(w).sum(),
            "weight": w.sum(),
            "shift": w @ away,
            "spread": (w * away) @ away,
        }
        for name, value in new.items():
            old = self.sums[name]
            total = old + value
            back = total - old
            self.lost[name] = self.lost[name] + ((old - (total - back)) + (value - back))
            self.sums[name] = total
        self.num += y.size

    def total(self) -> LeastSquares:
        """The sums so far."""
        own = {name: self.sums[name] + self.lost[name] for name in self.NAMES}
        spread = own["spread"] - own["shift"] ** 2 / own["weight"]
        return LeastSquares(
            self.about, own["pull"], own["square"], own["gram"], spread, own["log_weights"],
            self.num,
        )  # fmt: skip

    def state(self) -> dict[str, np.ndarray]:
        """All of it as arrays by name."""
        arrays = {f"sum_{name}": value for name, value in self.sums.items()}
        arrays |= {f"lost_{name}": value for name, value in self.lost.items()}
        numbers = {"num": self.num, "num_batches": self.num_batches, "center": self.center}
        return arrays | {k: np.asarray(v) for k, v in numbers.items()} | {"about": self.about}

    @classmethod
    def of_state(cls, state: Any) -> RowSums:
        """Sums that `state` has written.

        Args:
            state: arrays by name.
        """
        own = cls(np.asarray(state["about"]))
        own.sums = {name: np.asarray(state[f"sum_{name}"]) for name in cls.NAMES}
        own.lost = {name: np.asarray(state[f"lost_{name}"]) for name in cls.NAMES}
        own.num, own.num_batches = int(state["num"]), int(state["num_batches"])
        own.center = float(state["center"])
        return own


def least_squares(
    design: SparseDesign,
    y: np.ndarray,
    weights: np.ndarray,
    num_fixed: int,
    gram: np.ndarray | None = None,
) -> LeastSquares:
    """The sums over rows in memory, about the fit of the fixed coefficients alone.

    What is left of y is then of the size of the smooth effects, whatever its level; and these,
    which some of the rows may know too little of, are left out.

    Args:
        design: of the rows.
        y: shape (n,), the offset taken off.
        weights: shape (n,).
        num_fixed: how many coefficients are fixed; they come first.
        gram: Phi' W Phi, where it is known.
    """
    gram = design.gram(weights) if gram is None else gram
    inner = gram[:num_fixed, :num_fixed]
    size = np.sqrt(np.where(np.diag(inner) > 0.0, np.diag(inner), 1.0))
    inverse = np.linalg.pinv(inner / np.outer(size, size), rcond=_SEEN, hermitian=True)
    about, residual = np.zeros(len(gram)), y
    for _ in range(2):  # once more: takes off the rounding of the first step
        pull = design.transposed(weights * residual)[:num_fixed]
        about[:num_fixed] += inverse @ (pull / size) / size
        residual = y - design.values(about)
    center = weights @ y / weights.sum()
    return LeastSquares(
        about,
        design.transposed(weights * residual),
        (weights * residual) @ residual,
        gram,
        weights @ (y - center) ** 2,
        np.log(weights).sum(),
        y.size,
    )
