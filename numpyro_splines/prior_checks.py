"""What a prior says before data: draws of f, their size and wiggliness, degrees of freedom."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, ArrayLike
from numpyro.infer import Predictive

from numpyro_splines.effects import SplineEffect, TensorEffect
from numpyro_splines.priors.gaussian import GaussianSmooth
from numpyro_splines.priors.sections import component_of
from numpyro_splines.validation import float64_array, integer_at_least, positive_number


class PriorCheck(NamedTuple):
    """Draws of a curve from its prior, and what they look like.

    Attributes:
        grid: points over the domain, shape (g,).
        curves: f on the grid, shape (draws, g).
        rms: root mean square of each curve over the measure, in the units of f, shape (draws,).
        turning_points: how often each curve changes between rising and falling inside the domain,
            shape (draws,).
        sites: draws of the sites of the prior, by name, with a leading axis of shape (draws,).

    Example:
        >>> grid, curves = np.linspace(0.0, 1.0, 3), np.array([[0.0, 1.0, 0.0]])
        >>> check = PriorCheck(grid, curves, rms=np.array([0.6]), turning_points=[1], sites={})
        >>> print(check.curves.max())
        1.0
    """

    grid: np.ndarray
    curves: np.ndarray
    rms: np.ndarray
    turning_points: np.ndarray
    sites: dict[str, np.ndarray]


def check_prior(
    effect: SplineEffect,
    key: Array,
    *,
    num_draws: int = 500,
    num_points: int = 401,
    measure: Any = None,
) -> PriorCheck:
    """Draw curves from the prior of an effect and describe them.

    Args:
        effect: the effect, with any prior.
        key: random key.
        num_draws: how many curves.
        num_points: of the even grid over the domain, at least 3; turning points closer than its
            gaps are not seen.
        measure: what the root mean square is over, as in `SplineEffect`: give the effect's own to
            compare it with the scale of the prior. Uniform on the domain if omitted.

    Returns:
        The draws and what they look like.

    Raises:
        TypeError: if the effect is of several inputs.
        ValueError: if a number is too small.

    Example:
        >>> import jax, numpyro_splines as ns
        >>> f = ns.SplineEffect("f", ns.BSplineBasis(ns.knots.uniform(0.0, 1.0, 10)))
        >>> check = check_prior(f, jax.random.key(0), num_draws=200)
        >>> check.curves.shape, bool(0.5 < np.median(check.rms) < 2.5)
        ((200, 401), True)

    References:
        Gabry et al., Visualization in Bayesian workflow (2019), section 3.
    """
    if not isinstance(effect, SplineEffect):
        raise TypeError(
            f"`effect` must be a SplineEffect; got {type(effect).__name__}. component_sizes(...) "
            "tells the sizes of effects of several inputs."
        )
    if not (isinstance(key, jax.Array | np.ndarray) and _is_key(key.dtype)):
        raise TypeError(f"`key` must be made by jax.random.key; got {type(key).__name__}.")
    num_draws = integer_at_least(num_draws, 1, "num_draws")
    grid = np.linspace(*effect.basis.domain, integer_at_least(num_points, 3, "num_points"))
    draws = jax.jit(Predictive(effect.sample, num_samples=num_draws))(key)
    curve = effect.curve(draws)
    slope = np.sign(np.asarray(curve.derivative()(grid)))
    # A flat stretch keeps the direction before it.
    last = np.maximum.accumulate(np.where(slope != 0, np.arange(slope.shape[1]), 0), axis=1)
    direction = np.take_along_axis(slope, last, axis=1)
    turns = np.sum(direction[:, 1:] * direction[:, :-1] < 0, axis=1)
    mu = effect.basis.measure(measure)
    squares = np.asarray(curve(mu.points), dtype=np.float64) ** 2
    sites = {name: np.asarray(value) for name, value in draws.items()}
    return PriorCheck(grid, np.asarray(curve(grid)), np.sqrt(squares @ mu.weights), turns, sites)


def degrees_of_freedom(
    effect: SplineEffect,
    scale: ArrayLike,
    *,
    sigma: ArrayLike,
    num_observations: float,
    linear_scale: ArrayLike | None = None,
) -> np.ndarray:
    r"""Effective degrees of freedom of a smooth given its scale, before data.

        sum_m n tau^2 sd_m^2 / (n tau^2 sd_m^2 + sigma^2)

    plus the same for the unpenalized functions with their own prior: the trace of the smoother
    matrix for n Gaussian observations of f with noise sigma, whose x have the distribution of the
    effect's measure. For other responses sigma^2 is the variance of the working response, such as
    1 / mean for counts, 1 / (p (1 - p)) for binary data.

    Args:
        effect: an effect with a smoothness prior.
        scale: tau, any shape, positive, in the units of f.
        sigma: noise standard deviation, in the units of f; broadcast against `scale`.
        num_observations: n.
        linear_scale: standard deviation of the unpenalized functions, broadcast against `scale`;
            that of their prior if omitted.

    Returns:
        The common shape of `scale` and `sigma`.

    Raises:
        TypeError: if the prior of the effect is no smoothness prior.
        ValueError: if a number is not positive.

    Example:
        >>> import numpyro_splines as ns
        >>> f = ns.SplineEffect("f", ns.BSplineBasis(ns.knots.uniform(0.0, 1.0, 20)))
        >>> degrees_of_freedom(f, [0.01, 0.1, 1.0], sigma=0.5, num_observations=200).round(1)
        array([1.1, 2.7, 8.3])

    References:
        Wood, Generalized Additive Models (2017), section 5.4.2.
    """
    smooth = gaussian_smooth(effect)
    tau, noise = _positive(scale, "scale"), _positive(sigma, "sigma")
    n = float(positive_number(num_observations, "num_observations"))
    spread = None if linear_scale is None else _positive(linear_scale, "linear_scale")
    return smooth.degrees_of_freedom(tau, noise, n, spread)


def _is_key(dtype: Any) -> bool:
    """A key, or the numbers of one as older code has them."""
    return jnp.issubdtype(dtype, jax.dtypes.prng_key) or dtype == np.uint32


def component_sizes(
    effect: TensorEffect, key: Array, *, num_draws: int = 500
) -> dict[str, np.ndarray]:
    """Prior draws of the size of each component: its root mean square over the measures.

    The functions of the margins are orthonormal, so this is the norm of the coefficients.

    Args:
        effect: an effect of several inputs, with proper priors.
        key: random key.
        num_draws: number of draws.

    Returns:
        By component, and "linear", shape (draws,), in the units of f.

    Example:
        >>> import jax, numpyro_splines as ns
        >>> margin = ns.CurveMargin(ns.BSplineBasis(ns.knots.uniform(0.0, 1.0, 4)))
        >>> f = ns.TensorEffect("f", x=margin, z=margin)
        >>> sizes = component_sizes(f, jax.random.key(0), num_draws=200)
        >>> sorted(sizes), bool(np.median(sizes["x:z"]) < np.median(sizes["x"]))
        (['linear', 'x', 'x:z', 'z'], True)
    """
    num_draws = integer_at_least(num_draws, 1, "num_draws")
    draws = jax.jit(Predictive(effect.sample, num_samples=num_draws))(key)
    return {
        component_of(block.site): np.linalg.norm(
            np.asarray(draws[effect.site(block.site)], np.float64) * block.sizes, axis=-1
        )
        for block in effect.smooth.blocks
    }


def component_degrees_of_freedom(
    effect: TensorEffect,
    values: Mapping[str, ArrayLike],
    *,
    sigma: ArrayLike,
    num_observations: float,
) -> dict[str, np.ndarray]:
    r"""Effective degrees of freedom of each component given the scales, before data.

        sum_m n v_m / (n v_m + sigma^2)

    over the coefficients of the component, with prior variances v_m: as `degrees_of_freedom`, for
    inputs that are independent of each other, each with the distribution of its measure. Where they
    are not, or levels have different numbers of observations, components share some of the data,
    and `penalized_fit` tells the degrees of freedom of a fit.

    Args:
        effect: an effect of several inputs.
        values: scales and anisotropies by short name, "x.scale" or "x:z.anisotropy", with common
            leading axes; those that are left out are at the typical size of their prior.
        sigma: noise standard deviation, in the units of f; broadcast against the scales.
        num_observations: n.

    Returns:
        By component, and "linear", the common shape of scales and `sigma`.

    Raises:
        ValueError: if a number is not positive, or a value is of no such site.

    Example:
        >>> import numpyro_splines as ns
        >>> margin = ns.CurveMargin(ns.BSplineBasis(ns.knots.uniform(0.0, 1.0, 4)))
        >>> f = ns.TensorEffect("f", x=margin, z=margin)
        >>> scales = {"x.scale": 1.0, "z.scale": 0.1, "x:z.scale": 0.1}
        >>> found = component_degrees_of_freedom(f, scales, sigma=0.5, num_observations=200)
        >>> {name: float(value.round(1)) for name, value in found.items()}
        {'x': 3.7, 'z': 1.5, 'x:z': 3.4, 'linear': 3.0}
    """
    smooth = effect.smooth
    known = smooth.typical()
    if unknown := [name for name in values if name not in known]:
        raise ValueError(f"`values` must be of the sites {list(known)}; got {unknown}.")
    noise = _positive(sigma, "sigma") ** 2 / float(
        positive_number(num_observations, "num_observations")
    )
    for name, value in values.items():
        scale = name in smooth.scale_priors
        known[name] = _positive(value, name) if scale else float64_array(value, name)
    result = {}
    for block in smooth.blocks:
        spread = np.asarray(smooth.spread_known(block, known))
        signal = ((spread[..., None] if block.common else spread) * block.sizes) ** 2
        with np.errstate(invalid="ignore"):
            share = np.where(np.isinf(signal), 1.0, signal / (signal + noise[..., None]))
        result[component_of(block.site)] = share.sum(axis=-1)
    return result


def gaussian_smooth(effect: SplineEffect) -> GaussianSmooth:
    """What an effect samples, where its scale sets its degrees of freedom.

    Args:
        effect: the effect.

    Returns:
        Its smooth.

    Raises:
        TypeError: if its prior is not Gaussian given the scale.

    Example:
        >>> import numpyro_splines as ns
        >>> f = ns.SplineEffect("f", ns.BSplineBasis([0.0, 1.0]))
        >>> gaussian_smooth(f).num_modes
        2
    """
    smooth = getattr(effect, "smooth", effect)
    if not isinstance(smooth, GaussianSmooth):
        prior = getattr(effect, "prior", effect)
        raise TypeError(
            f"`effect` must have a smoothness prior, whose scale sets the degrees of freedom; got "
            f"{type(prior).__name__}."
        )
    return smooth


def _positive(value: ArrayLike, name: str) -> np.ndarray:
    array = float64_array(value, name)
    if not np.all(array > 0.0):
        raise ValueError(f"`{name}` must be positive; got {array.min()}.")
    return array
