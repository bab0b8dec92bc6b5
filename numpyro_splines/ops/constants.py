"""Constants of a distribution: what is not a parameter, and so is not stacked with parameters."""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from numpyro_splines.validation import float_input, is_traced


@jax.tree_util.register_pytree_node_class
class Constant:
    """A value that JAX leaves alone: a pytree without leaves.

    NumPyro's scan, `jax.vmap` and `jax.jit` see a distribution as its arrays. Eigenvectors and
    designs among these would get an axis for each step or be traced, as parameters do, and then
    mean another density. Two constants are equal where their numbers are, so that what was compiled
    with one serves for the other.

    Args:
        value: any pytree of arrays that are not traced.
    """

    def __init__(self, value: Any):
        self.value = value

    def __hash__(self) -> int:
        leaves, tree = jax.tree.flatten(self.value)
        return hash((tree, tuple((np.shape(leaf), str(np.asarray(leaf).dtype)) for leaf in leaves)))

    def __eq__(self, other: object) -> bool:
        if self is other:
            return True
        if not isinstance(other, Constant):
            return False
        mine, theirs = jax.tree.flatten(self.value), jax.tree.flatten(other.value)
        return mine[1] == theirs[1] and all(
            a is b or np.array_equal(a, b, equal_nan=True)
            for a, b in zip(mine[0], theirs[0], strict=True)
        )

    def tree_flatten(self) -> tuple[tuple[()], Constant]:
        """No leaves."""
        return (), self

    @classmethod
    def tree_unflatten(cls, constant: Constant, leaves: tuple[()]) -> Constant:
        """The constant itself.

        Args:
            constant: what was flattened.
            leaves: none.
        """
        del leaves
        return constant


class Memory:
    """The last answer to a question about constant arrays; no part of what an object is.

    All memories are equal, so that a module may hold one as a static field.
    """

    def __init__(self) -> None:
        self._last: tuple[tuple[Any, ...], np.ndarray, Any] | None = None

    def __hash__(self) -> int:
        return 0

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Memory)

    def of(self, owners: tuple[Any, ...], value: np.ndarray, answer: Callable[[], Any]) -> Any:
        """The answer, worked out where it is not that of the same objects and numbers as before.

        Args:
            owners: what else it depends on, objects that are never changed.
            value: an array; equal ones have the same answer.
            answer: returns it.
        """
        if self._last is not None:
            before, own, known = self._last
            same = len(before) == len(owners) and all(map(operator.is_, before, owners))
            if same and np.array_equal(own, value, equal_nan=True):
                return known
        result = answer()
        self._last = owners, np.array(value), result
        return result


def parameter(value: Any, name: str, shape: tuple[int, ...] | None = None) -> jax.Array:
    """A parameter as a JAX array, with its numbers also while a model is compiled.

    So that NumPyro can refuse a concrete value that is invalid, as it does for its own.

    Args:
        value: a number or an array; may be traced.
        name: the argument's name, for messages.
        shape: to broadcast it to, if it is not to keep its own.
    """
    if is_traced(value):
        return value if shape is None else jnp.broadcast_to(value, shape)
    with jax.ensure_compile_time_eval():
        array = float_input(value, name)
        return array if shape is None else jnp.broadcast_to(array, shape)
