"""The margin of a grouping factor: levels that are exchangeable, fixed, or independent."""

from __future__ import annotations

from typing import Any, Literal

import equinox as eqx
import numpy as np
from jaxtyping import Array, Float

from numpyro_splines.arguments import one_of
from numpyro_splines.margins.labels import levels_of
from numpyro_splines.margins.levels import AbstractLevelMargin, shares
from numpyro_splines.validation import positive_number

Kind = Literal["population", "fixed", "independent"]


class GroupMargin(AbstractLevelMargin):
    r"""A grouping factor of G levels: children, schools, sites, treatments.

    Its functions are a constant over the levels (the *average*) and G - 1 orthonormal contrasts,
    which sum to zero over the levels, all under the uniform measure, with prior variances 1 and, so
    that they sum to one, 1 / (G - 1) each (1 / G in a population: see `kind`).

    Args:
        labels: the labels of the observations, such as a column of a data frame, or the levels, or
            their number: strings, integers or pandas categories (in their order; else sorted).
        kind: what the levels are.

            "population": a sample of a population of levels, as children are. Each level deviates
            by an independent u_g of standard deviation tau; the effect samples the average b +
            mean(u) and the contrasts u - mean(u), which is the same model with a far easier
            geometry, and `TensorEffect.population` and `new_levels` are exact. Scales are those of
            the population: tau of a component with the group is the standard deviation of u, and
            that of a component without it belongs to b.

            "fixed": all the levels there are, as treatments are: the average and the contrasts have
            scales of their own.

            "independent": no average: f of each level is independent of the others, mgcv's
            `bs="re"` and `bs="fs"`. For a model whose average is another effect, see
            `numpyro_splines.components`.

        correlated: whether the level and the line of each u_g are correlated, as in lme4's and
            brms' (1 + x | g). True stands for the distribution LKJ(1) of their correlation matrix,
            a number for that concentration: one correlation r has the density (1 - r^2)^(number -
            1) up to a constant, uniform for True. It is the correlation of the levels *at the mean
            of x* with the slopes: the line is orthogonal to the constant at the observations.

    Attributes:
        levels: the labels in their order.
        kind: as the argument.
        correlated: the concentration; 0 where they are not.

    Raises:
        TypeError: if labels are not of one kind.
        ValueError: if there are fewer than two levels (one where independent), some labels are
            missing, `kind` is none of these, or the concentration is not positive.

    Example:
        >>> boys = GroupMargin(["Tom", "Ann", "Tom", "Bob"])
        >>> boys.levels, boys.num_modes, boys.index(["Bob", "Tom"])
        (('Ann', 'Bob', 'Tom'), 2, array([1, 2], dtype=int32))
    """

    functions: Float[Array, "..."] | np.ndarray
    variances: Float[Array, "..."] | np.ndarray
    observed: Float[Array, "..."] | np.ndarray
    rows: tuple[np.ndarray, ...] | None
    levels: tuple[Any, ...] = eqx.field(static=True)
    kind: Kind = eqx.field(static=True)
    correlated: float = eqx.field(static=True)
    num_observations: float = eqx.field(static=True)
    num_constant: int = eqx.field(static=True)
    num_linear: int = eqx.field(static=True)

    def __init__(self, labels: Any, kind: Kind = "population", *, correlated: bool | float = False):
        self.levels, self.kind = levels_of(labels, "labels"), kind
        # True is one: the uniform distribution.
        self.correlated = (
            0.0 if correlated is False else float(positive_number(correlated, "correlated"))
        )
        one_of(kind, ("population", "fixed", "independent"), "kind")
        num, independent = len(self.levels), kind == "independent"
        if num < 2 and not independent:
            raise ValueError(
                f"`labels` must have two levels or more; got {self.levels}. One level has no "
                "contrast: leave the factor out."
            )
        self.num_constant, self.num_linear = int(not independent), 0
        modes = np.eye(num) if independent else contrasts(num)
        self.functions = np.sqrt(num) * modes
        self.variances = np.full(modes.shape[1], 1.0 / (num - (kind == "fixed")))
        if not independent:
            self.functions = np.concatenate([np.ones((num, 1)), self.functions], axis=1)
            self.variances = np.concatenate([[1.0], self.variances])
        self.rows, self.observed = None, np.eye(num) / num
        if np.ndim(labels) == 1 and len(labels) > num:
            self.rows = (self.index(labels),)
            self.observed = shares(self.rows[0], num)
        self.num_observations = 0.0 if self.rows is None else float(len(self.rows[0]))


def contrasts(num: int) -> np.ndarray:
    """Orthonormal columns that sum to zero (Helmert's): each level against those before it.

    Args:
        num: of levels.

    Returns:
        Shape (num, num - 1).
    """
    rows, columns = np.indices((num, num - 1))
    size = np.sqrt((columns + 1.0) * (columns + 2.0))
    ahead = np.where(rows <= columns, -1.0, 0.0)
    return np.where(rows == columns + 1, columns + 1.0, ahead) / size
