"""What every coefficient prior offers."""

from __future__ import annotations

import abc
from collections.abc import Callable
from typing import Any

import equinox as eqx
from jaxtyping import Array, Float

from numpyro_splines.bases import AbstractBasis


class AbstractPrior(eqx.Module):
    """A prior for the coefficients of a basis, in two steps: prepare once, sample in a model."""

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
