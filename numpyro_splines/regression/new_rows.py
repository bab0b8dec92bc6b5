"""What new rows give to the terms of a predictor, by name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from numpyro_splines.regression.layout import linear_columns
from numpyro_splines.regression.rows import Rows, rows_of


class NewData(NamedTuple):
    """The data of new rows as the arguments of a predictor have them.

    Attributes:
        inputs: of each effect.
        linear: values or labels of linear terms by name.
        by: by name of the effect.
        offset: None for none.
    """

    inputs: tuple[tuple[Any, ...], ...]
    linear: dict[str, Any]
    by: Mapping[str, Any]
    offset: Any


def rows_at(
    predictor: Any, rows: Any, by: Any = None, offset: Any = None, *, points: bool = True
) -> Rows:
    """The terms of a predictor at new rows; see `AdditivePredictor.at`.

    Args:
        predictor: the predictor.
        rows: a data frame, or data by name of the term.
        by: what multiplies effects there.
        offset: the offset there.
        points: whether to prepare the inputs for the evaluation of functions.
    """
    sources = predictor.rows.template.sources
    read = data_by_name if sources is None else data_of_frame
    new = read(predictor, rows, by, offset)
    columns = new_columns(predictor, new.linear)
    return rows_of(
        predictor.effects, predictor.owned, new.inputs, columns, new.by, new.offset,
        sources=sources, defined=False, points=points,
    )  # fmt: skip


def data_of_frame(predictor: Any, frame: Any, by: Any, offset: Any) -> NewData:
    """The columns of a frame that has those which the predictor was made of."""
    if by is not None or offset is not None:
        raise TypeError(
            "`by` and `offset` must be left out where the predictor is made of a frame, which has "
            "their columns. Put them into the new frame under the same names."
        )
    sources = predictor.rows.template.sources
    columns = sources.read(frame)
    return NewData(
        tuple(tuple(columns[name] for name in own) for own in sources.inputs),
        {name: columns[name] for name in sources.linear},
        {effect: columns[column] for effect, column in sources.by},
        None if sources.offset is None else columns[sources.offset],
    )


def data_by_name(predictor: Any, rows: Any, by: Any, offset: Any) -> NewData:
    """The data of effects and linear terms by their names."""
    names = [effect.name for effect in predictor.effects]
    parts = zip(predictor.terms, predictor.constant, strict=True)
    linear = {block.site: constant for block, constant in parts}
    if not isinstance(rows, Mapping):
        raise TypeError(
            f"`rows` must be a mapping from names of terms, {[*names, *linear]}, to their data; "
            f"got {type(rows).__name__}. Frames are for predictors made by from_frame."
        )
    needed = [*names, *(name for name, constant in linear.items() if not constant)]
    if missing := [name for name in needed if name not in rows]:
        raise ValueError(f"`rows` must have the data of {needed}; got none of {missing}.")
    if unknown := [name for name in rows if name not in names and name not in linear]:
        raise ValueError(f"`rows` must name terms of the predictor, {needed}; got {unknown}.")
    multiplied = {
        n for n, v in zip(names, predictor.rows.template.multipliers, strict=True) if v is not None
    }
    if set(by or {}) != multiplied:
        raise ValueError(
            f"`by` must have the numbers that multiply {sorted(multiplied)} at the new rows, and "
            f"no others; got {sorted(by or {})}."
        )
    if (offset is None) != (predictor.rows.template.offset is None):
        has = "none" if offset is None else "one"
        raise ValueError(
            f"`offset` must be given at new rows where the predictor has one, and only there; got "
            f"{has}. Give offset=0.0 for one of zero."
        )
    inputs = (rows[name] for name in names)
    return NewData(
        tuple(own if isinstance(own, tuple) else (own,) for own in inputs),
        {name: rows[name] for name in linear if name in rows},
        by or {},
        offset,
    )


def new_columns(predictor: Any, given: Mapping[str, Any]) -> dict[str, np.ndarray]:
    """Columns of the linear terms at new rows; those of constants as they are."""
    result = {}
    for block, contrasts in zip(predictor.terms, predictor.contrasts, strict=True):
        name, size = block.site, block.stop - block.start
        if name not in given:
            result[name] = predictor.rows.template.columns[0, block.start : block.stop]
            continue
        values = given[name]
        values = values if contrasts is None else contrasts.of(values, name)
        result[name] = linear_columns(name, values)
        if result[name].shape[-1] != size:
            raise ValueError(
                f"`{name}` must have {size} column(s), one for each coefficient of the term; got "
                f"{result[name].shape[-1]}."
            )
    return result
