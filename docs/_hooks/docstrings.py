"""Read docstrings as the package writes them: plain formulas, and an example that is a doctest."""

from __future__ import annotations

import re
import textwrap
from pathlib import Path
from typing import Any

import griffe

# Left alone are code, `...` or the lines of a doctest, and names of arguments: "*smooths: pairs".
_CODE = re.compile(r"(`[^`\n]*`|^ *(?:>>>|\.\.\.) .*$|^ *\*+\w+:)", flags=re.MULTILINE)
# *word* and **word** are meant as emphasis; a star before a name or in a product is not.
_STAR = re.compile(r"(?<![\w*\\])\*{1,2}[A-Za-z][\w -]*\*{1,2}(?![\w*])|\*")

# Of functions that draw, by name.
_PICTURES = Path(__file__).resolve().parents[1] / "pictures"

_REFERENCES = re.compile(r"^References:\n((?: +.*(?:\n|$))+)", flags=re.MULTILINE)


def as_markdown(text: str) -> str:
    """The docstring with the stars of its formulas protected from Markdown."""
    text = re.sub(r"^( *)Example:$", r"\1Examples:", text, flags=re.MULTILINE)
    parts = _CODE.split(text)
    parts[::2] = [_STAR.sub(_escaped, part) for part in parts[::2]]
    return _REFERENCES.sub(_paragraph, "".join(parts))


def _paragraph(found: re.Match[str]) -> str:
    """References as plain text: a box would be louder than what they belong to."""
    return f"**References:** {textwrap.dedent(found[1])}"


def _with_picture(text: str, name: str) -> str:
    """The docstring with the picture after its first line, as seen from docs/api/."""
    first, *rest = text.split("\n\n")
    picture = f"![An example of {name}](../pictures/{name}.png)"
    return "\n\n".join([first, picture, *rest])


def _escaped(found: re.Match[str]) -> str:
    return found[0] if len(found[0]) > 1 else "\\" + found[0]


class Docstrings(griffe.Extension):
    """Prepares docstrings and constructors; leaves out what only says where it is described."""

    def on_object(self, *, obj: griffe.Object, **_: Any) -> None:
        """Called for each module, class, function and attribute."""
        if obj.docstring is not None:
            obj.docstring.value = as_markdown(obj.docstring.value)
            if ".plotting." in obj.path and (_PICTURES / f"{obj.name}.png").is_file():
                obj.docstring.value = _with_picture(obj.docstring.value, obj.name)

    def on_class_members(self, *, cls: griffe.Class, **_: Any) -> None:
        """Called when the members of a class are known."""
        for name, member in list(cls.members.items()):
            text = member.docstring.value if not member.is_alias and member.docstring else ""
            if re.fullmatch(r"See `\w+\.\w+`\.", text.strip()):
                cls.del_member(name)
        if "__init__" not in cls.members:
            _add_constructor(cls)


def _add_constructor(cls: griffe.Class) -> None:
    """The constructor that Equinox makes of the fields of a module."""
    fields = [f for f in cls.attributes.values() if f.annotation and not f.name.startswith("_")]
    fields = [f for f in fields if "property" not in f.labels]
    if not fields or "NamedTuple" in {str(base) for base in cls.bases}:
        return
    names = griffe.Parameters(
        griffe.Parameter("self", kind=griffe.ParameterKind.positional_or_keyword),
        *(
            griffe.Parameter(
                field.name,
                annotation=field.annotation,
                kind=griffe.ParameterKind.positional_or_keyword,
                default=_default(field.value),
            )
            for field in fields
        ),
    )
    cls.set_member("__init__", griffe.Function("__init__", parameters=names))


def _default(value: Any) -> Any:
    """The default of a field, also where `field(default=...)` says it."""
    if not isinstance(value, griffe.ExprCall):
        return value
    keywords = [a for a in value.arguments if isinstance(a, griffe.ExprKeyword)]
    return next((a.value for a in keywords if a.name == "default"), None)
