"""Every public class that laws are made for is in the registry, so no law misses it."""

import inspect

import numpyro.distributions as dist
import pytest
from cases import (
    BASES,
    CONSTRAINTS,
    DISTRIBUTIONS,
    EXTRAPOLATIONS,
    PRIORS,
    TRANSFORMS,
    distribution_case,
    integrated_response,
    measured_together,
    prior_case,
    transform_case,
)
from numpyro.distributions.transforms import Transform

import numpyro_splines as ns
from numpyro_splines import constraints, extrapolation, penalties


def public(module, abstract):
    """Public classes of a module that can be made."""
    return {
        value
        for name, value in vars(module).items()
        if not name.startswith("_")
        and inspect.isclass(value)
        and issubclass(value, abstract)
        and not value.__name__.startswith("Abstract")
    }


def kinds(value):
    """The classes of an object, of the parts of a pair, and of the bases that it is made of."""
    found = set()
    while value is not None:
        found |= set(map(type, value)) if isinstance(value, tuple) else {type(value)}
        value = getattr(value, "spline", None)
    return found


REGISTERED = {
    "bases": (ns, ns.AbstractBasis, lambda: (case.basis for case in BASES.values())),
    "extrapolations": (
        extrapolation,
        extrapolation.AbstractExtrapolation,
        lambda: EXTRAPOLATIONS.values(),
    ),
    "constraints": (
        constraints,
        constraints.AbstractConstraint,
        lambda: (
            c(BASES["uneven_degree3"].basis) if inspect.isfunction(c) else c
            for c, _ in CONSTRAINTS.values()
        ),
    ),
    "priors": (ns, ns.AbstractPrior, lambda: (prior_case(name).prior for name in PRIORS)),
    "penalties": (
        penalties,
        penalties.AbstractPenalty,
        lambda: (getattr(prior_case(name).prior, "penalty", None) for name in PRIORS),
    ),
}


@pytest.mark.parametrize("kind", REGISTERED)
def test_every_class_is_registered(kind):
    module, abstract, objects = REGISTERED[kind]
    found = set().union(*map(kinds, objects()))
    assert public(module, abstract) <= found


def descendants(abstract):
    """Public classes of the package that derive from another one's, at whatever depth."""
    for child in abstract.__subclasses__():
        yield from descendants(child)
        ours = child.__module__.startswith(f"{ns.__name__}.")
        if ours and not child.__name__.startswith(("_", "Abstract")):
            yield child


def first_member(case):
    return case.make(**{k: values[0] for k, values in case.parameters.items()})


def test_every_distribution_is_registered():
    found = {type(first_member(distribution_case(name))) for name in DISTRIBUTIONS}
    found |= {type(integrated_response()), type(measured_together(0.0))}
    assert {c.__name__ for c in descendants(dist.Distribution)} <= {c.__name__ for c in found}


def test_every_transform_is_registered():
    found = {type(first_member(transform_case(name))) for name in TRANSFORMS}
    assert {c.__name__ for c in descendants(Transform)} <= {c.__name__ for c in found}
