"""Distributions of other distributions, which keep their meaning when JAX stacks their arrays."""

from __future__ import annotations

import copy
import math
from typing import Any, Self

import jax
import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
from jaxtyping import Array
from numpyro.distributions.batch_util import promote_batch_shape


class AbstractStackable(dist.Distribution):
    """A distribution made of others, on which axes that were put before its arrays are a batch.

    NumPyro's scan and `jax.vmap` stack the arrays of a distribution, whatever they are in it. One
    whose axes are its own (a population for each row, the ends of intervals) would let them take
    part in its formulas, and have another density. Here each step or member keeps its own.

    A subclass defines `_log_prob_of_one` and `_sample_of_one` of what it was when made, and calls
    `_remember` last in its constructor.
    """

    pytree_aux_fields = ("_own",)

    def _remember(self) -> None:
        """Note the batch shape, and how many axes each array has of its own."""
        self._own = self.batch_shape, tuple(map(jnp.ndim, jax.tree.leaves(self)))

    def _log_prob_of_one(self, value: Array) -> Array:
        """`log_prob` without stacked axes."""
        raise NotImplementedError

    def _sample_of_one(self, key: Array, sample_shape: tuple[int, ...]) -> Array:
        """`sample` without stacked axes."""
        raise NotImplementedError

    @classmethod
    def infer_shapes(cls, *args: Any, **kwargs: Any) -> Any:
        """Refused: the shapes of this distribution are no matter of the shapes of arrays alone."""
        raise NotImplementedError(f"The shapes of {cls.__name__} depend on its population.")

    def log_prob(self, value: Any, intermediates: Any = None) -> Array:  # pyright: ignore
        """Log density, shape of the batch, with stacked axes first in it."""
        del intermediates
        value = jnp.asarray(value)
        lead, own = self._lead(), self._own[0] + self.event_shape
        if not lead:
            return self._log_prob_of_one(value)
        whole = (*value.shape[: -len(own) or None], *own) if value.ndim >= len(own) else own
        value = jnp.broadcast_to(value, whole)
        outer = whole[: len(whole) - len(own)]
        outer = (1,) * (len(lead) - len(outer)) + outer
        # Members of the value's own, as in a plate, come where a stacked axis has length one.
        stop = len(outer) - len(lead)
        lead = jnp.broadcast_shapes(lead, outer[stop:])
        value = jnp.broadcast_to(value.reshape(*outer, *own), (*outer[:stop], *lead, *own))
        value = value.reshape(*outer[:stop], math.prod(lead), *own)
        density = jax.vmap(
            lambda leaves, v: self._one(leaves)._log_prob_of_one(v), (0, stop), stop
        )(self._flat(lead), value)
        return density.reshape(*outer[:stop], *lead, *self._own[0])

    def sample(self, key: Array, sample_shape: tuple[int, ...] = ()) -> Array:  # pyright: ignore
        """Draws, shape (*sample_shape, *batch, *event), with stacked axes first in the batch."""
        lead = self._lead()
        if not lead:
            return self._sample_of_one(key, sample_shape)
        keys = jax.random.split(key, math.prod(lead))
        draws = jax.vmap(
            lambda leaves, k: self._one(leaves)._sample_of_one(k, sample_shape),
            out_axes=len(sample_shape),
        )(self._flat(lead), keys)
        return draws.reshape(*sample_shape, *lead, *self._own[0], *self.event_shape)

    def _lead(self) -> tuple[int, ...]:
        """Shape of the axes that were put before those of the arrays; () as it was made."""
        pairs = zip(jax.tree.leaves(self), self._own[1], strict=True)
        return jnp.broadcast_shapes(*(jnp.shape(a)[: jnp.ndim(a) - rank] for a, rank in pairs))

    def _flat(self, lead: tuple[int, ...]) -> list[Array]:
        """The arrays, all stacked along one axis."""
        size, flat = math.prod(lead), []
        for array, rank in zip(jax.tree.leaves(self), self._own[1], strict=True):
            own = np.shape(array)[np.ndim(array) - rank :]
            shape = jnp.shape(array)[: jnp.ndim(array) - rank]
            array = jnp.asarray(array).reshape((1,) * (len(lead) - len(shape)) + shape + own)
            flat.append(jnp.broadcast_to(array, (*lead, *own)).reshape(size, *own))
        return flat

    def _one(self, leaves: list[Array]) -> Self:
        """The distribution as it was made, of other arrays."""
        one = jax.tree.unflatten(jax.tree.structure(self), leaves)
        one._batch_shape = self._own[0]
        return one


@promote_batch_shape.register  # pyright: ignore[reportCallIssue, reportArgumentType]
def _promoted(d: AbstractStackable) -> AbstractStackable:
    promoted = copy.copy(d)
    promoted._batch_shape = (*d._lead(), *d._own[0])
    return promoted


class AbstractWithFunction(dist.Distribution):
    """A distribution that holds a function of the model: no pytree of arrays.

    A function closes over values of the model that JAX cannot see, so the distribution cannot leave
    a scan, or be an argument of jit. What comes out on the other side is refused when it is used.
    """

    # What the constructor sets and a pytree does not carry.
    function_fields: tuple[str, ...] = ()

    def __getattr__(self, name: str) -> Any:
        if name in type(self).function_fields:
            raise TypeError(
                f"`{type(self).__name__}` cannot be an argument of jax.jit or come out of jax.vmap "
                "or NumPyro's scan: it holds a function, whose values these cannot see. Make it "
                "inside the compiled function and outside of scan, or sample the "
                "inputs."
            )
        raise AttributeError(name)

    @classmethod
    def infer_shapes(cls, *args: Any, **kwargs: Any) -> Any:
        """Refused: the shapes of this distribution are those of what its function returns."""
        raise NotImplementedError(f"The shapes of {cls.__name__} depend on its function.")
