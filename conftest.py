"""How tests, doctests and the examples of the documentation are compiled: little, and once."""

import gc
import os
from pathlib import Path

# Nearly all of the suite's time is compilation of programs that run once: few passes over each are
# enough, in the processes that tests start too. JAX_DISABLE_MOST_OPTIMIZATIONS=0 asks for all.
if os.environ.setdefault("JAX_DISABLE_MOST_OPTIMIZATIONS", "1") == "1":
    from importlib.metadata import version

    # JAX 0.11 and newer do not know the flag, and refuse what they do not know.
    if version("jax").startswith("0.10."):
        flags = os.environ.get("XLA_FLAGS", "")
        os.environ["XLA_FLAGS"] = f"{flags} --xla_cpu_use_fusion_emitters=false".strip()

import jax

jax.config.update(
    "jax_disable_most_optimizations", os.environ["JAX_DISABLE_MOST_OPTIMIZATIONS"] == "1"
)
# What an earlier run has compiled is read again.
_CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
jax.config.update("jax_compilation_cache_dir", str(_CACHE / "numpyro_splines" / "jax"))
jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)
jax.config.update("jax_persistent_cache_min_entry_size_bytes", -1)


def pytest_collection_finish():
    """What collection has made stays to the end: do not look through it again and again."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 50)
