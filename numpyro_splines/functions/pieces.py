"""What the functions of this room take: curves by their data, whatever class holds them."""

from __future__ import annotations

import math
from dataclasses import Field, replace
from typing import Any, ClassVar, Protocol, TypeVar

import jax.numpy as jnp


class Pieces(Protocol):
    """Piecewise polynomials as `Curve`, the class of them, describes its attributes.

    A dataclass, so that `dataclasses.replace` makes another one of the same class.
    """

    __dataclass_fields__: ClassVar[dict[str, Field[Any]]]

    breakpoints: Any
    table: Any
    increment: Any
    periodic: bool

    @property
    def degree(self) -> int:
        """Polynomial degree of the pieces."""
        ...

    @property
    def batch_shape(self) -> tuple[int, ...]:
        """Shape of the batch of curves."""
        ...


AnyPieces = TypeVar("AnyPieces", bound=Pieces)


def flat(curve: AnyPieces) -> AnyPieces:
    """The same curves with one batch axis."""
    shape = curve.batch_shape
    size = math.prod(shape)
    breakpoints, increment = curve.breakpoints, curve.increment
    if breakpoints.ndim > 1:
        breakpoints = jnp.broadcast_to(breakpoints, (*shape, breakpoints.shape[-1]))
        breakpoints = breakpoints.reshape(size, breakpoints.shape[-1])
    if increment is not None:
        increment = jnp.broadcast_to(increment, shape).reshape(size)
    table = curve.table.reshape(size, *curve.table.shape[-2:])
    return replace(curve, breakpoints=breakpoints, table=table, increment=increment)
