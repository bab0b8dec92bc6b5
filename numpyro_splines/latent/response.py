"""Responses with their latent inputs integrated out, and draws of the inputs afterwards."""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import numpyro
import numpyro.distributions as dist
from jaxtyping import Array, Float

from numpyro_splines.latent.measurements import row_list
from numpyro_splines.latent.quadrature import IntegratedInput
from numpyro_splines.latent.stacking import AbstractWithFunction
from numpyro_splines.validation import is_traced

# Steps of independence Metropolis that turn a draw from cells into one from the density; with the
# ratio of density and cells bounded by M, what is left of the cells is (1 - 1/M)^steps.
_STEPS = 16

# More probability than this in one cell means that p(y | x) is narrower than the spacing.
_UNRESOLVED = 0.6


class IntegratedResponse(AbstractWithFunction):
    """p(y_i | what is known of x_i) = int p(y_i | x_i) p(x_i | what is known of x_i) dx_i.

    What `integrate` of an input returns. Its draws are of x, then of y given x.

    Args:
        inputs: the latent input.
        function: x, shape (q, n) -> a distribution with batch shape (q, n); or x, shape (q, m), and
            `rows`, shape (m,) -> one with batch shape (q, m).

    Raises:
        ValueError: if the function returns no distribution of that shape.

    Example:
        >>> import numpyro.distributions as dist, numpyro_splines as ns
        >>> data = ns.latent.Berkson([1.0, 2.0], 0.5)
        >>> y_given = data.integrate("x", response=lambda x: dist.Normal(3.0 * x, 1.0))
        >>> print(y_given.log_prob(jnp.array([4.0, 5.0])).round(3))
        [-1.662 -1.662]
        >>> print(dist.Normal(3.0, 3.25**0.5).log_prob(4.0).round(3))  # Normal(3 w, 1 + 9 / 4)
        -1.662
    """

    function_fields = ("inputs", "function", "own_support", "by_rows")

    def __init__(self, inputs: IntegratedInput, function: Callable[..., dist.Distribution]):
        self.inputs, self.function = inputs, function
        self.by_rows = "rows" in inspect.signature(function).parameters
        one: Any = self._given(inputs.at_nodes(np.zeros(1, int))[0])
        if not isinstance(one, dist.Distribution) or one.batch_shape != (1, inputs.num_rows):
            raise ValueError(
                "`response` must turn x of shape (nodes, n) into a distribution with batch shape "
                f"(nodes, n), here (1, {inputs.num_rows}); got "
                f"{getattr(one, 'batch_shape', one)!r}. Several responses of a row make one "
                "distribution with .to_event."
            )
        self.own_support = one.support
        super().__init__((inputs.num_rows,), one.event_shape)

    def _given(self, x: Array) -> dist.Distribution:
        """y of all rows given x, shape (q, n)."""
        return self.function(x, rows=np.arange(x.shape[-1])) if self.by_rows else self.function(x)

    def _log_integrals(self, value: Array) -> tuple[Array, Array]:
        """Of the density without y, and with y, shape (n,)."""
        if not self.by_rows:
            return self.inputs.log_integrals(lambda x: jnp.asarray(self._given(x).log_prob(value)))
        both = jnp.zeros((2, self.inputs.num_rows), jnp.result_type(float))
        for rows, part in self.inputs.parts():

            def log_likelihood(x: Array, rows: np.ndarray = rows) -> Array:
                return jnp.asarray(self.function(x, rows=rows).log_prob(value[rows]))

            both = both.at[:, rows].set(jnp.stack(part.log_integrals(log_likelihood)))
        return both[0], both[1]

    @dist.constraints.dependent_property  # pyright: ignore
    def support(self) -> Any:  # pyright: ignore[reportIncompatibleMethodOverride]
        """That of y given x."""
        return self.own_support

    def log_prob(self, value: Any, intermediates: Any = None) -> Array:  # pyright: ignore
        """Log density of each row, shape (..., n)."""
        del intermediates
        value = jnp.asarray(value)
        event = self.event_dim
        if value.ndim == event + 1:
            before, after = self._log_integrals(value)
            self._check_resolved(value, after)
            return after - before
        flat = value.reshape(-1, *value.shape[value.ndim - event - 1 :])
        rows = jax.lax.map(self.log_prob, flat)
        return rows.reshape(*value.shape[: value.ndim - event])

    def _check_resolved(self, value: Array, result: Array) -> None:
        """Warn if y given x is narrower than the spacing of the nodes, where all is concrete."""
        if self.inputs.exact or is_traced(result) or is_traced(value):
            return
        x, log_mass = self.inputs.at_nodes(np.arange(self.inputs.num_nodes))
        joint = log_mass + jnp.asarray(self._given(x).log_prob(value))
        largest = np.asarray(jnp.exp(joint.max(axis=0) - result))
        _warn_unresolved(self.inputs.name, largest[None])

    def sample(self, key: Array, sample_shape: tuple[int, ...] = ()) -> Array:  # pyright: ignore
        """x from its distribution given what is known of it, then y."""

        def one(key: Array) -> Array:
            input_key, key = jax.random.split(key)
            x, _ = self.draw_inputs(input_key, None)
            return jnp.asarray(self._given(x[None]).sample(key))[0]

        total = int(np.prod(sample_shape))
        draws = jax.lax.map(one, jax.random.split(key, total))
        return draws.reshape(*sample_shape, *draws.shape[1:])

    def draw_inputs(self, key: Array, value: Any) -> tuple[Array, Array]:
        """Draw x given y and what is known of it.

        Args:
            key: random key.
            value: y, shape (n,) and the event shape; None where it was not observed, for x given
                what is known of it alone.

        Returns:
            x in its units, and the largest probability of one cell, both of shape (n,).
        """

        def log_likelihood(x: Array) -> Array:
            if value is None:
                return jnp.zeros(x.shape)
            return jnp.asarray(self._given(x).log_prob(jnp.asarray(value)))

        return self._draw(key, log_likelihood)

    def _draw(self, key: Array, log_likelihood: Callable[[Array], Array]) -> tuple[Array, Array]:
        """Independence Metropolis, proposals from the cells."""
        inputs = self.inputs
        cells = inputs.cells(log_likelihood)

        def propose(key: Array) -> tuple[Array, Array]:
            u, log_proposal = inputs.in_cells(key, cells)
            x, log_density = inputs.locate(u)
            return x, log_density + log_likelihood(x) - log_proposal

        def step(state: tuple[Array, Array], key: Array) -> tuple[tuple[Array, Array], None]:
            key, accept_key = jax.random.split(key)
            (x, ratio), (new_x, new_ratio) = state, propose(key)
            threshold = jnp.log(jax.random.uniform(accept_key, ratio.shape, ratio.dtype))
            accepted = threshold < new_ratio - ratio
            return (jnp.where(accepted, new_x, x), jnp.where(accepted, new_ratio, ratio)), None

        key, first = jax.random.split(key)
        (x, _), _ = jax.lax.scan(step, propose(first), jax.random.split(key, _STEPS))
        largest = jnp.exp(cells[0].max(axis=0))
        return x[0], jnp.zeros_like(largest) if inputs.exact else largest


def draw_inputs(
    key: Array, model: Callable[..., Any], draws: Mapping[str, Any], *args: Any, **kwargs: Any
) -> dict[str, Any]:
    """Exact posterior draws of inputs that were integrated out, given draws of all the rest.

    For each draw, x_i follows p(x_i | y_i, what is known of x_i, the rest); where the model was
    given no responses, as for new rows, p(x_i | what is known of x_i, the rest).

    Args:
        key: random key.
        model: the model that was sampled, with its observations or with those of new rows.
        draws: arrays by site name with leading axes (chain, draw, ...), as
            `mcmc.get_samples(group_by_chain=True)` gives them.
        *args: of the model.
        **kwargs: of the model.

    Returns:
        `draws` and the inputs by name, shape (..., n): what sampling them would have given. They
        are no sites of the model, so `Predictive` on it draws new ones given
        their measurements alone; for replicates of y evaluate the curve at these.

    Raises:
        KeyError: if draws of a site are missing.
        ValueError: if the model integrates out no input, or masks the response of one.

    Warns:
        UserWarning: where p(y_i | x_i) is so narrow that the nodes of a row do not resolve it.

    Example:
        >>> import numpyro, numpyro.distributions as dist, numpyro_splines as ns
        >>> data = ns.latent.Berkson([1.0, 2.0], 0.5)
        >>> def model():
        ...     slope = numpyro.sample("slope", dist.Normal(3.0, 1.0))
        ...     y_given = data.integrate("x", response=lambda x: dist.Normal(slope * x, 1.0))
        ...     numpyro.sample("y", y_given, obs=jnp.array([4.0, 5.0]))
        >>> draws = draw_inputs(jax.random.key(0), model, {"slope": jnp.full((4, 25), 3.0)})
        >>> draws["x"].shape
        (4, 25, 2)
    """
    seeded = numpyro.handlers.seed(model, rng_seed=0)
    latent = _latent_ranks(seeded, args, kwargs)
    if missing := [name for name in latent if name not in draws]:
        raise KeyError(f"`draws` must hold {list(latent)}; {missing} are missing.")
    name, rank = next(iter(latent.items()))
    lead = jnp.shape(draws[name])[: jnp.ndim(draws[name]) - rank]
    values = {name: jnp.asarray(draws[name]) for name in latent}

    def one(pair: tuple[Array, dict[str, Array]]) -> dict[str, tuple[Array, Array]]:
        substituted = numpyro.handlers.substitute(seeded, data=pair[1])
        own = _responses(numpyro.handlers.trace(substituted).get_trace(*args, **kwargs))
        keys = jax.random.split(pair[0], len(own))
        return {
            fn.inputs.name: fn.draw_inputs(key, value)
            for key, (fn, value) in zip(keys, own, strict=True)
        }

    flat = {name: value.reshape(-1, *value.shape[len(lead) :]) for name, value in values.items()}
    keys = jax.random.split(key, int(np.prod(lead)))
    result = jax.jit(lambda pairs: jax.lax.map(one, pairs))((keys, flat))
    for name, (_, largest) in result.items():
        _warn_unresolved(name, np.asarray(largest))
    inputs = {name: x.reshape(*lead, *x.shape[1:]) for name, (x, _) in result.items()}
    return {**draws, **inputs}


def _latent_ranks(model: Callable[..., Any], args: Any, kwargs: Any) -> dict[str, int]:
    """Numbers of dimensions of the model's latent sites, by name."""
    ranks: dict[str, int] = {}
    found = []

    # Only shapes are wanted: nothing is computed, and nothing compiled, under eval_shape.
    def shapes() -> None:
        trace = numpyro.handlers.trace(model).get_trace(*args, **kwargs)
        found.extend(_responses(trace))
        for name, site in trace.items():
            if site["type"] != "sample" or site["is_observed"] or _integrated(site["fn"]):
                continue
            ranks[name] = jnp.ndim(site["value"])

    jax.eval_shape(shapes)
    if not found:
        raise ValueError(
            "`model` must have an input that is integrated out, by its method `integrate`; got "
            "none."
        )
    if not ranks:
        raise ValueError("`model` must have a latent site besides its inputs; got none.")
    return ranks


def _responses(trace: Mapping[str, Any]) -> list[tuple[IntegratedResponse, Any]]:
    """Distributions of responses, and their values where they were observed."""
    found = []
    for name, site in trace.items():
        if site["type"] != "sample" or (inner := _integrated(site["fn"])) is None:
            continue
        outer = site["fn"]
        if not isinstance(outer, IntegratedResponse | dist.Independent):
            raise ValueError(
                f"`draw_inputs` cannot see through the {type(outer).__name__} at site `{name}`. "
                "Put masks inside `response`."
            )
        found.append((inner, site["value"] if site["is_observed"] else None))
    return found


def _integrated(law: Any) -> IntegratedResponse | None:
    """The response in a distribution that holds one, through masks and other wrappers."""
    while not isinstance(law, IntegratedResponse) and hasattr(law, "base_dist"):
        law = law.base_dist
    return law if isinstance(law, IntegratedResponse) else None


def _warn_unresolved(name: str, largest: Float[np.ndarray, "draws n"]) -> None:
    rows = np.flatnonzero((largest > _UNRESOLVED).mean(axis=0) > 0.05)
    if rows.size:
        warnings.warn(
            f"The quadrature of `{name}` is too coarse for {rows.size} rows ({row_list(rows)}): "
            "their responses tell x more sharply than the spacing of the nodes. Increase "
            "`num_nodes` of numpyro_splines.latent.Quadrature.",
            UserWarning,
            stacklevel=3,
        )
