"""Gaussian responses with the coefficients integrated out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
from jaxtyping import Array, ArrayLike

from numpyro_splines.ops.constants import Constant
from numpyro_splines.ops.piecewise import array_module
from numpyro_splines.regression.density import draw_coefficients, log_density
from numpyro_splines.regression.drawing import (
    check_scales,
    draw_linear_predictor,
    draw_sites,
    hyperparameter_draws,
)
from numpyro_splines.regression.predictor import AdditivePredictor, checked_predictor
from numpyro_splines.regression.reduction import Reduction, Statistics, reduce
from numpyro_splines.regression.streams import StreamedResponse, StreamedRows
from numpyro_splines.validation import float64_array, float_input, is_traced


class IntegratedGaussian(eqx.Module):
    """Gaussian regression on an additive predictor with its coefficients integrated out.

    Use it as the distribution of y in an ordinary model; `draw` adds the coefficients afterwards:

        regression = ns.regression.IntegratedGaussian(ns.AdditivePredictor((f, x), intercept=...))

        def model(y=None):
            sigma = numpyro.sample("sigma", dist.HalfNormal(1.0))
            numpyro.sample("y", regression.distribution(sigma), obs=y)

        mcmc.run(key, y)
        draws = mcmc.get_samples(group_by_chain=True)
        draws = regression.draw(key, draws, y, draws["sigma"])
        curve = f.curve(draws)

    `Predictive(model, draws)` on this model draws y from its distribution given the scales: with
    new coefficients from their prior. For replicates of the data at hand, or new data, use the
    drawn coefficients: `curve(x) + draws["intercept"][..., None]` plus noise.

    The statistics of a *known* y (a NumPy or JAX array that is not traced, as NumPyro hands on what
    the model gets) are worked out on the host in float64 while the model is traced, so the compiled
    gradient does not see the data at all and its cost does not depend on n. A traced y (through
    `jit_model_args=True`, or one that is computed from random variables) is handled by the same
    formulas inside the compiled function, at O(n) per evaluation and in its dtype.

    Args:
        predictor: the additive predictor at the n inputs.
        weights: known, positive, shape (n,): the variance of y_i is sigma^2 / weights[i]; None for
            ones. For known variances v_i pass 1 / v_i and use sigma = 1.

    Raises:
        TypeError: if `predictor` is no AdditivePredictor.
        ValueError: if weights are not positive or not n, or flat coefficients are not identified.

    Example:
        >>> import numpy as np, numpyro.distributions as dist, numpyro_splines as ns
        >>> x = np.linspace(0.0, 1.0, 50)
        >>> f = ns.SplineEffect("f", ns.BSplineBasis([0.0, 0.5, 1.0]), measure=x)
        >>> regression = IntegratedGaussian(ns.AdditivePredictor((f, x), intercept=dist.Normal()))
        >>> y_given = regression.distribution(0.1, [1.0])
        >>> print(y_given.event_shape, y_given.log_prob(np.sin(6 * x)))
        (50,) 41.28

    References:
        Wood, Generalized Additive Models (2017), section 6.2; Rasmussen and Williams (2006),
        section 2.7, for flat priors.
    """

    predictor: AdditivePredictor
    weights: np.ndarray | None
    reduction: Reduction

    def __init__(self, predictor: AdditivePredictor, weights: ArrayLike | None = None):
        self.predictor = checked_predictor(predictor)
        self.weights = predictor.rows.observation_weights(weights)
        self.reduction = reduce(
            predictor.rows.weighted_gram(self.weights),
            predictor.location,
            predictor.scale,
            predictor.random_blocks(),
            predictor.num_observations,
            lambda directions: predictor.rows.inner(directions, self.weights),
        )

    @property
    def log_weights(self) -> Any:
        """Sum of the logarithms of the weights."""
        if isinstance(rows := self.predictor.rows, StreamedRows):
            return rows.log_weights
        assert self.weights is not None
        return array_module(self.weights).log(self.weights).sum()

    def distribution(self, sigma: ArrayLike, scales: ArrayLike | None = None) -> MarginalGaussian:
        """Draw the scales of the effects (their usual sites) and return the distribution of y.

        Args:
            sigma: noise standard deviation (at weight one), in the units of y.
            scales: from elsewhere in the model, as in `AdditivePredictor.sample`: one per site of
                `AdditivePredictor.scale_sites`.

        Returns:
            A distribution of event shape (n,), for a site that observes y.
        """
        return MarginalGaussian(self, sigma, self.predictor.sample_deviations(scales))

    def statistics(self, y: Any) -> Statistics:
        """What the likelihood needs of y: one pass over the data.

        On the host in float64 where y is known, in JAX where it is traced.

        Args:
            y: the observations, shape (*batch, n).

        Returns:
            Rotated coordinates and sums of squares, with the batch of y as leading axes.

        Raises:
            TypeError: if y does not hold real numbers, or is a masked array.
            ValueError: if y does not hold n observations, or not finite ones, or is a pandas Series
                of other rows.
        """
        n = self.predictor.num_observations
        self.predictor.rows.check(y)
        if isinstance(y, StreamedResponse):
            return self.reduction.statistics_of_sums(y.sums)
        if isinstance(y, np.ma.MaskedArray):
            raise TypeError(
                "`y` must be an array without a mask: its rows are those of the predictor. Make "
                "the predictor of the inputs x[~mask] and pass y.compressed()."
            )
        if (shape := jnp.shape(y))[-1:] != (n,):
            column = shape[-2:] == (n, 1)
            advice = "Pass y[..., 0]." if column else "Observations are its last axis."
            raise ValueError(
                f"`y` must have shape ({n},), one entry for each row of the predictor, with any "
                f"batch before; got shape {shape}. {advice}"
            )
        leaves = jax.tree.leaves((y, self))
        if any(is_traced(leaf) for leaf in leaves):
            return jnp.vectorize(self._traced_statistics, signature="(n)->(r),(f),(),(q)")(y)
        y = float64_array(y, "y")
        rows = [self._known_statistics(row) for row in y.reshape(-1, y.shape[-1])]
        parts = [np.stack(part) for part in zip(*rows, strict=True)]
        return Statistics(*(p.reshape((*y.shape[:-1], *p.shape[1:])) for p in parts))

    def draw(
        self,
        key: Array,
        draws: Mapping[str, Any],
        y: ArrayLike,
        sigma: ArrayLike,
        *,
        prefix: str = "",
    ) -> dict[str, Any]:
        """Exact posterior draws of all coefficients given draws of the scales and sigma.

        Args:
            key: random key.
            draws: arrays by site name, with the scales of the effects; any leading axes (chain,
                draw, ...).
            y: the observations, shape (n,).
            sigma: draws of the noise standard deviation, in the units of y, with the same leading
                axes.
            prefix: what a `numpyro.handlers.scope` put before the site names, divider included.

        Returns:
            `draws` with the sites of the coefficients added ("intercept", those of the linear
            terms, `<effect>.linear`, `<effect>.modes`, their coordinates and
            `<effect>.coefficients`), as full sampling would give them: `effect.curve(draws)` works,
            and `Predictive` on the model with `predictor.sample()`.

        Raises:
            KeyError: if the draws of a scale are missing.
        """
        sigma = jnp.asarray(sigma)
        hyperparameters = hyperparameter_draws(self.predictor, draws, prefix)
        statistics = self.statistics(y)

        def one(key: Array, deviations: Array, sigma: Array) -> tuple[Array, None]:
            given = MarginalGaussian(self, sigma, deviations)
            own = given.cast(statistics)
            return draw_coefficients(key, self.reduction, sigma, given.scales, own), None

        sites, _ = draw_sites(self.predictor, key, hyperparameters, sigma, sigma.shape, one)
        return {**draws, **{prefix + name: value for name, value in sites.items()}}

    def _known_statistics(self, y: np.ndarray) -> Statistics:
        design, matrix = self.predictor.design(), self.predictor.local_matrix
        return self.reduction.statistics(
            y - self.predictor.offset,
            self.weights,
            lambda c: design @ (matrix @ c),
            lambda r: matrix.T @ (design.T @ r),
        )

    def _traced_statistics(self, y: Array) -> Statistics:
        evaluate = self.predictor.evaluate
        zero = jnp.zeros(self.predictor.num_coefficients, y.dtype)
        _, transpose = jax.vjp(evaluate, zero)
        weights = jnp.asarray(self.weights, y.dtype)
        y = y - jnp.asarray(self.predictor.offset, y.dtype)
        return self.reduction.statistics(y, weights, evaluate, lambda r: transpose(r)[0])


class MarginalGaussian(dist.Distribution):
    r"""Normal(Phi m, sigma^2 W^-1 + Phi D Phi'): y with its coefficients integrated out.

    m and D are the prior mean and (diagonal) covariance of the coefficients given the scales. Made
    by `IntegratedGaussian.distribution`, which draws the scales; make it by hand for given ones.

    With flat coefficients the prior of y is improper: `log_prob` is the logarithm of
    int p(y | c) dc over them (the restricted likelihood, up to a constant), and `sample` refuses.

    Args:
        regression: design, priors and weights.
        sigma: noise standard deviation, shape (*batch,).
        scales: standard deviation of each block of coefficients, tau of each effect of one input,
            shape (*batch, number of blocks); see `AdditivePredictor.deviations`.
        validate_args: as in every NumPyro distribution.

    Example:
        >>> import numpy as np, numpyro.distributions as dist, numpyro_splines as ns
        >>> x = np.linspace(0.0, 1.0, 50)
        >>> f = ns.SplineEffect("f", ns.BSplineBasis([0.0, 0.5, 1.0]), measure=x)
        >>> eta = ns.AdditivePredictor((f, x), intercept=dist.Normal())
        >>> y = MarginalGaussian(ns.regression.IntegratedGaussian(eta), 0.1, [1.0])
        >>> print(y.event_shape, y.log_prob(np.sin(6 * x)))
        (50,) 41.28
    """

    arg_constraints = {  # noqa: RUF012 - as every NumPyro distribution has it
        "sigma": dist.constraints.positive,
        "scales": dist.constraints.independent(dist.constraints.positive, 1),
    }
    pytree_data_fields = ("_regression", "sigma", "scales")
    support: Any = dist.constraints.real_vector  # pyright: ignore[reportIncompatibleMethodOverride]

    def __init__(
        self,
        regression: IntegratedGaussian,
        sigma: ArrayLike,
        scales: ArrayLike,
        *,
        validate_args: bool | None = None,
    ):
        # Of a known design nothing is traced or stacked. One that came through jit has to be.
        known = not any(map(is_traced, jax.tree.leaves(regression)))
        self._regression = Constant(regression) if known else regression
        self.sigma, self.scales = _of_one_batch(
            sigma, scales, len(regression.predictor.random_blocks())
        )
        event = (regression.predictor.num_observations,)
        super().__init__(self.sigma.shape, event, validate_args=validate_args)

    @property
    def regression(self) -> IntegratedGaussian:
        """Design, priors and weights.

        Raises:
            ValueError: if they were stacked, in a scan or under `vmap`, with those of others.
        """
        own: Any = self._regression
        own = own.value if isinstance(own, Constant) else own
        if jnp.ndim(own.reduction.location) != 1:
            raise ValueError(
                "An `IntegratedGaussian` that is an argument of jit cannot be used within a scan "
                "or a mapped distribution: its design would be stacked. Let the model close over "
                "it."
            )
        return own

    def sample(self, key: Array | None, sample_shape: tuple[int, ...] = ()) -> Array:
        """Coefficients from their prior, then y; shape (*sample_shape, *batch, n)."""
        shape, dtype = (*sample_shape, *self.batch_shape), self.sigma.dtype
        assert key is not None  # None is for distributions that draw nothing.
        prior_key, noise_key = jax.random.split(key)
        mean = draw_linear_predictor(self.regression.predictor, prior_key, self.scales, shape)
        noise = jax.random.normal(noise_key, mean.shape, dtype)
        noise = noise / jnp.sqrt(jnp.asarray(self.regression.weights, dtype))
        return mean + self.sigma[..., None] * noise

    def log_prob(self, value: ArrayLike, intermediates: Any = None) -> Array:
        """Logarithm of the density; the statistics of a known value are no part of the graph."""
        statistics = self.cast(self.regression.statistics(value))
        reduction = self.regression.reduction

        def one(sigma: Array, scales: Array, *parts: Array) -> Array:
            return log_density(reduction, sigma, scales, Statistics(*parts))

        density = jnp.vectorize(one, signature="(),(e),(r),(f),(),(q)->()")
        constant = jnp.asarray(0.5 * self.regression.log_weights, self.sigma.dtype)
        return density(self.sigma, self.scales, *statistics) + constant

    @property
    def mean(self) -> Array:
        """Phi m, shape (*batch, n)."""
        predictor, dtype = self.regression.predictor, self.sigma.dtype
        location = np.zeros(predictor.num_coefficients)
        location[: predictor.num_fixed] = predictor.location
        mean = predictor.evaluate(jnp.asarray(location, dtype))
        mean = mean + jnp.asarray(predictor.offset, dtype)
        return jnp.broadcast_to(mean, self.shape())

    def cast(self, statistics: Statistics) -> Statistics:
        """Statistics as JAX arrays in the dtype of the distribution.

        Args:
            statistics: as `IntegratedGaussian.statistics` returns them.

        Returns:
            The same, converted.
        """
        return Statistics(*(jnp.asarray(part, self.sigma.dtype) for part in statistics))


def _of_one_batch(sigma: Any, scales: Any, num_blocks: int) -> tuple[Array, Array]:
    """Both parameters in one dtype, with one batch shape; their numbers also within jit."""
    with jax.ensure_compile_time_eval():
        sigma, scales = float_input(sigma, "sigma"), float_input(scales, "scales")
        check_scales(scales, num_blocks)
        batch = jnp.broadcast_shapes(sigma.shape, scales.shape[:-1])
        dtype = jnp.promote_types(sigma.dtype, scales.dtype)
        return (
            jnp.broadcast_to(sigma, batch).astype(dtype),
            jnp.broadcast_to(scales, (*batch, num_blocks)).astype(dtype),
        )
