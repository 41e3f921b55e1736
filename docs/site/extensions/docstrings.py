"""Docstrings of this project, which are read in an editor first, as reStructuredText."""

from __future__ import annotations

import re
from typing import Any


def _to_restructured_text(
    app: Any, what: str, name: str, thing: Any, options: Any, lines: list[str]
) -> None:
    """Stars and bars stay what they are; an indented block after an empty line is code."""
    made: list[str] = []
    in_code = False
    for line in lines:
        follows_gap = bool(made) and made[-1] == ""
        indented = line.startswith("    ")
        if indented and follows_gap and not in_code and _is_prose(made):
            made += ["::", ""]
            in_code = True
        elif line and not indented:
            in_code = False
        made.append(line if in_code else _escaped(line))
    if what == "property":
        made[:0] = ["..", ""]  # napoleon would take what stands before a colon for the type
    lines[:] = made


def _is_prose(lines: list[str]) -> bool:
    """Is the last line before the gap one of running text, and not of a section such as Args?"""
    last = next((line for line in reversed(lines) if line), "")
    return bool(last) and not last.startswith(" ")


def _escaped(line: str) -> str:
    """The line, with what reStructuredText would take as markup escaped outside of backticks."""
    parts = re.split(r"(`[^`]*`)", line)
    return "".join(
        part if part.startswith("`") else re.sub(r"([*|])", r"\\\1", part) for part in parts
    )


def setup(app: Any) -> dict[str, bool]:
    app.connect("autodoc-process-docstring", _to_restructured_text, priority=400)  # then napoleon
    return {"parallel_read_safe": True, "parallel_write_safe": True}
