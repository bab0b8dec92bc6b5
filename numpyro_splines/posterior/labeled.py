"""Curves of draws with the names of their axes, and what they share with surfaces."""

from __future__ import annotations

import abc
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar, Self

import jax.numpy as jnp
import numpy as np
import xarray as xr
from jaxtyping import Array

from numpyro_splines.arguments import mapping, names, text
from numpyro_splines.functions import Combination, Curve
from numpyro_splines.validation import real_array

# The axes of draws, as ArviZ names them.
SAMPLE = ("chain", "draw")

# What the results of this layer call their own variables and axes.
RESERVED = {
    *SAMPLE, "value", "maximum", "count", "mean", "sd", "lower", "upper", "probability",
    "extremum", "crossing", "inflection", "interval", "start", "stop", "target",
}  # fmt: skip


class AbstractLabeled(abc.ABC):
    """A batch of functions, one for each draw (and group), whose axes have names.

    They add, subtract and scale exactly, by the names of their axes: `f - g` for a difference,
    `f + level` with an intercept. An array has the leading axes (chain, draw, ...), a `DataArray`
    the axes that it names; in sums put the function first.

    Attributes:
        dims: names of the batch axes, chain and draw first.
        coords: coordinates along them, by name.
        name: of the function.
    """

    # So that NumPy arrays leave `array + curve` to the curve.
    __array_ufunc__ = None
    noun: ClassVar[str]

    dims: tuple[str, ...]
    coords: dict[str, np.ndarray]
    name: str

    @property
    @abc.abstractmethod
    def function(self) -> Any:
        """The batch of functions without the names of its axes."""

    @property
    @abc.abstractmethod
    def inputs(self) -> tuple[str, ...]:
        """Names of the inputs."""

    @abc.abstractmethod
    def exact(self, name: str) -> Any:
        """The functions themselves, for what only piecewise polynomials can do.

        Args:
            name: what is to be done, for the message.
        """

    @abc.abstractmethod
    def _made(
        self, function: Any, name: str, dims: Sequence[str], coords: Mapping[str, Any]
    ) -> Self:
        """The like of this with another batch of functions of the same inputs."""

    @abc.abstractmethod
    def _mapped(self, change: Callable[[Any], Any]) -> Any:
        """The functions with a change of the batch axes of their arrays."""

    def _name_axes(self, dims: Sequence[str], coords: Mapping[str, Any] | None, name: str) -> None:
        self.dims, self.name = names(dims, "dims"), text(name, "name")
        shape = self.function.batch_shape
        if self.dims[:2] != SAMPLE or len(self.dims) != len(shape):
            raise ValueError(
                f"`dims` must name the batch axes of the {self.noun}, ('chain', 'draw', ...), one "
                f"for each axis of its shape {shape}; got {self.dims}. Draws of a single chain "
                "need a first axis of length one: get_samples(group_by_chain=True), or array[None]."
            )
        every = (*self.inputs, *self.dims)
        if RESERVED.intersection(self.inputs) or len(set(every)) < len(every):
            which = "`input_name`" if len(self.inputs) == 1 else "inputs"
            raise ValueError(
                f"{which} and `dims` must be different names and none of {sorted(RESERVED)}; "
                f"got {', '.join(map(repr, self.inputs))} and {self.dims}."
            )
        given = mapping(coords, "coords")
        self.coords = {d: np.asarray(given.get(d, np.arange(s))) for d, s in self.sizes.items()}
        for dim, size in self.sizes.items():
            if self.coords[dim].shape != (size,):
                raise ValueError(
                    f"`coords[{dim!r}]` must have {size} entries, one for each {self.noun} along "
                    f"that axis; got shape {self.coords[dim].shape}."
                )

    @property
    def sizes(self) -> dict[str, int]:
        """Length of each batch axis by name."""
        return dict(zip(self.dims, self.function.batch_shape, strict=True))

    def __repr__(self) -> str:
        sizes = ", ".join(f"{dim}: {size}" for dim, size in self.sizes.items())
        inputs = ", ".join(map(repr, self.inputs))
        return f"{type(self).__name__} {self.name!r} of {inputs} with ({sizes})"

    def __array__(self, *_: Any, **__: Any) -> np.ndarray:
        # xarray would make an array of objects of `labeled array + curve`.
        raise TypeError(
            f"the {self.noun} {self.name!r} is no array: evaluate it with values({self.noun}, "
            f"{', '.join(self.inputs)}); in sums with a labeled array put the {self.noun} first."
        )

    def sel(self, **labels: Any) -> Self:
        """The functions at one label of each of the named axes.

        Args:
            **labels: coordinate by name of the axis, such as `group="a"`.

        Returns:
            Functions without these axes.

        Raises:
            KeyError: if there is no such axis, or no such coordinate.
        """
        index: list[Any] = [slice(None)] * len(self.dims)
        for dim, label in labels.items():
            if dim not in self.dims or dim in SAMPLE:
                raise KeyError(f"`sel` selects along {self.dims[2:]}; got {dim!r}.")
            found = np.flatnonzero(self.coords[dim] == label)
            if not found.size:
                raise KeyError(f"`{dim}` must be one of {list(self.coords[dim])}; got {label!r}.")
            index[self.dims.index(dim)] = int(found[0])
        dims = tuple(dim for dim in self.dims if dim not in labels)
        name = f"{self.name}[{', '.join(map(str, labels.values()))}]" if labels else self.name
        return self._with(self._mapped(lambda rows: rows[tuple(index)]), name, dims)

    def array(self, values: Any, dims: Sequence[str] = (), **coords: Any) -> xr.DataArray:
        """Numbers for each function as a labeled array.

        Args:
            values: shape (*batch axes, *further axes).
            dims: names of the further axes.
            **coords: their coordinates.

        Returns:
            The numbers with the axes of the functions, then the further ones.
        """
        names = (*self.dims, *dims)
        return xr.DataArray(np.asarray(values), {**self.coords, **coords}, names, name=self.name)

    def __add__(self, other: Any) -> Self:
        """The sum with other functions, or with a number for each function."""
        if not isinstance(other, AbstractLabeled):
            return self._with(self.exact("+") + self._factor(other), self.name)
        if type(other) is not type(self):
            raise TypeError(
                f"functions of the same inputs can be combined; got {self!r} and {other!r}. Add "
                "their values()."
            )
        dims = self.dims + tuple(dim for dim in other.dims if dim not in self.dims)
        coords = {**other.coords, **self.coords}
        for dim in set(self.dims) & set(other.dims):
            if not np.array_equal(self.coords[dim], other.coords[dim]):
                raise ValueError(
                    f"{self.noun}s can be combined if they agree on the axes that both have; "
                    f"{dim!r} has {_short(self.coords[dim])} and {_short(other.coords[dim])}. Take "
                    f"as many draws of both, or one {self.noun} of each with sel()."
                )
        first, second = (f._spread(dims) for f in (self, other))
        name = f"{self.name} + {other.name}".replace("+ -", "- ")
        return self._made(first + second, name, dims, coords)

    def __mul__(self, other: Any) -> Self:
        """The product with a number, or with one for each function."""
        return self._with(self.exact("*") * self._factor(other), self.name)

    __radd__, __rmul__ = __add__, __mul__

    def __neg__(self) -> Self:
        """The functions -f."""
        return self._with(-self.exact("-"), f"-{self.name}")

    def __sub__(self, other: Any) -> Self:
        """The difference f - g."""
        return self + (-other if isinstance(other, AbstractLabeled) else -self._factor(other))

    def _with(self, function: Any, name: str, dims: Sequence[str] | None = None) -> Self:
        return self._made(function, name, self.dims if dims is None else dims, self.coords)

    def _spread(self, dims: Sequence[str]) -> Any:
        """The functions with the batch axes `dims`, of length one where they have none."""
        self.exact("+")
        return self._mapped(lambda rows: spread(rows, self.dims, dims))

    def _factor(self, other: Any) -> Any:
        if isinstance(other, xr.DataArray):
            names = [str(dim) for dim in other.dims]
            if set(names) - set(self.dims):
                raise ValueError(
                    f"a labeled array must have axes of the {self.noun}, {self.dims}; got "
                    f"{other.dims}."
                )
            return spread(jnp.asarray(other.values), names, self.dims)
        if isinstance(other, int | float):
            return other
        other = jnp.asarray(real_array(other, "other"))
        return other.reshape(*other.shape, *(1,) * (len(self.dims) - other.ndim))


class LabeledCurve(AbstractLabeled):
    """A batch of curves, one for each draw (and group), whose axes have names.

    Usually made by `curve(effect, draws)`. Curves add, subtract and scale exactly, by the names of
    their axes: `f - g` for a difference, `f + level` with an intercept. An array has the leading
    axes (chain, draw, ...), a `DataArray` the axes that it names; in sums put the curve first.

    Args:
        curve: with one batch axis for each name. (Curves of a basis of your own, `Combination`
            objects, can be evaluated and differentiated only.)
        dims: names of the batch axes, chain and draw first.
        coords: coordinates along them, by name; 0, 1, ... where omitted.
        name: of the function.
        input_name: of its input.

    Raises:
        TypeError: if `curve` is no curve.
        ValueError: if names or coordinates do not fit the curve.

    Example:
        >>> import numpy as np, numpyro_splines as ns
        >>> lines = ns.BSplineBasis([0.0, 1.0], degree=1).curve(np.ones((4, 100, 3, 2)))
        >>> f = LabeledCurve(lines, dims=("chain", "draw", "group"), name="f")
        >>> print(f.sel(group=0) - f.sel(group=2))
        LabeledCurve 'f[0] - f[2]' of 'x' with (chain: 4, draw: 100)
    """

    noun: ClassVar[str] = "curve"

    def __init__(
        self,
        curve: Any,
        *,
        dims: Sequence[str] = SAMPLE,
        coords: Mapping[str, Any] | None = None,
        name: str = "f",
        input_name: str = "x",
    ):
        if not isinstance(curve, Curve | Combination):
            raise TypeError(f"`curve` must be a Curve; got {type(curve).__name__}.")
        self.curve, self.input_name = curve, input_name
        self._name_axes(dims, coords, name)

    @property
    def function(self) -> Any:
        return self.curve

    @property
    def inputs(self) -> tuple[str, ...]:
        return (self.input_name,)

    def derivative(self, order: int = 1) -> Self:
        """The exact derivative d^order f / dx^order; see `Curve.derivative`.

        Args:
            order: at least 0.

        Returns:
            Curves with the same axes, named f', f'', ...
        """
        return self._with(self.curve.derivative(order), self.name + "'" * order)

    def restrict(self, lower: float, upper: float) -> Self:
        """The curves on a sub-interval, which becomes the domain; see `Curve.restrict`.

        Args:
            lower: left end of the new domain, in the old one.
            upper: right end.

        Returns:
            Curves with the same axes and values in the interval.

        Raises:
            TypeError: for a curve of a basis of the user's own.
        """
        return self._with(self.exact("restrict").restrict(lower, upper), self.name)

    def exact(self, name: str) -> Curve:
        """The curve itself, for what only piecewise polynomials can do.

        Args:
            name: what is to be done, for the message.

        Returns:
            The batch of curves without the names of its axes.

        Raises:
            TypeError: for a curve of a basis of the user's own.
        """
        if not isinstance(self.curve, Curve):
            raise TypeError(
                f"`{name}` needs piecewise polynomials, as the bases of numpyro_splines give; got "
                f"{type(self.curve).__name__}, which can be evaluated and differentiated only."
            )
        return self.curve

    def _made(
        self, function: Any, name: str, dims: Sequence[str], coords: Mapping[str, Any]
    ) -> Self:
        return type(self)(function, dims=dims, coords=coords, name=name, input_name=self.input_name)

    def _mapped(self, change: Callable[[Any], Any]) -> Any:
        curve = self.curve
        if isinstance(curve, Combination):
            return Combination(curve.basis, change(curve.coefficients), curve.order)
        if curve.breakpoints.ndim > 1:
            raise TypeError("`dims` can be selected or combined only if all curves share knots.")
        increment = None if curve.increment is None else change(curve.increment)
        return Curve(curve.breakpoints, change(curve.table), increment, curve.periodic)


def spread(values: Array, dims: Sequence[str], target: Sequence[str]) -> Array:
    """Arrays with leading axes `dims` as ones with leading axes `target`, of length one if new."""
    order = [dims.index(dim) for dim in target if dim in dims]
    values = jnp.transpose(values, (*order, *range(len(dims), values.ndim)))
    return jnp.expand_dims(values, tuple(i for i, dim in enumerate(target) if dim not in dims))


def _short(values: np.ndarray) -> str:
    return str(list(values)) if values.size < 6 else f"{values.size} entries"
