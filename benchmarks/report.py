"""The table of ratios, as Markdown: contestants take turns, so that noise hits all alike."""

import os
import platform
import time

import jax
import numpy as np
from baselines import contestants, data, value_and_gradient

import numpyro_splines as ns


def medians(functions, arguments, rounds):
    """Median seconds of each function; in every round each one runs once."""
    for function in functions.values():
        jax.block_until_ready(function(*arguments))
    seconds = {name: [] for name in functions}
    for _ in range(rounds):
        for name, function in functions.items():
            start = time.perf_counter()
            jax.block_until_ready(function(*arguments))
            seconds[name].append(time.perf_counter() - start)
    return {name: float(np.median(values)) for name, values in seconds.items()}


def temporary_bytes(function, arguments):
    """Memory the compiled function asks for beyond its arguments and results."""
    return function.lower(*arguments).compile().memory_analysis().temp_size_in_bytes


def ratios():
    """Rows by n and K: milliseconds of ours, times ours of the others, memory."""
    lines = [
        f"{os.cpu_count()} CPU cores ({platform.machine()}), JAX {jax.__version__}, float32, "
        "cubic; medians of interleaved runs.",
        "",
        "| n | K | ours (ms) | recursion / ours | callback / ours | ours / sin(x c) | ours, uneven "
        "knots / even | temporary memory, ours (MB) | recursion (MB) |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for n in (1_000, 10_000, 100_000, 1_000_000):
        for num_coefficients in (20, 200):
            lines.append(_row(n, num_coefficients))
    lines += ["", f"Ours at n = 100000, K = 200 / K = 20: {_width_ratio(100_000):.2f}"]
    return "\n".join(lines)


def _width_ratio(n):
    """Time at K = 200 over that at K = 20, the two taking turns."""
    runs = {}
    for num_coefficients in (20, 200):
        function = value_and_gradient(contestants(num_coefficients)["numpyro_splines"])
        arguments = data(n, num_coefficients)
        runs[num_coefficients] = lambda f=function, a=arguments: f(*a)
    seconds = medians(runs, (), rounds=101)
    return seconds[200] / seconds[20]


def _row(n, num_coefficients):
    arguments = data(n, num_coefficients)
    functions = {k: value_and_gradient(f) for k, f in contestants(num_coefficients).items()}
    uneven = contestants(num_coefficients, uneven=True)["numpyro_splines"]
    functions["uneven"] = value_and_gradient(uneven)
    ours, textbook = functions["numpyro_splines"], functions["textbook recursion"]
    memory = [temporary_bytes(f, arguments) / 1e6 for f in (ours, textbook)]
    if n * num_coefficients > 20_000_000:
        del functions["textbook recursion"], functions["SciPy callback"]
    seconds = medians(functions, arguments, rounds=7 if n * num_coefficients > 5e6 else 25)
    own = seconds["numpyro_splines"]

    def times(name):
        return f"{seconds[name] / own:.0f}" if name in seconds else "–"

    return (
        f"| {n} | {num_coefficients} | {1e3 * own:.2f} | {times('textbook recursion')} | "
        f"{times('SciPy callback')} | {own / seconds['sin(x * c)']:.2f} | "
        f"{seconds['uneven'] / own:.2f} | {memory[0]:.2f} | {memory[1]:.2f} |"
    )


def families(n=100_000, num=20):
    """Value and gradient of every basis, as a multiple of the plain B-spline of its degree."""
    points = ns.knots.uniform(0.0, 1.0, num)
    bases = {
        "cyclic": ns.CyclicBasis(points),
        "natural": ns.NaturalBasis(points),
        "natural, degree 5": ns.NaturalBasis(points, degree=5),
        "cubic regression (cr)": ns.CubicRegressionBasis(points),
        "cyclic cubic regression (cc)": ns.CyclicCubicRegressionBasis(points),
        "M-spline": ns.MSplineBasis(points),
        "cyclic M-spline": ns.CyclicMSplineBasis(points),
        "I-spline (quartic)": ns.ISplineBasis(points),
        "C-spline (quintic)": ns.CSplineBasis(points),
        "Bernstein": ns.BernsteinBasis(0.0, 1.0),
        "constrained": ns.BSplineBasis(points).constrained(),
    }
    x = np.random.default_rng(0).uniform(0.0, 1.0, n).astype(np.float32)
    y = np.zeros(n, np.float32)
    lines = [f"Value and gradient at n = {n} against the plain B-spline of the same degree.", ""]
    lines += ["| basis | times the B-spline |", "|---|---|"]
    for name, basis in bases.items():
        inner = basis
        while hasattr(inner, "spline"):
            inner = inner.spline
        points = np.unique(np.clip(inner.knots, *inner.domain))
        plain = ns.BSplineBasis(points, degree=inner.degree)
        runs = {}
        for label, one in (("plain", plain), ("own", basis)):
            coefficients = np.ones(one.num_coefficients, np.float32)
            function = value_and_gradient(lambda at, c, one=one: one.curve(c)(at))
            runs[label] = lambda f=function, c=coefficients: f(x, c, y)
        seconds = medians(runs, (), rounds=101)
        lines.append(f"| {name} | {seconds['own'] / seconds['plain']:.2f} |")
    return "\n".join(lines)


if __name__ == "__main__":
    print(ratios() + "\n\n" + families())
