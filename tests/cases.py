"""The registry: every basis that the laws are checked on. A new basis is one more line."""

from dataclasses import dataclass

import jax
import numpy as np
import numpyro
import numpyro.distributions as dist
import pytest
from scipy.interpolate import BSpline

import numpyro_splines as ns
from numpyro_splines import extrapolation as ex
from numpyro_splines.latent.coordinates import Rows
from numpyro_splines.latent.ordered import Nested

UNEVEN = np.array([-1.0, -0.7, 0.2, 0.25, 1.0, 3.0])
EVEN = ns.knots.uniform(0.0, 2.0, 9)


def compiled(function, *arguments):
    """function(*arguments) as one program: eagerly, each operation is compiled by itself.

    Points, coefficients and curves are arguments, lest the compiler evaluates constants itself.
    """
    return jax.jit(function)(*arguments)


@dataclass(frozen=True)
class Case:
    """A basis and the B-spline it is, for SciPy."""

    name: str
    basis: ns.AbstractBasis
    sums_to_one: bool = True
    non_negative: bool = True

    @property
    def spline(self):
        """The B-splines behind the basis."""
        spline = self.basis
        while hasattr(spline, "spline"):
            spline = spline.spline
        return spline

    @property
    def matrix(self):
        """Their coefficients of each function."""
        matrix, spline = np.eye(self.basis.num_coefficients), self.basis
        while hasattr(spline, "spline"):
            matrix, spline = spline.matrix @ matrix, spline.spline
        return matrix

    @property
    def degree(self):
        return self.spline.degree

    @property
    def amplification(self):
        """How much larger the B-spline coefficients, hence their rounding, are than the basis'."""
        return max(1.0, float(np.abs(self.matrix).sum(axis=1).max()))

    def points(self):
        """Interior points, every knot, both ends, and points outside, apart."""
        lower, upper = self.basis.domain
        width = upper - lower
        knots = np.unique(self.spline.knots)
        knots = knots[(knots >= lower) & (knots <= upper)]
        inside = np.concatenate([knots, (knots[1:] + 2 * knots[:-1]) / 3])
        outside = np.array([lower - 1.3 * width, lower - 0.01, upper + 0.01, upper + 0.7 * width])
        return inside, outside

    def coefficients(self, seed=0):
        return np.random.default_rng(seed).normal(size=self.basis.num_coefficients)

    def reference(self, coefficients, x, order=0):
        """SciPy inside, the extrapolation rule written out outside; float64."""
        spline = BSpline(self.spline.knots, self.matrix @ coefficients, self.degree)
        lower, upper = self.basis.domain

        def derivative(at, m):
            return spline(at, nu=m) if m <= self.degree else np.zeros(np.shape(at))

        value = derivative(np.clip(x, lower, upper), order)
        for rule, end, beyond in zip(
            self.spline.extrapolation, (lower, upper), (x < lower, x > upper), strict=True
        ):
            at = np.full(x.shape, end)
            if isinstance(rule, ex.Linear):
                rest = {0: derivative(at, 0) + derivative(at, 1) * (x - end), 1: derivative(at, 1)}
            elif isinstance(rule, ex.Constant):
                rest = {0: derivative(at, 0)}
            elif isinstance(rule, ex.Polynomial):
                rest = {order: derivative(x, order)}
            elif isinstance(rule, ex.Periodic):
                rest = {order: derivative(lower + (x - lower) % (upper - lower), order)}
            elif isinstance(rule, ex.NaN):
                rest = {order: np.full(x.shape, np.nan)}
            else:
                rest = {}
            value = np.where(beyond, rest.get(order, np.zeros(x.shape)), value)
        return value


def _cases():
    for degree in (0, 1, 2, 3, 4, 5, 8):
        yield Case(f"uneven_degree{degree}", ns.BSplineBasis(UNEVEN, degree=degree))
    for rule in (ex.Constant(), ex.Polynomial(), ex.Zero(), ex.NaN(), ex.Periodic()):
        basis = ns.BSplineBasis(EVEN, extrapolation=rule)
        yield Case(f"even_cubic_{type(rule).__name__.lower()}", basis)
    pair = (ex.Constant(), ex.Linear())
    yield Case("pair", ns.BSplineBasis(UNEVEN, degree=2, extrapolation=pair))
    knots = ns.knots.extended(EVEN, 3)
    yield Case("extended", ns.BSplineBasis(knots=knots))
    repeated = [0.0, 0.0, 0.0, 0.0, 0.3, 0.5, 0.5, 0.8, 0.8, 0.8, 0.8, 1.0, 1.0, 1.0, 1.0]
    yield Case("repeated", ns.BSplineBasis(knots=repeated))
    yield Case("many", ns.BSplineBasis(ns.knots.uniform(-5.0, 5.0, 198)))
    yield Case("one_interval", ns.BSplineBasis([0.0, 1e-3], degree=5))
    skewed = ns.knots.quantile(np.random.default_rng(0).lognormal(0.0, 2.0, 400), 30)
    yield Case("cyclic", ns.CyclicBasis(UNEVEN))
    yield Case("cyclic_few", ns.CyclicBasis([0.0, 0.4, 1.0], degree=3))
    yield Case("cyclic_linear", ns.CyclicBasis(EVEN, degree=1))
    yield Case("regression", ns.CubicRegressionBasis(UNEVEN), non_negative=False)
    yield Case("cyclic_regression", ns.CyclicCubicRegressionBasis(UNEVEN), non_negative=False)
    yield Case("m_spline", ns.MSplineBasis(UNEVEN), sums_to_one=False)
    yield Case("i_spline", ns.ISplineBasis(UNEVEN, degree=2), sums_to_one=False)
    yield Case("c_spline", ns.CSplineBasis(UNEVEN, degree=1), sums_to_one=False)
    yield Case("cyclic_m_spline", ns.CyclicMSplineBasis(UNEVEN), sums_to_one=False)
    yield Case("natural", ns.NaturalBasis(UNEVEN), sums_to_one=False)
    yield Case("natural_quintic", ns.NaturalBasis(EVEN, degree=5), sums_to_one=False)
    yield Case("natural_line", ns.NaturalBasis([0.0, 2.0]), sums_to_one=False)
    yield Case("bernstein", ns.BernsteinBasis(-2.0, 1.0, degree=4))
    sign = {"sums_to_one": False, "non_negative": False}
    yield Case("constrained", ns.BSplineBasis(UNEVEN).constrained(), **sign)
    ends = ns.constraints.ZeroStart(), ns.constraints.ZeroEnd(1)
    yield Case("constrained_ends", ns.CubicRegressionBasis(UNEVEN).constrained(*ends), **sign)
    yield Case("shrunk", ns.ShrunkBasis(ns.CubicRegressionBasis(EVEN)).constrained(), **sign)
    yield Case("skewed", ns.BSplineBasis(skewed))


CASES = [pytest.param(case, id=case.name) for case in _cases()]
SMOOTH = [p for p in CASES if p.values[0].degree > 0]


@dataclass(frozen=True)
class Law:
    """A distribution for the laws of NumPyro's own tests.

    Args:
        make: parameters -> the distribution.
        parameters: arrays; those of another member of a stack are 1.3 times as large.
        shapes: arguments of `infer_shapes`, or None where it must refuse.
        invalid: parameters that must be refused, or None.
        batched: whether parameters may have a batch shape.
        promoted: whether NumPyro's `promote_batch_shape` gives the batch shape of a stack; it does
            not do so for any TransformedDistribution.
    """

    name: str
    make: object
    parameters: tuple
    shapes: tuple | None = None
    invalid: tuple | None = None
    batched: bool = False
    promoted: bool = True

    def stacked(self, size=3):
        """Parameters of several members."""
        grow = 1.3 ** np.arange(size)
        return tuple(np.multiply.outer(grow, np.asarray(p)) for p in self.parameters)


def distributions():
    """Every distribution and transform of the package that NumPyro can be given."""
    second = np.diff(np.eye(5), n=2, axis=0)
    rough, small = second.T @ second, np.array([[1.0, -1.0], [-1.0, 1.0]])
    rising = ns.ISplineBasis(EVEN, degree=2)
    heights = np.linspace(0.5, 1.5, rising.num_coefficients)
    x = np.linspace(0.0, 2.0, 12)
    effect = ns.SplineEffect("f", ns.BSplineBasis(np.linspace(0.0, 2.0, 4)), measure=x)
    eta = ns.AdditivePredictor((effect, x), intercept=dist.Normal(0.0, 2.0))
    regression = ns.marginal.GaussianMarginal(eta)
    density = ns.MSplineBasis(EVEN, degree=2)
    low, high = np.array([-1.0, 0.5]), np.array([0.5, 2.0])
    two = {"batched": True}
    yield Law(
        "intrinsic",
        lambda s: ns.IntrinsicGaussian(rough, s),
        (0.7,),
        ({"penalty": (5, 5), "scale": (3,)}, ((3,), (5,))),
        (-1.0,),
        **two,
    )
    yield Law("walk", lambda s: ns.RandomWalk(2, s, 5), (0.7,), invalid=(-1.0,), **two)
    yield Law(
        "kronecker",
        lambda s, t: ns.KroneckerGaussian((rough, small), s, t),
        (0.7, 2.0),
        ({"penalties": ((5, 5), (2, 2)), "scale1": (3,), "scale2": (4, 1)}, ((4, 3), (5, 2))),
        (0.7, -1.0),
        **two,
    )
    yield Law(
        "marginal",
        lambda s, t: ns.marginal.MarginalGaussian(regression, s, t),
        (0.4, np.ones(1)),
        invalid=(-1.0, np.ones(1)),
        **two,
    )
    yield Law("ordered", lambda m, s: ns.latent.Ordered(dist.Normal(m, s), 3), (1.0, 0.5))
    yield Law(
        "within",
        lambda m, a, b: ns.latent.Within(dist.Normal(m, 1.0), a, b),
        (0.3, low, high),
    )
    yield Law(
        "within_rows",
        lambda m: ns.latent.Within(dist.Normal(m, 1.0), -np.inf, high),
        (np.array([0.3, 0.4]),),
    )
    yield Law(
        "rows",
        lambda m: Rows(dist.Normal(m, 1.0), np.array([0, 2])),
        (np.array([0.3, 1.0, 2.0]),),
    )
    yield Law(
        "rows_of_one_expanded",
        lambda m, s: Rows(dist.Normal(m, s).expand([3]), np.array([0, 2])),
        (0.3, 1.0),
    )
    yield Law(
        "nested",
        lambda s: dist.TransformedDistribution(dist.Normal(np.zeros(5), s).to_event(1), Nested(5)),
        (0.8,),
        promoted=False,
    )
    for name, bounded in (("warp", False), ("warp_bounded", True)):

        def warped(s, c, bounded=bounded):
            base = dist.Uniform(0.0, 1.0 + 0.1 * s) if bounded else dist.Normal(0.0, s)
            warp = ns.SplineTransform(rising.curve(c), bounded=bounded)
            return dist.TransformedDistribution(base, warp)

        yield Law(name, warped, (0.8, heights), promoted=False)
    yield Law(
        "unwarped",
        lambda s, c: dist.TransformedDistribution(
            dist.Normal(0.0, s), ns.SplineTransform(rising.curve(c)).inv
        ),
        (0.8, heights),
        promoted=False,
    )
    yield Law(
        "spline_density",
        lambda c: ns.latent.spline_density(density.curve(c / c.sum())),
        (np.linspace(1.0, 2.0, density.num_coefficients),),
        promoted=False,
    )
    scales = {
        "pc_scale": ns.pc_scale(1.0, 0.1),
        "half_student_t": ns.half_student_t(),
        "inverse_gamma_variance": ns.inverse_gamma_variance(2.0, 1.0),
        "gamma_precision": ns.gamma_precision(2.0, 0.5),
    }
    for name, prior in scales.items():
        yield Law(name, lambda prior=prior: prior, (), promoted=name == "pc_scale")


def functional_distributions():
    """Those that hold a function of the model: right where they are made, refused elsewhere."""
    rule = ns.latent.Quadrature(num_nodes=16)

    def response(slope):
        x = ns.latent.berkson("x", np.array([1.0, 2.0]), 0.5, quadrature=rule)
        return ns.latent.response(x, lambda x: dist.Normal(slope * x, 1.0))

    def measurements(mean):
        def model():
            ns.latent.measured("x", [1.0, 2.0], 0.5, dist.Normal(mean, 1.0), quadrature=rule)

        trace = numpyro.handlers.trace(numpyro.handlers.seed(model, 0)).get_trace()
        return trace["x.observed"]["fn"]

    yield Law("response", response, (3.0,))
    yield Law("measurements", measurements, (1.5,))
