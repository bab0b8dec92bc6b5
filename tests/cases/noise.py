"""Draws as functions of the standard normals they ask for: the law of an affine one is exact."""

import math

import jax
import numpy as np

# Rows beyond the origin and the unit vectors, which see that the map is affine.
_OTHERS = 3
_AT_MOST = 4096


class _Noise:
    """Stands for `jax.random.normal`, and gives the next of some numbers."""

    def __init__(self, values):
        self.values, self.taken, self.keys = values, 0, []

    def __call__(self, key, shape=(), dtype=float):
        start, self.taken = self.taken, self.taken + math.prod(shape)
        assert all(key is not other for other in self.keys)
        self.keys.append(key)
        return self.values[start : self.taken].reshape(shape).astype(dtype)


def affine_map(draw, monkeypatch, rtol):
    """Origin and matrix (noise x result) of a draw: it is origin + noise @ matrix.

    Its mean is the origin then, and its covariance the product of the transposed matrix with the
    matrix. What is asserted here: the draw is affine in its noise, and no key is used twice.

    Args:
        draw: without arguments -> an array; it makes its own keys and is not compiled yet.
        monkeypatch: the fixture.
        rtol: of the largest number drawn.
    """
    seen = []

    def given(values):
        noise = _Noise(values)
        with monkeypatch.context() as patch:
            patch.setattr(jax.random, "normal", noise)
            result = draw()
        seen.append(noise.taken)
        return result

    # What float means where x64 may be off: float64 would be a warning there, and float32 anyway.
    jax.eval_shape(given, jax.ShapeDtypeStruct((_AT_MOST,), jax.numpy.result_type(float)))
    num = seen[0]
    others = np.random.default_rng(0).normal(size=(_OTHERS, num))
    rows = np.concatenate([np.zeros((1, num)), np.eye(num), others])
    result = jax.jit(jax.vmap(given))(rows)
    result = np.asarray(result, dtype=float).reshape(len(rows), -1)
    origin, matrix = result[0], result[1 : num + 1] - result[0]
    largest = np.abs(result).max()
    np.testing.assert_allclose(result, origin + rows @ matrix, rtol=0, atol=rtol * largest)
    return origin, matrix
