r"""Latent inputs integrated out: p(y_i | w_i) = int p(y_i | x_i) p(x_i | w_i) dx_i, row by row.

Each row has its own nodes, in its own coordinate u (see `coordinates`): even ones around where the
measurement puts x for inputs on the line (the trapezoidal rule, whose error for a smooth integrand
falls faster than any power of the spacing h: as exp(-2 pi^2 s^2 / h^2) for a normal one of standard
deviation s), Gauss-Legendre ones for inputs in an interval.

Reference: Trefethen and Weideman, The exponentially convergent trapezoidal rule (2014), section 5.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from numpyro_splines.validation import integer_at_least, positive_number

Locate = Callable[[Array], tuple[Array, Array]]


@dataclass(frozen=True)
class Quadrature:
    """How inputs are integrated out; pass it as `quadrature=` to the priors of latent inputs.

    Args:
        num_nodes: per row. The rule resolves p(y_i | x_i) as a function of x_i where that is wider
            than the spacing: by default a quarter of the uncertainty of x_i given its measurement,
            or 1/40 of the interval of a coarse one. `draw_inputs` warns where it is not.
        half_width: how far the nodes of a measured row reach on each side, in units of the
            uncertainty of x_i given its measurement.
        chunk: how many nodes are evaluated at once; what is kept for the gradient is O(n chunk).
            All together if omitted: fastest where memory does not matter.

    Raises:
        TypeError: if `num_nodes` or `chunk` is no integer.
        ValueError: if an argument is not positive, or there are fewer than 8 nodes.

    Example:
        >>> Quadrature(num_nodes=32).half_width
        8.0
    """

    num_nodes: int = 64
    half_width: float = 8.0
    chunk: int | None = None

    def __post_init__(self) -> None:
        integer_at_least(self.num_nodes, 8, "num_nodes")
        positive_number(self.half_width, "half_width")
        if self.chunk is not None:
            integer_at_least(self.chunk, 1, "chunk")

    def even(self) -> tuple[np.ndarray, np.ndarray]:
        """Nodes and weights of the trapezoidal rule on [-half_width, half_width]."""
        nodes = np.linspace(-self.half_width, self.half_width, self.num_nodes)
        return nodes, np.full(self.num_nodes, nodes[1] - nodes[0])

    def legendre(self) -> tuple[np.ndarray, np.ndarray]:
        """Nodes and weights of the Gauss-Legendre rule on [0, 1]."""
        nodes, weights = np.polynomial.legendre.leggauss(self.num_nodes)
        return (nodes + 1.0) / 2.0, weights / 2.0


class Piece(NamedTuple):
    """The rows of one kind.

    Attributes:
        rows: indices, shape (m,).
        locate: u, shape (q, m) -> x and log p(x, what is known of x) dx/du, both of that shape.
        rule: nodes and weights in u.
    """

    rows: np.ndarray
    locate: Locate
    rule: tuple[np.ndarray, np.ndarray]


def known_piece(rows: np.ndarray, x: Array, quadrature: Quadrature) -> Piece:
    """Rows that are known: the same x at every node."""
    rule = quadrature.even()
    level = -math.log(rule[1].sum())

    def locate(u: Array) -> tuple[Array, Array]:
        return jnp.broadcast_to(x, u.shape), jnp.full_like(u, level)

    return Piece(rows, locate, rule)


def line_piece(
    rows: np.ndarray,
    base: Any,
    transform: Any,
    quadrature: Quadrature,
    log_likelihood: Callable[[Array], Array] | None = None,
) -> Piece:
    """Rows whose u may lie anywhere on the line.

    Args:
        rows: indices.
        base: the distribution of u.
        transform: from u to x.
        quadrature: the rule.
        log_likelihood: x -> log density of what was measured of it.
    """

    def locate(u: Array) -> tuple[Array, Array]:
        x = jnp.asarray(transform(u))
        log_density = jnp.broadcast_to(base.log_prob(u), u.shape)
        return x, log_density if log_likelihood is None else log_density + log_likelihood(x)

    return Piece(rows, locate, quadrature.even())


class IntegratedInput:
    """A latent input to be integrated out, as `measured` and its relatives return it.

    Not an array: `response` says how y depends on it, once in a model.

    Args:
        name: of the input.
        num_rows: n.
        pieces: the rows by kind, each row in one of them.
        chunk: see `Quadrature`.
    """

    def __init__(self, name: str, num_rows: int, pieces: Sequence[Piece], chunk: int | None):
        self.name, self.num_rows, self.pieces = name, num_rows, pieces
        self.num_nodes = len(pieces[0].rule[0])
        self.chunk = self.num_nodes if chunk is None else min(chunk, self.num_nodes)
        self.used = False
        nodes, weights = (self._by_row([p.rule[i] for p in pieces]) for i in (0, 1))
        self.nodes, self.widths = nodes, weights
        # Weights partition the range of u into cells, each around its node.
        starts = self._by_row([_start(p) + np.cumsum(p.rule[1]) - p.rule[1] for p in pieces])
        self.starts = starts
        self.x, log_density = self.locate(nodes)
        joint = log_density + jnp.log(weights)
        self.log_evidence = jax.nn.logsumexp(joint, axis=0)
        self.log_weights = joint - self.log_evidence

    def locate(self, u: Float[Array, "q n"]) -> tuple[Array, Array]:
        """x and log p(x, what is known of x) dx/du."""
        if len(self.pieces) == 1:
            return self.pieces[0].locate(u)
        x, log_density = jnp.zeros_like(u), jnp.zeros_like(u)
        for piece in self.pieces:
            place, density = piece.locate(u[:, piece.rows])
            x = x.at[:, piece.rows].set(place)
            log_density = log_density.at[:, piece.rows].set(density)
        return x, log_density

    def cells(self, log_likelihood: Float[Array, "q n"]) -> tuple[Array, Array]:
        """Log probability of each cell given y, and the distribution function over cells."""
        log_mass = jax.nn.log_softmax(self.log_weights + log_likelihood, axis=0)
        return log_mass, jnp.cumsum(jnp.exp(log_mass), axis=0)

    def in_cells(self, key: Array, cells: tuple[Array, Array]) -> tuple[Array, Array]:
        """Draw a cell of each row by its probability, and u uniform in it: u and log q(u)."""
        log_mass, cumulative = cells
        uniform = jax.random.uniform(key, (2, 1, self.num_rows), cumulative.dtype)
        # One uniform number and a count per row: much cheaper than a draw of all categories.
        cell = (cumulative < uniform[0] * cumulative[-1]).sum(axis=0, keepdims=True)
        start, width, mass = (
            jnp.take_along_axis(a, cell, axis=0) for a in (self.starts, self.widths, log_mass)
        )
        return start + width * uniform[1], mass - jnp.log(width)

    def over_nodes(self, function: Callable[[Array], Array]) -> Float[Array, "q n"]:
        """function(x), shape (q, n), at all nodes, not more than `chunk` of them at once."""
        if self.chunk == self.num_nodes:
            return function(self.x)
        return jax.lax.map(lambda x: function(x[None])[0], self.x, batch_size=self.chunk)

    def log_mean_exp(self, function: Callable[[Array], Array]) -> Float[Array, " n"]:
        """log int exp(function(x)) p(x | what is known of x) dx, for each row."""
        if self.chunk == self.num_nodes:
            return jax.nn.logsumexp(self.log_weights + function(self.x), axis=0)
        # Each chunk is evaluated again for the gradient: memory for one chunk, not for all.
        chunks = -(-self.num_nodes // self.chunk)
        missing = chunks * self.chunk - self.num_nodes
        x = jnp.pad(self.x, ((0, missing), (0, 0)), mode="edge")
        log_weights = jnp.pad(self.log_weights, ((0, missing), (0, 0)), constant_values=-jnp.inf)

        @jax.checkpoint
        def add(total: Array, chunk: tuple[Array, Array]) -> tuple[Array, None]:
            part = jax.nn.logsumexp(chunk[1] + function(chunk[0]), axis=0)
            return jnp.logaddexp(total, part), None

        split = tuple(a.reshape(chunks, self.chunk, self.num_rows) for a in (x, log_weights))
        start = jax.nn.logsumexp(split[1][0] + function(split[0][0]), axis=0)
        rest: Any = tuple(a[1:] for a in split)
        return jax.lax.scan(add, start, rest)[0]

    def _by_row(self, values: Sequence[np.ndarray]) -> Float[Array, "q n"]:
        table = np.empty((self.num_nodes, self.num_rows))
        for piece, column in zip(self.pieces, values, strict=True):
            table[:, piece.rows] = column[:, None]
        return jnp.asarray(table, jnp.result_type(float))


def _start(piece: Piece) -> float:
    """Left end of the first cell: 0 for Gauss-Legendre nodes, half a step early for even ones."""
    nodes, weights = piece.rule
    middle = (nodes[0] + nodes[-1]) / 2.0
    return float(middle - weights.sum() / 2.0)
