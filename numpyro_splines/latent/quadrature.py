r"""Latent inputs integrated out: p(y_i | w_i) = int p(y_i | x_i) p(x_i | w_i) dx_i, row by row.

Each row has its own nodes, in its own coordinate u (see `coordinates`): even ones around where the
measurement puts x for inputs on the line (the trapezoidal rule, whose error for a smooth integrand
falls faster than any power of the spacing h: as exp(-2 pi^2 s^2 / h^2) for a normal one of standard
deviation s), Gauss-Legendre ones for inputs in an interval.

Reference: Trefethen and Weideman, The exponentially convergent trapezoidal rule (2014), section 5.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from numpyro_splines.validation import integer_at_least, is_traced, positive_number

Locate = Callable[[Array], tuple[Array, Array]]
LogDensity = Callable[[Array], Array]


@dataclass(frozen=True)
class Quadrature:
    """How inputs are integrated out; an argument of their `integrate`.

    Args:
        num_nodes: per row. The rule resolves p(y_i | x_i) and the density of the population as
            functions of x_i where they are wider than the spacing: by default a quarter of the
            uncertainty of x_i given its measurement and a normal population of the same mean and
            variance, or 1/40 of the interval of a coarse one. Making the input warns where a
            population of concrete parameters is not resolved, and `draw_inputs` where a response
            is not, as does the density of a response of which all is concrete.
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
        """Nodes and weights of the trapezoidal rule on [-half_width, half_width], shape (q,)."""
        nodes = np.linspace(-self.half_width, self.half_width, self.num_nodes)
        return nodes, np.full(self.num_nodes, nodes[1] - nodes[0])

    def legendre(self) -> tuple[np.ndarray, np.ndarray]:
        """Nodes and weights of the Gauss-Legendre rule on [0, 1], shape (q,)."""
        nodes, weights = np.polynomial.legendre.leggauss(self.num_nodes)
        return (nodes + 1.0) / 2.0, weights / 2.0


def checked_quadrature(quadrature: Any) -> Quadrature:
    """The rule, or the default one for None; anything else is refused."""
    if quadrature is None:
        return Quadrature()
    if not isinstance(quadrature, Quadrature):
        raise TypeError(
            "`quadrature` must be numpyro_splines.latent.Quadrature(...), or None for the default "
            f"one; got {quadrature!r}."
        )
    return quadrature


class Piece(NamedTuple):
    """The rows of one kind.

    Attributes:
        rows: indices, shape (m,).
        locate: u, shape (q, m) -> x and log p(x, what is known of x) dx/du, both of that shape.
        rule: nodes and weights in u, which sum to the length of its range.
        exact: whether the integral over the nodes has no error.
        known: whether x is the same at every node.
    """

    rows: np.ndarray
    locate: Locate
    rule: tuple[np.ndarray, np.ndarray]
    exact: bool = False
    known: bool = False


def known_piece(rows: np.ndarray, x: Array, quadrature: Quadrature) -> Piece:
    """Rows that are known: the same x at every node."""

    def locate(u: Array) -> tuple[Array, Array]:
        return jnp.broadcast_to(x, u.shape), jnp.zeros_like(u)

    return Piece(rows, locate, quadrature.legendre(), known=True)


def affine_piece(
    rows: np.ndarray,
    start: Any,
    length: Any,
    log_density: LogDensity,
    rule: tuple[np.ndarray, np.ndarray],
) -> Piece:
    """Rows with x = start + length u.

    Args:
        rows: indices.
        start: where u = 0 lies, one per row.
        length: of a step of one in u, one per row.
        log_density: x, shape (q, m) -> log p(x, what is known of x).
        rule: `Quadrature.even()` for x on the line, around its center in units of its spread;
            `Quadrature.legendre()` for x in an interval, at whose ends its density need not vanish.
    """

    def locate(u: Array) -> tuple[Array, Array]:
        x = start + length * u
        return x, log_density(x) + jnp.log(length)

    return Piece(rows, locate, rule)


def is_end(end: Any) -> bool:
    """Whether an end of a support, or ends of the rows, are more than infinity."""
    return is_traced(end) or bool(np.all(np.isfinite(end)))


class IntegratedInput:
    """A latent input to be integrated out.

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
        self._kind = np.zeros(num_rows, int)
        for kind, piece in enumerate(pieces):
            self._kind[piece.rows] = kind
        # By node and kind of row. Weights partition the range of u into cells, one for each node.
        self._nodes, self._widths = (np.stack([p.rule[i] for p in pieces], -1) for i in (0, 1))
        starts = (self._nodes[0] + self._nodes[-1] - self._widths.sum(axis=0)) / 2.0
        self._starts = starts + np.cumsum(self._widths, axis=0) - self._widths

    @property
    def exact(self) -> bool:
        """Whether integrals over the nodes have no error."""
        return all(piece.exact for piece in self.pieces)

    def parts(self) -> list[tuple[np.ndarray, IntegratedInput]]:
        """Rows that are known, for which one node is enough, and the others, as inputs themselves.

        Returns:
            Pairs of indices, increasing, and the input of these rows alone.
        """
        known = [p._replace(rule=(np.array([0.5]), np.ones(1))) for p in self.pieces if p.known]
        parts = []
        for pieces in (known, [p for p in self.pieces if not p.known]):
            if pieces:
                rows = np.sort(np.concatenate([piece.rows for piece in pieces]))
                own = [p._replace(rows=np.searchsorted(rows, p.rows)) for p in pieces]
                parts.append((rows, IntegratedInput(self.name, rows.size, own, self.chunk)))
        return parts

    def locate(self, u: Float[Array, "q n"]) -> tuple[Array, Array]:
        """x and log p(x, what is known of x) dx/du.

        Args:
            u: coordinates of each row, shape (q, n).

        Returns:
            Both of shape (q, n), x in its own units.
        """
        if len(self.pieces) == 1:
            return self.pieces[0].locate(u)
        x, log_density = jnp.zeros_like(u), jnp.zeros_like(u)
        for piece in self.pieces:
            place, density = piece.locate(u[:, piece.rows])
            x = x.at[:, piece.rows].set(place)
            log_density = log_density.at[:, piece.rows].set(density)
        return x, log_density

    def at_nodes(self, nodes: Any) -> tuple[Array, Array]:
        """x and the log mass of its cell before y, at some nodes.

        Args:
            nodes: their numbers, integers of shape (q,).

        Returns:
            Both of shape (q, n).
        """
        x, log_density = self.locate(self._by_row(self._nodes, nodes))
        return x, log_density + jnp.log(self._by_row(self._widths, nodes))

    def log_integrals(self, function: Callable[[Array], Array] | None) -> tuple[Array, Array]:
        """log int p(x, known) dx and log int exp(function(x)) p(x, known) dx, for each row.

        Args:
            function: x, shape (q, n), to a log likelihood of that shape; None for zero.

        Returns:
            Both of shape (n,).
        """

        def both(nodes: Any) -> tuple[Array, Array]:
            x, log_mass = self.at_nodes(nodes)
            before = jax.nn.logsumexp(log_mass, axis=0)
            if function is None:
                return before, before
            return before, jax.nn.logsumexp(log_mass + function(x), axis=0)

        numbers = np.arange(self.num_nodes)
        rest = self.num_nodes % self.chunk
        total = both(numbers[: rest or self.chunk])
        chunks = numbers[rest or self.chunk :].reshape(-1, self.chunk)
        if not chunks.size:
            return total

        # Each chunk is evaluated again for the gradient: memory for one chunk, not for all.
        @jax.checkpoint
        def add(total: tuple[Array, Array], nodes: Array) -> tuple[tuple[Array, Array], None]:
            more = both(nodes)
            return (jnp.logaddexp(total[0], more[0]), jnp.logaddexp(total[1], more[1])), None

        return jax.lax.scan(add, total, jnp.asarray(chunks))[0]

    def cells(self, function: Callable[[Array], Array]) -> tuple[Array, Array]:
        """Log probability of each cell given y, and the distribution function over cells.

        Args:
            function: x, shape (q, n), to a log likelihood of that shape.

        Returns:
            Both of shape (number of nodes, n).
        """

        def one(node: Array) -> Array:
            x, log_mass = self.at_nodes(node[None])
            return (log_mass + function(x))[0]

        numbers = jnp.arange(self.num_nodes)
        joint = jax.lax.map(one, numbers, batch_size=self.chunk)
        log_mass = jax.nn.log_softmax(joint, axis=0)
        return log_mass, jnp.cumsum(jnp.exp(log_mass), axis=0)

    def in_cells(self, key: Array, cells: tuple[Array, Array]) -> tuple[Array, Array]:
        """Draw a cell of each row by its probability, and u uniform in it.

        Args:
            key: random key.
            cells: what the method `cells` returned, both of shape (number of nodes, n).

        Returns:
            u and its log density, both of shape (1, n).
        """
        log_mass, cumulative = cells
        uniform = jax.random.uniform(key, (2, self.num_rows), cumulative.dtype)
        # One uniform number and a count per row: much cheaper than a draw of all categories.
        cell = (cumulative < uniform[0] * cumulative[-1]).sum(axis=0)
        width, start = (
            jnp.asarray(part, cumulative.dtype)[cell, self._kind]
            for part in (self._widths, self._starts)
        )
        mass = jnp.take_along_axis(log_mass, cell[None], axis=0)[0]
        return (start + width * uniform[1])[None], (mass - jnp.log(width))[None]

    def _by_row(self, table: np.ndarray, nodes: Any) -> Float[Array, "q n"]:
        return jnp.asarray(table, jnp.result_type(float))[nodes][:, self._kind]
