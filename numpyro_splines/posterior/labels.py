"""Names for the axes of effects' sites, for ArviZ."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from numpyro_splines.effects import SplineEffect
from numpyro_splines.posterior.draws import dataset, site_names
from numpyro_splines.posterior.labeled import SAMPLE

# The last axis of each kind of site, and its first coordinate: modes count from the smoothest as
# first, polynomials by their degree.
_AXES = {
    "coefficients": ("coefficient", 0),
    "linear": ("polynomial", 1),
    "linear_coordinates": ("polynomial", 1),
    "modes": ("mode", 1),
    "modes_coordinates": ("mode", 1),
}


def labels(
    draws: Any, *effects: SplineEffect, plates: Mapping[str, Mapping[str, Any]] | None = None
) -> dict[str, dict[str, Any]]:
    """Names and coordinates of the axes of effects' sites, for ArviZ.

    `az.from_numpyro(mcmc, **labels(mcmc, f, g))` gives them to summaries and plots.
    Coefficients are counted along `<effect>.coefficient`, modes from the smoothest along
    `<effect>.mode`, polynomials by degree along `<effect>.polynomial`. Add names of your own sites
    to the two dictionaries.

    Args:
        draws: as in `dataset`.
        *effects: the effects.
        plates: of effects inside plates, by the name of the effect: name and coordinates of each
            axis, from the left.

    Returns:
        `coords` and `dims`, as ArviZ of either generation takes them.

    Raises:
        KeyError: if the draws have no site of an effect.
        ValueError: if the plates do not fit the shapes of the sites.

    Example:
        >>> import numpyro_splines as ns
        >>> f = ns.SplineEffect("f", ns.BSplineBasis(ns.knots.uniform(0.0, 1.0, 10)))
        >>> draws = {"f.scale": np.ones((4, 100, 2)), "f.modes": np.ones((4, 100, 2, 10))}
        >>> labels(draws, f, plates={"f": {"group": ["a", "b"]}})["dims"]
        {'f.scale': ['group'], 'f.modes': ['group', 'f.mode']}
    """
    coords: dict[str, Any] = {}
    dims: dict[str, Any] = {}
    for effect in effects:
        sites = dataset(draws, start=effect.site(""))
        if not sites.data_vars:
            raise KeyError(
                f"`draws` must hold sites of the effect {effect.name!r}; got none among "
                f"{site_names(draws)}."
            )
        plate = {name: np.asarray(c) for name, c in (plates or {}).get(effect.name, {}).items()}
        coords |= plate
        for site, values in sites.data_vars.items():
            site, shape = str(site), values.shape[len(SAMPLE) :]
            if shape[: len(plate)] != tuple(c.size for c in plate.values()):
                raise ValueError(
                    f"`plates[{effect.name!r}]` must have the lengths of the first axes of {site}, "
                    f"{shape}; got { {name: c.size for name, c in plate.items()} }."
                )
            own = [f"{site}_dim_{i}" for i in range(len(plate), len(shape))]
            short = site.removeprefix(effect.site(""))
            if own and short in _AXES:
                axis, first = _AXES[short]
                own[-1] = effect.site(axis)
                coords[own[-1]] = np.arange(first, first + shape[-1])
            dims[site] = [*plate, *own]
    return {"coords": coords, "dims": {site: names for site, names in dims.items() if names}}
