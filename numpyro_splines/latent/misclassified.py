"""Groups that were recorded with errors, or not at all."""

from __future__ import annotations

from typing import Any

import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
from jaxtyping import Array

from numpyro_splines.latent.input import Response
from numpyro_splines.latent.quadrature import IntegratedInput, Piece
from numpyro_splines.latent.response import IntegratedResponse
from numpyro_splines.latent.sites import sample_rows
from numpyro_splines.validation import float64_rows, integer_at_least, is_traced, real_array


class Misclassified:
    r"""The group of each row, g_i ~ population, of which a label was recorded, perhaps a wrong one.

    p(label_i = l | g_i = k) = confusion[k, l], or the label is right if there is no such matrix.
    Groups are discrete, so NUTS cannot sample them: `integrate` sums over them, and `draw_inputs`
    draws them afterwards. The sum has a term for each group and no error.

    Args:
        observed: labels as integers from 0 to num_groups - 1, negative or NaN where missing, shape
            (n,); `GroupMargin.index` and `pandas.factorize` make them.
        num_groups: how many groups there are.
        confusion: rows of probabilities that sum to one, shape (num_groups, num_groups); a random
            one goes to `integrate`.

    Raises:
        TypeError: if labels are no integers.
        ValueError: if a label is too large, or `confusion` no such matrix.

    Example:
        >>> import numpyro_splines as ns
        >>> data = Misclassified([0, 1, -1], 2, [[0.9, 0.1], [0.2, 0.8]])
        >>> given = data.integrate(
        ...     "g",
        ...     dist.Categorical(probs=jnp.array([0.5, 0.5])),
        ...     response=lambda g: dist.Normal(jnp.array([0.0, 3.0])[g], 1.0),
        ... )
        >>> np.asarray(given.log_prob(jnp.zeros(3)), float).round(2).tolist()
        [-1.12, -3.03, -1.6]

    References:
        Carroll et al., Measurement Error in Nonlinear Models (2006), section 8.4.
    """

    def __init__(self, observed: Any, num_groups: int, confusion: Any = None):
        self.num_groups = integer_at_least(num_groups, 2, "num_groups")
        labels = float64_rows(observed, "observed")
        labels = np.where(np.isnan(labels) | (labels < 0), -1, labels)
        if np.any(wrong := (labels != np.round(labels)) | (labels >= num_groups)):
            raise ValueError(
                f"`observed` must hold integers from 0 to {num_groups - 1}, negative or NaN where "
                f"missing; got {labels[wrong][0]:g} in row {int(np.argmax(wrong))}."
            )
        self.observed = labels.astype(int)
        self.confusion = None if confusion is None else self._checked(confusion)

    @property
    def num_rows(self) -> int:
        """How many rows, n."""
        return self.observed.size

    def __repr__(self) -> str:
        known = int((self.observed >= 0).sum())
        return f"Misclassified({self.num_rows} rows, {known} of them labeled)"

    def integrate(
        self, name: str, population: Any, *, response: Response, confusion: Any = None
    ) -> IntegratedResponse:
        r"""The distribution of y with groups summed out.

        p(y_i | label_i) = sum_k p(y_i | g_i = k) p(g_i = k | label_i).

        Args:
            name: of the groups; `<name>.observed` is the site of the labels.
            population: a distribution on 0, ..., num_groups - 1 such as `dist.Categorical`, one or
                one for each row, whose parameters may be random.
            response: groups, integers of shape (num_groups, n), to the distribution of y given
                them, with that batch shape.
            confusion: in the place of that of the constructor; may be random.

        Returns:
            A distribution with batch shape (n,).

        Raises:
            TypeError: if the population is not discrete.
            ValueError: if it has another number of rows or groups, or as `IntegratedResponse`.
        """
        self._check(population)
        dtype = jnp.result_type(float)
        levels = jnp.arange(self.num_groups)
        before = jnp.broadcast_to(
            jnp.asarray(population.log_prob(levels[:, None]), dtype),
            (self.num_groups, self.num_rows),
        )
        joint, labeled = before, np.flatnonzero(self.observed >= 0)
        if labeled.size:
            matrix, label = self._matrix(confusion), self.observed[labeled]
            joint = before.at[:, labeled].add(jnp.log(matrix)[:, label])
            shares: Any = dist.Categorical(probs=jnp.exp(before[:, labeled].T) @ matrix)
            sample_rows(f"{name}.observed", f"{name}.labeled_rows", shares, label)

        def locate(u: Array) -> tuple[Array, Array]:
            group = jnp.clip(jnp.floor(u), 0, self.num_groups - 1).astype(int)
            return group, jnp.take_along_axis(joint, group, axis=0)

        # A step of length one for each group: the midpoint rule is exact.
        rule = np.arange(self.num_groups) + 0.5, np.ones(self.num_groups)
        piece = Piece(np.arange(self.num_rows), locate, rule, exact=True)
        return IntegratedResponse(IntegratedInput(name, self.num_rows, [piece], None), response)

    def _matrix(self, confusion: Any) -> Array:
        """Probabilities of labels (column) given groups (row)."""
        own = self.confusion if confusion is None else self._checked(confusion)
        return jnp.asarray(np.eye(self.num_groups) if own is None else own, jnp.result_type(float))

    def _checked(self, confusion: Any) -> Any:
        matrix = real_array(confusion, "confusion")
        shape = (self.num_groups, self.num_groups)
        right = matrix.shape == shape
        if right and not is_traced(matrix):
            matrix = np.asarray(matrix, np.float64)
            right = bool((matrix >= 0).all() and np.allclose(matrix.sum(axis=1), 1.0, atol=1e-5))
        if not right:
            raise ValueError(
                f"`confusion` must hold in each row the probabilities of the labels of a group, "
                f"shape {shape}, rows that sum to one; got shape {matrix.shape} and "
                f"{'a traced array' if is_traced(matrix) else matrix.tolist()}."
            )
        return matrix

    def _check(self, population: Any) -> None:
        if not isinstance(population, dist.Distribution) or not population.is_discrete:
            raise TypeError(
                "`population` of groups must be a discrete distribution, such as "
                f"dist.Categorical(probs); got {population!r}."
            )
        last = getattr(population.support, "upper_bound", None)
        fits = is_traced(last) or last is None or np.all(np.asarray(last) == self.num_groups - 1)
        if population.batch_shape not in ((), (self.num_rows,)) or not fits:
            raise ValueError(
                f"`population` must be one distribution on 0 to {self.num_groups - 1}, or one for "
                f"each of the {self.num_rows} rows; got batch shape {population.batch_shape} and "
                f"support {population.support}."
            )
