"""What draws say together: bands, flags, tables."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from numpyro_splines.arguments import number
from numpyro_splines.posterior.kinds import AbstractBand, EqualTailed, moments
from numpyro_splines.posterior.labeled import SAMPLE
from numpyro_splines.validation import float64_array


def bands(
    draws: xr.DataArray,
    probability: float | Sequence[float] = 0.95,
    kind: AbstractBand = EqualTailed(),
) -> xr.Dataset:
    """Mean, standard deviation and band of draws of anything.

    Args:
        draws: with the axes chain and draw, such as `values(f)`.
        probability: of the band, or of several.
        kind: `EqualTailed()`, `HighestDensity()` or `Simultaneous()`.

    Returns:
        `mean`, `sd`, `lower` and `upper` along the other axes; `lower` and `upper` also along
        "probability", if there are several.

    Raises:
        TypeError: if the draws or the kind are something else.
        ValueError: if chain and draw are missing, or a probability lies outside (0, 1).

    Example:
        >>> draws = xr.DataArray(np.arange(101.0)[None], dims=["chain", "draw"])
        >>> print(bands(draws, [0.5, 0.9])["lower"].values)
        [25.  5.]
    """
    _check(draws, kind)
    shares = float64_array(probability, "probability")
    if shares.ndim > 1 or not shares.size or np.any((shares <= 0.0) | (shares >= 1.0)):
        raise ValueError(f"`probability` must lie in (0, 1); got {probability}.")
    ends = [kind.interval(draws, float(share)) for share in np.atleast_1d(shares)]
    axis: Any = xr.DataArray(np.atleast_1d(shares), dims=["probability"], name="probability")
    lower, upper = (xr.concat(side, axis) for side in zip(*ends, strict=True))
    center, spread = moments(draws)
    result = xr.Dataset({"mean": center, "sd": spread, "lower": lower, "upper": upper})
    return result if shares.ndim else result.isel(probability=0)


def excludes(
    draws: xr.DataArray,
    reference: float = 0.0,
    *,
    probability: float = 0.95,
    kind: AbstractBand = EqualTailed(),
) -> xr.DataArray:
    """Where a band lies above or below a reference, such as zero for a derivative.

    Args:
        draws: with the axes chain and draw, such as `values(f, derivative=1)`.
        reference: in the units of the draws.
        probability: of the band.
        kind: of band, as in `bands`.

    Returns:
        1 where the whole band is above, -1 where it is below, 0 where it holds the reference (or
        is not a number).

    Raises:
        TypeError: as `bands`.
        ValueError: as `bands`.

    Example:
        >>> draws = xr.DataArray(np.arange(101.0)[None], dims=["chain", "draw"])
        >>> int(excludes(draws)), int(excludes(draws, 50.0)), int(excludes(draws, 99.0))
        (1, 0, -1)
    """
    reference = number(reference, "reference")
    band = bands(draws, number(probability, "probability"), kind)
    flags = (band["lower"] > reference).astype(np.int8) - (band["upper"] < reference)
    return flags.astype(np.int8).rename("excludes")


def table(data: xr.DataArray | xr.Dataset) -> pd.DataFrame:
    """Anything of this layer as a tidy table: one row per entry, one column per name.

    Args:
        data: values, bands, integrals, ... with any axes; of extrema, crossings and inflections the
            padding is left out.

    Returns:
        Axes and coordinates first, then the values.

    Raises:
        TypeError: if it is something else.

    Example:
        >>> draws = xr.DataArray(np.ones((1, 2)), dims=["chain", "draw"], name="level")
        >>> print(table(draws).to_string(index=False))
         chain  draw  level
             0     0    1.0
             0     1    1.0
    """
    if isinstance(data, xr.DataArray):
        # A frame cannot name its values like one of its axes.
        name = "value" if data.name is None or data.name in data.coords else data.name
        data = data.to_dataset(name=name, promote_attrs=True)
    elif not isinstance(data, xr.Dataset):
        raise TypeError(f"`data` must be an xarray object; got {type(data).__name__}.")
    bare = {dim: np.arange(size) for dim, size in data.sizes.items() if dim not in data.coords}
    data = data.assign_coords(bare)
    if not data.dims:
        return pd.DataFrame([{str(name): v.values[()] for name, v in data.variables.items()}])
    frame: Any = data.to_dataframe().reset_index()
    if "count" in data:
        for dim in set(data.dims) - set(data["count"].dims):
            frame = frame[frame[dim] < frame["count"]]
    return frame.reset_index(drop=True)


def _check(draws: Any, kind: Any) -> None:
    if not isinstance(draws, xr.DataArray):
        raise TypeError(
            f"`draws` must be a DataArray, as values(curve) returns; got {type(draws).__name__}."
        )
    if missing := [dim for dim in SAMPLE if dim not in draws.dims]:
        raise ValueError(f"`draws` must have the axes {SAMPLE}; {missing} are missing.")
    if not isinstance(kind, AbstractBand):
        raise TypeError(
            f"`kind` must be EqualTailed(), HighestDensity() or Simultaneous(); got {kind!r}."
        )
