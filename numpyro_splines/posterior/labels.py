"""Names for the axes of effects' sites, for ArviZ."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from numpyro_splines.effects import AbstractEffect, TensorEffect
from numpyro_splines.posterior.draws import dataset, levels_of, site_names
from numpyro_splines.posterior.labeled import SAMPLE
from numpyro_splines.regression import AdditivePredictor

# The last axis of each kind of site, and its first coordinate: modes count from the smoothest as
# first, polynomials by their degree.
_AXES = {
    "coefficients": ("coefficient", 0),
    "linear": ("polynomial", 1),
    "modes": ("mode", 1),
    "anisotropy": ("anisotropy", 1),
}


def labels(
    draws: Any,
    *effects: AbstractEffect | AdditivePredictor,
    plates: Mapping[str, Mapping[str, Any]] | None = None,
) -> dict[str, dict[str, Any]]:
    """Names and coordinates of the axes of effects' sites, for ArviZ.

    `az.from_numpyro(mcmc, **labels(mcmc, f, g))` gives them to summaries and plots.
    Coefficients are counted along `<effect>.coefficient`, modes from the smoothest along
    `<effect>.mode`, polynomials by degree along `<effect>.polynomial`. Effects of several inputs
    have modes of each component, `<effect>.<component>.mode`, coefficients along an axis for each
    input, `<effect>.<input>`, with the labels of groups, and name polynomials by their inputs. Of a
    predictor all effects are labeled, and its factors: coefficients by level along
    `<factor>.level`. Add names of your own sites to the two dictionaries.

    Args:
        draws: as in `dataset`.
        *effects: the effects, or predictors that have them.
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
    several = [own.effects if isinstance(own, AdditivePredictor) else (own,) for own in effects]
    for predictor in (own for own in effects if isinstance(own, AdditivePredictor)):
        for block, contrasts in zip(predictor.terms, predictor.contrasts, strict=True):
            if contrasts is not None:
                dims[block.site] = [f"{block.site}.level"]
                coords[f"{block.site}.level"] = np.asarray(contrasts.names)
    for effect in (own for part in several for own in part):
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
            named = _axes_of(effect, site.removeprefix(effect.site("")), shape[len(plate) :])
            own[len(own) - len(named) :] = named
            coords |= named
            dims[site] = [*plate, *own]
    return {"coords": coords, "dims": {site: names for site, names in dims.items() if names}}


def _axes_of(effect: AbstractEffect, short: str, shape: tuple[int, ...]) -> dict[str, Any]:
    """Names and coordinates of the last axes of a site."""
    if not shape:
        return {}
    several = isinstance(effect, TensorEffect)
    if several and short == "coefficients":
        levels = levels_of(effect)
        sizes = {axis.name: axis.num_functions for axis in effect.axes}
        return {
            effect.site(name): np.asarray(levels.get(name, range(size)))
            for name, size in sizes.items()
        }
    short = short.removesuffix("_coordinates")
    component, _, kind = short.rpartition(".")
    if kind not in _AXES:
        return {}
    axis, first = _AXES[kind]
    if several and short == "linear":
        return {effect.site(axis): np.array(_polynomials(effect))}
    prefix = f"{component}." if component else ""
    return {effect.site(prefix + axis): np.arange(first, first + shape[-1])}


def _polynomials(effect: TensorEffect) -> list[str]:
    """Names of unpenalized functions: "x" and "x:z"; with a degree where an input has several."""
    smooth = effect.smooth
    (entries,) = (block.entries for block in smooth.blocks if block.site == "linear")
    shape = tuple(margin.num_functions for margin in smooth.margins)
    names = []
    for places in zip(*np.unravel_index(entries, shape), strict=True):
        parts = []
        for name, margin, place in zip(effect.names, smooth.margins, places, strict=True):
            degree = int(place) - margin.num_constant + 1
            if place >= margin.num_constant:
                parts.append(name if margin.num_linear == 1 else f"{name}{degree}")
        names.append(":".join(parts))
    return names
