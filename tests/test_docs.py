"""The documentation has every public name and every page; `make docs` builds it, strictly."""

import re

import pytest
from test_docstrings import ITEMS, MODULES, NAME
from test_metadata import ROOT, read

PAGES = sorted((ROOT / "docs").rglob("*.md"))
TEXT = "\n".join(path.read_text(encoding="utf-8") for path in PAGES)
DESCRIBED = re.findall(rf"^::: {NAME}\.(\S+)$", TEXT, flags=re.MULTILINE)


def shortest(path):
    """`latent.response` for `latent.response.response`: a module is called as what it holds."""
    *rest, last = path.split(".")
    return ".".join(rest) if rest and rest[-1] == last else path


def test_reference_describes_every_public_name_once():
    public = [item.path for item in ITEMS if item.owner is None]
    described = [shortest(path) for path in DESCRIBED if path not in MODULES]
    assert sorted(described) == sorted(public)


def test_navigation_has_every_page():
    named = re.findall(r": ([\w/]+\.md)$", read("mkdocs.yml"), flags=re.MULTILINE)
    made = {"index.md", "changelog.md", "contributing.md"}
    assert sorted({*named} - made) == [str(p.relative_to(ROOT / "docs")) for p in PAGES]
    assert made < {*named}


def test_functions_that_draw_have_a_small_picture():
    functions = {path.split(".")[-1] for path in DESCRIBED if path.startswith("plotting.")}
    pictures = {path.stem: path for path in (ROOT / "docs" / "pictures").glob("*.png")}
    assert pictures.keys() == functions
    assert max(path.stat().st_size for path in pictures.values()) < 40_000


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.stem)
def test_page_ends_its_examples_before_the_fence(path):
    # Else the fence belongs to what doctest expects.
    assert not re.search(r"^(>>>|\.\.\.) .*\n[^\n]+\n```$", path.read_text("utf-8"), re.MULTILINE)
