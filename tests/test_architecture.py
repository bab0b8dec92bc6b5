"""The layers of the package, read from its imports: arrows point only downwards.

To add a module, give it a place in `LAYERS`. The laws read the source and import nothing, so they
hold for imports inside functions and under `TYPE_CHECKING` as well.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

NAME = "numpyro_splines"
SOURCE = Path(__file__).resolve().parent.parent / NAME

# From top to bottom: a module imports only from its own row and from rows below it.
LAYERS = [
    ("__init__", "__main__", "demo", "reading"),
    ("plotting",),
    ("posterior",),
    ("regression",),
    ("latent",),
    ("prior_checks",),
    ("effects",),
    ("scales",),
    ("priors",),
    ("margins", "components"),
    ("bases",),
    ("transforms",),
    ("constraints",),
    ("functions",),
    ("spectrum", "penalties", "distributions"),
    ("extrapolation", "designs"),
    ("ops",),
    ("measure", "mgcv"),
    ("knots",),
    ("arguments", "validation", "writing"),
    ("datasets",),
]
RANK = {layer: rank for rank, row in enumerate(LAYERS) for layer in row}

# The only layers that may import these packages.
DEMO = {"__main__", "demo"}
HOMES = {
    "numpyro": {
        "distributions",
        "priors",
        "scales",
        "effects",
        "latent",
        "regression",
        "transforms",
        "prior_checks",
        "posterior",
    }
    | DEMO,
    "matplotlib": {"plotting"},
    "arviz": {"posterior", "datasets"} | DEMO,
    "pandas": {"posterior", "datasets"} | DEMO,
    "xarray": {"posterior", "datasets"} | DEMO,
}

NAMELESS = {"utils", "misc", "helpers", "common"}
MODULE_LINES = 280  # without the docstrings
FUNCTION_LINES = 50  # without the docstring


@dataclass(frozen=True)
class Module:
    """One source file; `name` is dotted and starts below the package: `ops.bspline`, `__init__`."""

    path: Path
    name: str

    @property
    def layer(self) -> str:
        return self.name.split(".")[0]

    @cached_property
    def text(self) -> str:
        return self.path.read_text(encoding="utf-8")

    @cached_property
    def nodes(self) -> list[ast.AST]:
        return list(ast.walk(ast.parse(self.text)))

    def imports(self) -> Iterator[tuple[int, str, str]]:
        """Line, full dotted name and local name of everything the module imports."""
        for node in self.nodes:
            if isinstance(node, ast.Import):
                for alias in node.names:
                    yield node.lineno, alias.name, alias.asname or alias.name.split(".")[0]
            elif isinstance(node, ast.ImportFrom):
                origin = self._origin(node)
                for alias in node.names:
                    yield node.lineno, f"{origin}.{alias.name}", alias.asname or alias.name

    def _origin(self, node: ast.ImportFrom) -> str:
        if node.level == 0:
            return node.module or ""
        folders = [NAME, *self.name.split(".")]
        # A package's own name is its folder; a module's folder is one step up.
        up = node.level - (self.path.stem == "__init__" and self.name != "__init__")
        parents = folders[: len(folders) - up]
        return ".".join([*parents, node.module] if node.module else parents)


def modules(source: Path = SOURCE) -> dict[str, Module]:
    """Every module of the package by its dotted name."""
    found = {}
    for path in sorted(source.rglob("*.py")):
        parts = path.relative_to(source).with_suffix("").parts
        name = ".".join(parts if len(parts) == 1 or parts[-1] != "__init__" else parts[:-1])
        found[name] = Module(path, name)
    return found


def inner_imports(source: Path) -> Iterator[tuple[Module, int, Module]]:
    """Importing module, line and imported module, within the package."""
    known = modules(source)
    for module in known.values():
        for line, target, _ in module.imports():
            if target.split(".")[0] != NAME:
                continue
            parts = target.split(".")[1:]
            # The longest known prefix: `ops.bspline.basis` is a name in the module `ops.bspline`.
            names = [".".join(parts[:stop]) for stop in range(len(parts), 0, -1)]
            yield module, line, known[next((n for n in names if n in known), "__init__")]


def misplaced_modules(source: Path = SOURCE) -> list[str]:
    return [
        f"{module.name}: `{module.layer}` has no place in LAYERS; add it to a row."
        for module in modules(source).values()
        if module.layer not in RANK
    ]


def upward_imports(source: Path = SOURCE) -> list[str]:
    return [
        f"{module.name}:{line}: `{module.layer}` lies below `{target.layer}` and may not import it."
        for module, line, target in inner_imports(source)
        if {module.layer, target.layer} <= RANK.keys() and RANK[module.layer] > RANK[target.layer]
    ]


def import_cycles(source: Path = SOURCE) -> list[str]:
    graph: dict[str, set[str]] = {}
    for module, _, target in inner_imports(source):
        graph.setdefault(module.name, set()).add(target.name)
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        return [" imports ".join(reversed(error.args[1]))]
    return []


def strangers(source: Path = SOURCE) -> list[str]:
    return [
        f"{module.name}:{line}: `{package}` may be imported only in {sorted(HOMES[package])}."
        for module in modules(source).values()
        for line, target, _ in module.imports()
        if module.layer not in HOMES.get(package := target.split(".")[0], {module.layer})
    ]


def dotted_names(module: Module) -> Iterator[tuple[int, str]]:
    """Line and full dotted name of what is imported, and of attributes read from it."""
    local = {name: target for _, target, name in module.imports() if not target.startswith(NAME)}
    # `import jax.numpy` binds the name `jax`.
    local = {
        name: name if target.split(".")[0] == name else target for name, target in local.items()
    }
    for line, target, _ in module.imports():
        yield line, target
    for node in module.nodes:
        attributes: list[str] = []
        inner = node
        while isinstance(inner, ast.Attribute):
            attributes.insert(0, inner.attr)
            inner = inner.value
        if attributes and isinstance(inner, ast.Name) and inner.id in local:
            yield node.lineno, ".".join([local[inner.id], *attributes])


def private_part(dotted: str) -> str:
    """The name of another package up to its first private part; empty if there is none."""
    parts = dotted.split(".")
    for stop, part in enumerate(parts, start=1):
        hidden = part.startswith("_") and not part.endswith("__")
        if parts[0] != NAME and (hidden or parts[:stop] == ["equinox", "internal"]):
            return ".".join(parts[:stop])
    return ""


def private_names(source: Path = SOURCE) -> list[str]:
    found = {
        f"{module.name}:{line}: `{private}` is private; use the public interface."
        for module in modules(source).values()
        for line, dotted in dotted_names(module)
        if (private := private_part(dotted))
    }
    return sorted(found)


def nameless_modules(source: Path = SOURCE) -> list[str]:
    return [
        f"{module.name}: a module is named after what it holds."
        for module in modules(source).values()
        if NAMELESS & set(module.name.split("."))
    ]


def long_modules(source: Path = SOURCE) -> list[str]:
    return [
        f"{module.name}: {lines} lines; would it read better as two modules?"
        for module in modules(source).values()
        if (lines := module_lines(module)) > MODULE_LINES
    ]


def docstring_lines(node: ast.AST) -> int:
    if not isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
        return 0
    if ast.get_docstring(node) is None:
        return 0
    docstring = node.body[0]
    return (docstring.end_lineno or docstring.lineno) - docstring.lineno + 1


def module_lines(module: Module) -> int:
    """Lines of a module without its docstrings: describing something well never makes it long."""
    return len(module.text.splitlines()) - sum(map(docstring_lines, module.nodes))


def function_lines(node: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """Lines of a function from `def` to its end, without its docstring."""
    return (node.end_lineno or node.lineno) - node.lineno + 1 - docstring_lines(node)


def long_functions(source: Path = SOURCE) -> list[str]:
    return [
        f"{module.name}:{node.lineno}: `{node.name}` has {lines} lines; split it."
        for module in modules(source).values()
        for node in module.nodes
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and (lines := function_lines(node)) > FUNCTION_LINES
    ]


LAWS: list[Callable[..., list[str]]] = [
    misplaced_modules,
    upward_imports,
    import_cycles,
    strangers,
    private_names,
    nameless_modules,
    long_modules,
    long_functions,
]


@pytest.mark.parametrize("law", LAWS)
def test_package_keeps(law):
    offenders = law()
    assert not offenders, "\n" + "\n".join(offenders)


def test_package_is_found():
    assert "__init__" in modules()


@pytest.mark.parametrize(
    ("law", "path", "text", "message"),
    [
        (misplaced_modules, "thing.py", "", "`thing` has no place in LAYERS"),
        (
            upward_imports,
            "knots.py",
            "from numpyro_splines.bases import C",
            "knots:1: `knots` lies",
        ),
        (upward_imports, "knots.py", "from . import bases", "below `bases`"),
        (upward_imports, "ops/a.py", "def f():\n    from ..bases import C", "ops.a:2: `ops` lies"),
        (upward_imports, "ops/__init__.py", "from ..bases import C", "below `bases`"),
        (upward_imports, "bases.py", "import numpyro_splines as ns", "below `__init__`"),
        (import_cycles, "bases.py", "import numpyro_splines.bases", "bases imports bases"),
        (strangers, "bases.py", "import numpyro.distributions as dist", "only in ['__main__'"),
        (strangers, "effects.py", "from matplotlib import pyplot", "only in ['plotting']"),
        (private_names, "bases.py", "import jax._src.core", "`jax._src` is private"),
        (private_names, "bases.py", "import jax.numpy\njax._src.x", "bases:2: `jax._src`"),
        (private_names, "bases.py", "from scipy.stats import _x", "`scipy.stats._x` is private"),
        (
            private_names,
            "bases.py",
            "import equinox as eqx\neqx.internal.w",
            "2: `equinox.internal`",
        ),
        (nameless_modules, "ops/utils.py", "", "ops.utils: a module is named"),
        (long_modules, "bases.py", "\n" * 281, "bases: 281 lines"),
        (long_modules, "bases.py", '"""A\n\nB."""' + "\n" * 282, "bases: 281 lines"),
        (long_functions, "bases.py", "def f():\n" + "    pass\n" * 50, "`f` has 51 lines"),
    ],
)
def test_law_bites(law, path, text, message, tmp_path):
    for place, content in {"__init__.py": "", "bases.py": "", "knots.py": "", path: text}.items():
        (tmp_path / place).parent.mkdir(exist_ok=True)
        (tmp_path / place).write_text(content)
    (offender,) = law(tmp_path)
    assert message in offender


def test_downward_imports_pass(tmp_path):
    text = "from numpyro_splines import knots\nfrom .knots import uniform\nimport numpy as np\n"
    (tmp_path / "__init__.py").write_text("from .bases import BSplineBasis as BSplineBasis\n")
    (tmp_path / "bases.py").write_text(text)
    (tmp_path / "knots.py").write_text('"""Long text."""\n')
    assert [law(tmp_path) for law in LAWS] == [[]] * len(LAWS)
