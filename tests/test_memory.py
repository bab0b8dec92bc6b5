"""Compiled value and gradient of a curve need O(n) memory, whatever the number of coefficients."""

import jax
import jax.numpy as jnp
import numpy as np

import numpyro_splines as ns


def temporary_bytes(n, num_intervals):
    basis = ns.BSplineBasis(ns.knots.uniform(0.0, 1.0, num_intervals + 1))

    def loss(x, c, y):
        return jnp.sum((basis.curve(c)(x) - y) ** 2)

    arguments = np.zeros(n, np.float32), np.zeros(num_intervals + 3, np.float32), np.zeros(n)
    function = jax.jit(jax.value_and_grad(loss, argnums=(0, 1)))
    return function.lower(*arguments).compile().memory_analysis().temp_size_in_bytes


def test_memory_does_not_grow_with_the_number_of_coefficients():
    few, many = temporary_bytes(100_000, 17), temporary_bytes(100_000, 197)
    # Tables of 200 rows, and the bucket index of a few thousand entries.
    assert many < few + 200_000


def test_memory_is_linear_in_the_observations():
    small, large = temporary_bytes(100_000, 17), temporary_bytes(400_000, 17)
    assert large < 4.2 * small
    # Some ten numbers for each observation; the design matrix alone would be 20.
    assert large < 4 * 12 * 400_000
