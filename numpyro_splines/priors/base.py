"""What every coefficient prior offers."""

from __future__ import annotations

import abc
from collections.abc import Callable
from typing import Any

import equinox as eqx
from jaxtyping import Array, Float

from numpyro_splines.bases import AbstractBasis


class AbstractPrior(eqx.Module):
    """A prior for the coefficients of a basis, in two steps: prepare once, sample in a model.

    Example:
        A prior of your own defines both, and names its sites through `site`:

        >>> import numpyro, numpyro.distributions as dist, numpyro_splines as ns
        >>> class Independent(ns.AbstractPrior):
        ...     def prepare(self, basis, measure):
        ...         return basis.num_coefficients
        ...
        ...     def sample(self, prepared, site):
        ...         prior = dist.Normal(0.0, 1.0).expand([prepared]).to_event(1)
        ...         return numpyro.sample(site("raw"), prior)
        >>> f = ns.SplineEffect("f", ns.BSplineBasis([0.0, 0.5, 1.0]), Independent())
        >>> with numpyro.handlers.seed(rng_seed=0), numpyro.handlers.trace() as trace:
        ...     curve = f.sample()
        >>> list(trace)
        ['f.raw', 'f.coefficients']
    """

    @abc.abstractmethod
    def prepare(self, basis: AbstractBasis, measure: Any) -> Any:
        """Everything that depends on the basis and the reference measure but not on parameters.

        Args:
            basis: the basis.
            measure: a `measure=` argument; see `AbstractBasis.measure`.

        Returns:
            A pytree of arrays, handed to `sample`.
        """

    @abc.abstractmethod
    def sample(
        self, prepared: Any, site: Callable[[str], str]
    ) -> Float[Array, "*batch num_coefficients"]:
        """Draw the coefficients inside a NumPyro model.

        Args:
            prepared: what `prepare` returned.
            site: full name of a site from its short one ("scale", "modes"), given by the effect.
                (A `numpyro.handlers.scope` would prefix the sites of a user's own
                reparameterization twice.)

        Returns:
            Coefficients, with the shape of the surrounding plates in front.
        """
