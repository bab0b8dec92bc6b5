"""From margins and components to a smooth: entries, variances, hyperparameters."""

from __future__ import annotations

import math
from collections.abc import Mapping
from itertools import chain, combinations
from typing import Any

import numpy as np
import numpyro.distributions as dist

from numpyro_splines.arguments import mapping
from numpyro_splines.components import AbstractComponents, Partition, Parts, Precision, Product, Sum
from numpyro_splines.margins import AbstractMargin, GroupMargin
from numpyro_splines.priors.arguments import check_coefficient, check_scale
from numpyro_splines.priors.block import Block
from numpyro_splines.priors.coordinates import uninformed
from numpyro_splines.priors.correlated import correlated
from numpyro_splines.priors.profiles import AbstractProfile, Balanced, Known, Scaled, Separate
from numpyro_splines.priors.tensor import TensorSmooth

# Priors of scales: half as large for interactions, which are smaller as a rule.
_SCALE, _INTERACTION = 1.0, 0.5


def assemble(
    margins: Mapping[str, AbstractMargin],
    components: AbstractComponents,
    scales: Mapping[str, Any] | None = None,
    linear: Any = 1.0,
) -> TensorSmooth:
    """The smooth of these margins and components, in coordinates that know no data.

    Args:
        margins: by name.
        components: which products of parts have which scale.
        scales: priors of scales, or numbers that fix them, by component (for the rule `Precision`
            by margin); `HalfNormal(1.0)`, and `HalfNormal(0.5)` for interactions, if omitted.
        linear: prior of each coefficient of the unpenalized functions, or a number s for
            Normal(0, s).

    Raises:
        TypeError: if a prior is of the wrong kind.
        ValueError: if components have no modes, or `scales` names none of them.
    """
    linear_prior = check_coefficient(linear, "linear")
    partition = components.partition(margins)
    blocks, priors, anisotropies = _of_components(margins, partition)
    if partition.linear:
        entries = np.concatenate([_entries(margins, t) for t in partition.linear])
        deviation = np.inf
        if not isinstance(linear_prior, dist.ImproperUniform):
            deviation = float(np.sqrt(linear_prior.variance))
        profile = Known(np.asarray(deviation))
        blocks.append(_block("linear", entries, np.ones(entries.size), profile))
    priors = _chosen(priors, mapping(scales, "scales"))
    blocks = _sharing(margins, blocks, linear_prior)
    num = int(np.prod([m.num_functions for m in margins.values()]))
    position = np.full(num, sum(b.entries.size for b in blocks))
    own = np.concatenate([b.entries for b in blocks])
    position[own] = np.arange(own.size)
    return TensorSmooth(
        scale_names=tuple(priors),
        priors=tuple(priors.values()),
        ratios=tuple(anisotropies),
        margins=tuple(margins.values()),
        linear_prior=linear_prior,
        blocks=tuple(blocks),
        correlated=correlated(margins, blocks),
        position=position,
    )


def _of_components(
    margins: Mapping[str, AbstractMargin], partition: Partition
) -> tuple[list[Block], dict[str, Any], list[tuple[str, float, int]]]:
    """Blocks of the components, default priors of their scales, and their anisotropies."""
    blocks, priors, anisotropies = [], {}, []
    for name, tuples, rule in partition.components:
        if not tuples:
            raise ValueError(
                f"Component {name!r} must have functions; the margins have none in its parts. "
                "Leave it out."
            )
        entries = np.concatenate([_entries(margins, t) for t in tuples])
        sizes, profile = _spread(name, margins, tuples, rule)
        site = f"{name}.modes" if name else "modes"
        blocks.append(_block(site, entries, sizes, profile))
        inputs = sum(any(t[d] != "constant" for t in tuples) for d in range(len(margins)))
        default = _INTERACTION if inputs > 1 and isinstance(profile, Scaled | Balanced) else _SCALE
        for key in _scale_names(profile):
            priors[key] = dist.HalfNormal(default)
        if isinstance(profile, Balanced):
            assert isinstance(rule, Sum)
            num = len(profile.penalties) - 1
            anisotropies.append((profile.anisotropy, rule.anisotropy, num))
    return blocks, priors, anisotropies


def _block(site: str, entries: np.ndarray, sizes: np.ndarray, profile: AbstractProfile) -> Block:
    return Block(
        site, entries, sizes, profile, (), (), uninformed(entries.size, turned=profile.common)
    )


def _entries(margins: Mapping[str, AbstractMargin], parts: Parts) -> np.ndarray:
    """Places of a tuple's products among all products of functions."""
    own = [m.part(p) for m, p in zip(margins.values(), parts, strict=True)]
    grid = np.meshgrid(*own, indexing="ij")
    shape = tuple(m.num_functions for m in margins.values())
    return np.ravel_multi_index(tuple(g.ravel() for g in grid), shape)


def _over(margins: Mapping[str, AbstractMargin], tuples: tuple[Parts, ...], values: Any) -> Any:
    """values(margin, part) of every margin, for each product of all tuples: shape (D, m)."""
    columns = []
    for parts in tuples:
        own = [values(m, p) for m, p in zip(margins.values(), parts, strict=True)]
        columns.append(np.stack([g.ravel() for g in np.meshgrid(*own, indexing="ij")]))
    return np.concatenate(columns, axis=1)


def _variances(margin: AbstractMargin, part: str) -> np.ndarray:
    return np.asarray(margin.variances)[margin.part(part)]


def _penalties(margin: AbstractMargin, part: str) -> np.ndarray:
    variances = _variances(margin, part)
    return 1.0 / variances if part == "modes" else np.zeros(variances.shape)


def _spread(
    name: str, margins: Mapping[str, AbstractMargin], tuples: tuple[Parts, ...], rule: Any
) -> tuple[np.ndarray, AbstractProfile]:
    """Known sizes of a component's coefficients, and the rest of their standard deviations."""
    prefix = f"{name}." if name else ""
    penalties = _over(margins, tuples, _penalties)
    if isinstance(rule, Product):
        variances = _over(margins, tuples, _variances).prod(axis=0)
        total = sum(_mass(margins, one) for one in tuples)
        return np.sqrt(variances / total), Scaled(f"{prefix}scale")
    if not penalties.any(axis=0).all():
        raise ValueError(
            f"Component {name!r} must have modes in each of its tuples under the rule "
            f"{type(rule).__name__}; one is of constant and linear parts only. Use Product()."
        )
    seen = penalties.any(axis=1)
    ones = np.ones(penalties.shape[1])
    if isinstance(rule, Precision):
        own = [n for n, s in zip(margins, seen, strict=True) if s]
        return ones, Separate(tuple(f"{prefix}{n}.scale" for n in own), penalties[seen])
    if seen.sum() < 2:
        weights = 1.0 / penalties[seen][0]
        return np.sqrt(weights / weights.sum()), Scaled(f"{prefix}scale")
    return ones, Balanced(f"{prefix}scale", f"{prefix}anisotropy", penalties[seen])


def _mass(margins: Mapping[str, AbstractMargin], parts: Parts) -> int:
    """Sum of the variances of a tuple's products, if those of all modes sum to one."""
    pairs = zip(margins.values(), parts, strict=True)
    return math.prod(m.num_linear for m, part in pairs if part == "linear")


def _scale_names(profile: AbstractProfile) -> tuple[str, ...]:
    if isinstance(profile, Separate):
        return profile.scales
    assert isinstance(profile, Scaled | Balanced)
    return (profile.scale,)


def _chosen(priors: dict[str, Any], scales: Mapping[str, Any]) -> dict[str, Any]:
    """The priors of scales with those of the user."""
    keys = {name.removesuffix("scale").removesuffix("."): name for name in priors}
    if unknown := [key for key in scales if key not in keys]:
        raise ValueError(
            f"`scales` must name components of the effect, {list(keys)}; got {unknown}."
        )
    own = {keys[key]: check_scale(prior, f"scales[{key!r}]") for key, prior in scales.items()}
    return {**priors, **own}


def _sharing(
    margins: Mapping[str, AbstractMargin], blocks: list[Block], linear_prior: Any
) -> list[Block]:
    """Let averages over a population of levels vary as the mean of its levels does.

    A coefficient of the average is b + mean(u) with u_g independent: the variance of mean(u) is
    that of one contrast's coefficient.
    """
    where = [
        d
        for d, m in enumerate(margins.values())
        if isinstance(m, GroupMargin) and m.kind == "population"
    ]
    if not where:
        return blocks
    shape = tuple(m.num_functions for m in margins.values())
    owner = {int(e): (b, i) for b, block in enumerate(blocks) for i, e in enumerate(block.entries)}
    sets = chain.from_iterable(combinations(where, k) for k in range(1, len(where) + 1))
    result, sets = [], list(sets)
    for block in blocks:
        ratios: dict[str, np.ndarray] = {}
        for i, entry in enumerate(block.entries):
            index = np.array(np.unravel_index(entry, shape))
            for levels in (s for s in sets if not index[list(s)].any()):
                other = index.copy()
                other[list(levels)] = 1
                found = owner.get(int(np.ravel_multi_index(tuple(other), shape)))
                if found is None:
                    continue
                deviation, place = blocks[found[0]], found[1]
                if not isinstance(deviation.profile, Scaled):
                    raise ValueError(
                        f"The component of site {deviation.site!r} must have the rule Product(), "
                        "as it is of levels from a population."
                    )
                own = ratios.setdefault(deviation.profile.scale, np.zeros(block.entries.size))
                own[i] += (deviation.sizes[place] / block.sizes[i]) ** 2
        result.append(_with_shares(block, ratios, linear_prior))
    return result


def _with_shares(block: Block, ratios: dict[str, np.ndarray], linear_prior: Any) -> Block:
    if block.site == "linear" and ratios and type(linear_prior) is not dist.Normal:
        if isinstance(linear_prior, dist.ImproperUniform):
            return block  # Flat is flat.
        raise ValueError(
            "`linear` must be a Normal prior, or flat, where levels are a population; got "
            f"{type(linear_prior).__name__}."
        )
    pairs = [(n, np.asarray(own[0]) if _equal(own) else own) for n, own in ratios.items()]
    names, shares = tuple(n for n, _ in pairs), tuple(own for _, own in pairs)
    common = block.profile.common and all(np.ndim(own) == 0 for own in shares)
    coordinates = uninformed(block.entries.size, turned=common)
    return Block(block.site, block.entries, block.sizes, block.profile, names, shares, coordinates)


def _equal(values: np.ndarray) -> bool:
    return bool(np.allclose(values, values[0], rtol=1e-12, atol=0.0))
