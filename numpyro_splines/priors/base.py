"""What every prior offers: bound to a basis it is a smooth, a random curve that models sample."""

from __future__ import annotations

import abc
from collections.abc import Callable
from typing import Any

import equinox as eqx
from jaxtyping import Array, Float

from numpyro_splines.bases import AbstractBasis


class AbstractSmooth(eqx.Module):
    """A prior on one basis and measure: the coefficients of a random curve, ready to be sampled.

    Example:
        What `prior.bind` returns; one of your own is at `AbstractPrior`.

        >>> import numpyro_splines as ns
        >>> smooth = ns.SmoothnessPrior().bind(ns.BSplineBasis([0.0, 0.5, 1.0]))
        >>> isinstance(smooth, AbstractSmooth)
        True
    """

    @abc.abstractmethod
    def sample(self, site: Callable[[str], str]) -> Float[Array, "*batch num_coefficients"]:
        """Draw the coefficients inside a NumPyro model.

        Args:
            site: full name of a site from its short one ("scale", "modes"), given by the effect.
                (A `numpyro.handlers.scope` would prefix the sites of a user's own
                reparameterization twice.)

        Returns:
            Coefficients, with the shape of the surrounding plates in front.
        """


class AbstractPrior(eqx.Module):
    """A prior for the coefficients of any basis.

    Example:
        A prior of your own says what it is on a basis, and names its sites through `site`:

        >>> import numpyro, numpyro.distributions as dist, numpyro_splines as ns
        >>> class IndependentSmooth(ns.AbstractSmooth):
        ...     num: int
        ...
        ...     def sample(self, site):
        ...         prior = dist.Normal(0.0, 1.0).expand([self.num]).to_event(1)
        ...         return numpyro.sample(site("raw"), prior)
        >>> class Independent(ns.AbstractPrior):
        ...     def bind(self, basis, measure=None):
        ...         return IndependentSmooth(basis.num_coefficients)
        >>> f = ns.SplineEffect("f", ns.BSplineBasis([0.0, 0.5, 1.0]), Independent())
        >>> with numpyro.handlers.seed(rng_seed=0), numpyro.handlers.trace() as trace:
        ...     curve = f.sample()
        >>> list(trace)
        ['f.raw', 'f.coefficients']
    """

    @abc.abstractmethod
    def bind(self, basis: AbstractBasis, measure: Any = None) -> AbstractSmooth:
        """The prior on this basis, with all that depends on it and the measure worked out.

        Args:
            basis: the basis.
            measure: a `measure=` argument; see `AbstractBasis.measure`.

        Returns:
            A pytree of arrays that can be sampled.
        """
