r"""The mode of coefficients given their scales, in JAX, with derivatives of any order.

In units of the prior, c = m + D u with D the prior standard deviations (of flat coefficients any
fixed unit), the log posterior of u is sum_i log p(y_i | eta_i) - |u|^2 / 2, flat entries left out
of the sum of squares, eta = offset + Phi c. Its curvature is H = D Phi' W Phi D + I, again without
the flat entries of I: positive definite however small or large the scales are.

Newton's method with a curvature that is kept: as long as it makes the decrement shrink fast, an
iteration costs O(n p); else it is worked out anew at the current point, at O(n p^2). By the
implicit function theorem du = H^-1 d(gradient), which `custom_jvp` states; as that is a function of
the mode itself, forward, reverse and higher derivatives follow.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax.scipy.linalg import cho_solve, solve_triangular
from jaxtyping import Array, Float

from numpyro_splines.regression.families import AbstractFamily

_MAX_STEPS = 30  # with one curvature
_MAX_CURVATURES = 50
_LIKELY = 3.0  # prior standard deviations of a coefficient
_NEAR = 1e-3  # decrement at which a mode is taken for found where rounding allows no better one


class Design(NamedTuple):
    """What is known: rows, and where to start.

    Attributes:
        family: of the responses.
        rows: Phi, shape (n, p).
        proper: one where a coefficient has a proper prior, zero where it is flat, shape (p,).
        reference: log p(y_i) that are taken off before summing, shape (n,).
        pilot: c_0 of a fit, shape (p,).
        score: Phi' dlog p / deta there, shape (p,).
        information: Phi' W Phi there, shape (p, p).
    """

    family: AbstractFamily
    rows: Array
    proper: Array
    reference: Array
    pilot: Array
    score: Array
    information: Array


class Given(NamedTuple):
    """What varies.

    Attributes:
        deviations: D, shape (p,).
        means: m, shape (p,).
        offset: shape (n,).
        y: shape (n,).
        parameters: of the family, by site name.
    """

    deviations: Array
    means: Array
    offset: Array
    y: Array
    parameters: dict[str, Array]


class _State(NamedTuple):
    u: Array
    value: Array
    gradient: Array
    decrement: Array
    size: Array
    steps: Array
    done: Array


def linear_predictor(design: Design, given: Given, u: Array) -> Float[Array, " n"]:
    """eta at u."""
    return given.offset + _dot(design.rows, given.means + given.deviations * u)


def log_posterior(design: Design, given: Given, u: Array) -> Float[Array, ""]:
    """log p(y | u) - |u|^2 / 2, `reference` taken off."""
    eta = linear_predictor(design, given, u)
    terms = design.family.log_prob(given.y, eta, **given.parameters) - design.reference
    return terms.sum() - 0.5 * (design.proper * u**2).sum()


def weights(design: Design, given: Given, u: Array) -> Float[Array, " n"]:
    """`information_of` each observation at u."""
    eta = linear_predictor(design, given, u)
    return information_of(design.family, given.y, eta, given.parameters)


def information_of(
    family: AbstractFamily, y: Array, eta: Array, parameters: dict[str, Array]
) -> Float[Array, " n"]:
    """W = -d^2 log p(y_i | eta_i) / deta_i^2.

    Args:
        family: of the responses.
        y: shape (n,).
        eta: shape (n,).
        parameters: of the family.
    """
    ones = jnp.ones_like(eta)

    def slope(eta: Array) -> Array:
        def log_prob(eta: Array) -> Array:
            return family.log_prob(y, eta, **parameters)

        return jax.jvp(log_prob, (eta,), (ones,))[1]

    return -jax.jvp(slope, (eta,), (ones,))[1]


def gram(design: Design, weights: Array) -> Float[Array, "p p"]:
    """Phi' W Phi."""
    return _dot(design.rows.T, weights[:, None] * design.rows)


def curvature(design: Design, given: Given, information: Array) -> Float[Array, "p p"]:
    """H from Phi' W Phi."""
    scaled = given.deviations[:, None] * information * given.deviations
    return scaled + jnp.diag(design.proper)


def hessian(design: Design, given: Given, u: Array) -> Float[Array, "p p"]:
    """H at u."""
    return curvature(design, given, gram(design, weights(design, given, u)))


@jax.custom_jvp
def mode(design: Design, given: Given) -> Float[Array, " p"]:
    """u where the log posterior is largest, and derivatives in `given`; see the module.

    Args:
        design: constants; derivatives in them are not defined.
        given: what varies.

    Returns:
        Shape (p,); NaN where no maximum was found.
    """
    information, score = _at_pilot(design, given)
    right = _dot(information, design.pilot - given.means) + score
    factor = jnp.linalg.cholesky(curvature(design, given, information))
    start = cho_solve((factor, True), given.deviations * right)
    # Scales far from the fit's: one step from there may end where exp(eta) is beyond all bounds,
    # from where Newton's method returns by one unit of eta at a time.
    likely = jnp.clip((design.pilot - given.means) / given.deviations, -_LIKELY, _LIKELY)
    values = [log_posterior(design, given, u) for u in (start, likely)]
    start = jnp.where(values[0] >= values[1], start, likely)
    state = _steps(design, given, factor, start)

    def unfinished(carry: tuple[_State, Array]) -> Array:
        return ~carry[0].done & (carry[1] < _MAX_CURVATURES)

    def renewed(carry: tuple[_State, Array]) -> tuple[_State, Array]:
        last, count = carry
        # Where the likelihood is not concave, the size of its curvature says how far to go.
        own = weights(design, given, last.u)
        own = jnp.where(own > 0.0, own, jnp.maximum(-own, 1e-3 * jnp.abs(own).max()))
        factor = jnp.linalg.cholesky(curvature(design, given, gram(design, own)))
        state = _steps(design, given, factor, last.u)
        stuck = (state.decrement < _NEAR) & ~(state.decrement < 0.5 * last.decrement)
        return state._replace(done=state.done | stuck), count + 1

    state, _ = jax.lax.while_loop(unfinished, renewed, (state, jnp.zeros((), int)))
    return jnp.where(state.done, state.u, jnp.nan)


def _at_pilot(design: Design, given: Given) -> tuple[Array, Array]:
    """Phi' W Phi and Phi' dlog p / deta at the pilot fit: what is known of them, or anew."""
    if design.family.pooled is design.family:
        return design.information, design.score
    # A fit with the same parameters for all observations knows little of where these differ.
    pilot = given._replace(means=design.pilot)
    zero = jnp.zeros_like(design.pilot)
    eta = linear_predictor(design, pilot, zero)
    score = jax.grad(lambda eta: design.family.log_prob(given.y, eta, **given.parameters).sum())
    own = jnp.maximum(weights(design, pilot, zero), 0.0)
    return gram(design, own), _dot(design.rows.T, score(eta))


@mode.defjvp
def _mode_jvp(primals: tuple[Design, Given], tangents: tuple[Design, Given]) -> tuple[Array, Array]:
    (design, given), (_, moves) = primals, tangents
    u = mode(design, given)
    gradient = _gradient(design, u)
    _, change = jax.jvp(gradient, (given,), (moves,))
    factor = jnp.linalg.cholesky(hessian(design, given, u))
    return u, cho_solve((factor, True), change)


def _gradient(design: Design, u: Array) -> Callable[[Given], Array]:
    return lambda given: jax.grad(lambda u: log_posterior(design, given, u))(u)


def _steps(design: Design, given: Given, factor: Array, start: Array) -> _State:
    """Ascend with one curvature while that is fast."""
    objective = jax.value_and_grad(lambda u: log_posterior(design, given, u))
    eps = float(jnp.finfo(start.dtype).eps)
    small, tiny = eps**0.7, eps**1.25  # of the decrement, the squared distance in posterior units
    # Sums of many terms carry their rounding; the check is there against steps that go astray.
    rounding = eps * jnp.abs(design.reference).sum()

    def solved(gradient: Array) -> tuple[Array, Array]:
        step = cho_solve((factor, True), gradient)
        return step, (step * gradient).sum()

    def go_on(state: _State) -> Array:
        return ~state.done & (state.steps < _MAX_STEPS)

    def ascend(state: _State) -> _State:
        step, _ = solved(state.gradient)
        u = state.u + state.size * step
        value, gradient = objective(u)
        _, decrement = solved(gradient)
        tolerance = rounding + 8.0 * eps * (1.0 + jnp.abs(state.value))
        # Either says so: the value drowns in rounding near the mode, the gradient does not.
        better = (value >= state.value - tolerance) | (decrement < 0.5 * state.decrement)
        better = better & jnp.isfinite(value) & jnp.isfinite(decrement)
        fast = better & (decrement < 0.5 * state.decrement)
        # At the limit of rounding nothing improves any more.
        done = better & ((decrement < tiny) | ((decrement < small) & ~fast))
        # What is slow is left to a new curvature.
        steps = jnp.where(better & ~fast, _MAX_STEPS, state.steps + 1)
        moved = _State(u, value, gradient, decrement, state.size, steps, done)
        stayed = state._replace(size=state.size / 2, steps=state.steps + 1)
        return jax.tree.map(lambda a, b: jnp.where(better, a, b), moved, stayed)

    value, gradient = objective(start)
    _, decrement = solved(gradient)
    zero = jnp.zeros((), int)
    begin = _State(start, value, gradient, decrement, jnp.ones_like(value), zero, decrement < tiny)
    return jax.lax.while_loop(go_on, ascend, begin)


@jax.custom_jvp
def log_determinant(matrix: Array) -> Float[Array, ""]:
    """log|H| of a positive definite matrix, NaN of others; dlog|H| = trace(H^-1 dH)."""
    return 2.0 * jnp.log(jnp.diagonal(jnp.linalg.cholesky(matrix))).sum()


@log_determinant.defjvp
def _log_determinant_jvp(primals: tuple[Array], tangents: tuple[Array]) -> tuple[Array, Array]:
    (matrix,), (move,) = primals, tangents
    factor = jnp.linalg.cholesky(matrix)
    inverse = cho_solve((factor, True), jnp.eye(len(matrix), dtype=matrix.dtype))
    return 2.0 * jnp.log(jnp.diagonal(factor)).sum(), (inverse * move).sum()


def log_marginal(design: Design, given: Given) -> Float[Array, ""]:
    """Laplace's approximation of log p(y | scales), but for constants of flat priors.

    int exp(log p(y | u)) Normal(u; 0, I) du ~ exp(log p(y | u_hat) - |u_hat|^2 / 2) |H|^(-1/2).
    """
    u = mode(design, given)
    return log_posterior(design, given, u) - 0.5 * log_determinant(hessian(design, given, u))


class Approximation(NamedTuple):
    """The log posterior of u as that of a Gaussian, peak - |L'(u - mean)|^2 / 2.

    Attributes:
        mean: shape (p,).
        factor: L, the Cholesky factor of the precision H, shape (p, p).
        peak: its value at the mean.
    """

    mean: Array
    factor: Array
    peak: Array


def at_mode(design: Design, given: Given) -> Approximation:
    """With the value and the curvature at the mode."""
    u = mode(design, given)
    factor = jnp.linalg.cholesky(hessian(design, given, u))
    return Approximation(u, factor, log_posterior(design, given, u))


def at_fit(design: Design, given: Given) -> Approximation:
    """With log p(y | c) expanded to second order at the pilot fit: no term of it is of length n."""
    factor = jnp.linalg.cholesky(curvature(design, given, design.information))
    pulled = design.score - _dot(design.information, given.means - design.pilot)
    u = cho_solve((factor, True), given.deviations * pulled)
    return Approximation(u, factor, _expanded(design, given, u))


def _expanded(design: Design, given: Given, u: Array) -> Array:
    """`log_posterior`, expanded at the pilot fit."""
    move = given.means + given.deviations * u - design.pilot
    likelihood = (move * (design.score - 0.5 * _dot(design.information, move))).sum()
    return likelihood - 0.5 * (design.proper * u**2).sum()


@jax.custom_jvp
def log_marginal_at_fit(design: Design, given: Given) -> Float[Array, ""]:
    """`log_marginal` by `at_fit`: the integral is exact, the integrand is not.

    Its derivative is that of the log posterior with u held, as u maximizes it, less that of
    log|H| / 2; H - P is D L D, P the precision of u under the prior, so that the latter is
    1 - (H^-1 P)_ii in log D_i. It saves most of the program that derivatives of a Cholesky
    factor would be; those of higher order follow from this one.

    Args:
        design: constants; derivatives in them are not defined.
        given: what varies.
    """
    _, factor, peak = at_fit(design, given)
    return peak - jnp.log(jnp.diagonal(factor)).sum()


@log_marginal_at_fit.defjvp
def _log_marginal_at_fit_jvp(
    primals: tuple[Design, Given], tangents: tuple[Design, Given]
) -> tuple[Array, Array]:
    (design, given), (_, moves) = primals, tangents
    u, factor, peak = at_fit(design, given)
    root = solve_triangular(factor, jnp.eye(len(u), dtype=u.dtype), lower=True)
    free = 1.0 - design.proper * (root**2).sum(axis=0)
    _, change = jax.jvp(lambda given: _expanded(design, given, u), (given,), (moves,))
    change = change - (free * moves.deviations / given.deviations).sum()
    return peak - jnp.log(jnp.diagonal(factor)).sum(), change


def _dot(left: Array, right: Array) -> Array:
    # Accelerators round factors to fewer digits unless asked not to.
    return jnp.matmul(left, right, precision="highest")
