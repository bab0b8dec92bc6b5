"""The margin of areas with neighbors: Markov random fields, and their mixture with independence."""

from __future__ import annotations

from typing import Any, Literal

import equinox as eqx
import numpy as np
from jaxtyping import Array, Float

from numpyro_splines.arguments import one_of
from numpyro_splines.margins.labels import positions
from numpyro_splines.margins.levels import AbstractLevelMargin, shares
from numpyro_splines.margins.neighbors import adjacency, components_of
from numpyro_splines.spectrum import canonical, karhunen_loeve, split
from numpyro_splines.validation import float64_array, integer_at_least

Scaling = Literal["arithmetic", "geometric"]


class GraphMargin(AbstractLevelMargin):
    r"""Areas with neighbors, whose values are alike: an intrinsic Markov random field (ICAR).

    The penalty is b' S b = sum over ties i ~ j of w_ij (b_i - b_j)^2, and the modes solve
    S v = lambda v / n, smooth ones first, under the uniform measure over the n areas.

    In each connected component of the map the average prior variance over its areas is the same
    (Freni-Sterrantino et al. 2018). Contrasts between the averages of components are its linear
    functions. An area without neighbors, an island, is a component of its own, without modes.

    *What tau is.* The prior variance of the modes, averaged over all areas, is tau^2. With i
    islands, which have none, it is tau^2 n / (n - i) on average over the others.

    Args:
        neighbours: who is whose neighbor: a mapping from each area to a list of its neighbors, as
            mgcv and spdep have it; a list of pairs of areas (in one direction or both), or a data
            frame of two such columns; or a symmetric matrix of ties w_ij >= 0, of NumPy or
            scipy.sparse.
        levels: the areas in their order, islands that no pair names among them; sorted if omitted,
            and 0, ..., n - 1 for a matrix.
        mixing: phi in (0, 1), the share of the field in a BYM2 model (Riebler et al. 2016); the
            rest is an independent part, of islands too. Contrasts between components are then
            modes, and modes are not cut. A fixed number: a random phi is not offered yet.
        scaling: "geometric" for the priors of INLA and BYM2, where in each component the geometric
            mean of the prior variances of the field is tau^2, and that of the independent part in
            every area, the average of all areas taken off. The variances then sum to more or less
            than one: to arithmetic / geometric mean for a connected map without mixing, so tau is
            smaller than ours by the square root of that ratio.
        num_modes: how many modes to keep, the smoothest, as mgcv does for k = num_modes + 1; all if
            omitted. The prior variance of the others is spread over those kept, in proportion.
        observations: the areas of the observations, one label a row.

    Attributes:
        levels: the labels in their order.
        penalty: S, the Laplacian of the graph, shape (n, n).
        components: the connected component of each area, 0, 1, ..., shape (n,).
        mixing: as the argument.

    Raises:
        TypeError: if `neighbours` is of none of these kinds.
        ValueError: if neighbors are not symmetric, unknown, or none, or an option is not one of
            these.

    Example:
        >>> margin = GraphMargin({"A": ["B"], "B": ["A", "C"], "C": ["B"], "Island": []})
        >>> margin.num_linear, margin.num_modes, margin.components
        (1, 2, array([0, 0, 0, 1]))
        >>> print((margin.functions[:, 2:] ** 2 @ margin.variances[2:]).round(3))
        [1.667 0.667 1.667 0.   ]

    References:
        Riebler et al., An intuitive Bayesian spatial model for disease mapping that accounts for
        scaling (2016); Freni-Sterrantino, Ventrucci and Rue, A note on intrinsic conditional
        autoregressive models for disconnected graphs (2018).
    """

    penalty: np.ndarray
    components: np.ndarray
    functions: Float[Array, "..."] | np.ndarray
    variances: Float[Array, "..."] | np.ndarray
    observed: Float[Array, "..."] | np.ndarray
    rows: tuple[np.ndarray, ...] | None
    levels: tuple[Any, ...] = eqx.field(static=True)
    mixing: float | None = eqx.field(static=True)
    num_observations: float = eqx.field(static=True)
    num_constant: int = eqx.field(static=True)
    num_linear: int = eqx.field(static=True)

    def __init__(
        self,
        neighbours: Any,
        *,
        levels: Any = None,
        mixing: float | None = None,
        scaling: Scaling = "arithmetic",
        num_modes: int | None = None,
        observations: Any = None,
    ):
        self.mixing = _checked(mixing, scaling, num_modes)
        self.levels, weights = adjacency(neighbours, levels)
        num = len(self.levels)
        self.penalty = np.diag(weights.sum(axis=1)) - weights
        self.components = components_of(weights)
        free = averages(self.components)
        modes, variances = field(self.penalty, self.components, geometric=scaling == "geometric")
        if self.mixing is not None:
            modes = np.concatenate([modes, free[:, 1:]], axis=1)
            variances = np.concatenate([self.mixing * variances, np.zeros(free.shape[1] - 1)])
            variances, free = variances + (1.0 - self.mixing) / num, free[:, :1]
        if scaling == "arithmetic":
            variances = variances / variances.sum()
        if num_modes is not None:
            kept = _kept(num_modes, variances.size)
            variances = variances[:kept] * (variances.sum() / variances[:kept].sum())
            modes = modes[:, :kept]
        self.functions = np.concatenate([free, modes], axis=1)
        self.variances = np.concatenate([np.ones(free.shape[1]), variances])
        self.num_constant, self.num_linear = 1, free.shape[1] - 1
        self.rows, self.num_observations = None, 0.0
        self.observed = np.eye(num) / num
        if observations is not None:
            self.rows = (positions(observations, self.levels, "observations").ravel(),)
            self.num_observations = float(self.rows[0].size)
            if not self.rows[0].size:
                raise ValueError("`observations` must hold at least one label; got none.")
            self.observed = shares(self.rows[0], num)


def averages(components: np.ndarray) -> np.ndarray:
    """The constant and contrasts between components, orthonormal under the uniform measure.

    Args:
        components: the component of each area, shape (n,).

    Returns:
        Shape (n, number of components); each contrast is of a component with those before it.
    """
    num = components.size
    indicators = (components[:, None] == np.arange(components.max() + 1)).astype(float)
    indicators[:, 0] = 1.0
    uniform = np.eye(num) / num
    return split(indicators, uniform, uniform)[0]


def field(
    penalty: np.ndarray, components: np.ndarray, *, geometric: bool
) -> tuple[np.ndarray, np.ndarray]:
    """Modes of a Markov random field, component by component, and their prior variances.

    Args:
        penalty: the Laplacian, shape (n, n).
        components: the component of each area, shape (n,).
        geometric: whether the geometric mean of the prior variances over the areas of a component
            is one, instead of the arithmetic one.

    Returns:
        Modes, orthonormal under the uniform measure, shape (n, number of areas that are no islands
        - number of components of these), and variances, decreasing.
    """
    num = components.size
    modes, variances = [np.zeros((num, 0))], [np.zeros(0)]
    for component in range(components.max() + 1):
        areas = np.flatnonzero(components == component)
        if areas.size == 1:
            continue
        form = penalty[np.ix_(areas, areas)]
        own = karhunen_loeve(np.eye(areas.size) / num, form, np.ones((areas.size, 1)))
        # Over the areas of the component the mean of psi_m^2 is n / (number of its areas).
        shares = np.asarray(own.standard_deviations) ** 2 * (areas.size / num)
        if geometric:
            shares = shares / np.exp(np.mean(np.log(np.asarray(own.modes) ** 2 @ shares)))
        padded = np.zeros((num, shares.size))
        padded[areas] = own.modes
        modes.append(padded)
        variances.append(shares)
    every, sizes = np.concatenate(modes, axis=1), np.concatenate(variances)
    order = np.argsort(-sizes, kind="stable")
    return canonical(every[:, order], sizes[order]), sizes[order]


def _checked(mixing: Any, scaling: str, num_modes: Any) -> float | None:
    """The mixing, if the options are ones that go together."""
    one_of(scaling, ("arithmetic", "geometric"), "scaling")
    if mixing is None:
        return None
    share = float64_array(mixing, "mixing")
    if share.ndim or not 0.0 < share < 1.0:
        raise ValueError(
            f"`mixing` must be a number between 0 and 1; got {mixing}. For 1 leave it out; for 0, "
            "independent areas, use a GroupMargin."
        )
    if num_modes is not None:
        raise ValueError(
            "`num_modes` must not be given with `mixing`: the independent part needs all modes."
        )
    return float(share)


def _kept(num_modes: Any, num: int) -> int:
    """How many modes are kept, if there are so many."""
    kept = integer_at_least(num_modes, 1, "num_modes")
    if kept > num:
        raise ValueError(f"`num_modes` must be at most {num}, all modes there are; got {kept}.")
    return kept
