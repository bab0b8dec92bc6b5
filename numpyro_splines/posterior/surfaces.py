"""Surfaces of draws with the names of their axes and of their inputs."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, ClassVar, Self

import numpy as np

from numpyro_splines.functions import Combination, Curve, IndexAxis, Surface
from numpyro_splines.posterior.labeled import SAMPLE, AbstractLabeled, LabeledCurve


class LabeledSurface(AbstractLabeled):
    """A batch of surfaces, one for each draw, whose axes and inputs have names.

    Usually made by `surface(effect, draws)`. What `Surface` can do, by the names of its inputs, and
    groups by their labels: `f.slice(boy="Ann")` is the curve of Ann.

    Args:
        surface: with one batch axis for each name.
        dims: names of the batch axes, chain and draw first.
        coords: coordinates along them, by name; 0, 1, ... where omitted.
        name: of the function.
        levels: labels of inputs that are groups, by name; 0, 1, ... where omitted.

    Raises:
        TypeError: if `surface` is none.
        ValueError: if names, coordinates or labels do not fit the surface.

    Example:
        >>> import numpyro_splines as ns
        >>> line = ns.CurveMargin(ns.BSplineBasis([0.0, 1.0], degree=1), order=1)
        >>> growth = ns.TensorEffect("growth", age=line, boy=ns.GroupMargin(["Ann", "Tom"]))
        >>> made = growth.function(np.ones((4, 100, 2, 2)))
        >>> f = LabeledSurface(made, name="growth", levels={"boy": ["Ann", "Tom"]})
        >>> f.slice(boy="Ann") - f.slice(boy="Tom")
        LabeledCurve 'growth[Ann] - growth[Tom]' of 'age' with (chain: 4, draw: 100)
    """

    noun: ClassVar[str] = "surface"

    def __init__(
        self,
        surface: Any,
        *,
        dims: Sequence[str] = SAMPLE,
        coords: Mapping[str, Any] | None = None,
        name: str = "f",
        levels: Mapping[str, Any] | None = None,
    ):
        if not isinstance(surface, Surface):
            raise TypeError(f"`surface` must be a Surface; got {type(surface).__name__}.")
        self.surface = surface
        self._name_axes(dims, coords, name)
        groups = {axis.name: axis.size for axis in surface.axes if isinstance(axis, IndexAxis)}
        given = levels or {}
        self.levels = {key: list(given.get(key, range(size))) for key, size in groups.items()}
        if wrong := [key for key, own in self.levels.items() if len(own) != groups[key]]:
            raise ValueError(
                f"`levels[{wrong[0]!r}]` must hold {groups[wrong[0]]} labels, one for each group; "
                f"got {len(self.levels[wrong[0]])}."
            )

    @property
    def function(self) -> Any:
        return self.surface

    @property
    def inputs(self) -> tuple[str, ...]:
        return self.surface.names

    @property
    def numeric(self) -> tuple[str, ...]:
        """Names of the inputs that are no groups."""
        return tuple(name for name in self.inputs if name not in self.levels)

    def exact(self, name: str) -> Surface:
        del name
        return self.surface

    def derivative(self, /, **orders: int) -> Self:
        """The exact partial derivative; see `Surface.derivative`.

        Args:
            **orders: by name of the input.

        Returns:
            Surfaces with the same axes, named as a derivative.
        """
        return self._with(self.surface.derivative(**orders), partial_name(self.name, orders))

    def rename(self, **names: str) -> Self:
        """The same surfaces with other names of inputs, such as ones with units for pictures.

        Args:
            **names: new names by old ones: `f.rename(dose="dose (mg)")`.

        Returns:
            Surfaces that take their inputs by the new names.

        Raises:
            ValueError: if there is no such input, or names are not different.
        """
        if unknown := [name for name in names if name not in self.inputs]:
            raise ValueError(f"the inputs of {self.name!r} are {self.inputs}; got {unknown}.")
        axes = [replace(axis, name=names.get(axis.name, axis.name)) for axis in self.surface.axes]
        return type(self)(
            replace(self.surface, axes=tuple(axes)),
            dims=self.dims,
            coords=self.coords,
            name=self.name,
            levels={names.get(name, name): own for name, own in self.levels.items()},
        )

    def slice(self, /, **values: Any) -> Any:
        """The functions of the other inputs, with some fixed; see `Surface.slice`.

        Args:
            **values: by name of the input: numbers, or labels of a group. A list of them becomes
                an axis of that name: `f.slice(boy=f.levels["boy"])` are the curves by boy.

        Returns:
            A `LabeledCurve` of one remaining numeric input, else a `LabeledSurface`.

        Raises:
            TypeError: if an input is unknown.
            ValueError: if none remains, or a label is none of the levels.
        """
        given = {key: np.asarray(value) for key, value in values.items()}
        new = [key for key, value in given.items() if value.ndim]
        if many := [key for key in new if given[key].ndim > 1]:
            raise ValueError(f"`{many[0]}` must be a value or a list; got {given[many[0]].shape}.")
        at = {}
        for key, value in given.items():
            place = self.index(key, value) if key in self.levels else value
            later = len(new) - 1 - new.index(key) if key in new else 0
            at[key] = np.reshape(place, (*np.shape(place), *(1,) * later))
        shown = [
            str(value) if key in self.levels else f"{key}={value:.3g}"
            for key, value in values.items()
            if key not in new
        ]
        name = f"{self.name}[{', '.join(shown)}]" if shown else self.name
        dims, coords = (*self.dims, *new), {**self.coords, **{key: given[key] for key in new}}
        return self._rest(self.surface.slice(**at), name, at, dims, coords)

    def integrate(self, /, **bounds: tuple[float, float]) -> Any:
        """The functions of the other inputs, with some integrated over; see `Surface.integrate`.

        Args:
            **bounds: by name of the input, pairs (lower, upper) of numbers.

        Returns:
            As for `slice`; a labeled array with the axes of the surfaces where no input remains.
        """
        made = self.surface.integrate(**bounds)
        return self._rest(made, f"integral of {self.name}", bounds)

    def mean(self, /, *names: str) -> Any:
        """The functions of the other inputs, averaged over some; see `Surface.mean`.

        Args:
            *names: of the inputs to average over; all if none is given.

        Returns:
            As for `integrate`.
        """
        made = self.surface.mean(*names)
        return self._rest(made, f"mean of {self.name}", names)

    def component(self, name: str) -> Any:
        """The part of the analysis of variance that is of these inputs; see `Surface.component`.

        Args:
            name: of one input, or of several joined by colons.

        Returns:
            As for `slice`, named `<f>.<name>`.
        """
        made = self.surface.component(name)
        others = set(self.inputs) - set(name.split(":"))
        return self._rest(made, f"{self.name}.{name}", others)

    def index(self, name: str, labels: Any) -> np.ndarray:
        """The position of each label among the levels of a group.

        Args:
            name: of the group.
            labels: one, or an array of any shape.

        Returns:
            Integers of the shape of the labels.

        Raises:
            ValueError: if a label is none of the levels.
        """
        levels = self.levels[name]
        known = {level: place for place, level in enumerate(levels)}
        flat = np.asarray(labels).ravel().tolist()
        if unknown := [label for label in flat if label not in known]:
            raise ValueError(
                f"`{name}` must hold levels of {self.name!r}, {_few(levels)}; got {_few(unknown)}."
            )
        places = np.array([known[label] for label in flat], dtype=np.int32)
        return places.reshape(np.shape(labels))

    def _rest(
        self,
        made: Any,
        name: str,
        gone: Any,
        dims: Sequence[str] | None = None,
        coords: Mapping[str, Any] | None = None,
    ) -> Any:
        """What is left of the surfaces without some inputs, labeled."""
        dims, coords = self.dims if dims is None else dims, coords or self.coords
        if isinstance(made, Surface):
            return self._made(made, name, dims, coords)
        if isinstance(made, Curve | Combination):
            (kept,) = [key for key in self.numeric if key not in gone]
            return LabeledCurve(made, dims=dims, coords=coords, name=name, input_name=kept)
        return self.array(made).rename(name)

    def _made(
        self, function: Any, name: str, dims: Sequence[str], coords: Mapping[str, Any]
    ) -> Self:
        return type(self)(function, dims=dims, coords=coords, name=name, levels=self.levels)

    def _mapped(self, change: Callable[[Any], Any]) -> Any:
        return replace(self.surface, coefficients=change(self.surface.coefficients))


def partial_name(name: str, orders: Mapping[str, int]) -> str:
    """The name of a partial derivative: "d2f/dxdz".

    Args:
        name: of the function.
        orders: by name of the input.
    """
    total = sum(orders.values())
    if total == 0:
        return name
    below = "".join(f"d{key}{_power(order)}" for key, order in orders.items() if order)
    return f"d{_power(total)}{name}/{below}"


def _power(order: int) -> str:
    return str(order) if order > 1 else ""


def _few(labels: Sequence[Any]) -> str:
    return ", ".join(map(repr, labels[:5])) + (", ..." if len(labels) > 5 else "")
