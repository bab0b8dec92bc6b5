"""Effects that an additive predictor cannot hold."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from numpyro_splines.arguments import kinds_of
from numpyro_splines.effects import AbstractEffect, SplineEffect, TensorEffect
from numpyro_splines.priors.sections import AbstractGaussianSmooth


def linear_terms(linear: Any) -> dict[str, tuple[Any, Any]]:
    """The linear terms by name, refused where they are no pairs (values, prior)."""
    terms = {} if linear is None else linear
    pairs = isinstance(terms, Mapping) and all(
        isinstance(own, tuple | list) and len(own) == 2 for own in terms.values()
    )
    if not pairs:
        raise TypeError(
            '`linear` must be pairs (values, prior) by name, {"dose": (dose, dist.Normal(0, 1))}; '
            f"got {_kinds_by_name(linear)}."
        )
    return dict(terms)


def _kinds_by_name(linear: Any) -> str:
    if not isinstance(linear, Mapping):
        return kinds_of(linear)
    kinds = ", ".join(f"{name!r}: {kinds_of(own)}" for name, own in linear.items())
    return f"a dict of {{{kinds}}}"


def check_names(blocks: Iterable[Any], family: Any) -> None:
    """Refuse terms that have the names of the family's parameters: draws go by names.

    Args:
        blocks: of the predictor, with their sites.
        family: of the responses.
    """
    names = set(family.parameter_shapes(0))
    if taken := sorted(names.intersection(block.site for block in blocks)):
        raise ValueError(
            f"`predictor` must have no term by the name of a parameter of {type(family).__name__}; "
            f"got {taken}. Rename the term, or the parameter: {type(family).__name__}(site=...)."
        )


def check_smooths(smooths: tuple[Any, ...]) -> None:
    """Refuse what is no tuple (effect, inputs) with a prior that is Gaussian given its scale."""
    for own in smooths:
        if not (isinstance(own, tuple) and len(own) > 1 and isinstance(own[0], AbstractEffect)):
            raise TypeError(
                "`smooths` must be tuples (effect, inputs) of an effect and its n inputs, one for "
                f"each effect: AdditivePredictor((f, x), (g, x, z), ...); got {kinds_of(own)}."
            )
        smooth = own[0].smooth
        if not isinstance(smooth, AbstractGaussianSmooth):
            kind = type(getattr(own[0], "prior", smooth)).__name__
            raise TypeError(
                f"`{own[0].name}` must have a prior that is Gaussian given its scale, "
                f"SmoothnessPrior or RandomWalkPrior; got {kind}."
            )
        if smooth.correlations:
            raise TypeError(
                f"`{own[0].name}` must have a prior without `correlated`: a predictor holds "
                "coefficients that are independent given their scales. Draw it in the model, with "
                "`effect.sample()`."
            )
        if any(
            s.prior is None and np.any(smooth.center_of(s.site) != 0.0) for s in smooth.sections
        ):
            raise TypeError(
                f"`{own[0].name}` must have a prior `linear` of mean zero, where levels are a "
                "population, to be one of a predictor. Draw it in the model, with "
                "`effect.sample()`, or add a linear term that has the mean."
            )


def check_parts(effects: tuple[AbstractEffect, ...], inputs: tuple[Any, ...], by: Any) -> None:
    """Refuse two effects that hold the same modes of the same input."""
    held = []
    for effect, own in zip(effects, inputs, strict=True):
        for which in _main_inputs(effect):
            for other, others, theirs, place in held:
                several = isinstance(effect, TensorEffect) or isinstance(other, TensorEffect)
                same = np.array_equal(own[which], others[place])
                if several and same and effect.name not in by and theirs not in by:
                    raise ValueError(
                        f"`{effect.name}` and `{theirs}` must not both hold the curve of the same "
                        "input: the data cannot tell them apart. Leave the effect of one input "
                        "out, as the surface has it as a component; or give the surface "
                        "components=Interaction()."
                    )
            held.append((effect, own, effect.name, which))


def _main_inputs(effect: AbstractEffect) -> list[int]:
    """Positions of inputs of which the effect holds a main effect with modes."""
    if isinstance(effect, SplineEffect):
        return [0]
    assert isinstance(effect, TensorEffect)
    margins = list(effect.margins.values())
    starts = np.cumsum([0, *(m.num_inputs for m in margins)])
    result = []
    for d, margin in enumerate(margins):
        if margin.num_inputs == 1 and effect.holds(effect.names[d]):
            result.append(int(starts[d]))
    return result
