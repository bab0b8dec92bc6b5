"""What samplers see of vectors of correlated normal numbers; see `priors.coordinates`."""

from __future__ import annotations

from typing import Any

import equinox as eqx
import jax.numpy as jnp
import numpy as np
import numpyro
import numpyro.distributions as dist
from jax.scipy.linalg import solve_triangular
from jaxtyping import Array, Float

from numpyro_splines.ops.arrays import one_program
from numpyro_splines.priors.coordinates import inverse_of
from numpyro_splines.spectrum import canonical


class JointCoordinates(eqx.Module):
    r"""c_k ~ Normal(0, T T'), sampled as standard vectors in the posterior; see `Coordinates`.

    For data with information J_k and score g_k about c_k, M = I + T' J_k T = U U' with U upper
    triangular, and

        c_k = T U'^-1 (xi_k + U^-1 T' g_k),    xi_k ~ Normal(-U^-1 T' g_k, U' U)

    has the prior Normal(0, T T') whatever J and g are, and xi_k is standard where these are right.
    With one function this is `Coordinates`.

    Attributes:
        rotation: V, orthogonal, which takes c_k to levels or contrasts, shape (m, m).
        information: J, shape (m, n, n).
        score: g, shape (m, n).
    """

    rotation: Float[Array, "m m"] | np.ndarray
    information: Float[Array, "m n n"] | np.ndarray
    score: Float[Array, "m n"] | np.ndarray

    def sample(self, site: str, factor: Array) -> Array:
        """Draw inside a model; `<site>_coordinates` is sampled.

        Args:
            site: full name of the site.
            factor: T, shape (*batch, n, n).

        Returns:
            Shape (*batch, n, m).
        """
        location, spread = _prior_of_coordinates(self, factor)
        prior = dist.MultivariateNormal(location, scale_tril=spread).to_event(1)
        xi = numpyro.sample(f"{site}_coordinates", prior)
        return _placed(self, factor, xi)

    def _moments(self, factor: Any) -> tuple[Any, Any]:
        """-U^-1 T' g, shape (*batch, m, n), and U', which is lower triangular."""
        factor = factor[..., None, :, :]
        information, score = (jnp.asarray(v, factor.dtype) for v in (self.information, self.score))
        across = factor.swapaxes(-1, -2)
        seen = across @ information @ factor + jnp.eye(factor.shape[-1], dtype=factor.dtype)
        # The factor of the matrix turned upside down, turned back: U U' in place of L L'.
        upper = jnp.flip(jnp.linalg.cholesky(jnp.flip(seen, (-2, -1))), (-2, -1))
        along = (across @ score[..., None])[..., 0]
        location = -solve_triangular(upper, along[..., None], lower=False)[..., 0]
        return location, upper.swapaxes(-1, -2)


@one_program()
def _prior_of_coordinates(coordinates: JointCoordinates, factor: Array) -> tuple[Array, Array]:
    return coordinates._moments(factor)


@one_program()
def _placed(coordinates: JointCoordinates, factor: Array, xi: Array) -> Array:
    location, spread = coordinates._moments(factor)
    standard = solve_triangular(spread, (xi - location)[..., None], lower=True)
    turned = (factor[..., None, :, :] @ standard)[..., 0]
    rotation = jnp.asarray(coordinates.rotation, turned.dtype)
    return jnp.einsum("jk,...kr->...rj", rotation, turned)


def uninformed_jointly(num_functions: int, num: int) -> JointCoordinates:
    """Coordinates of which no data are known: of `num` levels or contrasts."""
    shape = (num, num_functions)
    return JointCoordinates(np.eye(num), np.zeros((*shape, shape[1])), np.zeros(shape))


def informed_jointly(
    posterior: np.ndarray, estimate: np.ndarray, factor: np.ndarray
) -> JointCoordinates:
    """Coordinates for what is known of the vectors, with all other coefficients unknown.

    Args:
        posterior: covariance of c_rk given the data, of n functions and m vectors, shape
            (n m, n m).
        estimate: their means, shape (n m,).
        factor: T in this posterior.
    """
    num = len(factor)
    size = len(estimate) // num
    within = inverse_of(posterior)
    prior = np.kron(inverse_of(factor @ factor.T), np.eye(size))
    seen = (within - prior).reshape(num, size, num, size)
    score = (within @ estimate).reshape(num, size)
    sizes = (factor**2).sum(axis=1)
    rotation = _axes(np.einsum("r,rjri->ji", sizes, seen))
    information = np.einsum("jk,rjsi,ik->krs", rotation, seen, rotation)
    values, vectors = np.linalg.eigh(0.5 * (information + information.swapaxes(1, 2)))
    information = np.einsum("krv,kv,ksv->krs", vectors, np.maximum(values, 0.0), vectors)
    return JointCoordinates(rotation, information, (score @ rotation).T)


def informed_apart(information: np.ndarray) -> JointCoordinates:
    """Coordinates for the information about each coefficient alone, shape (n, m)."""
    own = information.T
    seen = own[:, :, None] * np.eye(own.shape[1])
    return JointCoordinates(np.eye(len(own)), seen, np.zeros(own.shape))


def _axes(matrix: np.ndarray) -> np.ndarray:
    values, vectors = np.linalg.eigh(0.5 * (matrix + matrix.T))
    return canonical(vectors[:, ::-1], values[::-1])
