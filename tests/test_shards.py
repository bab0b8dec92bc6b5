"""Rows over devices and processes: the numbers of one device, and no row goes from one to another.

JAX makes its devices when it starts, so that each test has processes of its own.
"""

import importlib.util
import os

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import NamedSharding, PartitionSpec
from test_metadata import ROOT

import numpyro_splines as ns
from numpyro_splines.ops.arrays import set_rows, take_rows

ROWS = 512


@pytest.fixture(scope="module")
def shards():
    """The benchmark, which starts such processes; they find what an earlier run has compiled."""
    path = ROOT / "benchmarks" / "shards.py"
    spec = importlib.util.spec_from_file_location("shards", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")]))
        patch.setenv("JAX_COMPILATION_CACHE_DIR", jax.config.jax_compilation_cache_dir)
        patch.setenv("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0")
        patch.setenv("JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES", "-1")
        yield module


def only_sums(own):
    """Whether devices tell each other sums alone, each of them far smaller than the rows."""
    kinds = {found.split()[0] for found in own["collectives"]}
    return kinds == {"all-reduce"} and own["largest"] < ROWS


def test_eight_devices_have_the_numbers_of_one(shards):
    every = shards.answer(shards.started("equal", 8, rows=ROWS, models="three of them"))
    for name, own in every.items():
        bound = 1e-6 if name.endswith("32") else 1e-12
        found = own["8 devices against one"]
        assert max(found["value"], found["gradient"]) < bound, (name, found)
        assert only_sums(own), (name, own["collectives"])
    assert len(every) == 2


def test_two_processes_have_the_numbers_of_one(shards):
    """Log density, gradient, draws of NUTS and steps of SVI; each process makes its own rows."""
    if not hasattr(jax.config, "jax_cpu_collectives_implementation"):
        pytest.skip("this JAX has no collectives between processes on a CPU")
    (one,), two = (shards.together(num, rows=ROWS, terms="k") for num in (1, 2))
    for other in two:
        assert max(shards.compared(one, other).values()) < 1e-12
        assert only_sums(other), other["collectives"]
    assert len(set(one["NUTS"])) > 1


def test_rows_on_a_mesh_of_explicit_axes():
    """There each gather must say where its result lies; JAX checks it on one device too."""
    mesh = jax.make_mesh((1,), ("rows",), axis_types=(jax.sharding.AxisType.Explicit,))
    place = NamedSharding(mesh, PartitionSpec("rows"))
    basis = ns.BSplineBasis(ns.knots.uniform(0.0, 1.0, 6))
    margin = ns.CurveMargin(basis)
    effect = ns.TensorEffect("f", x=margin, z=margin, g=ns.GroupMargin(3))
    rng = np.random.default_rng(0)
    x, z, g = *rng.uniform(size=(2, 20)), rng.integers(0, 3, 20)
    c = rng.normal(size=effect.coefficient_shape)

    @jax.jit
    def values(c, x, z, g):
        curves = basis.curve(c[:, :, 0])
        return jnp.sin(effect.function(c)(x, z, g)) + curves.pick(g)(x) + curves(x).sum(0)

    def total(c, *points):
        return values(c, *points).sum()

    placed = [jax.device_put(v, place) for v in (x, z, g)]
    found = values(c, *placed)
    assert found.sharding.is_equivalent_to(place, 1)
    np.testing.assert_allclose(found, values(c, x, z, g), rtol=1e-5)
    gradient = jax.jit(jax.grad(total))
    np.testing.assert_allclose(gradient(c, *placed), gradient(c, x, z, g), rtol=1e-4, atol=1e-5)


def test_all_rows_in_order_are_left_alone():
    values, new = jnp.arange(6.0).reshape(2, 3), jnp.full(3, 7.0)
    assert take_rows(values, np.arange(3)) is values
    assert set_rows(values, np.arange(3), new).tolist() == [[7.0] * 3] * 2
    some = np.array([2, 0])
    assert take_rows(values, some).tolist() == [[2.0, 0.0], [5.0, 3.0]]
    assert set_rows(values, some, new[:2]).tolist() == [[7.0, 1.0, 7.0], [7.0, 4.0, 7.0]]
