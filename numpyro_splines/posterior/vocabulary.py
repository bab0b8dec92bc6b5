"""The names under which files know classes: stable, whatever happens to modules."""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Mapping
from typing import Any

import equinox as eqx
import numpyro.distributions as dist
from numpyro.distributions.constraints import Constraint
from numpyro.distributions.transforms import Transform

from numpyro_splines import bases, components, extrapolation, margins, penalties, priors
from numpyro_splines.effects import SplineEffect, TensorEffect
from numpyro_splines.functions import (
    BasisAxis,
    Combination,
    Curve,
    IndexAxis,
    PolynomialAxis,
    Surface,
)
from numpyro_splines.measure import Measure
from numpyro_splines.posterior.field_types import check_fields
from numpyro_splines.priors.adaptive import AdaptiveSmooth, HorseshoeSmooth
from numpyro_splines.priors.coordinates import Coordinates
from numpyro_splines.priors.correlated import CorrelatedAverages, CorrelatedLevels
from numpyro_splines.priors.gaussian import GaussianSmooth
from numpyro_splines.priors.joint import JointCoordinates
from numpyro_splines.priors.positive import PositiveSmooth, SimplexSmooth
from numpyro_splines.priors.profiles import Balanced, Known, Scaled, Separate
from numpyro_splines.priors.shape import ConvexSmooth, MonotoneSmooth
from numpyro_splines.priors.tensor import Block, TensorSmooth
from numpyro_splines.spectrum import Spectrum
from numpyro_splines.transforms import SplineTransform

# All of this package that an effect can be made of. A class may move or be renamed, a kind may not:
# files have it. What changes the fields of a kind needs another format version.
KINDS: dict[str, type] = {
    "SplineEffect": SplineEffect,
    "BSplineBasis": bases.BSplineBasis,
    "BernsteinBasis": bases.BernsteinBasis,
    "CSplineBasis": bases.CSplineBasis,
    "ConstrainedBasis": bases.ConstrainedBasis,
    "CubicRegressionBasis": bases.CubicRegressionBasis,
    "CyclicBasis": bases.CyclicBasis,
    "CyclicCubicRegressionBasis": bases.CyclicCubicRegressionBasis,
    "CyclicMSplineBasis": bases.CyclicMSplineBasis,
    "ISplineBasis": bases.ISplineBasis,
    "MSplineBasis": bases.MSplineBasis,
    "NaturalBasis": bases.NaturalBasis,
    "Constant": extrapolation.Constant,
    "Linear": extrapolation.Linear,
    "NaN": extrapolation.NaN,
    "Periodic": extrapolation.Periodic,
    "Polynomial": extrapolation.Polynomial,
    "Zero": extrapolation.Zero,
    "AdaptivePrior": priors.AdaptivePrior,
    "ConvexPrior": priors.ConvexPrior,
    "HorseshoePrior": priors.HorseshoePrior,
    "MonotonePrior": priors.MonotonePrior,
    "PositivePrior": priors.PositivePrior,
    "RandomWalkPrior": priors.RandomWalkPrior,
    "SimplexPrior": priors.SimplexPrior,
    "SmoothnessPrior": priors.SmoothnessPrior,
    "Derivative": penalties.Derivative,
    "Differences": penalties.Differences,
    "Shrunk": penalties.Shrunk,
    "AdaptiveSmooth": AdaptiveSmooth,
    "ConvexSmooth": ConvexSmooth,
    "GaussianSmooth": GaussianSmooth,
    "HorseshoeSmooth": HorseshoeSmooth,
    "MonotoneSmooth": MonotoneSmooth,
    "PositiveSmooth": PositiveSmooth,
    "SimplexSmooth": SimplexSmooth,
    "Spectrum": Spectrum,
    "Coordinates": Coordinates,
    "Curve": Curve,
    "Combination": Combination,
    "SplineTransform": SplineTransform,
    "TensorEffect": TensorEffect,
    "CurveMargin": margins.CurveMargin,
    "GraphMargin": margins.GraphMargin,
    "GroupMargin": margins.GroupMargin,
    "SurfaceMargin": margins.SurfaceMargin,
    "Measure": Measure,
    "BlockTensor": components.BlockTensor,
    "Component": components.Component,
    "Custom": components.Custom,
    "FullTensor": components.FullTensor,
    "FunctionalAnova": components.FunctionalAnova,
    "Interaction": components.Interaction,
    "Precision": components.Precision,
    "Product": components.Product,
    "Sum": components.Sum,
    "TensorSmooth": TensorSmooth,
    "Block": Block,
    "CorrelatedLevels": CorrelatedLevels,
    "CorrelatedAverages": CorrelatedAverages,
    "JointCoordinates": JointCoordinates,
    "Balanced": Balanced,
    "Known": Known,
    "Scaled": Scaled,
    "Separate": Separate,
    "BasisAxis": BasisAxis,
    "IndexAxis": IndexAxis,
    "PolynomialAxis": PolynomialAxis,
    "Surface": Surface,
}
_NAMES = {cls: kind for kind, cls in KINDS.items()}

# Where NumPyro has its public names, by the prefix of kinds.
_ROOMS: dict[str, Any] = {
    "distributions": dist,
    "transforms": dist.transforms,
    "constraints": dist.constraints,
}
_OURS, _THEIRS = "numpyro_splines.", "numpyro.distributions."
_NUMPYRO = (dist.Distribution, Transform, Constraint)


def path_of(cls: type) -> str:
    """Full dotted name of a class."""
    return f"{cls.__module__}.{cls.__qualname__}"


def kind_of(cls: type) -> str | None:
    """The name of a class in files; None if files have no objects of it.

    That of `KINDS`; the public name of a class of NumPyro, as `distributions.Normal`,
    `transforms.PowerTransform` and `constraints.real`; the full path of others.
    """
    path = path_of(cls)
    if cls in _NAMES:
        return _NAMES[cls]
    if path.startswith(_OURS):
        return None
    if not path.startswith(_THEIRS):
        return path
    if not cls.__name__.startswith("_"):
        for room, module in _ROOMS.items():
            if getattr(module, cls.__name__, None) is cls:
                return f"{room}.{cls.__name__}"
    # Constraints have private classes: public is another name of it, or of its only instance.
    for name, value in sorted(vars(dist.constraints).items()):
        if not name.startswith("_") and (value is cls or type(value) is cls):
            return f"constraints.{name}"
    return path


def class_of(kind: str, classes: Mapping[str, type]) -> type:
    """The class of that name.

    Args:
        kind: what `kind_of` returned, here or in another version.
        classes: classes by their paths, besides those of this package and NumPyro.

    Raises:
        ValueError: if there is none.
    """
    if kind in classes:
        return classes[kind]
    room, _, name = kind.rpartition(".")
    found = KINDS.get(kind)
    if room in _ROOMS:
        found = getattr(_ROOMS[room], name, None)
        found = type(found) if isinstance(found, Constraint) else found
    elif kind.startswith(_THEIRS):
        # Only what NumPyro has imported itself: a file has nothing imported.
        found = getattr(sys.modules.get(room), name, None)
    if isinstance(found, type) and (found in _NAMES or issubclass(found, _NUMPYRO)):
        return found
    raise ValueError(
        f"the class {kind} is unknown here. Give classes of your own as "
        "load(path, classes=[...]); others may be those of another version of numpyro_splines or "
        "NumPyro"
    )


def fields_of(value: Any) -> dict[str, Any] | None:
    """What an object is made of, by name; None if it is no object of files.

    What NumPyro hands to JAX's trees, by name: the order there is that of a set of strings, another
    one in each process.
    """
    if isinstance(value, eqx.Module):
        names = [field.name for field in dataclasses.fields(value)]
        return {name: getattr(value, name) for name in names}
    if isinstance(value, Measure):
        return value._asdict()
    if isinstance(value, dist.Distribution):
        pairs = zip(_names(type(value)), value.tree_flatten(), strict=True)
        named = [item for names, parts in pairs for item in zip(names, parts, strict=True)]
        return {name: part for name, part in named if part is not None}
    if isinstance(value, Transform | Constraint):
        parts, (names, rest) = value.tree_flatten()
        return {**dict(zip(names, parts, strict=True)), **rest}
    return None


def made_of(cls: Any, fields: Mapping[str, Any]) -> Any:
    """The object of that class with these fields; nothing is computed again.

    Raises:
        ValueError: if the class has other fields, or fields of other types.
    """
    if issubclass(cls, Transform | Constraint):
        known = {name for name in fields if not name.startswith("__")}
    elif issubclass(cls, dist.Distribution):
        known = {name for names in _names(cls) for name in names}
    else:
        named = (
            cls._fields if issubclass(cls, Measure) else [f.name for f in dataclasses.fields(cls)]
        )
        known = set(named)
        if missing := sorted(known - fields.keys()):
            raise ValueError(f"{cls.__name__} of this version needs fields {missing}")
    if unknown := sorted(fields.keys() - known):
        raise ValueError(f"{cls.__name__} of this version has no fields {unknown}")
    if issubclass(cls, dist.Distribution):
        data, rest = (tuple(fields.get(name) for name in names) for names in _names(cls))
        return cls.tree_unflatten(rest, data)
    if issubclass(cls, Transform | Constraint):
        return cls.tree_unflatten((tuple(fields), {}), tuple(fields.values()))
    check_fields(cls, fields)
    if issubclass(cls, Measure):
        return cls(**fields)
    made = object.__new__(cls)
    # As when JAX puts a tree together.
    for name, value in fields.items():
        object.__setattr__(made, name, value)
    return made


def _names(cls: type[dist.Distribution]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    return cls.gather_pytree_data_fields(), cls.gather_pytree_aux_fields()
