"""What samplers see of independent normal numbers: coordinates of order one, whatever data say."""

from __future__ import annotations

from typing import Any

import equinox as eqx
import jax.numpy as jnp
import numpy as np
import numpyro
import numpyro.distributions as dist
from jaxtyping import Array, Float

from numpyro_splines.ops.arrays import one_program
from numpyro_splines.spectrum import canonical


class Coordinates(eqx.Module):
    r"""b ~ Normal(0, scale), sampled as b = V (m + s xi) with xi of order one in the posterior.

    For data with information V diag(J) V' about b, of which g is the gradient of the log likelihood
    at b = 0, turned by V',

        s = scale / sqrt(1 + J scale^2),    m = s^2 g

    are the standard deviation and mean of V'b given the data and the scale. As the scale goes to
    zero this is the non-centered form, where data inform it the centered one: no funnel at either
    end. J and g are fixed numbers, a guess of what the data say, good within an order of magnitude;
    the prior is exact whatever they are.

    Attributes:
        rotation: V, orthogonal, shape (m, m); None for the identity, where each number may have a
            scale of its own.
        information: J, decreasing, in 1 / units of b squared, shape (m,).
        score: g, in 1 / units of b, shape (m,); zero where only the precision of data is known.
        known: whether any data are; else xi = b / scale, the standard form.
    """

    rotation: Float[Array, "m m"] | np.ndarray | None
    information: Float[Array, " m"] | np.ndarray
    score: Float[Array, " m"] | np.ndarray
    known: bool = eqx.field(static=True)

    def sample(self, site: str, scale: Any, mean: Any = 0.0, *, scalar: bool = False) -> Array:
        """Draw b + mean inside a model: `<site>_coordinates` is sampled, `<site>` deterministic.

        Args:
            site: full name of the site.
            scale: standard deviation of b, any batch shape; without a rotation, of each number,
                shape (*batch, m) or (*batch, 1).
            mean: added to b, a number.
            scalar: whether `<site>` is the one number of b rather than a vector.
        """
        location, deviation = _prior_of_coordinates(self, scale)
        prior = dist.Normal(location, deviation).to_event(1)
        xi = numpyro.sample(f"{site}_coordinates", prior)
        b = _placed(self, scale, mean, xi)
        return jnp.asarray(numpyro.deterministic(site, b[..., 0] if scalar else b))

    def standardized(self, b: Any, scale: Any) -> Any:
        """xi of values of b, shape (..., m), in JAX."""
        mean, deviation = self._moments(scale)
        b = jnp.asarray(b, mean.dtype)
        turned = b if self.rotation is None else b @ jnp.asarray(self.rotation, mean.dtype)
        return (turned - mean) / deviation

    def variances(self, covariance: np.ndarray, scale: Any) -> np.ndarray:
        """Variances of xi where b has this covariance; on the host, shape (m,)."""
        _, deviation = self._moments(np.asarray(scale, np.float64))
        turned = np.diag(covariance)
        if self.rotation is not None:
            rotation = np.asarray(self.rotation)
            turned = np.einsum("im,ij,jm->m", rotation, covariance, rotation)
        return turned / np.asarray(deviation, dtype=np.float64) ** 2

    def _moments(self, scale: Any) -> tuple[Any, Any]:
        """m and s."""
        scale, spread, score = self._prior(scale)
        deviation = scale / spread
        return deviation**2 * score, deviation

    def _prior(self, scale: Any) -> tuple[Any, Any, Any]:
        """The scale, the prior standard deviation scale / s of xi (right at zero too), and g."""
        scale = jnp.asarray(scale, jnp.result_type(float))
        scale = scale if self.rotation is None else scale[..., None]
        information, score = (jnp.asarray(v, scale.dtype) for v in (self.information, self.score))
        return scale, jnp.sqrt(1.0 + information * scale**2), score


def uninformed(num: int, *, turned: bool = True) -> Coordinates:
    """Coordinates of `num` numbers of which no data are known.

    Args:
        num: of numbers.
        turned: whether they have one scale; else each its own, and no rotation.
    """
    return Coordinates(np.eye(num) if turned else None, np.zeros(num), np.zeros(num), False)


def informed(information: np.ndarray, score: np.ndarray | None = None) -> Coordinates:
    """Coordinates for data with a known likelihood, near enough to a normal one.

    Args:
        information: minus the second derivative of the log likelihood in b, shape (m, m).
        score: its gradient at b = 0, shape (m,); zero if omitted.

    Returns:
        Coordinates in which the information is diagonal.
    """
    values, vectors = np.linalg.eigh(0.5 * (information + information.T))
    # What is rounding of the largest one is no information.
    values = np.where(values > 1e-14 * values.max(initial=0.0), values, 0.0)[::-1]
    rotation = canonical(vectors[:, ::-1], values)
    turned = np.zeros(values.size) if score is None else rotation.T @ score
    return Coordinates(rotation, values, turned, bool(np.any(values > 0.0)))


def seen_apart(
    covariance: np.ndarray, estimate: np.ndarray, precision: Any, *, turned: bool = True
) -> Coordinates:
    """Coordinates of a block from its posterior when all others are unknown.

    Args:
        covariance: of the block, shape (m, m).
        estimate: its mean, less that of the prior, shape (m,).
        precision: of its prior, one number or shape (m,).
        turned: whether it may be turned; else each coefficient is contracted as the data do.
    """
    if not turned:
        variances = np.diag(covariance)
        seen = np.maximum(1.0 / variances - precision, 0.0)
        return Coordinates(None, seen, estimate / variances, True)
    within = inverse_of(covariance)
    prior = np.diag(np.broadcast_to(precision, estimate.shape))
    return informed(within - prior, within @ estimate)


def inverse_of(matrix: np.ndarray) -> np.ndarray:
    """Of a symmetric matrix, positive definite but for rounding."""
    size = np.sqrt(np.maximum(np.diag(matrix), np.finfo(float).tiny))
    scaled = matrix / np.outer(size, size)
    values, vectors = np.linalg.eigh(0.5 * (scaled + scaled.T))
    values = np.maximum(values, 1e-14 * values[-1])
    return (vectors / values) @ vectors.T / np.outer(size, size)


@one_program()
def _prior_of_coordinates(coordinates: Coordinates, scale: Any) -> tuple[Array, Array]:
    """Mean and standard deviation of xi."""
    scale, spread, score = coordinates._prior(scale)
    return -scale / spread * score, spread


@one_program()
def _placed(coordinates: Coordinates, scale: Any, mean: Any, xi: Array) -> Array:
    location, deviation = coordinates._moments(scale)
    turned = location + deviation * xi
    b = turned
    if coordinates.rotation is not None:
        b = jnp.einsum("jm,...m->...j", jnp.asarray(coordinates.rotation, turned.dtype), turned)
    return b + jnp.asarray(mean, b.dtype)
