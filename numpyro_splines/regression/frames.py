"""Terms of predictors by the names of columns of a data frame."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import numpy as np
import numpyro.distributions as dist

from numpyro_splines.arguments import kinds_of
from numpyro_splines.bases import BSplineBasis
from numpyro_splines.effects import AbstractEffect, SplineEffect, TensorEffect
from numpyro_splines.knots import quantile
from numpyro_splines.margins import CurveMargin, GroupMargin
from numpyro_splines.regression.contrasts import AbstractContrasts, Treatment
from numpyro_splines.regression.layout import holds_labels
from numpyro_splines.validation import float64_array

# Breakpoints of a curve, and of each margin of a surface: some more functions than the ten and the
# five that mgcv takes, as the prior says how much of them is used.
_CURVE, _MARGIN = 10, 5

# What `TensorEffect` calls its own arguments.
_ARGUMENTS = {"name", "components", "scales", "linear", "noise"}


class Sources(NamedTuple):
    """The columns of a frame that a predictor is made of.

    Attributes:
        inputs: of each effect.
        linear: of linear terms.
        by: name of the effect and the column, of each varying coefficient.
        offset: None for no offset.
    """

    inputs: tuple[tuple[str, ...], ...]
    linear: tuple[str, ...]
    by: tuple[tuple[str, str], ...]
    offset: str | None

    def read(self, frame: Any) -> dict[str, Any]:
        """The columns by name, each complete.

        Args:
            frame: a data frame, or arrays by name.

        Raises:
            ValueError: if columns are missing, or values in them.
        """
        own = [name for names in self.inputs for name in names]
        own += [*self.linear, *(column for _, column in self.by)]
        return columns_of(frame, own if self.offset is None else [*own, self.offset])


class FrameTerms(NamedTuple):
    """Arguments of `AdditivePredictor`, from a frame.

    Attributes:
        smooths: effects with their inputs.
        linear: values or contrasts, and priors.
        by: numbers by name of the effect.
        offset: None for none.
        sources: the columns that they are from.
    """

    smooths: list[tuple[Any, ...]]
    linear: dict[str, tuple[Any, dist.Distribution]]
    by: dict[str, Any]
    offset: Any
    sources: Sources


def columns_of(frame: Any, names: Iterable[str]) -> dict[str, Any]:
    """Columns of a frame by name, each complete; see `Sources.read`."""
    names = list(dict.fromkeys(names))
    has = getattr(frame, "columns", None)
    has = frame.keys() if has is None and isinstance(frame, Mapping) else has
    if has is None:
        raise TypeError(
            "`frame` must be a data frame, or a mapping from names of columns to arrays; got "
            f"{type(frame).__name__}."
        )
    if absent := [name for name in names if name not in has]:
        shown = list(has)
        few = f"{shown[:12]}" + (" and others" if len(shown) > 12 else "")
        raise ValueError(f"`frame` must have the columns {absent}; it has {few}.")
    columns = {name: frame[name] for name in names}
    gaps = {name: _missing(column) for name, column in columns.items()}
    if counts := {name: int(own.sum()) for name, own in gaps.items() if own.any()}:
        whole = len({own.shape for own in gaps.values()}) == 1
        rows = f" in {int(np.any(list(gaps.values()), axis=0).sum())} rows" if whole else ""
        raise ValueError(
            "`frame` must not have missing values in the columns that are used; got "
            f"{sum(counts.values())}{rows}: {counts}. Drop these rows with those of the response, "
            f"frame.dropna(subset={list(counts)}), or fill them in."
        )
    return columns


def terms_of(
    frame: Any,
    smooths: tuple[Any, ...],
    linear: Mapping[str, Any],
    by: Mapping[str, str],
    offset: str | None,
) -> FrameTerms:
    """The terms of a predictor by the names of columns; see `AdditivePredictor.from_frame`."""
    parts = [_effect_and_names(own) for own in smooths]
    inputs = tuple(names for _, names in parts)
    sources = Sources(inputs, tuple(linear), tuple(by.items()), offset)
    columns = sources.read(frame)
    pairs = []
    for effect, names in parts:
        own = [columns[name] for name in names]
        made = default_effect(dict(zip(names, own, strict=True))) if effect is None else effect
        pairs.append((made, *own))
    terms = {name: _linear_term(columns[name], own) for name, own in linear.items()}
    factors = {effect: columns[column] for effect, column in by.items()}
    shift = None if offset is None else columns[offset]
    return FrameTerms(pairs, terms, factors, shift, sources)


def default_effect(columns: Mapping[str, Any]) -> AbstractEffect:
    """The effect of one column or several that is meant where no other is given.

    A curve on knots at quantiles, the functional analysis of variance of several columns, groups of
    labels; the columns are its measure.
    """
    name = "_".join(columns)
    if len(columns) == 1 and not holds_labels(values := columns[name]):
        return SplineEffect(name, _basis(values, name, _CURVE), measure=values)
    if taken := sorted(_ARGUMENTS.intersection(columns)):
        raise ValueError(
            f"`smooths` must be of columns with names that margins can have; {taken} are arguments "
            "of TensorEffect. Rename these columns."
        )
    margins: dict[str, Any] = {
        key: GroupMargin(values)
        if holds_labels(values)
        else CurveMargin(_basis(values, key, _MARGIN), measure=values)
        for key, values in columns.items()
    }
    return TensorEffect(name, **margins)


def _basis(values: Any, name: str, num: int) -> BSplineBasis:
    distinct = np.unique(float64_array(values, name, ndim=1))
    if distinct.size < 2:
        raise ValueError(
            f"`{name}` must vary for a smooth of it; got {distinct}. Leave the term out, or give "
            "an effect with knots of your own."
        )
    return BSplineBasis(quantile(values, min(num, distinct.size)))


def _effect_and_names(own: Any) -> tuple[AbstractEffect | None, tuple[str, ...]]:
    """The effect, or None for the default one, and the columns of its inputs."""
    items = own if isinstance(own, tuple) else (own,)
    effect = items[0] if items and isinstance(items[0], AbstractEffect) else None
    names = items if effect is None else items[1:]
    if not names or not all(isinstance(name, str) for name in names):
        raise TypeError(
            '`smooths` must be names of columns: "age", ("longitude", "latitude") for a function '
            f'of both, or (effect, "age") with an effect of your own; got {kinds_of(own)}.'
        )
    return effect, tuple(names)


def _linear_term(column: Any, own: Any) -> tuple[Any, dist.Distribution]:
    """Values or contrasts, and the prior."""
    contrasts, prior = own if isinstance(own, tuple) else (None, own)
    if contrasts is None:
        return (Treatment(column) if holds_labels(column) else column), prior
    if not isinstance(contrasts, AbstractContrasts):
        raise TypeError(
            "`linear` must hold priors by column, or of factors pairs such as (SumToZero(), "
            f"prior); got {kinds_of(own)}."
        )
    return contrasts.of(column), prior


def _missing(column: Any) -> np.ndarray:
    """Where a column has no value."""
    if callable(isna := getattr(column, "isna", None)):
        return np.asarray(isna())
    if isinstance(column, np.ma.MaskedArray):
        return np.ma.getmaskarray(column)
    values = np.asarray(column)
    if values.dtype.kind == "f":
        return np.isnan(values)
    if values.dtype != object:
        return np.zeros(values.shape, bool)
    return np.array([v is None or v != v for v in values.ravel()], bool).reshape(values.shape)
