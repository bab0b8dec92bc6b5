"""Value and gradient of a surface in (x, z, coefficients): ours against what people write.

`make bench` style: contestants take turns, medians. Each is given the same knots, cubic, float32:

- design: the n x K1 K2 matrix of products of basis functions, times the coefficients;
- factored: (B_x C) . B_z with the n x K matrices of each input.
"""

import argparse
import os
import platform

import jax
import jax.numpy as jnp
import numpy as np
from report import medians, temporary_bytes

import numpyro_splines as ns
from numpyro_splines.functions import PolynomialAxis, Surface


def contestants(num_coefficients):
    """Functions (x, z, C) -> values by name, over the unit square."""
    basis = ns.BSplineBasis(ns.knots.uniform(0.0, 1.0, num_coefficients - 2))
    axes = tuple(PolynomialAxis(name, *basis.pieces()) for name in "xz")

    def design(x, z, c):
        products = basis(x)[:, :, None] * basis(z)[:, None, :]
        return products.reshape(x.size, -1) @ c.reshape(-1)

    return {
        "surface": lambda x, z, c: Surface(c, axes)(x, z),
        "design": design,
        "factored": lambda x, z, c: ((basis(x) @ c) * basis(z)).sum(-1),
    }


def value_and_gradient(f):
    """Compiled sum of squares against y, with its gradients in both inputs and coefficients."""
    return jax.jit(
        jax.value_and_grad(lambda x, z, c, y: jnp.sum((f(x, z, c) - y) ** 2), argnums=(0, 1, 2))
    )


def data(n, num_coefficients):
    """Inputs in random order, coefficients, responses; float32."""
    rng = np.random.default_rng(0)
    inputs = rng.uniform(0.001, 0.999, (2, n))
    arrays = *inputs, rng.normal(size=(num_coefficients,) * 2), rng.normal(size=n)
    return tuple(jnp.asarray(a, jnp.float32) for a in arrays)


def row(n, num_coefficients, rounds):
    """One line of the table."""
    arguments = data(n, num_coefficients)
    functions = {k: value_and_gradient(f) for k, f in contestants(num_coefficients).items()}
    memory = [temporary_bytes(f, arguments) / 1e6 for f in functions.values()]
    seconds = medians(functions, arguments, rounds)
    own = seconds["surface"]
    return (
        f"| {n} | {num_coefficients} x {num_coefficients} | {1e3 * own:.2f} | "
        f"{seconds['design'] / own:.1f} | {seconds['factored'] / own:.1f} | "
        + " | ".join(f"{m:.1f}" for m in memory)
        + " |"
    )


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=9)
    rounds = parser.parse_args().rounds
    print(
        f"{os.cpu_count()} CPU cores ({platform.machine()}), JAX {jax.__version__}, float32, "
        "cubic; medians of interleaved runs.\n\n"
        "| n | K x K | surface (ms) | design / surface | factored / surface | "
        "temporary memory, surface (MB) | design | factored |\n|---|---|---|---|---|---|---|---|"
    )
    for n in (10_000, 100_000):
        for num_coefficients in (10, 20, 30):
            print(row(n, num_coefficients, rounds), flush=True)


if __name__ == "__main__":
    main()
