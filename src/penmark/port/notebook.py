"""Notebooks: their code cells ported as one program, everything else kept as it is."""

from __future__ import annotations

import json
import re
from typing import Any

from penmark.errors import InputError
from penmark.port.findings import PYTHON_3, Change, Left, Ported

# Stand for what is not Python in a cell, while the cells are ported as one program.
_CELL = "# penmark cell {} begins here"
_MAGIC = "pass  # penmark magic {}"
_CELL_LINE = re.compile(r"^# penmark cell (\d+) begins here$", re.MULTILINE)
_MAGIC_LINE = re.compile(r"pass  # penmark magic (\d+)")


def port_notebook(text: str, name: str) -> Ported:
    """Port a notebook of version 4.

    Args:
        text: the `.ipynb` file's content.
        name: of the file, for messages.

    Returns:
        The notebook's text before and after. The lines of changes count through the code cells
        alone, one after the other.

    Raises:
        InputError: it is no notebook, or an old one.
    """
    from penmark.port.program import port_source

    document = _read(text, name)
    cells = [cell for cell in document["cells"] if cell.get("cell_type") == "code"]
    magics: list[str] = []
    program: list[str] = []
    kept: set[int] = set()
    for number, cell in enumerate(cells):
        source = _source(cell)
        program.append(_CELL.format(number))
        if source.lstrip().startswith("%%"):
            kept.add(number)  # a cell of another language
        else:
            program.append(_without_magics(source, magics))
    joined = "\n".join(program) + "\n"
    ported = port_source(joined, name)
    pieces = _CELL_LINE.split(ported.new)
    new_sources = {int(pieces[i]): pieces[i + 1] for i in range(1, len(pieces), 2)}
    new_sources[0] = pieces[0] + new_sources.get(0, "")
    changes = list(ported.changes)
    for number, cell in enumerate(cells):
        if number in kept:
            continue
        restored = _MAGIC_LINE.sub(lambda match: magics[int(match[1])], new_sources[number])
        _set_source(cell, restored.strip("\n"))
    changes += _new_kernel(document)
    return Ported(
        name,
        _pretty(json.loads(text)),
        _pretty(document),
        ported.new,
        tuple(_without_markers(ported.old, changes)),
        tuple(_without_markers(ported.old, ported.left)),
    )


def _read(text: str, name: str) -> dict[str, Any]:
    try:
        document: dict[str, Any] = json.loads(text)
    except (json.JSONDecodeError, RecursionError) as error:
        raise InputError(f"{name} is not a notebook: it is not JSON ({error})") from error
    if isinstance(document, dict) and document.get("worksheets") is not None:
        raise InputError(
            f"{name} is a notebook of version 3; open it in Jupyter, save it, and try again"
        )
    cells = document.get("cells") if isinstance(document, dict) else None
    if not isinstance(cells, list) or not all(isinstance(cell, dict) for cell in cells):
        raise InputError(f"{name} is not a notebook: it has no cells")
    return document


def _source(cell: dict[str, Any]) -> str:
    source = cell.get("source", "")
    return "".join(map(str, source)) if isinstance(source, list) else str(source)


def _set_source(cell: dict[str, Any], source: str) -> None:
    as_lines = isinstance(cell.get("source"), list)
    cell["source"] = source.splitlines(keepends=True) if as_lines else source


def _without_magics(source: str, magics: list[str]) -> str:
    """The cell with %magic, !command and help? lines put aside."""
    lines = []
    for line in source.splitlines():
        bare = line.strip()
        if bare.startswith(("%", "!")) or (bare.endswith("?") and not bare.startswith("#")):
            indent = line[: len(line) - len(line.lstrip())]
            lines.append(indent + _MAGIC.format(len(magics)))
            magics.append(bare)
        else:
            lines.append(line)
    return "\n".join(lines)


def _new_kernel(document: dict[str, Any]) -> list[Change]:
    metadata = document.get("metadata")
    kernel = metadata.get("kernelspec") if isinstance(metadata, dict) else None
    if not isinstance(kernel, dict) or kernel.get("name") != "python2":
        return []
    kernel.update(name="python3", display_name="Python 3", language="python")
    return [Change(1, "kernel python2 → python3", "Python 2 is gone", PYTHON_3)]


def _without_markers(program: str, found: list[Any] | tuple[Any, ...]) -> list[Any]:
    """Findings with lines counted without the lines that mark the cells."""
    marks = [i for i, line in enumerate(program.splitlines(), 1) if _CELL_LINE.match(line)]
    moved = []
    for item in found:
        before = sum(mark < item.line for mark in marks)
        kind = Change if isinstance(item, Change) else Left
        values = {**vars(item), "line": max(1, item.line - before)}
        moved.append(kind(**values))
    return sorted(moved)


def _pretty(document: dict[str, Any]) -> str:
    return json.dumps(document, indent=1, ensure_ascii=False) + "\n"
