"""A whole program: read, ported, put together again."""

from __future__ import annotations

from pathlib import Path

import libcst as cst
from libcst.metadata import MetadataWrapper, QualifiedNameProvider

from penmark.errors import InputError
from penmark.port.facts import Facts
from penmark.port.findings import Change, Ported
from penmark.port.python2 import as_python3
from penmark.port.transformer import Porter

_LARGEST_BYTES = 16 << 20


def port_source(source: str, name: str = "program.py") -> Ported:
    """Port a program of 2015 to 2022 to today's Keras.

    Args:
        source: its text, Python 2 or 3.
        name: of the file, for messages and the diff.

    Returns:
        The ported text with its changes, and what was left; line numbers are those of `source`.

    Raises:
        InputError: it cannot be read as Python.
    """
    changes: list[Change] = []
    text = source
    try:
        module = cst.parse_module(text)
    except cst.ParserSyntaxError as not_python3:
        text, changes = as_python3(source)
        try:
            module = cst.parse_module(text)
        except cst.ParserSyntaxError:
            raise InputError(
                f"{name}, line {not_python3.raw_line}: this is neither Python 3 nor Python 2; "
                "mend the line and try again"
            ) from not_python3
    wrapper = MetadataWrapper(module)
    facts = Facts(wrapper.resolve(QualifiedNameProvider))
    wrapper.visit(facts)
    porter = Porter(facts, was_python_2=bool(changes))
    new = wrapper.visit(porter).code
    return Ported(
        name,
        source,
        new,
        new,
        tuple(sorted({*changes, *porter.changes})),
        tuple(sorted(set(porter.left))),
    )


def port_file(path: Path | str) -> Ported:
    """Port a `.py` file or the code of a notebook (`.ipynb`).

    Args:
        path: the file; it is only read.

    Raises:
        InputError: there is no such file, or it is no program.
    """
    path = Path(path)
    try:
        if path.stat().st_size > _LARGEST_BYTES:
            raise InputError(f"{path} is larger than 16 MB; that is no program", path=path)
        text = path.read_bytes().decode("utf-8-sig")
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror}", path=path) from error
    except UnicodeDecodeError as error:
        raise InputError(f"{path} is not text in UTF-8; save it as UTF-8", path=path) from error
    if path.suffix == ".ipynb":
        from penmark.port.notebook import port_notebook

        return port_notebook(text, path.name)
    return port_source(text, path.name)
