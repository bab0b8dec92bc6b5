"""Programs compiled by earlier runs, for tests, doctests and the examples of the documentation."""

import os
from pathlib import Path

import jax

# Nearly all of the suite's time is compilation: what an earlier run has compiled is read again.
_CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
jax.config.update("jax_compilation_cache_dir", str(_CACHE / "numpyro_splines" / "jax"))
jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)
jax.config.update("jax_persistent_cache_min_entry_size_bytes", -1)
