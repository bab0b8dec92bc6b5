"""Responses of any family with the coefficients integrated out by Laplace's approximation."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
from jax.scipy.linalg import solve_triangular
from jaxtyping import Array, ArrayLike

from numpyro_splines.arguments import one_of
from numpyro_splines.ops.constants import Constant, Memory
from numpyro_splines.regression import newton
from numpyro_splines.regression.checks import check_names
from numpyro_splines.regression.drawing import (
    check_scales,
    draw_linear_predictor,
    draw_sites,
    hyperparameter_draws,
    leading_axes,
    per_coefficient,
)
from numpyro_splines.regression.families import AbstractFamily, checked_family
from numpyro_splines.regression.fit import (
    PenalizedFit,
    check_fit,
    check_response,
    penalized_fit,
)
from numpyro_splines.regression.importance import report_weights, resampled_chains
from numpyro_splines.regression.predictor import AdditivePredictor, checked_predictor
from numpyro_splines.validation import float_input, is_traced

_DRAWS_AT_ONCE = 32


class IntegratedLaplace(eqx.Module):
    r"""Regression of any family on an additive predictor with its coefficients integrated out.

    p(y | scales) ~ p(y | c) p(c | scales) (2 pi)^(p/2) |H|^(-1/2) at the mode of the coefficients
    c, H the negative Hessian of log p(y, c | scales) there. NUTS sees the scales and the
    parameters of the family only; `draw` adds the coefficients afterwards:

        regression = ns.regression.IntegratedLaplace(predictor, ns.regression.Poisson())

        def model(y):
            numpyro.sample("y", regression.distribution(), obs=y)

        mcmc.run(key, y)
        draws = regression.draw(key, mcmc.get_samples(group_by_chain=True), y)
        curve = f.curve(draws)

    The approximation is exact for Gaussian responses, and better the more observations there are
    for each degree of freedom. `draw` corrects it by importance weights of the coefficients drawn,
    p(y, c | scales) / (q(c) p_hat(y | scales)), and warns where they vary too much for that.

    Of a *known* y a penalized fit is worked out first, where the search for the mode starts; pass
    `fit` to save that. The mode is found by Newton's method within the compiled density, with exact
    derivatives of any order by the implicit function theorem; an evaluation costs O(n p^2).

    Of many observations `around="fit"` does without the search: log p(y | c) is expanded once, at
    the fit, to second order, so that an evaluation costs O(p^3) whatever n is. `draw` corrects
    that error too, the one in the scales with it.

    In float32 the density is NaN, which samplers refuse, where the standard deviation of an
    observation is below some 1e-6 of eta: rounding of eta itself is as large. Take float64 there.

    Args:
        predictor: the additive predictor at the n inputs.
        family: of the responses: `Poisson()`, `Binomial(trials)`, `NegativeBinomial()`, ...
        fit: a `penalized_fit` of y with this predictor and family.
        around: "mode", of the coefficients given the scales; or "fit", for a known y of a family
            without parameters to be estimated.

    Raises:
        TypeError: if arguments are of the wrong kind.
        ValueError: if `fit` is of another predictor, or `around` is neither, or "fit" and the
            family has parameters.

    Example:
        >>> import numpy as np, numpyro.distributions as dist, numpyro_splines as ns
        >>> x = np.linspace(0.0, 1.0, 50)
        >>> f = ns.SplineEffect("f", ns.BSplineBasis([0.0, 0.5, 1.0]), measure=x)
        >>> eta = ns.AdditivePredictor((f, x), intercept=dist.Normal())
        >>> regression = IntegratedLaplace(eta, ns.regression.Poisson())
        >>> y = np.round(3.0 + 2.0 * np.sin(6 * x))
        >>> print(regression.distribution([1.0]).log_prob(y).round(2))
        -82.33

    References:
        Rue, Martino and Chopin (2009); Margossian, Vehtari, Simpson and Agrawal (2020) on gradients
        by the implicit function theorem.
    """

    predictor: AdditivePredictor
    family: AbstractFamily
    fit: PenalizedFit | None
    around: str = eqx.field(static=True)
    memory: Memory = eqx.field(static=True, repr=False)

    def __init__(
        self,
        predictor: AdditivePredictor,
        family: AbstractFamily,
        *,
        fit: PenalizedFit | None = None,
        around: Literal["mode", "fit"] = "mode",
    ):
        self.predictor, self.family = checked_predictor(predictor), checked_family(family)
        check_names(predictor.blocks, family)
        if fit is not None:
            check_fit(fit, predictor, family)
        one_of(around, ("mode", "fit"), "around")
        parameters = sorted(family.parameter_shapes(predictor.num_observations))
        if around == "fit" and parameters:
            raise ValueError(
                "`around` must be 'mode' for a family with parameters that are estimated; got "
                f"'fit' with {parameters}."
            )
        self.fit, self.around, self.memory = fit, around, Memory()

    def distribution(self, scales: ArrayLike | None = None, **parameters: Any) -> MarginalLaplace:
        """Draw the scales of the effects (their usual sites) and return the distribution of y.

        Args:
            scales: from elsewhere in the model, as in `AdditivePredictor.sample`; shape
                (..., number of `scale_sites`).
            **parameters: of the family, by the names of their sites, such as `concentration`.
                Those with predictors of their own (`Distributional`) are drawn here.

        Returns:
            A distribution of event shape (n,), for a site that observes y.
        """
        deviations = self.predictor.sample_deviations(scales)
        return MarginalLaplace(self, deviations, {**self.family.sample_parameters(), **parameters})

    def draw(
        self,
        key: Array,
        draws: Mapping[str, Any],
        y: ArrayLike,
        *,
        prefix: str = "",
        correct: bool = True,
    ) -> dict[str, Any]:
        """Coefficients given draws of the scales and parameters, made exact by their weights.

        Coefficients are drawn from Normal(mode, H^-1); then whole draws, those of the scales with
        them, are taken again within each chain as often as their importance weights say.

        Args:
            key: random key.
            draws: arrays by site name, with the scales of the effects and the parameters of the
                family; any leading axes (chain, draw, ...).
            y: the observations, shape (n,).
            prefix: what a `numpyro.handlers.scope` put before the site names, divider included.
            correct: whether to do so; else the draws keep their places, and "log_weights" are added
                for `importance.resampled`, logarithms with the leading axes.

        Returns:
            `draws` with the sites of the coefficients added, as `IntegratedGaussian.draw` adds
            them.

        Raises:
            KeyError: if the draws of a scale or a parameter are missing.
            ValueError: if there are draws of neither, but of something else.

        Warns:
            UserWarning: if the Pareto shape of the weights, of 25 draws or more, is above 0.7:
                sample the coefficients then.
        """
        hyperparameters = hyperparameter_draws(self.predictor, draws, prefix)
        names = [prefix + name for name in self.family.supports]
        if missing := [name for name in names if name not in draws]:
            raise KeyError(
                f"`draws` must hold {names}; {missing} are missing among {sorted(draws)}."
            )
        parameters = self.family.drawn_parameters(draws, prefix)
        events = self.family.parameter_shapes(self.predictor.num_observations)
        shape = leading_axes(self.predictor, hyperparameters, parameters, events, draws)
        design, observed = self.design(y, jnp.result_type(float)), jnp.asarray(y, float)

        approximation = newton.at_fit if self.around == "fit" else newton.at_mode

        def one(key: Array, deviations: Array, parameters: Any) -> tuple[Array, Array]:
            given = self.given(design, observed, deviations, parameters)
            noise = jax.random.normal(key, design.pilot.shape, design.pilot.dtype)
            mean, factor, peak = approximation(design, given)
            u = mean + solve_triangular(factor, noise, trans=1, lower=True)
            gain = newton.log_posterior(design, given, u) - (peak - 0.5 * (noise**2).sum())
            return given.means + given.deviations * u, gain

        run = jax.jit(
            lambda key, hyper, others: draw_sites(
                self.predictor, key, hyper, others, shape, one, _DRAWS_AT_ONCE
            )
        )
        sites, log_weights = run(key, hyperparameters, parameters)
        report_weights(np.asarray(log_weights))
        if not correct:
            sites["log_weights"] = log_weights
        result = {**draws, **{prefix + name: value for name, value in sites.items()}}
        return resampled_chains(key, result, log_weights) if correct and shape else result

    def design(self, y: Any, dtype: Any, *, rows: bool = True) -> newton.Design:
        """What the search for the mode knows: rows, and a fit of y where y is known.

        Args:
            y: the observations, shape (n,).
            dtype: of the computation.
            rows: whether to work out those, n p numbers; else there are none.

        Returns:
            Arrays of this dtype.

        Raises:
            ValueError: if a known y is impossible under the family, or a pandas Series of other
                rows, or the fit one of another y and all is expanded there.
        """
        predictor = self.predictor
        proper = np.ones(predictor.num_coefficients)
        proper[: predictor.num_fixed] = np.isfinite(predictor.scale)
        known = None
        if not is_traced(y):
            predictor.rows.check(y)
            checked = self.family.check(y, predictor.num_observations)
            owners = predictor, self.family, self.fit
            known = self.memory.of(owners, checked, lambda: self._expansion(checked))
        if known is None and self.around == "fit":
            raise ValueError(
                '`y` must be known, and have a penalized fit, for `around="fit"`. Pass y to the '
                'model as it is, without `jit_model_args`; or take `around="mode"`.'
            )
        if known is None:
            zero = np.zeros(predictor.num_coefficients)
            ones = np.ones(predictor.num_observations)
            known = np.zeros_like(ones), zero, zero, predictor.gram(ones)
        own = predictor.sparse.dense(dtype) if rows else np.zeros((0, proper.size))
        parts = (own, proper, *known)
        return newton.Design(self.family, *(jnp.asarray(part, dtype) for part in parts))

    def _expansion(self, y: np.ndarray) -> tuple[np.ndarray, ...] | None:
        """log p(y | eta) of each, c, and its derivatives in c, at a fit of y.

        None where there is none, as where all responses are the same.
        """
        family, fit = self.family.pooled, self.fit
        if fit is None:
            try:
                fit = penalized_fit(self.predictor, y, family)
            except (ValueError, FloatingPointError):
                return None
        sparse = self.predictor.sparse
        eta = self.predictor.offset + sparse.values(fit.coefficients)
        own = family.derivatives(y, eta, family.free(fit.values))
        score = sparse.transposed(own.first)
        if self.fit is not None and self.around == "fit":
            check_response(self.fit, score)
        information = self.predictor.gram(np.maximum(-own.second, 0.0))
        return own.value, fit.coefficients, score, information

    def given(
        self, design: newton.Design, y: Array, deviations: Array, parameters: dict[str, Any]
    ) -> newton.Given:
        """What the mode depends on, in JAX.

        Args:
            design: as `design` returns it.
            y: shape (n,).
            deviations: of the random blocks, shape (number of them,).
            parameters: of the family.

        Returns:
            Arrays of the dtype of the design.
        """
        predictor, dtype = self.predictor, design.pilot.dtype
        flat = ~np.isfinite(predictor.scale)
        fixed = jnp.asarray(np.where(flat, 1.0, predictor.scale), dtype)
        # Flat coefficients in units of what the data know of them.
        num = predictor.num_fixed
        known = jnp.diagonal(design.information)[:num]
        fixed = jnp.where(flat, 1.0 / jnp.sqrt(known), fixed)
        means = jnp.where(flat, design.pilot[:num], jnp.asarray(predictor.location, dtype))
        random = per_coefficient(predictor, deviations).astype(dtype)
        return newton.Given(
            jnp.concatenate([fixed, random]),
            jnp.concatenate([means, jnp.zeros_like(random)]),
            jnp.asarray(predictor.offset, dtype),
            y.astype(dtype),
            {name: jnp.asarray(value, dtype) for name, value in parameters.items()},
        )


class MarginalLaplace(dist.Distribution):
    """y with its coefficients integrated out by Laplace's approximation.

    Made by `IntegratedLaplace.distribution`, which draws the scales. `log_prob` is the
    approximation; `sample` is exact: coefficients from their prior, then y. With flat coefficients
    the prior of y is improper: `log_prob` integrates over them, and `sample` refuses.

    Args:
        regression: design, priors and family.
        scales: standard deviation of each block of coefficients, shape (*batch, number of blocks);
            see `AdditivePredictor.deviations`.
        parameters: of the family by site name, shape (*batch) or, of vectors, (*batch, size); with
            a predictor of their own (*batch, n).
        validate_args: as in every NumPyro distribution.

    Raises:
        TypeError: if `parameters` are not those of the family.
        ValueError: if there is not one scale for each block.

    Example:
        >>> import numpy as np, numpyro.distributions as dist, numpyro_splines as ns
        >>> x = np.linspace(0.0, 1.0, 50)
        >>> f = ns.SplineEffect("f", ns.BSplineBasis([0.0, 0.5, 1.0]), measure=x)
        >>> eta = ns.AdditivePredictor((f, x), intercept=dist.Normal())
        >>> regression = IntegratedLaplace(eta, ns.regression.NegativeBinomial())
        >>> y = MarginalLaplace(regression, [1.0], {"concentration": 2.0})
        >>> print(y.event_shape, y.log_prob(np.arange(50) % 5).round(1))
        (50,) -97.5
    """

    arg_constraints = {  # noqa: RUF012 - as every NumPyro distribution has it
        "scales": dist.constraints.independent(dist.constraints.positive, 1),
    }
    pytree_data_fields = ("_regression", "scales", "parameters")

    def __init__(
        self,
        regression: IntegratedLaplace,
        scales: ArrayLike,
        parameters: Mapping[str, Any] | None = None,
        *,
        validate_args: bool | None = None,
    ):
        known = not any(map(is_traced, jax.tree.leaves(regression)))
        self._regression = Constant(regression) if known else regression
        family, num = regression.family, len(regression.predictor.random_blocks())
        parameters = dict(parameters or {})
        events = family.parameter_shapes(regression.predictor.num_observations)
        if set(parameters) != set(events):
            raise TypeError(
                f"`parameters` must be those of the family, {sorted(events)}; got "
                f"{sorted(parameters)}."
            )
        with jax.ensure_compile_time_eval():
            scales = float_input(scales, "scales")
            own = {name: float_input(value, name) for name, value in parameters.items()}
        check_scales(scales, num)
        batches = [v.shape[: v.ndim - len(events[k])] for k, v in own.items()]
        batch = jnp.broadcast_shapes(scales.shape[:-1], *batches)
        self.scales = jnp.broadcast_to(scales, (*batch, num))
        self.parameters = {k: jnp.broadcast_to(v, (*batch, *events[k])) for k, v in own.items()}
        event = (regression.predictor.num_observations,)
        super().__init__(batch, event, validate_args=validate_args)

    @property
    def regression(self) -> IntegratedLaplace:
        """Design, priors and family."""
        own: Any = self._regression
        return own.value if isinstance(own, Constant) else own

    @dist.constraints.dependent_property(  # pyright: ignore[reportArgumentType]
        is_discrete=False,  # pyright: ignore[reportArgumentType]
        event_dim=1,  # pyright: ignore[reportArgumentType]
    )
    def support(self) -> Any:  # pyright: ignore[reportIncompatibleMethodOverride]
        """Vectors of possible responses."""
        return dist.constraints.independent(self.regression.family.support, 1)

    def sample(self, key: Array | None, sample_shape: tuple[int, ...] = ()) -> Array:
        """Coefficients from their prior, then y; shape (*sample_shape, *batch, n)."""
        assert key is not None  # None is for distributions that draw nothing.
        prior_key, response_key = jax.random.split(key)
        shape = (*sample_shape, *self.scales.shape[:-1])
        eta = draw_linear_predictor(self.regression.predictor, prior_key, self.scales, shape)
        drawn = self.regression.family.distribution(eta, **self.parameters).sample(response_key)
        return jnp.asarray(drawn)

    def log_prob(self, value: ArrayLike, intermediates: Any = None) -> Array:
        """Logarithm of the approximate density."""
        del intermediates
        regression, dtype = self.regression, self.scales.dtype
        regression.predictor.rows.check(value)
        # Of several y the search starts at a fit of the first.
        rows = None if is_traced(value) else np.reshape(value, (-1, np.shape(value)[-1]))
        one_of = value if rows is None else rows[0]
        if regression.around == "fit" and rows is not None and np.any(rows != rows[:1]):
            raise ValueError(
                '`y` must be one vector of responses for `around="fit"`, as the expansion is that '
                f'at its fit; got {len(rows)} different ones. Use `around="mode"`.'
            )
        around_fit = regression.around == "fit"
        design = regression.design(one_of, dtype, rows=not around_fit)
        y = jnp.asarray(value).astype(dtype)
        flat = ~np.isfinite(regression.predictor.scale)
        log_marginal = newton.log_marginal_at_fit if around_fit else newton.log_marginal

        def one(y: Array, scales: Array, parameters: dict[str, Array]) -> Array:
            given = regression.given(design, y, scales, parameters)
            constant = 0.5 * flat.sum() * np.log(2.0 * np.pi)
            units = jnp.where(flat, jnp.log(given.deviations[: flat.size]), 0.0).sum()
            return log_marginal(design, given) + units + constant

        # Of the parameters as they are: under `vmap` more than the distribution knows of.
        batch = self.scales.shape[:-1]
        shape = jnp.broadcast_shapes(batch, y.shape[:-1])
        y = jnp.broadcast_to(y, (*shape, y.shape[-1]))
        scales = jnp.broadcast_to(self.scales, (*shape, self.scales.shape[-1]))
        own = {
            k: jnp.broadcast_to(v, (*shape, *v.shape[len(batch) :]))
            for k, v in self.parameters.items()
        }
        for _ in shape:
            one = jax.vmap(one)
        return one(y, scales, own) + design.reference.sum()
