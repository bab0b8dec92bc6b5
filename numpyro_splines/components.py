r"""Components: what an effect of several inputs is the sum of, as option objects.

With margins whose functions come in the parts constant, linear and modes, a product of functions of
all margins belongs to a *tuple* of parts, one for each margin. A component is a set of tuples with
one scale tau in the units of f and a rule for the prior variances v of its coefficients. With v_d
the prior variance of the function of margin d,

    Product    v = tau^2 prod_d v_d / sum of these products over the component
    Sum        v = tau^2 w / sum(w),  w = 1 / sum_d exp(alpha_d) / v_d,  sum_d alpha_d = 0
    Precision  v = 1 / sum_d 1 / (v_d tau_d^2): one scale for each margin

where 1 / v_d is zero for constant and linear functions in the last two. All functions are
orthonormal, so tau^2 is the prior mean square of the component over the product of the measures.
The tuple of constants belongs to the intercept of the model: leaving it out centers f.
"""

from __future__ import annotations

import abc
from collections.abc import Iterator, Mapping, Sequence
from itertools import combinations, product
from typing import Any, NamedTuple

import equinox as eqx

from numpyro_splines.arguments import instance_of, kinds_of
from numpyro_splines.margins import AbstractMargin
from numpyro_splines.validation import positive_number

Parts = tuple[str, ...]


class AbstractRule(eqx.Module):
    """How prior variance is spread over the coefficients of a component.

    Example:
        >>> isinstance(Product(), AbstractRule)
        True
    """


class Product(AbstractRule):
    """Products of the margins' variances, known in advance: one scale.

    Groups, space and time, three margins and more. Twice as smooth in both directions is rare: the
    variances of smooth functions of two numbers fall as (i j)^-4.

    Example:
        >>> rough = FunctionalAnova(rule=Product())  # for interactions of two numbers too
    """


class Sum(AbstractRule):
    """The inverse of a sum of the margins' penalties, their ratio learned: a scale and anisotropy.

    For two numbers, in any units: the variances fall as max(i, j)^-4. The scale is the root mean
    square of the component whatever the ratio.

    Args:
        anisotropy: standard deviation of the normal prior of the logarithm of the ratio of two
            penalties, exp(alpha_1 - alpha_2). A factor of two in the relative length scales is a
            ratio of 2^4, so 2, the default, lets them differ by a factor of two or three.

    Example:
        >>> Sum().anisotropy
        2.0
    """

    anisotropy: float = eqx.field(static=True)

    def __init__(self, anisotropy: float = 2.0):
        self.anisotropy = float(positive_number(anisotropy, "anisotropy"))


class Precision(AbstractRule):
    """A sum of penalties with a scale for each margin, mgcv's `te`.

    tau_d is the root mean square of the main effect of margin d, and all larger components follow
    from these.

    Example:
        >>> Component("", {"x": "modes", "z": ("linear", "modes")}, rule=Precision()).rule
        Precision()
    """


class Component(eqx.Module):
    """One component: tuples of parts with a common scale.

    Args:
        name: prefix of its sites, `<effect>.<name>.scale`; the inputs joined by ":" by convention.
        *tuples: each a mapping from margins to their part or parts: {"x": "modes", "z": ("linear",
            "modes")} stands for two tuples; margins that are not named contribute their constant.
        rule: `Product()`, the default, `Sum()` or `Precision()`.

    Raises:
        TypeError: if `rule` is none of these.

    Example:
        >>> Component("x:z", {"x": "modes", "z": ("linear", "modes")}, rule=Sum()).name
        'x:z'
    """

    name: str = eqx.field(static=True)
    tuples: tuple[tuple[tuple[str, Parts], ...], ...] = eqx.field(static=True)
    rule: AbstractRule

    def __init__(
        self,
        name: str,
        *tuples: Mapping[str, str | Sequence[str]],
        rule: AbstractRule | None = None,
    ):
        rule = Product() if rule is None else rule
        if not isinstance(rule, AbstractRule):
            raise TypeError(f"`rule` must be Product(), Sum() or Precision(); got {rule!r}.")
        self.name, self.rule = name, rule
        self.tuples = tuple(
            tuple((m, (p,) if isinstance(p, str) else tuple(p)) for m, p in one.items())
            for one in tuples
        )

    def over(self, margins: Mapping[str, AbstractMargin]) -> Iterator[Parts]:
        """The tuples that these margins have functions for, one part for each of them.

        Args:
            margins: of the effect, by name.

        Returns:
            An iterator over them.

        Raises:
            ValueError: if the component names what is no margin.
        """
        for one in self.tuples:
            parts = dict(one)
            if unknown := [m for m in parts if m not in margins]:
                raise ValueError(
                    f"Component {self.name!r} must name margins of the effect, {list(margins)}; "
                    f"got {unknown}."
                )
            for chosen in product(*(parts.get(m, ("constant",)) for m in margins)):
                pairs = zip(margins.values(), chosen, strict=True)
                if all(len(margin.part(part)) for margin, part in pairs):
                    yield chosen


class Partition(NamedTuple):
    """All tuples of an effect: those of its components, and those without a scale.

    Attributes:
        components: name, tuples and rule of each.
        linear: tuples of constant and linear parts only, with a known prior.

    Example:
        >>> Partition(components=(("x", (("modes",),), Product()),), linear=(("linear",),)).linear
        (('linear',),)
    """

    components: tuple[tuple[str, tuple[Parts, ...], AbstractRule], ...]
    linear: tuple[Parts, ...]


class AbstractComponents(eqx.Module):
    """A choice of components for any margins.

    Example:
        >>> import numpyro_splines as ns
        >>> line = ns.CurveMargin(ns.BSplineBasis([0.0, 1.0]))
        >>> [name for name, _, _ in BlockTensor().partition({"x": line, "z": line}).components]
        ['z', 'x', 'x:z']
    """

    @abc.abstractmethod
    def partition(self, margins: Mapping[str, AbstractMargin]) -> Partition:
        """The components over these margins.

        Args:
            margins: by name.

        Returns:
            Their tuples of parts, and those with a known prior.
        """


class FunctionalAnova(AbstractComponents):
    """f = sum of main effects + interactions, each with a scale of its own: the default.

    One component for each set of inputs, named by them: "x", "z", "x:z". Interactions can vanish,
    and every scale is the size of what it is named after. Where a group or a graph meets a numeric
    input, the lines by group, "age.linear:boy", are a component apart from the curves by group,
    "age:boy". Polynomials of numeric inputs alone are at site `linear`.

    Args:
        rule: of interactions; `Sum()` for two numeric inputs and `Product()` for all others if
            omitted.

    Example:
        >>> import numpyro_splines as ns
        >>> age = ns.CurveMargin(ns.BSplineBasis([0.0, 1.0]))
        >>> parts = FunctionalAnova().partition({"age": age, "boy": ns.GroupMargin(5)})
        >>> [name for name, _, _ in parts.components]
        ['age', 'boy', 'age.linear:boy', 'age:boy']

    References:
        Gu, Smoothing Spline ANOVA Models (2013); Wood (2006) on tensor products.
    """

    rule: AbstractRule | None = None

    def partition(self, margins: Mapping[str, AbstractMargin]) -> Partition:
        sets = [s for k in range(1, len(margins) + 1) for s in combinations(margins, k)]
        return _anova(margins, sets, self.rule)


class Interaction(AbstractComponents):
    """The interaction of all inputs alone, mgcv's `ti`: for models whose main effects are others.

    Args:
        rule: as in `FunctionalAnova`.

    Example:
        >>> import numpyro_splines as ns
        >>> line = ns.CurveMargin(ns.BSplineBasis([0.0, 1.0]))
        >>> [name for name, _, _ in Interaction().partition({"x": line, "z": line}).components]
        ['x:z']
    """

    rule: AbstractRule | None = None

    def partition(self, margins: Mapping[str, AbstractMargin]) -> Partition:
        return _anova(margins, [tuple(margins)], self.rule)


class FullTensor(AbstractComponents):
    """All products under one penalty for each margin, mgcv's `te`: sites `<effect>.<margin>.scale`.

    The scales are the sizes of the main effects; that of the interaction follows from them.

    Example:
        >>> import numpyro_splines as ns
        >>> line = ns.CurveMargin(ns.BSplineBasis([0.0, 1.0]))
        >>> f = ns.TensorEffect("f", x=line, z=line, components=FullTensor())
        >>> list(f.smooth.scale_priors)
        ['x.scale', 'z.scale']
    """

    def partition(self, margins: Mapping[str, AbstractMargin]) -> Partition:
        tuples = _tuples(margins)
        modes = tuple(t for t in tuples if "modes" in t)
        linear = tuple(t for t in tuples if "modes" not in t and "linear" in t)
        return Partition((("", modes, Precision()),), linear)


class BlockTensor(AbstractComponents):
    """A component for each set of margins that contribute modes, mgcv's `t2`.

    "x" holds the modes of x times the constant and the linear functions of z, "x:z" the products of
    modes.

    Args:
        full: a component for each of the constant and the linear part as well: "x" and
            "x:z.linear".

    Example:
        >>> import numpyro_splines as ns
        >>> line = ns.CurveMargin(ns.BSplineBasis([0.0, 1.0]))
        >>> whole = BlockTensor(full=True).partition({"x": line, "z": line})
        >>> [name for name, _, _ in whole.components]
        ['z', 'x.linear:z', 'x', 'x:z.linear', 'x:z']
    """

    full: bool = eqx.field(static=True, default=False)

    def partition(self, margins: Mapping[str, AbstractMargin]) -> Partition:
        components: dict[str, list[Parts]] = {}
        for one in (t for t in _tuples(margins) if "modes" in t):
            shown = ("modes", "linear") if self.full else ("modes",)
            named = [
                m if part == "modes" else f"{m}.{part}"
                for m, part in zip(margins, one, strict=True)
                if part in shown
            ]
            components.setdefault(":".join(named), []).append(one)
        linear = tuple(t for t in _tuples(margins) if "modes" not in t and "linear" in t)
        return Partition(tuple((n, tuple(t), Product()) for n, t in components.items()), linear)


class Custom(AbstractComponents):
    """Components of your own.

    Args:
        *components: the components; a tuple belongs to one of them at most.
        linear: tuples with a known prior (site `linear`), as for `Component`; if omitted all
            tuples of linear parts over sets of inputs that a component has.

    Raises:
        TypeError: if an argument is no `Component`.

    Example:
        >>> additive = Custom(Component("x", {"x": "modes"}), Component("z", {"z": "modes"}))
    """

    components: tuple[Component, ...]
    linear: Component | None

    def __init__(self, *components: Component, linear: Sequence[Mapping[str, Any]] | None = None):
        if not components or not all(isinstance(c, Component) for c in components):
            raise TypeError(f"`components` must be Component objects; got {kinds_of(components)}.")
        self.components = components
        self.linear = None if linear is None else Component("linear", *linear)

    def partition(self, margins: Mapping[str, AbstractMargin]) -> Partition:
        own = tuple((c.name, tuple(c.over(margins)), c.rule) for c in self.components)
        claimed = [t for _, tuples, _ in own for t in tuples]
        if len(set(claimed)) < len(claimed) or len({name for name, _, _ in own}) < len(own):
            raise ValueError(
                "Components must have different names, and each tuple of parts must belong to one "
                f"of them; got {[name for name, _, _ in own]} with a tuple or a name twice."
            )
        if self.linear is not None:
            return Partition(own, tuple(self.linear.over(margins)))
        sets = {_inputs(t) for t in claimed}
        free = [t for t in _tuples(margins) if "modes" not in t and "linear" in t]
        return Partition(own, tuple(t for t in free if _inputs(t) in sets and t not in claimed))


def _inputs(parts: Parts) -> tuple[bool, ...]:
    """Which margins contribute more than their constant."""
    return tuple(part != "constant" for part in parts)


def _tuples(margins: Mapping[str, AbstractMargin]) -> list[Parts]:
    """All tuples of parts that these margins have."""
    kinds = [
        [p for p in ("constant", "linear", "modes") if len(m.part(p))] for m in margins.values()
    ]
    return list(product(*kinds))


def _anova(
    margins: Mapping[str, AbstractMargin], sets: Sequence[Sequence[str]], rule: AbstractRule | None
) -> Partition:
    if rule is not None:
        instance_of(rule, AbstractRule, "rule")
    components: dict[str, list[Parts]] = {}
    rules: dict[str, AbstractRule] = {}
    linear: list[Parts] = []
    for inputs in sets:
        numeric = [m for m in inputs if not margins[m].discrete]
        for one in _tuples(margins):
            if _inputs(one) != tuple(m in inputs for m in margins):
                continue
            parts = dict(zip(margins, one, strict=True))
            if "modes" not in one:
                linear.append(one)
                continue
            # Lines by group apart from curves by group: they are of different sizes.
            lines = bool(numeric) and all(parts[m] == "linear" for m in numeric)
            name = ":".join(f"{m}.linear" if lines and m in numeric else m for m in inputs)
            components.setdefault(name, []).append(one)
            default = Sum() if len(numeric) == len(inputs) == 2 else Product()
            interaction = len(inputs) > 1 and rule is not None
            rules[name] = rule if interaction else default  # pyright: ignore[reportArgumentType]
    own = tuple((name, tuple(tuples), rules[name]) for name, tuples in components.items())
    return Partition(own, tuple(linear))
