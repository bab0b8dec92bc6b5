"""Where samplers of many inputs start, and with which steps."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import numpyro
from jax.flatten_util import ravel_pytree
from jaxtyping import Array
from numpyro.infer import init_to_median, init_to_value
from numpyro.infer.util import initialize_model

# Sites with more entries that depend on one another keep a step of one: so many derivatives are too
# dear for a start.
_MOST = 500


def warm_start(
    model: Callable[..., Any],
    *args: Any,
    values: Mapping[str, Any] = MappingProxyType({}),
    **kwargs: Any,
) -> dict[str, Any]:
    r"""Where NUTS starts and with which mass matrix: `NUTS(model, **warm_start(model, ...))`.

    Until its first adaptation NUTS takes steps of one size in all directions, a size that the best
    known of them dictates: with hundreds of inputs that is most of the work of a whole run. Here
    the inverse mass of each coordinate z is

        1 / (d^2 U / d z^2)

    at the start, U the negative log density; 1 where that is not positive. The rows of a plate are
    one derivative along all of them, where a second one with other signs agrees that they do not
    depend on one another given the rest.

    Args:
        model: the model.
        *args: of the model.
        values: where sites start, by name: `data.initial_values("x")`, and `fit.initial_values()`
            of a `penalized_fit` to `data.calibrated()`. Medians of their priors for the others.
        **kwargs: of the model.

    Returns:
        `init_strategy` and `inverse_mass_matrix`, arguments of NUTS with a diagonal mass matrix.

    Raises:
        ValueError: if `values` names what is no site of the model, or holds something of another
            shape or outside of a site's support; if the model has no latent site, or a plate of
            which it takes a part of the rows at a time.

    Example:
        >>> import numpyro.distributions as dist
        >>> def model():
        ...     numpyro.sample("a", dist.Normal(0.0, 0.1))
        ...     numpyro.sample("b", dist.Normal(0.0, 10.0).expand([2]).to_event(1))
        >>> start = warm_start(model, values={"a": 0.05})
        >>> print({k: v.round(2).tolist() for k, v in start["inverse_mass_matrix"].items()})
        {('a',): [0.01], ('b',): [100.0, 100.0]}
    """
    found = _values(model, args, kwargs, dict(values))
    # This strategy is the one for which NumPyro compiles no search for a start.
    start = init_to_value(values=found)
    made = initialize_model(
        jax.random.key(0), model, init_strategy=start, model_args=args, model_kwargs=kwargs,
        validate_grad=False,
    )  # fmt: skip
    curvature = _curvature(made.potential_fn, made.param_info.z, made.model_trace)
    inverse = {
        (name,): np.where(value > 0.0, 1.0 / np.where(value > 0.0, value, 1.0), 1.0)
        for name, value in curvature.items()
    }
    return {"init_strategy": start, "inverse_mass_matrix": inverse}


def _values(
    model: Callable[..., Any], args: Any, kwargs: Any, values: dict[str, Any]
) -> dict[str, Array]:
    """Where all latent sites start: medians of their priors where nothing is said."""
    names: list[str] = []

    def start(site: Any) -> Any:
        if site["type"] == "plate":
            _check_whole(site)
        if site["type"] != "sample" or site["is_observed"]:
            return None
        if site["name"] not in values:
            return init_to_median(site)
        return _shaped(site, values[site["name"]])

    @jax.jit
    def compute(key: Array) -> tuple[dict[str, Array], dict[str, Array]]:
        seeded = numpyro.handlers.seed(model, key)
        substituted = numpyro.handlers.substitute(seeded, substitute_fn=start)
        trace = numpyro.handlers.trace(substituted).get_trace(*args, **kwargs)
        names.extend(trace)
        latent = {
            name: site
            for name, site in trace.items()
            if site["type"] == "sample" and not site["is_observed"]
        }
        inside = {
            name: jnp.all(site["fn"].support(site["value"]))
            for name, site in latent.items()
            if name in values
        }
        return {name: jnp.asarray(site["value"]) for name, site in latent.items()}, inside

    found, inside = compute(jax.random.key(0))
    if stray := [name for name in values if name not in names]:
        raise ValueError(f"`values` must name sites of the model, {list(found)}; got {stray}.")
    if not found:
        raise ValueError("`model` must have a latent site; got none.")
    for name, held in inside.items():
        if not held:
            raise ValueError(
                f"`values` must lie in the supports of their sites; got {values[name]} for "
                f"`{name}`."
            )
    return found


def _check_whole(site: Any) -> None:
    """Refuse a plate that takes a part of its rows at a time."""
    size, part = site["args"]
    if part not in (None, size):
        raise ValueError(
            "`model` must take all rows of its plates, since NUTS does; got a plate "
            f"`{site['name']}` that takes {part} of {size}. Leave out its `subsample_size`."
        )


def _shaped(site: Any, value: Any) -> Array:
    """A start of a site, in the precision of the model: a fit may have been made in another one."""
    value = jnp.asarray(value)
    shape = site["kwargs"].get("sample_shape", ()) + site["fn"].shape()
    if value.shape != shape:
        raise ValueError(
            f"`values` must have the shapes of their sites; got shape {value.shape} for "
            f"`{site['name']}`, whose shape is {shape}."
        )
    floating = jnp.issubdtype(value.dtype, jnp.floating)
    return value.astype(jnp.result_type(float)) if floating else value


def _curvature(
    potential: Callable[[Any], Array], z: dict[str, Any], trace: Any
) -> dict[str, np.ndarray]:
    """The diagonal of the Hessian of a potential, flat by site."""
    flat, unravel = ravel_pytree(z)
    gradient = jax.grad(lambda at: potential(unravel(at)))

    @jax.jit
    def along(probes: Array) -> Array:
        def one(probe: Array) -> Array:
            return probe * jax.jvp(gradient, (flat,), (probe,))[1]

        return jax.lax.map(one, probes).sum(axis=0)

    def diagonal(probes: list[np.ndarray]) -> dict[str, np.ndarray]:
        found: Any = unravel(along(jnp.asarray(np.concatenate(probes), flat.dtype)))
        return {name: np.asarray(found[name]).ravel() for name in z}

    together = {name: _probes(name, z, trace[name]) for name in z}
    signs = np.random.default_rng(0).choice([-1.0, 1.0], flat.size)
    found, again = (
        diagonal([probes * sign for probes in together.values()]) for sign in (1.0, signs)
    )
    alone = [
        name
        for name in z
        if not np.allclose(found[name], again[name], rtol=1e-2, atol=1e-3 * np.ptp(found[name]))
    ]
    if alone:
        each = diagonal([_probes(name, z, None) for name in alone])
        found |= {name: each[name] for name in alone}
    return found


def _probes(name: str, z: dict[str, Any], site: Any) -> np.ndarray:
    """Directions that tell the second derivatives of a site: entries of a plate together.

    Without the site each entry has its own.
    """
    shape = np.shape(z[name])
    plated = set() if site is None else {frame.dim for frame in site["cond_indep_stack"]}
    batch = 0 if site is None else len(site["fn"].batch_shape)
    together = [axis for axis in range(batch) if axis - batch in plated]
    each = [1 if axis in together else size for axis, size in enumerate(shape)]
    sizes = {other: np.size(value) for other, value in z.items()}
    num = math.prod(each)
    if num > _MOST:
        return np.zeros((0, sum(sizes.values())))
    index = np.broadcast_to(np.arange(num).reshape(each), shape).ravel()
    blocks = {other: np.zeros((num, size)) for other, size in sizes.items()}
    blocks[name][index, np.arange(sizes[name])] = 1.0
    return np.concatenate([*blocks.values()], axis=1)
