"""Every public name has a docstring that says what a caller needs; the rules are below.

Public are the names in `numpyro_splines/__init__.py`, and the functions and classes of the public
submodules, with the methods and properties that the package itself defines. Of each is asked:

- Args: one entry for each parameter, by its name, and none else. The fields of a named tuple, and
  of a dataclass, may stand under `Attributes:`.
- Returns: where something is returned. A property, or a method without parameters, may have a
  summary line alone that says it.
- Raises: each exception that the body itself raises.
- Shapes or units: in the entry of a parameter, and in `Returns:`, where the annotation is an array
  (`MEASURED` holds the words that count; labeled arrays have axes).
- An example (`>>>`) for a function or a class; methods rely on that of their class.

What a method overrides need not be said again. Where the package defines the overridden method,
its override may go without a docstring, or say only what is different ("See `Class.method`" has to
be true); where another package does (NumPyro's `sample` and `log_prob`), a summary is enough.
"""

from __future__ import annotations

import ast
import importlib
import inspect
import re
import sys
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

import numpyro_splines

NAME = numpyro_splines.__name__
MODULES = [
    "components",
    "constraints",
    "datasets",
    "distributions",
    "extrapolation",
    "regression",
    "regression.importance",
    "regression.links",
    "knots",
    "latent",
    "mgcv",
    "penalties",
    "plotting",
    "posterior",
    "prior_checks",
    "scales",
]
SECTION = re.compile(
    r"^(Args|Attributes|Returns|Raises|Warns|Examples?|References):$", re.MULTILINE
)
ARRAYS = re.compile(r"\b(Array|ArrayLike|ndarray|DataArray|Float\[|Int\[)")
MEASURED = re.compile(r"\b([Ss]hapes?|[Uu]nits?|numbers?|one per|broadcast|axes|random key)\b")


@dataclass(frozen=True)
class Item:
    """A public function, class, method or property; `owner` is the class of the latter two."""

    path: str
    thing: Any
    owner: type | None = None

    @property
    def name(self) -> str:
        return self.path.rsplit(".", 1)[-1]

    @property
    def function(self) -> Any:
        """What is called: the constructor of a class, the getter of a property."""
        thing = self.thing
        if isinstance(thing, property):
            return thing.fget
        if isinstance(thing, classmethod | staticmethod):
            return thing.__func__
        return thing

    @property
    def docstring(self) -> str:
        return inspect.cleandoc(self.function.__doc__ or "")

    def section(self, *titles: str) -> str:
        """Text below the first of these titles."""
        parts = SECTION.split(self.docstring)
        sections = dict(zip(parts[1::2], parts[2::2], strict=True))
        return next((textwrap.dedent(sections[t]) for t in titles if t in sections), "")

    def entries(self) -> dict[str, str]:
        """Name and text of the entries of `Args:`, or `Attributes:` of plain data."""
        titles = ["Args", "Attributes"] if is_plain_data(self.thing) else ["Args"]
        parts = re.split(r"^(\*{0,2}\w+): ?", self.section(*titles), flags=re.MULTILINE)
        return dict(zip(parts[1::2], parts[2::2], strict=True))

    def parameters(self) -> dict[str, str]:
        """Name and annotation of each parameter."""
        if isinstance(self.thing, property):
            return {}
        bound = self.owner is not None and not isinstance(self.thing, staticmethod)
        found = list(inspect.signature(self.function).parameters.values())[bound:]
        stars = {inspect.Parameter.VAR_POSITIONAL: "*", inspect.Parameter.VAR_KEYWORD: "**"}
        return {stars.get(p.kind, "") + p.name: str(p.annotation) for p in found}

    def returned(self) -> str:
        """Annotation of what is returned; empty for nothing, a class or a property."""
        if inspect.isclass(self.thing) or isinstance(self.thing, property):
            return ""
        annotation = str(inspect.signature(self.function).return_annotation)
        return "" if annotation in {"None", "<class 'inspect._empty'>"} else annotation

    def raised(self) -> set[str]:
        """Names of the exceptions that the body raises, functions inside it apart."""
        if inspect.isclass(self.thing):
            own = [vars(self.thing).get(name) for name in ("__init__", "__check_init__")]
            bodies = [body for body in own if has_source(body)]
        else:
            bodies = [self.function]
        return {name for body in bodies for name in raised_in(body)}

    def overridden(self) -> list[type]:
        """The bases of the owner that have an attribute of this name."""
        bases = self.owner.__mro__[1:] if self.owner is not None else ()
        return [base for base in bases if self.name in vars(base)]


def is_plain_data(thing: Any) -> bool:
    """Whether arguments and attributes of the class are the same: there is no own constructor."""
    return inspect.isclass(thing) and not has_source(vars(thing).get("__init__"))


def has_source(function: Any) -> bool:
    return inspect.isfunction(function) and function.__code__.co_filename.endswith(".py")


def raised_in(function: Any) -> Iterator[str]:
    (definition,) = ast.parse(textwrap.dedent(inspect.getsource(function))).body
    open_nodes: list[ast.AST] = list(ast.iter_child_nodes(definition))
    while open_nodes:
        node = open_nodes.pop()
        if isinstance(node, ast.FunctionDef | ast.Lambda):
            continue
        if isinstance(node, ast.Raise) and node.exc is not None:
            raised = node.exc.func if isinstance(node.exc, ast.Call) else node.exc
            if ast.unparse(raised) != "NotImplementedError":
                yield ast.unparse(raised)
        open_nodes.extend(ast.iter_child_nodes(node))


def is_ours(thing: Any) -> bool:
    return getattr(thing, "__module__", "").startswith(NAME)


def is_documented(thing: Any, module: Any) -> bool:
    """Whether the name is a function or class of that module, or was imported into a package."""
    if not (inspect.isclass(thing) or inspect.isfunction(thing)):
        return False
    return thing.__module__.startswith(module.__name__)


def members(path: str, owner: type) -> Iterator[Item]:
    """Methods and properties of a class, as far as the package defines them."""
    for name in dir(owner):
        definer = next((c for c in owner.__mro__ if name in vars(c)), None)
        if name.startswith("_") or definer is None or not is_ours(definer):
            continue
        thing = vars(definer)[name]
        if inspect.isfunction(thing) or isinstance(thing, property | classmethod | staticmethod):
            yield Item(f"{path}.{name}", thing, definer)


def items() -> Iterator[Item]:
    """All public items, each under its shortest path, methods where they are defined."""
    seen: set[int] = set()
    modules = [numpyro_splines, *(importlib.import_module(f"{NAME}.{name}") for name in MODULES)]
    for module in modules:
        for name, thing in vars(module).items():
            if name.startswith("_") or not is_documented(thing, module) or id(thing) in seen:
                continue
            seen.add(id(thing))
            path = f"{module.__name__}.{name}".removeprefix(f"{NAME}.")
            yield Item(path, thing)
            if inspect.isclass(thing):
                for member in members(path, thing):
                    if id(member.thing) not in seen:
                        seen.add(id(member.thing))
                        yield member


ITEMS = list(items())


def complaints(item: Item) -> Iterator[str]:
    bases = item.overridden()
    if not item.docstring:
        if not any(map(is_ours, bases)):
            yield "there is no docstring"
        return
    if item.owner is None and ">>> " not in item.docstring:
        yield "there is no example (`>>>`)"
    referred = re.findall(rf"^See `(\w+)\.{item.name}`", item.docstring) if item.owner else []
    if wrong := set(referred) - {base.__name__ for base in bases}:
        yield f"it refers to {sorted(wrong)}, whose method it does not override"
    if bases:
        return
    parameters, entries = item.parameters(), item.entries()
    if missing := [name for name in parameters if name not in entries]:
        yield f"`Args:` does not name {missing}"
    if surplus := [name for name in entries if name not in parameters]:
        yield f"`Args:` names {surplus}, which are no parameters"
    yield from unmeasured(item, parameters, entries)
    if item.returned() and parameters and not item.section("Returns"):
        yield "there is no `Returns:`"
    named = set(re.findall(r"^(\w+):", item.section("Raises"), flags=re.MULTILINE))
    if missing := item.raised() - named:
        yield f"`Raises:` does not name {sorted(missing)}"


def unmeasured(item: Item, parameters: dict, entries: dict) -> Iterator[str]:
    for name, annotation in parameters.items():
        if is_array(annotation) and name in entries and not MEASURED.search(entries[name]):
            yield f"`{name}` has no shape or unit"
    said = item.section("Returns") if parameters else item.docstring
    if said and is_array(item.returned()) and not MEASURED.search(said):
        yield "`Returns:` has no shape or unit"


def is_array(annotation: str) -> bool:
    return bool(ARRAYS.search(annotation)) and not annotation.startswith("Callable")


@pytest.mark.parametrize("item", ITEMS, ids=lambda item: item.path)
def test_docstring(item):
    found = list(complaints(item))
    assert not found, f"{item.path}:\n" + "\n".join(found)


GOOD = '''
    """Twice a number.

    Args:
        x: any shape.

    Returns:
        The shape of x.

    Raises:
        ValueError: if x is empty.

    Example:
        >>> 2 * 2
        4
    """
    if x.size == 0:
        raise ValueError("`x` is empty.")
    return 2 * x
'''


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("", "", ""),
        (GOOD[: GOOD.rindex('"""') + 3], "", "there is no docstring"),
        (">>> ", "", "there is no example (`>>>`)"),
        ("        x: any shape.", "", "`Args:` does not name ['x']"),
        ("x: any", "y: any shape.\n        x: any", "`Args:` names ['y']"),
        ("any shape", "any", "`x` has no shape or unit"),
        ("    Returns:\n        The shape of x.\n", "", "there is no `Returns:`"),
        ("The shape of x", "The double", "`Returns:` has no shape or unit"),
        ("ValueError: if", "if", "`Raises:` does not name ['ValueError']"),
    ],
)
def test_rules_bite(old, new, message, tmp_path, monkeypatch):
    body = GOOD.replace(old, new) if old else GOOD
    (tmp_path / "doubled.py").write_text(f"def double(x: 'Array') -> 'Array':{body}")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "doubled", raising=False)
    found = list(complaints(Item("doubled.double", importlib.import_module("doubled").double)))
    monkeypatch.delitem(sys.modules, "doubled")
    assert len(found) == bool(message)
    assert "".join(found).startswith(message)


def test_every_public_name_is_an_item():
    paths = {item.path for item in ITEMS}
    assert {"SplineEffect", "SplineEffect.sample", "knots.uniform", "Curve.derivative"} <= paths
    assert len(paths) == len(ITEMS) > 250
