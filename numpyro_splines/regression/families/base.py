"""What a family of responses is, and its derivatives in the linear predictor."""

from __future__ import annotations

import abc
from collections.abc import Mapping
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
import scipy.special

from numpyro_splines.ops.arrays import in_float64
from numpyro_splines.regression.links import AbstractChanceLink, Logit
from numpyro_splines.validation import float64_array


class Derivatives(NamedTuple):
    """log p(y_i | eta_i, u) of each observation and its derivatives; float64 NumPy.

    u are the q parameters of the family, freed of their constraints (logarithms of positive ones).

    Attributes:
        value: log p, shape (n,).
        first: in eta.
        second: in eta, twice.
        third: in eta, three times.
        value_slopes: of the value in u, shape (q, n).
        first_slopes: of the first derivative in u.
        second_slopes: of the second derivative in u.
    """

    value: np.ndarray
    first: np.ndarray
    second: np.ndarray
    third: np.ndarray
    value_slopes: np.ndarray
    first_slopes: np.ndarray
    second_slopes: np.ndarray


class ByRow(NamedTuple):
    """A parameter that has a value of its own at each observation.

    Attributes:
        values: shape (..., n).
    """

    values: Any


class AbstractFamily(eqx.Module):
    """Distribution of y_i given eta_i; its parameters, if any, are the same for all i.

    Parameters go by the names of their sites, as keyword arguments of `distribution`,
    `inverse_link` and `log_prob`, and as entries of a fit's `values`. (`Distributional` gives them
    predictors of their own.)
    """

    @property
    def supports(self) -> dict[str, Any]:
        """The constraint of each parameter that is not known, by the name of its site."""
        return {}

    @property
    def pooled(self) -> AbstractFamily:
        """The family with parameters that are the same for all observations: itself."""
        return self

    @property
    def support(self) -> Any:
        """The constraint of one observation."""
        ones = self.start_parameters(np.zeros(0))
        own = {name: jnp.asarray(value) for name, value in ones.items()}
        return self.distribution(jnp.zeros(1), **own).support

    def parameter_shapes(self, num_observations: int) -> dict[str, tuple[int, ...]]:
        """Shape of one value of each parameter, by the name of its site.

        Args:
            num_observations: n.

        Returns:
            `()` for numbers, `(k,)` for vectors.
        """
        del num_observations
        return {name: np.shape(v) for name, v in self.start_parameters(np.zeros(0)).items()}

    def sample_parameters(self) -> dict[str, Any]:
        """Draw, inside a model, those parameters that have predictors of their own: none.

        Returns:
            By the name of the parameter, shape (..., n).
        """
        return {}

    def drawn_parameters(self, draws: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
        """Those parameters that draws of a model hold.

        Args:
            draws: arrays by site name.
            prefix: what a `numpyro.handlers.scope` put before the site names, divider included.

        Returns:
            By the name of the parameter, shape (..., *its shape).
        """
        names = [name for name in self.supports if prefix + name in draws]
        return {name: jnp.asarray(draws[prefix + name]) for name in names}

    @abc.abstractmethod
    def distribution(self, eta: Any, **parameters: Any) -> dist.Distribution:
        """Distribution of the observations.

        Args:
            eta: linear predictor, shape (..., n).
            **parameters: by site name, shape (...) or, of vectors, (..., size).

        Returns:
            Of batch shape (..., n).
        """

    @abc.abstractmethod
    def inverse_link(self, eta: Any, **parameters: Any) -> Any:
        """Expected response, of one unit of exposure or one trial, at eta.

        Args:
            eta: linear predictor, any shape; JAX.
            **parameters: as for `distribution`.
        """

    @abc.abstractmethod
    def check(self, y: Any, num_observations: int) -> np.ndarray:
        """The observations as float64, shape (n,), if they are possible ones.

        Args:
            y: what the user gave.
            num_observations: n.
        """

    @abc.abstractmethod
    def start(self, y: np.ndarray) -> np.ndarray:
        """A linear predictor near the data, from which to start.

        Args:
            y: observations, shape (n,).

        Returns:
            Shape (n,).
        """

    def start_parameters(self, y: np.ndarray) -> dict[str, Any]:
        """Parameters from which to start, by site name.

        Args:
            y: observations, shape (n,); none of them where only shapes are asked for.

        Returns:
            One number or vector for each parameter; ones by default.
        """
        del y
        return {name: np.asarray(1.0) for name in self.supports}

    def log_prob(self, y: Any, eta: Any, **parameters: Any) -> Any:
        """log p(y_i | eta_i), normalized.

        Args:
            y: observations, shape (..., n).
            eta: linear predictor, shape (..., n).
            **parameters: as for `distribution`.

        Returns:
            Shape (..., n).
        """
        return self.distribution(eta, **parameters).log_prob(y)

    def cumulative(
        self, y: np.ndarray, eta: np.ndarray, **parameters: Any
    ) -> tuple[np.ndarray, np.ndarray]:
        """P(Y_i < y_i) and P(Y_i <= y_i), float64 on the host; the same where Y is continuous.

        Args:
            y: observations, shape (..., n).
            eta: linear predictor, shape (..., n).
            **parameters: as for `distribution`.

        Returns:
            Two arrays, shape (..., n).

        Raises:
            TypeError: if the distribution has no `cdf`.
        """
        upto, mass = in_float64(_cumulative, self, y, eta, parameters)
        return np.maximum(upto - mass, 0.0), upto

    @property
    def canonical(self) -> bool:
        """Whether y_i has a canonical link and no parameters, so that `cumulants` is there.

        log p(y_i) = y_i eta_i - b(eta_i) + const. `log_prob` is then written for NumPy as well, and
        fits compile nothing.
        """
        return False

    def cumulants(self, eta: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Mean, variance and third central moment of each y_i: derivatives of b; on the host.

        Args:
            eta: linear predictor, shape (n,).

        Returns:
            Three arrays, shape (n,).
        """
        raise NotImplementedError(f"{type(self).__name__} is not canonical: take `derivatives`.")

    def log_likelihood(self, y: np.ndarray, eta: np.ndarray, free: np.ndarray) -> float:
        """sum_i log p(y_i | eta_i, u), float64 on the host.

        Args:
            y: observations, shape (n,).
            eta: linear predictor, shape (n,).
            free: u, shape (q,).

        Returns:
            One number.
        """
        if self.canonical:
            return float(self.log_prob(y, eta).sum())
        return float(in_float64(_log_likelihood, self, y, eta, free))

    def derivatives(self, y: np.ndarray, eta: np.ndarray, free: np.ndarray) -> Derivatives:
        """`Derivatives` at eta and u, float64 on the host; compiled where not canonical.

        Args:
            y: observations, shape (n,).
            eta: linear predictor, shape (n,).
            free: u, shape (q,).

        Returns:
            One array for each derivative.
        """
        if self.canonical:
            mean, variance, third = self.cumulants(eta)
            none = np.zeros((0, y.size))
            value = self.log_prob(y, eta)
            return Derivatives(value, y - mean, -variance, -third, none, none, none)
        return Derivatives(*in_float64(_derivatives, self, y, eta, free))

    def constrained(self, free: Any) -> dict[str, Any]:
        """Parameters by site name from u; JAX.

        Args:
            free: u, shape (q,).

        Returns:
            One array for each parameter.
        """
        result, start = {}, 0
        for name, support in self.supports.items():
            shape = self.parameter_shapes(0)[name]
            size = int(np.prod(shape))
            own = free[start : start + size].reshape(shape)
            result[name], start = dist.biject_to(support)(own), start + size
        return result

    def free(self, parameters: dict[str, Any]) -> np.ndarray:
        """u from parameters by site name; float64 on the host.

        Args:
            parameters: by site name; others are left alone.

        Returns:
            Shape (q,).
        """
        with jax.ensure_compile_time_eval(), jax.enable_x64(True):
            parts = [
                np.ravel(dist.biject_to(support).inv(jnp.asarray(parameters[name])))
                for name, support in self.supports.items()
            ]
        return np.concatenate([np.zeros(0), *parts])


def _elementwise(family: AbstractFamily, y: Any, free: Any) -> list[Any]:
    """log p and its first three derivatives as functions of eta."""
    parameters = family.constrained(free)

    def value(eta: Any) -> Any:
        return family.log_prob(y, eta, **parameters)

    functions = [value]
    for _ in range(3):
        # The i-th value depends on the i-th eta alone.
        functions.append(
            lambda eta, own=functions[-1]: jax.jvp(own, (eta,), (jnp.ones_like(eta),))[1]
        )
    return functions


def _cumulative(family: AbstractFamily, y: Any, eta: Any, parameters: Any) -> tuple[Any, Any]:
    """P(Y <= y) and P(Y = y) by the distribution, the latter zero where it is continuous."""
    own = family.distribution(eta, **parameters)
    try:
        upto = own.cdf(y)
    except NotImplementedError:
        raise TypeError(
            f"`family` must have a distribution function; {type(own).__name__} has no "
            "`cdf`. Let the function of Elementwise return a distribution with that method."
        ) from None
    return upto, jnp.exp(own.log_prob(y)) if own.is_discrete else 0.0


@jax.jit
def _log_likelihood(family: AbstractFamily, y: Any, eta: Any, free: Any) -> Any:
    return _elementwise(family, y, free)[0](eta).sum()


@jax.jit
def _derivatives(family: AbstractFamily, y: Any, eta: Any, free: Any) -> tuple[Any, ...]:
    def upto(order: int, free: Any) -> tuple[Any, ...]:
        return tuple(own(eta) for own in _elementwise(family, y, free)[:order])

    directions = jnp.eye(free.size, dtype=free.dtype)
    slopes = [jax.jvp(lambda u: upto(3, u), (free,), (d,))[1] for d in directions]
    stacked = [jnp.stack(own) for own in zip(*slopes, strict=True)] or [
        jnp.zeros((0, *eta.shape), eta.dtype)
    ] * 3
    return (*upto(4, free), *stacked)


def checked_family(family: Any) -> AbstractFamily:
    """The family, if it is one."""
    if not isinstance(family, AbstractFamily):
        raise TypeError(f"`family` must be an object such as Poisson(); got {family!r}.")
    return family


def one_each(values: np.ndarray | None, name: str, what: str, num_observations: int) -> None:
    """Refuse known numbers of a family that are not one for each observation."""
    if values is not None and values.shape != (num_observations,):
        raise ValueError(
            f"`{name}` must be {num_observations} {what}, one for each observation of the "
            f"predictor; got shape {values.shape}. Take them from the same rows as its inputs and "
            "`y`, or leave them out for ones."
        )


def observations(y: Any, num_observations: int) -> np.ndarray:
    """n finite numbers, float64."""
    y = float64_array(y, "y", ndim=1)
    if y.shape != (num_observations,):
        raise ValueError(f"`y` must hold {num_observations} observations; got {y.size}.")
    return y


def possible(y: np.ndarray, valid: np.ndarray, what: str) -> np.ndarray:
    """y, if all of them are possible; else an error that names the first which is not."""
    if not valid.all():
        i = int(np.flatnonzero(~valid)[0])
        raise ValueError(f"`y` must hold {what}; got {y[i]:.17g} at index {i}.")
    return y


def known(value: Any, name: str) -> np.ndarray | None:
    """A known parameter, one positive number; or None where it is to be estimated."""
    if value is None:
        return None
    result = float64_array(value, name)
    if result.shape != () or not result > 0.0:
        raise ValueError(
            f"`{name}` must be one positive number, or None to estimate it; got {value}."
        )
    return result


def unknown(value: np.ndarray | None, site: str) -> dict[str, Any]:
    """The support of a positive parameter by its site, if it is to be estimated."""
    return {} if value is not None else {site: dist.constraints.positive}


def given(value: np.ndarray | None, site: str, parameters: dict[str, Any], xp: Any = jnp) -> Any:
    """A parameter along the axis of observations: the known one, or that of its site.

    Args:
        value: the known one, or None.
        site: of the parameter.
        parameters: by site.
        xp: `jax.numpy`, or `numpy`.
    """
    if value is None:
        if site not in parameters:
            raise TypeError(
                f"`{site}` must be given, as it is a parameter of the family; got "
                f"{sorted(parameters)}."
            )
        return along_rows(parameters[site], xp)
    return xp.asarray(value, dtype=xp.result_type(float))


def chances(link: AbstractChanceLink, eta: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """p and 1 - p, each to its own precision; float64 on the host."""
    with jax.ensure_compile_time_eval(), jax.enable_x64(True):
        logits = np.asarray(link.logits(np.array(eta)))
    return scipy.special.expit(logits), scipy.special.expit(-logits)


def along_rows(parameter: Any, xp: Any = jnp) -> Any:
    """A number of each draw along the axis of observations, shape (..., 1) or (..., n)."""
    if isinstance(parameter, ByRow):
        return xp.asarray(parameter.values)
    return xp.asarray(parameter)[..., None]


def checked_link(link: AbstractChanceLink | None) -> AbstractChanceLink:
    """The link, `Logit()` if there is none."""
    link = Logit() if link is None else link
    if not isinstance(link, AbstractChanceLink):
        raise TypeError(f"`link` must be an object such as links.Probit(); got {link!r}.")
    return link
