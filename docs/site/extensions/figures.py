"""Wide figures are marked, so that a narrow screen can scroll them instead of making them tiny."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from docutils import nodes
from PIL import Image

WIDE = 1.7  # width over height


def _mark_wide(app: Any, doctree: nodes.document, page: str) -> None:
    for node in doctree.findall(nodes.image):
        path = Path(app.srcdir) / node["uri"]
        if path.suffix == ".png" and path.is_file():
            with Image.open(path) as image:
                width, height = image.size
            if width > WIDE * height:
                node["classes"].append("wide")


def setup(app: Any) -> dict[str, bool]:
    app.connect("doctree-resolved", _mark_wide)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
