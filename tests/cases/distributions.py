"""Distributions and transforms as NumPyro sees them: functions of their parameters."""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache

import jax.numpy as jnp
import numpy as np
import numpyro
import numpyro.distributions as dist

import numpyro_splines as ns
from numpyro_splines import extrapolation as ex
from numpyro_splines.latent.coordinates import Rows
from numpyro_splines.latent.order_statistics import Nested, OrderStatistics
from numpyro_splines.latent.within import Within
from numpyro_splines.regression import (
    Gaussian,
    IntegratedGaussian,
    IntegratedLaplace,
    MarginalGaussian,
    MarginalLaplace,
)

# How many sets of parameters, in all laws of distributions.
MEMBERS = 3


@dataclass(frozen=True)
class DistributionCase:
    """A distribution, and what NumPyro may do with it.

    Attributes:
        make: keyword parameters, each without a batch -> the distribution.
        parameters: `MEMBERS` values of each parameter, along the first axis.
        invalid: parameters of which one is outside its constraint, if that is checked.
        shapes: arguments of `infer_shapes`, if it knows the shapes of the first member.
        promoted: whether NumPyro's `promote_batch_shape` finds the batch of stacked parameters;
            it does not look into its own `TransformedDistribution`, whose draws then fail.
    """

    make: Callable[..., dist.Distribution]
    parameters: dict
    invalid: dict | None = None
    shapes: tuple | None = None
    promoted: bool = True

    def member(self, index):
        """The parameters of one member."""
        return {name: values[index] for name, values in self.parameters.items()}


@dataclass(frozen=True)
class TransformCase:
    """A transform of numbers or vectors.

    Attributes:
        make: keyword parameters -> the transform.
        parameters: `MEMBERS` values of each parameter, along the first axis.
        x: points of its domain.
        other: a transform that it does not equal.
    """

    make: Callable
    x: np.ndarray
    other: Callable
    parameters: dict = field(default_factory=dict)


SCALES = np.array([0.5, 1.0, 3.0])
HEIGHTS = np.random.default_rng(0).gamma(2.0, size=(MEMBERS, 5)) + 0.1
WEIGHTS = np.array([[0.2, 0.5, 0.2, 0.1], [0.4, 0.1, 0.2, 0.3], [0.1, 0.2, 0.3, 0.4]])
POINTS = np.array([-1.0, -0.7, 0.25, 3.0])


def second_differences(num):
    difference = np.diff(np.eye(num), n=2, axis=0)
    return difference.T @ difference


def monotone(rule=ex.Linear()):
    return ns.ISplineBasis(POINTS, degree=2, extrapolation=rule)


def _intrinsic():
    penalty = second_differences(6)
    return DistributionCase(
        lambda scale: ns.distributions.IntrinsicGaussian(penalty, scale, validate_args=True),
        {"scale": SCALES},
        {"scale": -1.0},
        ((6, 6), ()),
    )


def _walk():
    return DistributionCase(
        lambda scale: ns.distributions.RandomWalk(2, scale, 6, validate_args=True),
        {"scale": SCALES},
        {"scale": 0.0},
    )


def _kronecker():
    penalties = second_differences(4), second_differences(5)
    return DistributionCase(
        lambda scale1, scale2: ns.distributions.KroneckerGaussian(
            penalties, scale1, scale2, validate_args=True
        ),
        {"scale1": SCALES, "scale2": SCALES[::-1] + 0.25},
        {"scale1": 1.0, "scale2": -2.0},
        (((4, 4), (5, 5)), (), ()),
    )


def _predictor():
    x = np.random.default_rng(1).uniform(size=9)
    basis = ns.BSplineBasis(ns.knots.uniform(0.0, 1.0, 6))
    effect = ns.SplineEffect("f", basis, ns.SmoothnessPrior(), measure=x)
    return ns.AdditivePredictor((effect, x), intercept=dist.Normal())


def _marginal():
    regression = IntegratedGaussian(_predictor())
    return DistributionCase(
        lambda sigma, scales: MarginalGaussian(regression, sigma, scales, validate_args=True),
        {"sigma": SCALES, "scales": SCALES[::-1, None]},
        {"sigma": 1.0, "scales": np.array([-1.0])},
    )


def _laplace():
    regression = IntegratedLaplace(_predictor(), Gaussian())
    return DistributionCase(
        lambda sigma, scales: MarginalLaplace(
            regression, scales, {"sigma": sigma}, validate_args=True
        ),
        {"sigma": SCALES, "scales": SCALES[::-1, None]},
        {"sigma": 1.0, "scales": np.array([-1.0])},
    )


def _ordered():
    return DistributionCase(
        lambda loc, scale: OrderStatistics(dist.Normal(loc, scale), MEMBERS),
        {"loc": np.array([0.0, 2.0, -1.0]), "scale": SCALES},
    )


def _within():
    # As many rows as members: sizes alone must not decide what is a row and what a member.
    upper = np.array([0.5, 1.0, 2.5])
    return DistributionCase(
        lambda scale, lower: Within(dist.Normal(0.5, scale), lower, upper),
        {"scale": SCALES, "lower": np.array([[-1.0, 0.0, 1.0], [0.0, 0.5, 2.0], [0.3, 0.9, 1.5]])},
    )


def _rows():
    return DistributionCase(
        lambda loc, scale: Rows(dist.Normal(loc, scale), np.array([2, 0, 3])),
        {"loc": np.arange(12.0).reshape(MEMBERS, 4), "scale": SCALES},
    )


def _transformed():
    basis = monotone()
    return DistributionCase(
        lambda heights, scale: dist.TransformedDistribution(
            dist.Normal(0.5, scale), ns.SplineTransform(basis.curve(heights))
        ),
        {"heights": HEIGHTS, "scale": SCALES},
        promoted=False,
    )


def _inverted():
    basis = monotone()
    return DistributionCase(
        lambda heights, loc: dist.TransformedDistribution(
            dist.Normal(loc, 1.0), ns.SplineTransform(basis.curve(heights)).inv
        ),
        {"heights": HEIGHTS, "loc": np.array([0.0, 2.0, -1.0])},
        promoted=False,
    )


def _density():
    basis = ns.MSplineBasis([0.0, 1.0, 1.5, 3.0], degree=1)
    return DistributionCase(
        lambda weights: ns.latent.spline_density(basis.curve(weights)),
        {"weights": WEIGHTS},
        promoted=False,
    )


def _scale_prior(make):
    # Their arguments are numbers: nothing to stack.
    return lambda: DistributionCase(make, {})


_DISTRIBUTIONS = {
    "IntrinsicGaussian": _intrinsic,
    "RandomWalk": _walk,
    "KroneckerGaussian": _kronecker,
    "MarginalGaussian": _marginal,
    "MarginalLaplace": _laplace,
    "OrderStatistics": _ordered,
    "Within": _within,
    "Rows": _rows,
    "SplineTransform": _transformed,
    "SplineTransform.inv": _inverted,
    "spline_density": _density,
    "half_student_t": _scale_prior(lambda: ns.scales.half_student_t(2.0)),
    "inverse_gamma_variance": _scale_prior(lambda: ns.scales.inverse_gamma_variance(2.0, 0.5)),
    "gamma_precision": _scale_prior(lambda: ns.scales.gamma_precision(2.0, 0.5)),
    "pc_scale": _scale_prior(lambda: ns.scales.pc_scale(2.0, 0.05)),
}


def _spline(rule, bounded, inverse=False):
    basis, x = monotone(rule), np.array([-0.9, 0.1, 0.25, 2.0])

    def make(heights):
        transform = ns.SplineTransform(basis.curve(heights), bounded=bounded)
        return transform.inv if inverse else transform

    # The inverse: of values that every member takes.
    x = np.array([0.05, 0.1, 0.2]) if inverse else x
    return TransformCase(make, x, lambda: make(np.arange(1.0, 6.0)), {"heights": HEIGHTS})


_TRANSFORMS = {
    "SplineTransform": lambda: _spline(ex.Linear(), False),
    "SplineTransform_bounded": lambda: _spline(ex.Constant(), True),
    "SplineTransform.inv": lambda: _spline(ex.Linear(), False, inverse=True),
    "Nested": lambda: TransformCase(
        lambda: Nested(5), np.random.default_rng(2).normal(size=(4, 5)), lambda: Nested(4)
    ),
}

DISTRIBUTIONS, TRANSFORMS = tuple(_DISTRIBUTIONS), tuple(_TRANSFORMS)


@cache
def distribution_case(name):
    """A distribution by name, made when it is first asked for."""
    return _DISTRIBUTIONS[name]()


@cache
def transform_case(name):
    """A transform by name, made when it is first asked for."""
    return _TRANSFORMS[name]()


def integrated_response():
    """A distribution that holds a function of the model."""
    quadrature = ns.latent.Quadrature(num_nodes=64)
    return ns.latent.Berkson([1.0, 2.0], 0.5).integrate(
        "x", quadrature=quadrature, response=lambda x: dist.Normal(jnp.sin(x), 0.3)
    )


def measured_together(mean):
    """Two measurements with their inputs, Normal(mean, 1), integrated out."""
    rule, data = ns.latent.Quadrature(num_nodes=16), ns.latent.Measured([1.0, 2.0], 0.5)

    def model():
        data.integrate("x", dist.Normal(mean, 1.0), rule, response=dist.Normal)

    return numpyro.handlers.trace(model).get_trace()["x.observed"]["fn"]
