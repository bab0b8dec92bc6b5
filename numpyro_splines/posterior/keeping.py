"""Effects and draws kept in one netCDF file."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import xarray as xr

from numpyro_splines.arguments import instance_of
from numpyro_splines.effects import AbstractEffect
from numpyro_splines.posterior.description import described, restored
from numpyro_splines.posterior.draws import dataset
from numpyro_splines.posterior.seals import check_seal, check_sizes, seal
from numpyro_splines.posterior.vocabulary import path_of
from numpyro_splines.writing import replacing

# Raised when what is written changes. Format 1 named classes by their paths and the parameters of
# distributions by their order in a set, which is another one in each process.
FORMAT_VERSION = 2

_GROUP, _DRAWS, _ENGINE = "numpyro_splines", "posterior", "h5netcdf"


class Kept(NamedTuple):
    """What `load` returns.

    Attributes:
        effects: the effects by name.
        draws: the posterior, with the axes chain and draw in front.

    Example:
        >>> kept = Kept({}, xr.Dataset())
        >>> effects, draws = kept
    """

    effects: dict[str, AbstractEffect]
    draws: xr.Dataset


def save(path: Any, effects: AbstractEffect | Sequence[AbstractEffect], draws: Any) -> None:
    """Write effects and draws to one netCDF file, to be read by `load`, on any machine.

    Basis, prior, decomposition and draws come back to the last bit; nothing is computed again. So
    predictions from `<name>.coefficients` are the same to the last bit too, with any version of
    JAX, where they are evaluated outside compiled functions, as this module does. The draws are
    the group "posterior", as ArviZ has it, the effects the group "numpyro_splines".

    The file is whole or not there, whatever happens meanwhile, and ends with a checksum.

    Args:
        path: of the file; replaced if it exists, and only once all is written.
        effects: one or several, with different names.
        draws: as in `dataset`.

    Raises:
        TypeError: if an effect is none, or holds a function (as a prior's `mean`), which no file
            can hold; or as `dataset`.
        ValueError: if names are repeated or contain "/", which netCDF refuses; or as `dataset`.

    Example:
        >>> import tempfile, numpyro_splines as ns
        >>> f = ns.SplineEffect("f", ns.BSplineBasis(ns.knots.uniform(0.0, 1.0, 10)))
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     save(f"{folder}/fit.nc", f, {"f.coefficients": np.ones((4, 100, 12))})
        ...     kept = load(f"{folder}/fit.nc")
        >>> print(float(kept.effects["f"].curve(kept.draws)(0.5).mean()))
        1.0
    """
    several = [effects] if isinstance(effects, AbstractEffect) else list(effects)
    for effect in several:
        if not isinstance(effect, AbstractEffect):
            raise TypeError(
                f"`effects` must be SplineEffects or TensorEffects; got {type(effect).__name__}."
            )
    names = [effect.name for effect in several]
    if len(set(names)) < len(names):
        raise ValueError(f"`effects` must have different names; got {names}.")
    group = dataset(draws)
    if slashes := [name for name in group.variables if "/" in str(name)]:
        raise ValueError(f"`draws` must have names without '/' to be saved; got {slashes}.")
    arrays: list[np.ndarray] = []
    text = json.dumps([described(effect, arrays, effect.name) for effect in several])
    variables: dict[str, Any] = {
        f"array_{i}": ([f"array_{i}_dim_{j}" for j in range(a.ndim)], a)
        for i, a in enumerate(arrays)
    }
    description = xr.Dataset({**variables, "effects": ((), text)})
    description.attrs = {
        "format_version": FORMAT_VERSION,
        "digest": _digest(text, arrays, group),
    }
    with replacing(path) as part:
        for data, name, mode in ((group, _DRAWS, "w"), (description, _GROUP, "a")):
            plain = {name: {"_FillValue": None} for name in data.variables}
            write: Any = data.drop_encoding().to_netcdf
            write(part, group=name, mode=mode, engine=_ENGINE, encoding=plain)
        seal(part)


def load(path: Any, *, classes: Sequence[type] = ()) -> Kept:
    """Read what `save` has written.

    Args:
        path: of the file.
        classes: bases and priors of your own that the effects are made of. (A file names its
            classes but brings no code: nothing but these, numpyro_splines and NumPyro is used.)

    Returns:
        The effects by name and the draws.

    Raises:
        TypeError: if `path` is none, or `classes` are none.
        FileNotFoundError: if there is no such file.
        ValueError: if it was not written by `save`, is damaged, was written by a version of
            numpyro_splines with another format, or names a class that is not given.

    Example:
        >>> import tempfile, numpyro_splines as ns
        >>> f = ns.SplineEffect("f", ns.BSplineBasis([0.0, 1.0]))
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     save(f"{folder}/fit.nc", f, {"f.coefficients": np.ones((4, 100, 4))})
        ...     effects, draws = load(f"{folder}/fit.nc")
        >>> list(effects), dict(draws.sizes)
        (['f'], {'chain': 4, 'draw': 100, 'f.coefficients_dim_0': 4})
    """
    if not isinstance(path, str | os.PathLike):
        raise TypeError(f"`path` must be that of a file; got {type(path).__name__}.")
    if not Path(path).is_file():
        raise FileNotFoundError(f"`path` must be a file written by save(); {path} is none.")
    known = {path_of(instance_of(cls, type, "classes")): cls for cls in classes}
    check_seal(path)
    # Whatever the libraries of formats raise when bytes make no sense to them, it is the file.
    try:
        check_sizes(path, (_GROUP, _DRAWS))
        description = xr.load_dataset(path, group=_GROUP, engine=_ENGINE)
        version = int(description.attrs["format_version"])
    except Exception as error:
        raise ValueError(
            f"`path` must be a file written by save(); {path} is not, or is damaged: {error}"
        ) from error
    if version != FORMAT_VERSION:
        newer = "Update numpyro_splines to read it."
        older = "Versions before the first release wrote it: make its effects anew and save again."
        raise ValueError(
            f"`path` must be a file of format {FORMAT_VERSION}; {path} has format {version}. "
            f"{newer if version > FORMAT_VERSION else older}"
        )
    try:
        draws = xr.load_dataset(path, group=_DRAWS, engine=_ENGINE)
        text = str(description["effects"].values[()])
        arrays = [description[f"array_{i}"].values for i in range(len(description) - 1)]
        intact = _digest(text, arrays, draws) == description.attrs["digest"]
    except Exception as error:
        raise ValueError(f"`path` must not be damaged; reading {path} gave: {error}") from error
    if not intact:
        raise ValueError(
            f"`path` must not be damaged; the contents of {path} are not what was written to it."
        )
    try:
        effects = _effects(text, arrays, known)
    except Exception as error:
        raise ValueError(f"the effects in {path} cannot be made: {error}.") from error
    return Kept(effects, draws)


def _effects(
    text: str, arrays: Sequence[np.ndarray], known: Mapping[str, type]
) -> dict[str, AbstractEffect]:
    """The effects of a description, by name."""
    effects = {}
    for item in json.loads(text):
        effect = restored(item, arrays, known)
        if not isinstance(effect, AbstractEffect):
            raise ValueError(f"{type(effect).__name__} is no effect")
        effects[effect.name] = effect
    return effects


def _digest(text: str, arrays: Sequence[np.ndarray], draws: xr.Dataset) -> str:
    """A checksum of everything that predictions come from."""
    digest = hashlib.sha256(text.encode())
    named = [(str(name), values.values) for name, values in sorted(draws.data_vars.items())]
    for name, values in [*enumerate(arrays), *named]:
        digest.update(f"{name} {values.dtype} {values.shape}".encode())
        digest.update(np.ascontiguousarray(values).tobytes())
    return digest.hexdigest()
