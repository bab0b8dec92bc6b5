"""Priors, each on a basis, with what is documented of them."""

import copy
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, cached_property

import jax
import numpy as np
import numpyro.distributions as dist
import scipy.linalg
import scipy.stats
from numpyro.infer.util import log_density

import numpyro_splines as ns
from cases.bases import UNEVEN, Fourier
from numpyro_splines import extrapolation as ex
from numpyro_splines.penalties import Derivative, Differences, Shrunk

ROWS = 24  # of draws, in all laws of priors


@dataclass(frozen=True)
class PriorCase:
    """A prior on a basis, and what is documented of it.

    Attributes:
        prior: the prior.
        basis: a basis that it goes with.
        sites: shape and distribution (SciPy's) of each site that samplers see, by its short name,
            in the order of drawing; a distribution may be a function of the sites before it.
        measure: of the effect.
        given: values of sites, given which the coefficients are linear in all others.
        covariance: of the coefficients, given those.
        mean: of the coefficients, given those; zero if None.
        known: further arguments of the effect, what is known of the data.
    """

    prior: ns.AbstractPrior
    basis: ns.AbstractBasis
    sites: dict
    measure: object = None
    given: dict | None = None
    covariance: Callable | None = None
    mean: Callable | None = None
    known: dict | None = None

    @cached_property
    def effect(self):
        known = self.known or {}
        return ns.SplineEffect("f", self.basis, self.prior, measure=self.measure, **known)

    def law(self, name, values):
        """The distribution of a site, given the values of those before it."""
        _, law = self.sites[name]
        if not callable(law):
            return law
        return law({before: np.asarray(value)[..., None] for before, value in values.items()})

    def draw(self, num, seed=0):
        """What is documented, drawn by NumPy: `num` draws by short name, shape (num, *shape)."""
        rng, values = np.random.default_rng(seed), {}
        for name, (shape, _) in self.sites.items():
            law = self.law(name, values)
            values[name] = np.asarray(law.rvs((num, *shape), random_state=rng))
        return values

    def named(self, values, dtype=np.float32):
        """Values by full name, as `effect.curve` takes draws."""
        return {self.effect.site(k): np.asarray(v, dtype) for k, v in values.items()}

    def _program(self):
        # A copy, since JAX keeps the constants of a program as an earlier precision saw them.
        effect = copy.deepcopy(self.effect)

        def one(sites):
            density, trace = log_density(effect.sample, (), {}, sites)
            return trace[effect.site("coefficients")]["value"], density

        return jax.jit(jax.vmap(one))

    @cached_property
    def _programs(self):
        return {np.float32: self._program(), np.float64: self._program()}

    def evaluated(self, values, dtype=np.float32):
        """Coefficients and log densities of ROWS draws, given all sites by their short names.

        Compiled once for all laws, hence the fixed number.
        """
        with jax.enable_x64(dtype is np.float64):
            found = self._programs[dtype](self.named(values, dtype))
        return tuple(np.asarray(part, float) for part in found)


def dense_covariance(basis, penalty, measure, tau, linear):
    """Cov(coefficients) by a route without eigenvectors: S inverted on the complement.

    tau is the root mean square of the penalized part over the measure, `linear` the standard
    deviation of the coefficients of the orthonormal functions that are not penalized.
    """
    matrix, null = penalty.matrix(basis), penalty.unpenalized(basis)
    mu = basis.measure(measure)
    gram, observed = basis.gram(mu), basis.gram(mu.observations)
    complement = scipy.linalg.null_space(null.T @ observed) if null.size else np.eye(len(gram))
    penalized = complement @ np.linalg.inv(complement.T @ matrix @ complement) @ complement.T
    penalized *= tau**2 / np.trace(gram @ penalized)
    # The constant, where the basis has it, is taken off: that is the centering.
    linear_part = polynomials(null, gram, observed)[:, basis.null_space(1).shape[1] :]
    return penalized + linear**2 * linear_part @ linear_part.T


def polynomials(null, gram, observed):
    """Each function and those before it: orthogonal at the observations, of length one in mu."""
    columns = []
    for function in null.T:
        for other in columns:
            function = function - other * (other @ observed @ function) / (other @ observed @ other)
        columns.append(function / np.sqrt(function @ gram @ function))
    return np.array(columns).reshape(-1, len(gram)).T


POINTS = ns.knots.uniform(-1.0, 3.0, 7)
SKEWED = -1.0 + 4.0 * np.random.default_rng(1).beta(2.0, 5.0, 200)
PLAIN = ns.SmoothnessPrior()
NORMAL, HALF_NORMAL = scipy.stats.norm(), scipy.stats.halfnorm()
HALF_CAUCHY = scipy.stats.halfcauchy()


def _smooth(prior, sites, basis=None, measure=None, tau=0.7, linear=1.0, mean=None, known=None):
    """A smoothness prior given its scales: tau, where it is drawn, and the linear one."""
    basis = ns.BSplineBasis(POINTS) if basis is None else basis
    drawn = {"scale": tau, "linear_scale": linear}
    given = {name: value for name, value in drawn.items() if name in sites}

    def covariance():
        return dense_covariance(basis, prior.penalty, measure, tau, linear)

    return PriorCase(prior, basis, sites, measure, given, covariance, mean, known)


def _plain():
    sites = {
        "scale": ((), HALF_NORMAL),
        "modes_coordinates": ((7,), NORMAL),
        "linear": ((1,), NORMAL),
    }
    return _smooth(ns.SmoothnessPrior(), sites)


def information(noise):
    """Of 200 observations about the modes, decreasing, and about the line: no eigenvectors used."""
    basis = ns.BSplineBasis(POINTS)
    mu = basis.measure(SKEWED)
    seen = SKEWED.size / noise**2 * basis.gram(mu.observations)
    penalized, whole = (dense_covariance(basis, PLAIN.penalty, SKEWED, 1.0, s) for s in (0.0, 1.0))
    modes = np.sort(np.linalg.eigvals(penalized @ seen).real)[:1:-1]
    return modes, np.trace((whole - penalized) @ seen)


def _observed(noise=1.0, known=None):
    """Coordinates for noise of a size: that of the scale's prior where nothing is said."""
    modes, line = information(noise)

    def law(values):
        return scipy.stats.norm(0.0, np.sqrt(1.0 + modes * values["scale"] ** 2))

    sites = {
        "scale": ((), HALF_NORMAL),
        "modes_coordinates": ((7,), law),
        "linear_coordinates": ((1,), scipy.stats.norm(0.0, np.sqrt(1.0 + line))),
    }
    return _smooth(PLAIN, sites, measure=SKEWED, known=known)


def _referred():
    reference = np.arange(9.0) ** 2
    basis = ns.BSplineBasis(POINTS)

    def mean():
        return reference - np.ones(9) @ basis.gram(basis.measure(SKEWED).observations) @ reference

    prior = ns.SmoothnessPrior(scale=0.7, mean=reference)
    sites = {"modes_coordinates": ((7,), NORMAL), "linear": ((1,), NORMAL)}
    return _smooth(prior, sites, basis, SKEWED, mean=mean, known={"noise": np.inf})


def _double_penalty():
    scales = {"scale": dist.Gamma(3.0, 2.0), "linear_scale": dist.Gamma(2.0, 2.0)}
    sites = {
        "scale": ((), scipy.stats.gamma(3.0, scale=0.5)),
        "modes_coordinates": ((6,), NORMAL),
        "linear_scale": ((), scipy.stats.gamma(2.0, scale=0.5)),
        "linear_coordinates": ((2,), NORMAL),
    }
    return _smooth(ns.SmoothnessPrior(order=3, **scales), sites, tau=1.3, linear=0.4)


def _double_penalty_observed():
    modes, line = information(1.0)

    def law(name, own):
        return lambda v: scipy.stats.norm(0.0, np.sqrt(1.0 + own * v[name] ** 2))

    sites = {
        "scale": ((), HALF_NORMAL),
        "modes_coordinates": ((7,), law("scale", modes)),
        "linear_scale": ((), HALF_NORMAL),
        "linear_coordinates": ((1,), law("linear_scale", line)),
    }
    prior = ns.SmoothnessPrior(linear_scale=dist.HalfNormal(1.0))
    return _smooth(prior, sites, tau=0.7, linear=0.4, measure=SKEWED)


def _wide(basis, num_modes, num_linear, **prior):
    """Bases without the constant, or penalties without a null space or one of their own."""
    sites = {"modes_coordinates": ((num_modes,), NORMAL)}
    if num_linear:
        sites["linear"] = ((num_linear,), scipy.stats.norm(0.0, 3.0))
    prior = ns.SmoothnessPrior(scale=2.0, linear=3.0, **prior)
    return _smooth(prior, sites, basis, tau=2.0, linear=3.0)


def _own():
    return _wide(Fourier(np.arange(1, 4)), 6, 0)


def _log_smooth(num, **more):
    """Sites of the prior of a logarithm with `num` coefficients, then others."""
    return {"scale": ((), HALF_NORMAL), "modes_coordinates": ((num - 1,), NORMAL), **more}


def _monotone(direction="increasing", curvature=None, **options):
    sites = _log_smooth(8 if curvature is None else 7)
    if curvature is not None:
        sites["straight"] = ((), scipy.stats.uniform())
    sites["rise"] = ((), HALF_NORMAL)
    prior = ns.MonotonePrior(direction, curvature=curvature, **options)
    return PriorCase(prior, ns.BSplineBasis(POINTS), sites, SKEWED)


def _placed():
    laws = {"rise": dist.Gamma(4.0, 2.0), "finish": dist.Normal(5.0, 2.0)}
    sites = _log_smooth(
        8,
        rise=((), scipy.stats.gamma(4.0, scale=0.5)),
        finish=((), scipy.stats.norm(5.0, 2.0)),
    )
    return PriorCase(ns.MonotonePrior(**laws), ns.BSplineBasis(POINTS), sites)


def _convex(curvature="convex"):
    sites = _log_smooth(7, bend=((), HALF_NORMAL), slope=((), NORMAL))
    return PriorCase(ns.ConvexPrior(curvature), ns.BSplineBasis(POINTS), sites, SKEWED)


def _positive(basis):
    # The level is drawn first.
    sites = {"level": ((), scipy.stats.lognorm(1.0)), **_log_smooth(9)}
    return PriorCase(ns.PositivePrior(), basis, sites)


def _adaptive():
    basis = ns.BSplineBasis(POINTS)
    sites = {
        "scale": ((), HALF_NORMAL),
        "local.scale": ((), HALF_NORMAL),
        "local.modes_coordinates": ((7,), NORMAL),
        "steps": ((7,), NORMAL),
        "linear": ((1,), scipy.stats.norm(0.0, 2.0)),
    }
    # With equal sizes of all steps: the random walk of the same order.
    given = {"scale": 0.7, "local.scale": 1.0, "local.modes_coordinates": np.zeros(7)}

    def covariance():
        return dense_covariance(basis, Differences(2), SKEWED, 0.7, 2.0)

    return PriorCase(ns.AdaptivePrior(linear=2.0), basis, sites, SKEWED, given, covariance)


def _horseshoe():
    basis = ns.BSplineBasis(POINTS)
    sites = {
        "scale": ((), scipy.stats.halfnorm(scale=0.1)),
        "local": ((8,), HALF_CAUCHY),
        "steps": ((8,), NORMAL),
    }

    def covariance():
        walk = dense_covariance(basis, Differences(1), None, 0.5, 1.0)
        return walk * 100.0 / 101.0  # a slab of 10 against local sizes of 1

    given = {"scale": 0.5, "local": np.ones(8)}
    return PriorCase(ns.HorseshoePrior(slab=10.0), basis, sites, None, given, covariance)


def _laplace():
    sites = {
        "scale": ((), HALF_NORMAL),
        "modes_coordinates": ((6,), NORMAL),
        "linear": ((2,), scipy.stats.laplace(scale=2.0)),
    }
    prior = ns.SmoothnessPrior(order=3, linear=dist.Laplace(0.0, 2.0))
    return _smooth(prior, sites, linear=np.sqrt(8.0))


def _walk():
    scale = scipy.stats.expon(scale=-1.0 / np.log(0.1))
    sites = {"scale": ((), scale), "modes_coordinates": ((8,), NORMAL)}
    return _smooth(ns.RandomWalkPrior(order=1, scale=ns.scales.pc_scale(1.0, 0.1)), sites)


def _p_spline():
    knots = ns.knots.extended(ns.knots.uniform(100.0, 400.0, 12), 3)
    sites = {"modes_coordinates": ((12,), NORMAL), "linear": ((1,), scipy.stats.norm(0.0, 2.0))}
    prior = ns.RandomWalkPrior(scale=0.7, linear=2.0)
    return _smooth(prior, sites, ns.BSplineBasis(knots=knots), linear=2.0)


# Made when they are asked for, by `prior_case`: a new prior is one more line. Those that are
# Gaussian given their scales have a law more.
GAUSSIAN_PRIORS = {
    "smoothness": _plain,
    "smoothness_observed": _observed,
    "smoothness_of_noise": lambda: _observed(0.3, {"noise": 0.3}),
    "smoothness_of_reference": _referred,
    "smoothness_laplace": _laplace,
    "double_penalty": _double_penalty,
    "double_penalty_observed": _double_penalty_observed,
    "walk": _walk,
    "walk_p_spline": _p_spline,
    "on_i_splines": lambda: _wide(ns.ISplineBasis(POINTS, degree=2), 7, 1),
    "on_constrained": lambda: _wide(
        ns.BSplineBasis(POINTS).constrained(ns.constraints.ZeroStart()), 7, 1
    ),
    "shrunk": lambda: _wide(
        ns.CubicRegressionBasis(POINTS), 6, 0, penalty=Shrunk(Derivative(2), 0.3)
    ),
    "shrunk_constrained": lambda: _wide(
        ns.BSplineBasis(POINTS).constrained(), 8, 0, penalty=Shrunk(Differences(3))
    ),
    "plain_differences": lambda: _wide(
        ns.BSplineBasis(UNEVEN), 5, 2, penalty=Differences(3, plain=True)
    ),
    "on_own": _own,
    "adaptive": _adaptive,
    "horseshoe": _horseshoe,
}
PRIORS = {
    **GAUSSIAN_PRIORS,
    "increasing": _monotone,
    "decreasing": lambda: _monotone("decreasing"),
    "increasing_convex": lambda: _monotone(curvature="convex"),
    "increasing_concave": lambda: _monotone(curvature="concave"),
    "decreasing_convex": lambda: _monotone("decreasing", curvature="convex"),
    "decreasing_concave": lambda: _monotone("decreasing", curvature="concave"),
    "monotone_placed": _placed,
    "convex": _convex,
    "concave": lambda: _convex("concave"),
    "positive": lambda: _positive(ns.BSplineBasis(POINTS, extrapolation=ex.Constant())),
    "positive_m_splines": lambda: _positive(ns.MSplineBasis(POINTS)),
    "simplex": lambda: PriorCase(ns.SimplexPrior(), ns.MSplineBasis(POINTS), _log_smooth(9)),
    "simplex_i_splines": lambda: PriorCase(
        ns.SimplexPrior(), ns.ISplineBasis(POINTS), _log_smooth(9)
    ),
}


@cache
def prior_case(name):
    """The case of that name in `PRIORS`."""
    return PRIORS[name]()
