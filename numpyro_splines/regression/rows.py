"""What an additive predictor has at its rows of data: all of it that is another at new rows."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import equinox as eqx
import jax.numpy as jnp
import numpy as np

from numpyro_splines.effects import AbstractEffect
from numpyro_splines.regression.frames import Sources
from numpyro_splines.regression.layout import (
    Own,
    gaussian,
    multipliers,
    num_observations_of,
    offset_of,
    section_values,
    weights_of,
)
from numpyro_splines.regression.local import LocalRows, known_inputs, local_rows
from numpyro_splines.regression.sparse import SparseDesign, sparse_design


class RowLabels:
    """The index of the pandas objects that rows are from; no part of what the rows are.

    Args:
        index: a pandas Index.
    """

    def __init__(self, index: Any):
        self.index = index

    def __hash__(self) -> int:
        return 0

    def __eq__(self, other: object) -> bool:
        return isinstance(other, RowLabels)

    def check(self, value: Any, name: str) -> None:
        """Refuse a pandas object of other rows, or of the same in another order.

        Args:
            value: anything; what has no index goes by position.
            name: of the argument, for the message.

        Raises:
            ValueError: if it has an index of the same length that is not this one.
        """
        if not hasattr(value, "iloc") or len(value) != len(self.index):
            return
        own = value.index
        if own.equals(self.index):
            return
        same = own.isin(self.index).all() and self.index.isin(own).all()
        what = "the same labels in another order" if same else "other labels"
        first = int(np.flatnonzero(np.asarray(own != self.index))[0])
        raise ValueError(
            f"`{name}` must be in the rows of the predictor; its index holds {what}: "
            f"{own[first]!r} in place of {self.index[first]!r} at position {first}. Take it from "
            f"the same data frame, or reorder it; to go by position pass {name}.to_numpy()."
        )


def labels_of(named: Iterable[tuple[str, Any]]) -> RowLabels | None:
    """The index that all pandas objects among named values have; None if there is none.

    Args:
        named: names of arguments, and anything.

    Raises:
        ValueError: if they have different ones.
    """
    result = None
    for name, value in named:
        if result is not None:
            result.check(value, name)
        elif hasattr(value, "iloc"):
            result = RowLabels(value.index)
    return result


class SomeRows(NamedTuple):
    """What evaluation needs of rows; see `Rows`."""

    columns: Any
    points: tuple[Any, ...]
    multipliers: tuple[Any, ...]
    offset: Any


class Rows(eqx.Module):
    """The data of a predictor.

    Attributes:
        inputs: of each effect, numbers and positions of levels.
        multipliers: of each effect, shape (n,) or None.
        offset: what was given, shape (n,); None for nothing.
        points: the inputs prepared for functions of each effect.
        columns: of the linear terms, shape (n, k).
        known: the offset and the known curves that effects vary about, shape (n,).
        sparse: the design.
        sources: the columns of a frame that all of it is from; None where it is not.
        labels: the index of inputs that are pandas objects; None where none are.
    """

    inputs: tuple[tuple[np.ndarray, ...], ...]
    multipliers: tuple[np.ndarray | None, ...]
    offset: np.ndarray | None
    points: tuple[Any, ...]
    columns: np.ndarray
    known: np.ndarray
    sparse: SparseDesign
    sources: Sources | None = eqx.field(static=True, default=None)
    labels: RowLabels | None = eqx.field(static=True, default=None, repr=False)

    @property
    def template(self) -> Rows:
        """Rows in memory that new ones are like: these."""
        return self

    @property
    def in_memory(self) -> Rows:
        """These."""
        return self

    @property
    def num_observations(self) -> int:
        """The number n of observations."""
        return self.columns.shape[0]

    def observation_weights(self, weights: Any) -> np.ndarray:
        """Checked weights of the observations in float64, ones if None."""
        return weights_of(weights, self.num_observations)

    def weighted_gram(self, weights: np.ndarray | None) -> np.ndarray:
        """Phi' diag(weights) Phi in one pass over the data.

        Args:
            weights: one per observation, shape (n,); None for ones.

        Raises:
            ValueError: if an effect is not defined at all rows.
        """
        if not np.all(np.isfinite(self.sparse.matrix)):
            raise ValueError(
                "`predictor` must be defined at all rows to be fitted; an effect is NaN beyond its "
                "domain. Use another extrapolation or a wider domain."
            )
        return self.sparse.gram(self._ones(weights))

    def inner(
        self, directions: np.ndarray, weights: np.ndarray | None
    ) -> tuple[np.ndarray, np.ndarray]:
        """D' Phi' W Phi D and D' Phi' W Phi; see `SparseDesign.inner`."""
        return self.sparse.inner(directions, self._ones(weights))

    def _ones(self, weights: np.ndarray | None) -> np.ndarray:
        return np.ones(self.num_observations) if weights is None else weights

    def some(self, index: Any = None) -> SomeRows:
        """What evaluation needs of some rows.

        Args:
            index: positions, shape (m,), which may be traced; all rows if omitted.
        """
        if index is None:
            return SomeRows(self.columns, self.points, self.multipliers, self.offset)

        def chosen(values: Any) -> Any:
            return None if values is None else jnp.asarray(values)[index]

        points = tuple(own.rows(index) for own in self.points)
        factors = tuple(map(chosen, self.multipliers))
        return SomeRows(chosen(self.columns), points, factors, chosen(self.offset))

    def check(self, y: Any) -> None:
        """Refuse responses that are a pandas Series of other rows.

        Args:
            y: anything array-like.

        Raises:
            ValueError: if its index is not that of the inputs.
        """
        if self.labels is not None:
            self.labels.check(y, "y")


def rows_of(
    effects: tuple[AbstractEffect, ...],
    owned: tuple[Own, ...],
    values: Sequence[Sequence[Any]],
    columns: Mapping[str, np.ndarray],
    by: Mapping[str, Any],
    offset: Any,
    *,
    sources: Sources | None = None,
    defined: bool = True,
    points: bool = True,
) -> Rows:
    """The data of a predictor, checked.

    Args:
        effects: the effects.
        owned: their sections among all coefficients.
        values: inputs of each effect, as they were given.
        columns: of each linear term, shape (n, k) or, the same for all, (k,).
        by: as it was given.
        offset: as it was given.
        sources: columns of a frame.
        defined: whether to refuse rows where an effect is not defined, rather than have NaN there.
        points: whether to prepare the inputs for the evaluation of functions.
    """
    raw = [(e.name, x) for e, own in zip(effects, values, strict=True) for x in own]
    labels = labels_of([*raw, *by.items(), ("offset", offset)])
    inputs = tuple(known_inputs(e, own) for e, own in zip(effects, values, strict=True))
    n = num_observations_of([x for own in inputs for x in own], dict(columns))
    factors = multipliers(effects, by, n)
    given = offset_of(offset, n)
    spread = [np.broadcast_to(v, (n, v.shape[-1])) for v in columns.values()]
    every = np.concatenate([np.zeros((n, 0)), *spread], axis=1)
    known = np.zeros(n) if given is None else given
    total = every.shape[1] + sum(own.stop - own.start for own in owned)
    blocks = []
    for j, effect in enumerate(effects):
        local = local_rows(effect, inputs[j], defined=defined)
        places = np.concatenate([np.arange(o.start, o.stop) for o in owned if o.effect == j])
        blocks.append((local, _matrix(effect, owned, j, local, places, total), places, factors[j]))
        if (mean := gaussian(effect).known_mean) is not None:
            curve = local.values_of(np.asarray(mean))
            known = known + (curve if factors[j] is None else curve * factors[j])
    prepared = zip(effects, inputs, strict=True) if points else ()
    at = tuple(effect.at(*own) for effect, own in prepared)
    sparse = sparse_design(every, blocks)
    return Rows(inputs, factors, given, at, every, known, sparse, sources, labels)


def _matrix(
    effect: AbstractEffect,
    owned: tuple[Own, ...],
    position: int,
    local: LocalRows,
    places: np.ndarray,
    total: int,
) -> np.ndarray:
    """The local functions of an effect in terms of its coefficients."""
    unit = np.zeros((places.size, total))
    unit[np.arange(places.size), places] = 1.0
    return local.matrix(gaussian(effect).varying(section_values(owned, position, unit)))
