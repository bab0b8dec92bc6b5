"""Directions: the unknown weights of a single index f(x'a)."""

from __future__ import annotations

import jax.numpy as jnp
import numpyro
import numpyro.distributions as dist
from jaxtyping import Array, Float

from numpyro_splines.validation import integer_at_least


def direction(name: str, size: int, *, reference: int = 0) -> Float[Array, "..."]:
    r"""A unit vector a, uniform on the half of the sphere where a[reference] > 0.

    a = (v_1, ..., 1, ..., v_{p-1}) / sqrt(1 + |v|^2), the 1 at the reference, with v of the
    multivariate Cauchy distribution, p(v) proportional to (1 + |v|^2)^(-p/2): the ratios of
    independent Normal(0, 1) to another one, so a has the uniform distribution of all directions up
    to their sign. In a single index f(x'a) the length of a is a matter of the argument of f, and
    its sign one of left and right: neither is known from y. There is no length here that a sampler
    would have to carry along.

    Choose as reference a component that is certainly not zero: where it may be, a and -a, which
    mean nearly the same, lie at opposite ends of the half sphere, and chains may settle at
    either. |x'a| <= |x|, so knots from -r to r with r = max_i |x_i| cover every index.

    Sites: `<name>.ratios` (v) and the deterministic `<name>`. Inside plates it draws one direction
    for each of their members.

    Args:
        name: prefix of the sites.
        size: number of components, at least 2.
        reference: position of the component that is positive.

    Returns:
        Shape (*plates, size).

    Raises:
        TypeError: if a number is not an integer.
        ValueError: if `size` is less than 2, or `reference` is no position.

    Example:
        >>> import numpyro
        >>> with numpyro.handlers.seed(rng_seed=0):
        ...     a = direction("a", 3)
        >>> print((a**2).sum().round(5), bool(a[0] > 0.0))
        1.0 True

    References:
        Antoniadis et al., Bayesian estimation in single-index models (2004), for the half sphere;
        Kotz and Nadarajah, Multivariate t Distributions and Their Applications (2004), section 1.
    """
    size = integer_at_least(size, 2, "size")
    reference = integer_at_least(reference, 0, "reference")
    if reference >= size:
        raise ValueError(f"`reference` must be less than `size`, {size}; got {reference}.")
    cauchy = dist.MultivariateStudentT(1.0, jnp.zeros(size - 1), jnp.eye(size - 1))
    v = jnp.asarray(numpyro.sample(f"{name}.ratios", cauchy))
    one = jnp.ones((*v.shape[:-1], 1), v.dtype)
    a = jnp.concatenate([v[..., :reference], one, v[..., reference:]], axis=-1)
    # The reference is one, so the length is never zero.
    unit = a / jnp.linalg.norm(a, axis=-1, keepdims=True)
    return jnp.asarray(numpyro.deterministic(name, unit))
