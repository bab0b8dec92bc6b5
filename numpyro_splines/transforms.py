"""Monotone curves as NumPyro transforms."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float
from numpyro.distributions import constraints
from numpyro.distributions.transforms import Transform

from numpyro_splines.arguments import flag
from numpyro_splines.functions import Curve
from numpyro_splines.validation import is_traced


class SplineTransform(Transform):
    """The bijection y = f(x) of a monotone curve f, element by element.

    With it a spline can stand in `numpyro.distributions.TransformedDistribution`: a flexible
    density, a warp, a calibration. Both directions, and log |f'(x)|, are differentiable in x, y and
    the curve, whose coefficients may be sampled.

    With continuations that go on beyond both ends (the default `Linear()`) it maps the real line to
    the real line. Otherwise it maps the domain of the curve to the interval of its values.

    Args:
        curve: one increasing or decreasing curve.
        bounded: whether to map the domain instead of the real line; if omitted, bounded where a
            continuation is flat, zero or NaN, and not bounded for a traced curve.

    Raises:
        TypeError: if the curve is not a `Curve`.
        ValueError: if it is a batch of curves, or concrete and not monotone, or flat somewhere.

    Example:
        >>> import numpyro.distributions as dist, numpyro_splines as ns
        >>> warp = ns.BSplineBasis([0.0, 1.0, 2.0], degree=2).curve([0.0, 0.2, 1.5, 2.0])
        >>> density = dist.TransformedDistribution(dist.Normal(1.0, 1.0), SplineTransform(warp))
        >>> print(density.log_prob(0.7).round(4))
        -1.1015
    """

    def __init__(self, curve: Curve, *, bounded: bool | None = None):
        if not isinstance(curve, Curve):
            raise TypeError(f"`curve` must be a Curve; got {type(curve).__name__}.")
        if curve.batch_shape:
            raise ValueError(
                f"`curve` must be one curve; got a batch of shape {curve.batch_shape}. Map over "
                "them with jax.vmap."
            )
        concrete = not (is_traced(curve.table) or is_traced(curve.breakpoints))
        if curve.periodic or (concrete and not curve.is_monotone()):
            raise ValueError(
                "`curve` must increase or decrease over its whole domain; got one that does not. "
                "I-splines with positive coefficients, or B-splines with increasing ones, do."
            )
        if concrete and (stretch := _flat_stretch(curve)) is not None:
            raise ValueError(
                "`curve` must be invertible; got one that is flat between "
                f"{stretch[0]:.17g} and {stretch[1]:.17g}. Let its coefficients increase strictly."
            )
        if bounded is None:
            bounded = concrete and not _goes_on(np.asarray(curve.table))
        self.curve, self.bounded = curve, flag(bounded, "bounded")

    @property
    def domain(self) -> constraints.Constraint:
        """The real line, or the interval of the curve's domain."""
        if not self.bounded:
            return constraints.real
        return constraints.interval(*self.curve.domain)

    @property
    def codomain(self) -> constraints.Constraint:
        """The real line, or the interval of the curve's values."""
        if not self.bounded:
            return constraints.real
        ends = self._ends()
        return constraints.interval(ends.min(axis=0), ends.max(axis=0))

    @property
    def sign(self) -> Any:
        """1 for an increasing curve, -1 for a decreasing one."""
        start, end = self._ends()
        return jnp.where(end >= start, 1, -1)

    def __call__(self, x: Any) -> Float[Array, "..."]:
        """f(x)."""
        return self._of_each(lambda curve, at: curve(at), x, "x")

    def _inverse(self, y: Any) -> Float[Array, "..."]:
        return self._of_each(lambda curve, at: curve.inverse(at), y, "y")

    def log_abs_det_jacobian(self, x: Any, y: Any, intermediates: Any = None) -> Array:
        """log |f'(x)|, the shape of x."""
        del y, intermediates
        slope = self._of_each(lambda curve, at: curve.derivative()(at), x, "x")
        return jnp.log(jnp.abs(slope))

    def _stacked(self) -> tuple[int, ...]:
        """Shape of the axes that scan or vmap put before those of the one curve; usually ()."""
        own = self.curve.table.shape[:-2], self.curve.breakpoints.shape[:-1]
        return jnp.broadcast_shapes(*own)

    def _of_each(self, function: Any, x: Any, name: str) -> Array:
        """A function of the curve and of x; of each curve and its own x where they are stacked."""
        if not (lead := self._stacked()):
            return function(self.curve, x)
        x = jnp.asarray(x)
        x = jnp.broadcast_to(x, lead) if x.ndim == 0 else x
        rank = len(lead)
        first, last = x.shape[:rank] == lead, x.shape[-rank:] == lead
        # Steps of a scan come before a batch, draws before both; equal sizes cannot tell which.
        if first == last and not (first and x.ndim == rank):
            raise ValueError(
                f"`{name}` must have the axes {lead} of the stacked curves either first or last; "
                f"got shape {x.shape}. Use jax.vmap, or a plate outside of the scan."
            )
        apply = function
        for _ in lead:
            apply = jax.vmap(apply)
        shape = x.shape if first else (*lead, *x.shape[:-rank])
        order = (*range(x.ndim - rank, x.ndim), *range(x.ndim - rank))
        arrays = jax.tree.map(jnp.asarray, self.curve)
        whole = jax.tree.map(
            lambda a, own: jnp.broadcast_to(a, (*lead, *a.shape[a.ndim - own :])),
            arrays,
            self._ranks(),
        )
        value = apply(whole, x if first else x.transpose(order).reshape(shape))
        return value if first else value.transpose(np.argsort(order))

    def _ranks(self) -> Curve:
        """How many axes each array of one curve has."""
        increment = None if self.curve.increment is None else 0
        return type(self.curve)(1, 2, increment, self.curve.periodic)  # pyright: ignore

    def tree_flatten(self) -> Any:
        """The curve is the data; whether it is bounded is static."""
        return (self.curve,), (("curve",), {"bounded": self.bounded})

    def eq(self, other: object, static: bool = False) -> Any:
        """Whether the other transform is the same function."""
        if not isinstance(other, SplineTransform) or self.bounded != other.bounded:
            return False
        mine, theirs = jax.tree.flatten(self.curve), jax.tree.flatten(other.curve)
        if mine[1] != theirs[1] or any(
            np.shape(a) != np.shape(b) for a, b in zip(mine[0], theirs[0], strict=True)
        ):
            return False
        same = [jnp.array_equal(a, b) for a, b in zip(mine[0], theirs[0], strict=True)]
        return all(map(bool, same)) if static else jnp.all(jnp.stack(same))

    def _ends(self) -> Array:
        rows = jnp.asarray(self.curve.table)
        return jnp.stack([rows[..., 1, 0], rows[..., -2, :].sum(-1)])


def _goes_on(table: np.ndarray) -> bool:
    """Whether both continuations have somewhere to go."""
    tails = table[[0, -1], 1:]
    return bool(np.all(np.isfinite(tails)) and np.all(np.any(tails != 0, axis=1)))


def _flat_stretch(curve: Curve) -> np.ndarray | None:
    """Ends of an interval on which the curve is exactly constant, if there is one."""
    points, table = np.asarray(curve.breakpoints), np.asarray(curve.table)
    flat = np.all(table[1:-1, 1:] == 0, axis=1) & (np.diff(points) > 0)
    return points[np.argmax(flat) :][:2] if flat.any() else None
