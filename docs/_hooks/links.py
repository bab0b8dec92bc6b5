"""Turn names of the package in code, such as `SplineEffect`, into links to their description."""

from __future__ import annotations

import re
from collections import defaultdict
from itertools import groupby
from typing import Any

_ANCHOR = re.compile(r'<h(\d) id="(numpyro_splines\.[\w.]+)"')
_ARGUMENT = re.compile(r'doc-section-item[^>]*">\s*(?:<b>)?<code[^>]*>\*{0,2}(\w+)</code>')
# Code that is a name, maybe called; what is a link, a heading or a whole program is passed over.
_PASSED = r"<(?P<tag>a|h[1-6]|pre)\b.*?</(?P=tag)>"
_NAME = re.compile(rf"{_PASSED}|<code>(?P<name>[A-Za-z_][\w.]*)(?:\([^<]*\))?</code>", re.DOTALL)


def on_env(env: Any, config: Any, files: Any) -> None:
    """Look the names up when all pages are there."""
    del env, config
    pages = [file.page for file in files.documentation_pages() if file.page]
    known: dict[str, set[str]] = defaultdict(set)
    for page in pages:
        for _, identifier in _ANCHOR.findall(page.content):
            # A module that is called as what it holds is named once: posterior.values.values.
            parts = [part for part, _ in groupby(identifier.split("."))]
            for start in range(len(parts)):
                known[".".join(parts[start:])].add(identifier)
    for page in pages:
        page.content = _linked(page.content, known)


def _linked(content: str, known: dict[str, set[str]]) -> str:
    headings = _ANCHOR.findall(content)
    here = {identifier for _, identifier in headings}
    first = {identifier for level, identifier in headings if level == "2"}
    arguments = set(_ARGUMENT.findall(content))

    def link(found: re.Match[str]) -> str:
        name = found["name"]
        if name is None:
            return found[0]
        targets = known.get(name.removeprefix("ns."), set())
        # A short word may be an argument as well: only names that stand out, or of the same page.
        if not re.search(r"[A-Z_.]", name):
            targets = targets & first if name not in arguments else set()
        if len(targets) > 1:
            targets = targets & here
        if len(targets) != 1:
            return found[0]
        (target,) = targets
        return f'<autoref identifier="{target}">{found[0]}</autoref>'

    return _NAME.sub(link, content)
