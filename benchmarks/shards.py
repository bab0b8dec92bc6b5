"""Models whose rows lie on several devices, or in several processes: the same numbers, and times.

    python benchmarks/shards.py [--quick] [--rows N]

JAX must know how many devices to make of a CPU before it starts, so that each measurement is a
process of its own: this file again, with a command, which prints JSON.

    equal       log density and gradient on 8 devices against one, and what devices tell each other
    process     the same in one of two processes of `jax.distributed`, with NUTS and SVI
    seconds     of the log density and its gradient
"""

import argparse
import json
import os
import re
import socket
import subprocess
import sys
import tempfile
import time

import numpy as np

BLOCKS = 8
SEED = 20
COLLECTIVE = re.compile(
    r" = (.*?) (all-reduce|all-gather|all-to-all|collective-permute|reduce-scatter"
    r"|collective-broadcast|ragged-all-to-all)(?:-start)?\("
)
MODELS = {
    "curve": "f",
    "two inputs": "s",
    "curves by group": "h",
    "measured input": "k",
    "three of them": "fhk",
    "all of them": "fshk",
}


def block(number, size):
    """Rows of one of the blocks, whichever process makes them."""
    rng = np.random.default_rng([SEED, number])
    x, z, v = rng.uniform(size=(3, size))
    g = rng.integers(0, 5, size)
    eta = np.sin(6.0 * x) + x * z + 0.2 * g + np.cos(3.0 * v)
    y = 1.0 + eta + rng.normal(size=size)
    return {"x": x, "z": z, "g": g.astype(np.int32), "w": v + 0.1 * rng.normal(size=size), "y": y}


def mesh():
    """One axis over all devices of all processes, along which the compiler places what follows."""
    import jax

    return jax.make_mesh((jax.device_count(),), ("rows",), axis_types=(jax.sharding.AxisType.Auto,))


def rows(numbers, size):
    """Rows of some of the blocks, one below the other."""
    made = [block(number, size) for number in numbers]
    return {name: np.concatenate([own[name] for own in made]) for name in made[0]}


def model_of(terms, w):
    """A model of data that come as its argument, with some of four effects."""
    import numpyro
    import numpyro.distributions as dist

    import numpyro_splines as ns

    def margin():
        return ns.CurveMargin(ns.BSplineBasis(ns.knots.uniform(0.0, 1.0, 8)))

    basis = ns.BSplineBasis(ns.knots.uniform(0.0, 1.0, 18))
    f, k = ns.SplineEffect("f", basis), ns.SplineEffect("k", basis)
    s = ns.TensorEffect("s", x=margin(), z=margin())
    h = ns.TensorEffect("h", x=margin(), g=ns.GroupMargin(range(5)))
    measured = ns.latent.Measured(w, 0.1)

    def model(data):
        functions = {e.name: e.sample() for e in (f, s, h, k) if e.name in terms}
        eta = numpyro.sample("intercept", dist.Normal(0.0, 5.0))
        sigma = numpyro.sample("sigma", dist.HalfNormal(1.0))
        with numpyro.plate("rows", w.size):
            arguments = {"f": (data["x"],), "s": (data["x"], data["z"]),
                         "h": (data["x"], data["g"])}  # fmt: skip
            if "k" in terms:
                arguments["k"] = (measured.sample("v", dist.Normal(0.5, 0.3)),)
            for name, function in functions.items():
                eta = eta + function(*arguments[name])
            numpyro.sample("y", dist.Normal(eta, sigma), obs=data["y"])

    return model


def potential_and_start(model, data):
    """The potential energy of (parameters, data), and parameters where it is finite."""
    import jax
    from numpyro.infer.util import initialize_model

    start = initialize_model(
        jax.random.key(SEED), model, model_args=(data,), dynamic_args=True, validate_grad=False
    )
    return (lambda parameters, data: start.potential_fn(data)(parameters)), start.param_info.z


def spread(arrays, num, over):
    """Arrays with `num` rows over the devices of a mesh, others on each."""
    import jax
    from jax.sharding import NamedSharding, PartitionSpec

    place = [NamedSharding(over, PartitionSpec(*axes)) for axes in ((), ("rows",))]
    return jax.tree.map(lambda v: jax.device_put(v, place[np.shape(v)[:1] == (num,)]), arrays)


def collectives(text):
    """What the devices of a compiled program tell each other: operations with shapes."""
    return [f"{kind} {re.sub(r'{[^}]*}', '', shape)}" for shape, kind in COLLECTIVE.findall(text)]


def largest(found):
    """The most numbers in one array among them."""
    shapes = re.findall(r"\[([\d,]*)\]", " ".join(found))
    return max(
        (int(np.prod([int(d) for d in s.split(",") if d] or [1])) for s in shapes), default=0
    )


def differences(one, other):
    """Relative ones of the value, of the gradient, and of the worst site of it in its own size."""
    value, gradient = one
    pairs = [(np.ravel(g), np.ravel(other[1][site])) for site, g in gradient.items()]
    worst = max(abs(a - b).max() / abs(a).max() for a, b in pairs)
    a, b = (np.concatenate(part) for part in zip(*pairs, strict=True))
    norm = np.linalg.norm
    return {"value": float(abs(value - other[0]) / abs(value)),
            "gradient": float(norm(a - b) / norm(a)), "worst site": float(worst)}  # fmt: skip


def on_host(result):
    """Value and gradient in float64 NumPy."""
    import jax

    value, gradient = jax.device_get(result)
    return float(value), {site: np.asarray(g, np.float64) for site, g in gradient.items()}


def in_precision(tree, wide):
    """Arrays of floats in float64 or float32."""
    import jax

    def cast(v):
        v = np.asarray(v)
        return v.astype(np.float64 if wide else np.float32) if v.dtype.kind == "f" else v

    return jax.tree.map(cast, tree)


def equal(arguments):
    """Models in both precisions, on one device and on 8."""
    import jax

    made = {}
    data = rows(range(BLOCKS), arguments.rows // BLOCKS)
    num = data["y"].size
    for name in arguments.models:
        with jax.enable_x64(True):
            potential, start = potential_and_start(model_of(MODELS[name], data["w"]), data)
        exact = None
        for wide in (True, False):
            with jax.enable_x64(wide):
                own = in_precision((start, data), wide)
                program = jax.jit(jax.value_and_grad(potential))
                one = on_host(program(*own))
                exact = exact or one
                placed = spread(own, num, mesh())
                compiled = program.lower(*placed).compile()
                many = on_host(compiled(*placed))
                found = collectives(compiled.as_text())
            made[f"{name}, float{64 if wide else 32}"] = {
                "8 devices against one": differences(one, many),
                "one device against float64": differences(exact, one),
                "collectives": found,
                "largest": largest(found),
            }
    return made


def process(arguments):
    """One process of several: its own blocks of rows, and what all of them find together."""
    import jax
    import numpyro
    from jax.sharding import NamedSharding, PartitionSpec
    from numpyro.infer import MCMC, NUTS, SVI, Trace_ELBO
    from numpyro.infer.autoguide import AutoNormal

    jax.config.update("jax_enable_x64", True)
    if arguments.processes > 1:
        jax.config.update("jax_cpu_collectives_implementation", "gloo")
        jax.distributed.initialize(
            f"127.0.0.1:{arguments.port}", arguments.processes, arguments.index
        )
    over, size = mesh(), arguments.rows // BLOCKS
    share = BLOCKS // arguments.processes
    own = rows(range(arguments.index * share, (arguments.index + 1) * share), size)
    place = NamedSharding(over, PartitionSpec("rows"))
    data = {k: jax.make_array_from_process_local_data(place, v) for k, v in own.items()}
    # The measurements alone are known to each process, in full: they are a part of the program.
    w = rows(range(BLOCKS), size)["w"]

    potential, start = potential_and_start(model_of(arguments.terms, w), data)
    program = jax.jit(jax.value_and_grad(potential))
    found = collectives(program.lower(start, data).compile().as_text())
    # Each process gets all numbers, to compare them.
    whole = jax.jit(lambda result: result, out_shardings=NamedSharding(over, PartitionSpec()))
    value, gradient = on_host(whole(program(start, data)))

    model = model_of("f", w)
    sampler = NUTS(model, max_tree_depth=3)
    mcmc = MCMC(sampler, num_warmup=10, num_samples=5, jit_model_args=True, progress_bar=False)
    mcmc.run(jax.random.key(SEED), data)
    svi = SVI(model, AutoNormal(model), numpyro.optim.Adam(0.01), Trace_ELBO())
    losses = svi.run(jax.random.key(SEED), 5, data, progress_bar=False).losses
    return {"value": value, "gradient": {k: v.tolist() for k, v in gradient.items()},
            "collectives": found, "largest": largest(found),
            "NUTS": np.asarray(mcmc.get_samples()["sigma"]).tolist(),
            "SVI": np.asarray(losses).tolist()}  # fmt: skip


def seconds(arguments):
    """Of the log density and its gradient, the best of a few."""
    import jax

    num = arguments.rows // BLOCKS * BLOCKS
    data = in_precision(rows(range(BLOCKS), num // BLOCKS), False)
    few = {k: v[:BLOCKS] for k, v in data.items()}
    _, start = potential_and_start(model_of(arguments.terms, few["w"]), few)
    potential, _ = potential_and_start(model_of(arguments.terms, data["w"]), data)
    placed = spread((start, data), num, mesh())
    program = jax.jit(jax.value_and_grad(potential))
    jax.block_until_ready(program(*placed))
    taken = []
    for _ in range(arguments.repeat):
        begin = time.perf_counter()
        jax.block_until_ready(program(*placed))
        taken.append(time.perf_counter() - begin)
    return min(taken)


COMMANDS = {"equal": equal, "process": process, "seconds": seconds}


def started(command, devices, **options):
    """This file in a process of its own, on so many devices of a CPU, and the file it prints to."""
    words = [f"--{name}={value}" for name, value in options.items()]
    flags = f"{os.environ.get('XLA_FLAGS', '')} --xla_force_host_platform_device_count={devices}"
    environment = os.environ | {"XLA_FLAGS": flags.strip(), "JAX_PLATFORMS": "cpu"}
    # Not a pipe: one that is full would stop a process for which another one waits.
    out = tempfile.TemporaryFile("w+")  # noqa: SIM115 - closed by `answer`
    words = [sys.executable, __file__, command, *words]
    return subprocess.Popen(words, stdout=out, env=environment), out


def answer(running):
    """What a process prints last."""
    process, out = running
    with out:
        if process.wait():
            raise subprocess.CalledProcessError(process.returncode, process.args)
        out.seek(0)
        return json.loads(out.read().splitlines()[-1])


def together(num, **options):
    """The answers of so many processes of `jax.distributed`, one device each."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    running = [
        started("process", 1, processes=num, index=i, port=port, **options) for i in range(num)
    ]
    return [answer(one) for one in running]


def compared(one, other):
    """Relative differences of two answers of `process`."""
    pair = [(own["value"], {k: np.array(v) for k, v in own["gradient"].items()})
            for own in (one, other)]  # fmt: skip
    draws = {k: float(np.abs(np.divide(other[k], one[k]) - 1.0).max()) for k in ("NUTS", "SVI")}
    return {**differences(*pair), **draws}


def report(arguments):
    """Print all tables."""
    num = arguments.rows
    every = answer(started("equal", BLOCKS, rows=num, models=",".join(MODELS)))
    print(f"{num} rows on {BLOCKS} devices against one, relative differences")
    for name, own in every.items():
        titles = ("8 devices against one", "one device against float64")
        for title in titles[: 1 + name.endswith("float32")]:
            figures = ", ".join(f"{k} {v:.0e}" for k, v in own[title].items())
            print(f"  {name:28}{title:28}{figures}")
        print(f"  {'':28}{'; '.join(own['collectives'])}")
    (one,), two = together(1, rows=num), together(2, rows=num)
    print("two processes against one, float64:", compared(one, two[0]), flush=True)
    print("the two of them:", compared(*two), two[0]["collectives"])
    for title, grows in (("strong", False), ("weak", True)):
        print(f"{title} scaling, ms: devices, rows, curve, two inputs")
        for devices in (1, 2, 4, 8):
            size = arguments.scaling * devices // 8 if grows else arguments.scaling
            taken = [answer(started("seconds", devices, rows=size, terms=t)) for t in ("f", "s")]
            print(f"  {devices} {size:9}" + "".join(f"{1e3 * t:9.1f}" for t in taken), flush=True)


def main():
    """Run a command, or report."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("command", nargs="?", choices=COMMANDS)
    parser.add_argument("--quick", action="store_true", help="few rows")
    parser.add_argument("--rows", type=int, default=16_384, help="to compare numbers")
    parser.add_argument("--scaling", type=int, default=2_000_000, help="rows, to compare times")
    parser.add_argument("--models", type=lambda text: text.split(","), default=list(MODELS))
    parser.add_argument("--terms", default="fk")
    parser.add_argument("--repeat", type=int, default=5)
    for name in ("processes", "index", "port"):
        parser.add_argument(f"--{name}", type=int)
    arguments = parser.parse_args()
    if arguments.quick:
        arguments.rows, arguments.scaling = 1024, 80_000
    if arguments.command:
        print(json.dumps(COMMANDS[arguments.command](arguments)))
    else:
        report(arguments)


if __name__ == "__main__":
    main()
