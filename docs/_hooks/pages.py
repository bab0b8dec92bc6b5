"""Pages from files outside docs/: those of `SHOWN`, and the notebooks as committed."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import nbformat
from latex2mathml.converter import convert
from mkdocs.structure.files import File
from nbconvert import MarkdownExporter

ROOT = Path(__file__).resolve().parents[2]
NOTEBOOKS = ROOT / "notebooks"

# File and the page that it becomes.
SHOWN = {
    "README.md": "index.md",
    "CHANGELOG.md": "changelog.md",
    "CONTRIBUTING.md": "contributing.md",
}

_FORMULA = re.compile(r"\$\$(?P<block>.+?)\$\$|(?<![\\\w])\$(?P<inline>[^$\n]+)\$", re.DOTALL)

# In the order of the first steps; other notebooks follow by name.
ORDER = [
    "quickstart",
    "data_frame",
    "additive_model",
    "location_scale",
    "leave_one_out",
    "survival",
    "dates",
    "monotone_dose_response",
    "season_and_trend",
    "surface",
    "growth_curves",
    "areas",
    "changing_season",
    "from_mgcv_and_brms",
    "measurement_error",
    "validation_data",
    "two_noisy_inputs",
    "unknown_dynamics",
    "tools_not_terms",
    "knots_bases_priors",
    "free_knots",
    "variational_inference",
    "minibatches",
]


def notebooks() -> list[Path]:
    """The notebooks there are."""
    rank = {name: number for number, name in enumerate(ORDER)}
    found = NOTEBOOKS.glob("*.ipynb")
    return sorted(found, key=lambda path: (rank.get(path.stem, len(rank)), path.stem))


def on_config(config: Any) -> None:
    """Put the first notebook after the landing page, the others before the reference."""
    first, *others = [f"notebooks/{path.stem}.md" for path in notebooks()]
    place = next(i for i, entry in enumerate(config.nav) if "Reference" in entry)
    config.nav.insert(place, {"Notebooks": others})
    config.nav.insert(1, {"Quickstart": first})
    config.watch += [str(ROOT / name) for name in (*SHOWN, "notebooks")]


def on_files(files: Any, config: Any) -> None:
    """Add the pages and the pictures of the notebooks."""
    for name, page in SHOWN.items():
        text = (ROOT / name).read_text(encoding="utf-8")
        files.append(File.generated(config, page, content=within_site(text)))
    for path in notebooks():
        text, pictures = as_markdown(path)
        files.append(File.generated(config, f"notebooks/{path.stem}.md", content=text))
        for name, content in pictures.items():
            files.append(File.generated(config, f"notebooks/{name}", content=content))


def as_markdown(path: Path) -> tuple[str, dict[str, bytes]]:
    """Text of a notebook, and its pictures by name."""
    notebook = nbformat.read(path, as_version=4)
    for cell in notebook.cells:
        if cell.cell_type == "markdown":
            cell.source = _FORMULA.sub(_drawn, cell.source)
    resources = {"unique_key": path.stem, "output_files_dir": path.stem}
    text, resources = MarkdownExporter().from_notebook_node(notebook, resources)
    # The picture says nothing that its caption or the text around it does not.
    return within_site(text.replace("![png](", "![](")) + "\n", resources["outputs"]


def _drawn(found: re.Match[str]) -> str:
    """A formula in the markup that browsers draw by themselves, without a script."""
    if found["block"]:
        return f"<div>{convert(' '.join(found['block'].split()), display='block')}</div>"
    return convert(found["inline"])


def within_site(text: str) -> str:
    """Links from file to file of the repository as links from page to page."""
    for name, page in SHOWN.items():
        text = re.sub(rf"\]\(((?:\.\./)*){re.escape(name)}", rf"](\1{page}", text)
    text = re.sub(r"\]\(((?:\.\./)*)docs/", r"](\1", text)
    return re.sub(r"\]\(([\w./]+)\.ipynb", r"](\1.md", text)


def on_page_markdown(markdown: str, **_: Any) -> str:
    """Color fences that hold a session as what they are."""
    return re.sub(r"^```python\n(?=>>> )", "```pycon\n", markdown, flags=re.MULTILINE)
