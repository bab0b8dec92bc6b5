"""Point estimates of additive models, and what samplers can make of them."""

from __future__ import annotations

from typing import Any, TypeVar, overload

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
from jaxtyping import Array

from numpyro_splines.effects import AbstractEffect
from numpyro_splines.priors.coordinates import Coordinates, seen_apart
from numpyro_splines.regression import reml
from numpyro_splines.regression.checks import check_names
from numpyro_splines.regression.families import AbstractFamily, Gaussian, checked_family
from numpyro_splines.regression.layout import (
    Block,
    gaussian,
    normal_moments,
    standardizes,
    terms_of,
)
from numpyro_splines.regression.likelihoods import AbstractLikelihood, freedom_of
from numpyro_splines.regression.newton_likelihood import likelihood_of
from numpyro_splines.regression.predictor import AdditivePredictor, checked_predictor
from numpyro_splines.regression.streams import StreamedResponse
from numpyro_splines.regression.theta import Theta

# Squared posterior standard deviations from the mode that a fit may be; one of other responses is
# as many away as it has degrees of freedom, and rounding of y in float32 less than 1e-6.
_OF_THIS_RESPONSE = 0.01

AnyEffect = TypeVar("AnyEffect", bound=AbstractEffect)


class PenalizedFit(eqx.Module):
    """A penalized fit with its scales chosen by restricted maximum likelihood; float64 NumPy.

    Attributes:
        values: estimates by site name, of the shapes that the sites have: the coefficients
            (`<effect>.coefficients` too, so that `effect.curve(fit.values)` is the estimated
            curve), scales in the units of eta, and sigma for Gaussian responses.
        covariance: of the coefficients in the predictor's order, given the scales, shape (p, p).
        edf: effective degrees of freedom of each effect, by name, and of each component of effects
            of several inputs, "<effect>.<component>"; one number each.
        edf_total: those of the whole model, all terms; one number.
        log_marginal: log p(y | scales) at the estimates, by Laplace's method (the REML criterion,
            up to the units of the coefficients with flat priors); one number.
        log_scale_variances: approximate posterior variances of log(scale) by site name, one number
            each, and of anisotropies.
        predictor: what was fitted.

    Example:
        >>> import numpy as np, numpyro.distributions as dist, numpyro_splines as ns
        >>> x = np.linspace(0.0, 1.0, 101)
        >>> f = ns.SplineEffect("f", ns.BSplineBasis(ns.knots.uniform(0.0, 1.0, 10)), measure=x)
        >>> eta = ns.AdditivePredictor((f, x), intercept=dist.Normal(0.0, 10.0))
        >>> fit = ns.regression.penalized_fit(eta, np.sin(6 * x) + 0.1 * np.cos(1e4 * x**2))
        >>> sorted(site for site in fit.initial_values() if "coordinates" not in site)
        ['f.linear', 'f.modes', 'f.scale', 'intercept', 'sigma']
        >>> fit.linear_predictor.shape, bool(3.0 < fit.edf["f"] < 12.0)
        ((101,), True)
    """

    values: dict[str, np.ndarray]
    covariance: np.ndarray
    edf: dict[str, np.ndarray]
    edf_total: np.ndarray
    log_marginal: np.ndarray
    log_scale_variances: dict[str, np.ndarray]
    predictor: AdditivePredictor

    @property
    def coefficients(self) -> np.ndarray:
        """Estimates of all coefficients in the predictor's order, shape (p,)."""
        return np.concatenate([np.ravel(self.values[b.site]) for b in self.predictor.blocks])

    @property
    def linear_predictor(self) -> np.ndarray:
        """eta at the observations, shape (n,)."""
        rows = self.predictor.in_memory
        return rows.known + rows.sparse.values(self.coefficients)

    def initial_values(self, predictor: AdditivePredictor | None = None) -> dict[str, jax.Array]:
        """Values of all sample sites for `numpyro.infer.init_to_value(values=...)`.

        For models that draw the coefficients and for those that integrate them out alike: a
        sampler takes what it needs. Sites are named as those of the predictor and its effects, and
        values have their shapes.

        Args:
            predictor: that of the model, where it is not the one that was fitted: the same terms
                in other coordinates, such as `fit.adapted(predictor)`.

        Returns:
            One array for each site, of its shape.

        Raises:
            ValueError: if it has other terms.
        """
        if predictor is not None:
            return self._of(predictor).initial_values()
        result = {k: v for k, v in self.values.items() if not k.endswith(".coefficients")}
        for effect in self.predictor.effects:
            smooth, short = gaussian(effect), self._hyperparameters(effect)
            short.update({s.site: result[effect.site(s.site)] for s in smooth.sections})
            seen = smooth.sampled(short)
            result.update({effect.site(name): value for name, value in seen.items()})
        for block, own, (mean, scale) in self._adapted_terms():
            values = np.atleast_1d(result[block.site]) - mean
            result[f"{block.site}_coordinates"] = own.standardized(values, scale)
        return {name: jnp.asarray(value, jnp.result_type(float)) for name, value in result.items()}

    def draw(self, key: Array, shape: tuple[int, ...] = (1, 1000)) -> dict[str, np.ndarray]:
        """Draws of the coefficients from Normal(estimates, covariance), without a sampler.

        The scales and the parameters of the family stay at their estimates, so that intervals are
        a little too short: those of mgcv's fits. For a first look, and for checks of a model,
        whatever takes draws of a posterior takes these.

        Args:
            key: random key.
            shape: leading axes of the draws; the functions of `posterior` ask for (chain, draw).

        Returns:
            Arrays by site name, shape (*shape, *that of the estimate), float64.

        Example:
            >>> import numpyro.distributions as dist, numpyro_splines as ns
            >>> x = np.linspace(0.0, 1.0, 100)
            >>> f = ns.SplineEffect("f", ns.BSplineBasis([0.0, 0.5, 1.0]), measure=x)
            >>> eta = ns.AdditivePredictor((f, x), intercept=dist.Normal())
            >>> draws = penalized_fit(eta, np.sin(6.0 * x) + 0.1 * x**2).draw(jax.random.key(0))
            >>> ns.posterior.values(ns.posterior.curve(f, draws), x).dims
            ('chain', 'draw', 'x')
        """
        # Of flat directions of a nearly singular covariance rounding may leave negative variances.
        variances, vectors = np.linalg.eigh(self.covariance)
        root = vectors * np.sqrt(np.maximum(variances, 0.0))
        shape = (shape,) if isinstance(shape, int) else shape
        noise = np.asarray(jax.random.normal(key, (*shape, len(root))), np.float64)
        sites = self.predictor.sites(self.coefficients + noise @ root.T)
        others = {name: v for name, v in self.values.items() if name not in sites}
        fixed = {k: np.broadcast_to(v, (*shape, *np.shape(v))) for k, v in others.items()}
        return {**fixed, **{name: np.asarray(value) for name, value in sites.items()}}

    def inverse_mass_matrix(
        self, *sites: str, predictor: AdditivePredictor | None = None
    ) -> dict[tuple[str, ...], jax.Array]:
        """Diagonal inverse mass matrix for `NUTS(model, inverse_mass_matrix=...)`.

        Approximate posterior variances in the unconstrained space of NumPyro. At very many
        observations pass `adapt_mass_matrix=False` with it: NumPyro shrinks adapted variances
        towards 1e-3, which is far above those of well-determined parameters.

        Args:
            *sites: the sample sites of the model; by default those of the model that draws all
                coefficients. Name the scales and sigma only for one that integrates them out.
            predictor: as in `initial_values`.

        Returns:
            One vector per site, of the number of its values.

        Raises:
            KeyError: if a site is unknown.
            ValueError: as `initial_values`.
        """
        if predictor is not None:
            return self._of(predictor).inverse_mass_matrix(*sites)
        variances: dict[str, Any] = {}
        diagonal = np.diag(self.covariance)
        for block in self.predictor.blocks:
            variances[block.site] = diagonal[block.start : block.stop]
        for effect in self.predictor.effects:
            smooth = gaussian(effect)
            own = {s.site: self._covariance(effect.site(s.site)) for s in smooth.sections}
            for site in own:
                del variances[effect.site(site)]
            seen = smooth.variances_seen(own, self._hyperparameters(effect))
            variances.update({effect.site(name): value for name, value in seen.items()})
            for short, prior in smooth.scale_priors.items():
                if isinstance(prior, dist.Distribution):
                    name = effect.site(short)
                    support: Any = prior.support
                    slope = _unconstrained_slope(support, float(self.values[name]))
                    variances[name] = np.atleast_1d(self.log_scale_variances[name] * slope**2)
        for block, own, (_, scale) in self._adapted_terms():
            covariance = self._covariance(block.site)
            variances[f"{block.site}_coordinates"] = own.variances(covariance, scale)
            del variances[block.site]
        for name, variance in self.log_scale_variances.items():
            # The logarithm is how NumPyro frees a positive sigma.
            variances.setdefault(name, np.atleast_1d(variance))
        if unknown := [site for site in sites if site not in variances]:
            raise KeyError(f"`sites` must be among {sorted(variances)}; got {unknown}.")
        names = sites or tuple(variances)
        return {(name,): jnp.asarray(variances[name], jnp.result_type(float)) for name in names}

    @overload
    def adapted(self, effect: AnyEffect) -> AnyEffect: ...

    @overload
    def adapted(self, effect: AdditivePredictor) -> AdditivePredictor: ...

    def adapted(self, effect: Any) -> Any:
        """An effect or the predictor, the same prior in coordinates that this fit implies.

        Sampled with the other terms of the predictor, coefficients are nearly uncorrelated, of
        order one and centered near zero, whatever the scales.

        Args:
            effect: one of the effects that were fitted, or the whole predictor.

        Returns:
            What is to be used in its place. Of a predictor the terms with Normal priors, the
            intercept first of all, are adapted too: samplers see `intercept_coordinates`.

        Raises:
            ValueError: if the fit has no such effect.
        """
        if isinstance(effect, AdditivePredictor):
            return self._adapted_predictor(effect)
        names = [own.name for own in self.predictor.effects]
        if getattr(effect, "name", None) not in names:
            raise ValueError(
                f"`effect` must be one of the effects that were fitted, {names}, or the predictor; "
                f"got {effect!r}."
            )
        smooth = gaussian(effect)
        sites = [effect.site(section.site) for section in smooth.sections]
        estimates = {s.site: self.values[effect.site(s.site)] for s in smooth.sections}
        own = smooth.adapted(self._covariance(*sites), estimates, self._hyperparameters(effect))
        return eqx.tree_at(lambda e: e.smooth, effect, own)

    def _of(self, predictor: Any) -> PenalizedFit:
        """The same fit of a predictor whose terms have other coordinates."""
        check_same_terms(self, checked_predictor(predictor), "predictor")
        return eqx.tree_at(lambda fit: fit.predictor, self, predictor)

    def _adapted_predictor(self, predictor: AdditivePredictor) -> AdditivePredictor:
        check_same_terms(self, predictor, "effect")
        effects = tuple(self.adapted(effect) for effect in predictor.effects)
        moments = [normal_moments(prior) for prior in predictor.priors]
        coordinates = tuple(
            self._coordinates(block.site, *own)
            for block, own in zip(predictor.terms, moments, strict=True)
        )
        return eqx.tree_at(lambda p: [p.effects, p.coordinates], predictor, [effects, coordinates])

    def _adapted_terms(self) -> list[tuple[Block, Coordinates, tuple[float, float]]]:
        """Terms of the predictor that are sampled in coordinates, with these and their priors."""
        predictor = self.predictor
        terms = zip(predictor.blocks, predictor.coordinates, predictor.priors, strict=False)
        return [
            (block, own, normal_moments(prior))
            for block, own, prior in terms
            if standardizes(prior, own)
        ]

    def _coordinates(self, site: str, mean: float, deviation: float) -> Coordinates:
        """Those in which the posterior of a site is standard, given all scales, others unknown."""
        covariance = self._covariance(site)
        values = np.atleast_1d(self.values[site]) - mean
        return seen_apart(covariance, values, deviation**-2.0)

    def _covariance(self, *sites: str) -> np.ndarray:
        """Of the coefficients of sites, one after the other, given the scales."""
        places = {b.site: np.arange(b.start, b.stop) for b in self.predictor.blocks}
        rows = np.concatenate([places[site] for site in sites])
        return self.covariance[np.ix_(rows, rows)]

    def _hyperparameters(self, effect: AbstractEffect) -> dict[str, Any]:
        """Estimates, or fixed numbers, by short names."""
        smooth = gaussian(effect)
        return {
            name: self.values.get(effect.site(name), smooth.scale_priors.get(name))
            for name in smooth.hyperparameter_names
        }


def penalized_fit(
    predictor: AdditivePredictor, y: Any, family: AbstractFamily | None = None
) -> PenalizedFit:
    r"""Fit an additive model in moments: posterior mode of the coefficients at the best scales.

    The scales tau_j (and sigma) maximize log p(y | scales), the coefficients integrated out (exact
    for Gaussian responses, by Laplace's method otherwise); the coefficients are the penalized
    estimate there. Priors of the *scales* are ignored, numbers given for them respected; the
    priors of the fixed coefficients count. With all of these flat (`ImproperUniform`) this is
    mgcv's `gam(..., method="REML")`.

    Args:
        predictor: the additive predictor at the inputs.
        y: observations, shape (n,).
        family: `Gaussian()` if omitted; `Poisson()`, `Binomial()`, `NegativeBinomial()`, ... Its
            parameters are estimated with the scales, unless they are given as known numbers.

    Returns:
        The fit.

    Raises:
        TypeError: if `predictor` or `family` is of the wrong kind.
        ValueError: if y is impossible under the family or a pandas Series of other rows, or flat
            coefficients are not identified.

    Example:
        >>> import numpy as np, numpyro.distributions as dist, numpyro_splines as ns
        >>> x = np.linspace(0.0, 1.0, 101)
        >>> f = ns.SplineEffect("f", ns.BSplineBasis(ns.knots.uniform(0.0, 1.0, 10)), measure=x)
        >>> eta = ns.AdditivePredictor((f, x), intercept=dist.Normal(0.0, 10.0))
        >>> fit = ns.regression.penalized_fit(eta, np.sin(6 * x) + 0.1 * np.cos(1e4 * x**2))
        >>> print(fit.values["sigma"].round(2), f.curve(fit.values)(0.25).round(1))
        0.07 0.9

    References:
        Wood (2011), Fast stable restricted maximum likelihood; Wood, Generalized Additive Models
        (2017), section 6.2.
    """
    checked_predictor(predictor).rows.check(y)
    if isinstance(y, StreamedResponse):
        return _fitted(predictor, y.likelihood(family))
    family = checked_family(Gaussian() if family is None else family)
    if family.pooled is not family:
        raise TypeError(
            "`family` must have parameters without predictors of their own; got one with those of "
            f"{sorted(set(family.pooled.supports) - set(family.supports))}. Fit its `pooled` "
            "family, or sample the model."
        )
    check_names(predictor.blocks, family)
    y = family.check(y, predictor.num_observations)
    return _fitted(predictor, likelihood_of(predictor, family, y))


def _fitted(predictor: AdditivePredictor, likelihood: AbstractLikelihood) -> PenalizedFit:
    """The fit by the criterion of a likelihood."""
    theta = Theta(predictor)
    criterion = reml.Criterion(likelihood, theta)
    shifts = (0.0, -4.0, 4.0)
    starts = [np.append(theta.start(likelihood.signal + s), likelihood.start) for s in shifts]
    # Scales may shrink to nothing or grow by e^10 = 2e4.
    point, variances = reml.maximize(criterion, starts, 20.0)
    mode, _ = criterion.mode(point)
    values = dict(predictor.sites(mode.coefficients))
    values.update(theta.sites(point))
    log_variances = {
        # theta is the logarithm of the square of a scale.
        predictor.effects[e.effect].site(e.name): (
            np.asarray(variances[e.start] / 4.0) if e.scale else variances[e.start : e.stop]
        )
        for e in theta.entries
    }
    values.update(likelihood.parameters(point[theta.size :]))
    log_variances.update(likelihood.log_variances(variances[theta.size :]))
    freedom = freedom_of(mode.inverse, mode.information)
    return PenalizedFit(
        values,
        mode.inverse,
        _freedoms(predictor, freedom),
        freedom.sum(),
        np.asarray(-criterion(point)[0]),
        log_variances,
        predictor,
    )


def _freedoms(predictor: AdditivePredictor, freedom: np.ndarray) -> dict[str, np.ndarray]:
    """Of each effect, and of each component of effects of several inputs."""
    terms = terms_of(predictor.effects, predictor.owned)
    return {name: freedom[own].sum() for name, own in terms.items()}


def _unconstrained_slope(support: Any, scale: float) -> float:
    """d u / d log(scale) of NumPyro's unconstrained coordinate u of a scale."""
    transform = dist.biject_to(support)
    value = jnp.asarray(scale, jnp.result_type(float))
    return float(scale * jax.grad(lambda s: transform.inv(s).sum())(value))


def check_same_terms(fit: PenalizedFit, predictor: AdditivePredictor, name: str) -> None:
    """Refuse a predictor whose coefficients have another meaning than those that were fitted.

    Args:
        fit: of a predictor.
        predictor: which should have the same terms, whatever their coordinates and its rows.
        name: of the argument, for the message.
    """
    own, terms = fit.predictor, [block.site for block in predictor.blocks]
    same, rows = predictor.blocks == own.blocks, [p.rows.template for p in (predictor, own)]
    if same and all(
        np.array_equal(a, b)
        for left, right in zip(*(r.inputs for r in rows), strict=True)
        for a, b in zip(left, right, strict=True)
    ):
        eta = [r.sparse.values(fit.coefficients) for r in rows]
        same = len(eta[0]) != len(eta[1]) or np.allclose(*eta, rtol=1e-6, atol=1e-9)
    if not same:
        raise ValueError(
            f"`{name}` must be the predictor that was fitted, or one with the same terms; got the "
            f"terms {terms}, of other sites, sizes, bases or priors."
        )


def check_response(fit: PenalizedFit, score: np.ndarray) -> None:
    """Refuse a fit of another y than the one that the log likelihood is expanded for.

    Args:
        fit: the fit.
        score: derivative of log p(y | c) in c at the fit, shape (p,).

    Raises:
        ValueError: if the fit is not where its log posterior of c is largest for this y.
    """
    predictor = fit.predictor
    spreads = [fit._hyperparameters(effect) for effect in predictor.effects]
    sizes = [b.stop - b.start for b in predictor.random_blocks()]
    deviations = np.repeat(np.asarray(predictor.deviations(spreads), np.float64), sizes)
    means = np.concatenate([predictor.location, np.zeros(deviations.size)])
    deviations = np.concatenate([predictor.scale, deviations])
    gradient = score - (fit.coefficients - means) / deviations**2
    # Newton's decrement: squared posterior standard deviations from here to the mode.
    if not gradient @ fit.covariance @ gradient < _OF_THIS_RESPONSE:
        raise ValueError(
            '`fit` must be one of this y for `around="fit"`, as the log likelihood is expanded '
            "there; it is not where the posterior given y is largest. Leave `fit` out, or make it "
            "of this y."
        )


def check_fit(fit: PenalizedFit, predictor: AdditivePredictor, family: AbstractFamily) -> None:
    """Refuse a fit of another predictor or family; of another y it is a worse start.

    Args:
        fit: the fit.
        predictor: what it should have been of.
        family: likewise.
    """
    if fit.predictor.num_observations != predictor.num_observations:
        raise ValueError(
            f"`fit` must be one at the {predictor.num_observations} rows of the predictor; got one "
            f"at {fit.predictor.num_observations}."
        )
    check_same_terms(fit, predictor, "fit")
    if missing := sorted(set(family.pooled.supports) - set(fit.values)):
        raise ValueError(f"`fit` must be one of the same family; got one without {missing}.")
