"""What stands where in the site: the pages, in reading order, and the start page's address."""

from __future__ import annotations

import importlib.util
import shutil
from pathlib import Path
from typing import Any

START = "README"

# caption -> pages, each a path without its suffix, or (title in the navigation, path).
SECTIONS: dict[str, list[str | tuple[str, str]]] = {
    "Lessons": [
        ("About the lessons", "notebooks/README"),
        "notebooks/01-images-are-numbers",
        "notebooks/02-one-neuron",
        "notebooks/03-from-scores-to-probabilities",
        "notebooks/04-going-downhill",
        "notebooks/05-hidden-layers",
        "notebooks/06-convolution",
        "notebooks/07-is-it-any-good",
        "notebooks/08-your-own-digits",
    ],
    "Guides": [
        ("Train: runs and reports", "docs/runs"),
        ("Data and your own images", "docs/data"),
        ("Read handwriting", "docs/reading"),
        ("The studio", "docs/studio"),
        ("Export", "docs/export"),
        ("Port old programs", "docs/port"),
        ("Command line", "docs/command-line"),
    ],
    "Results": [
        ("The published networks", "docs/recipes"),
        ("Reading, measured", "docs/reading-measured"),
        ("Benchmarks", "benchmarks/README"),
    ],
    "How it works": [("The engine", "docs/engine"), ("Design", "docs/design")],
    "Reference": [
        ("penmark", "docs/reference/penmark"),
        ("penmark.data", "docs/reference/data"),
        ("penmark.recipes", "docs/reference/recipes"),
        ("penmark.plot", "docs/reference/plot"),
        ("penmark.report", "docs/reference/report"),
        ("penmark.runs", "docs/reference/runs"),
        ("penmark.reading", "docs/reference/reading"),
        ("penmark.export", "docs/reference/export"),
        ("penmark.port", "docs/reference/port"),
        ("penmark.errors", "docs/reference/errors"),
    ],
    "The project": [("Contributing", "CONTRIBUTING"), ("Changelog", "CHANGELOG")],
}


def pages(root: Path) -> list[str]:
    """The files of the site: those of the navigation, and whatever else lies in their folders.

    A page that is in no section is thus found, and Sphinx warns of it.
    """
    listed = [f"{START}.md", *(f"{page}.*" for page in _listed(root))]
    return [*listed, "docs/*.md", "notebooks/*.ipynb"]


def _listed(root: Path) -> list[str]:
    """The pages that exist: in this checkout, and of modules that are part of this package."""
    named = [entry[1] if isinstance(entry, tuple) else entry for entry in _entries()]
    return [page for page in named if _exists(root, page)]


def _entries() -> list[str | tuple[str, str]]:
    return [entry for section in SECTIONS.values() for entry in section]


def _exists(root: Path, page: str) -> bool:
    if page.startswith("docs/reference/"):
        module = page.rpartition("/")[2]
        name = "penmark" if module == "penmark" else f"penmark.{module.replace('plot', 'report')}"
        spec = importlib.util.find_spec(name)
        if spec is None or spec.origin is None:
            return False
    return any((root / f"{page}{suffix}").is_file() for suffix in (".md", ".ipynb"))


def _toctrees(root: Path) -> str:
    listed = set(_listed(root))
    parts = []
    for caption, entries in SECTIONS.items():
        lines = [
            f"{entry[0]} </{entry[1]}>" if isinstance(entry, tuple) else f"/{entry}"
            for entry in entries
            if (entry[1] if isinstance(entry, tuple) else entry) in listed
        ]
        if lines:
            parts.append(
                "\n".join(["```{toctree}", ":hidden:", f":caption: {caption}", "", *lines, "```"])
            )
    return "\n\n".join(parts)


def _add_navigation(app: Any, page: str, source: list[str]) -> None:
    if page == START:
        source[0] += f"\n\n{_toctrees(Path(app.srcdir))}\n"


def _copy_start_page(app: Any, error: Exception | None) -> None:
    """The start page is also `index.html`, which is what servers show for a folder."""
    if error is None and app.builder.name == "html":
        folder = Path(app.outdir)
        shutil.copyfile(folder / f"{START}.html", folder / "index.html")


def setup(app: Any) -> dict[str, bool]:
    app.connect("source-read", _add_navigation)
    app.connect("build-finished", _copy_start_page)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
