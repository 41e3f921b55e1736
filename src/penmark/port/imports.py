"""Import statements, rewritten so that every name comes from where it lives today."""

from __future__ import annotations

import libcst as cst

from penmark.port.facts import dotted, local_name
from penmark.port.findings import KERAS_2, KERAS_3, PYTHON_3, SKLEARN_0_20, Change, Left
from penmark.port.tables import GONE, NAMES, PYTHON_2_MODULES, canonical


def ported_import(
    statement: cst.Import | cst.ImportFrom, line: int
) -> tuple[list[str], list[Change], list[Left]]:
    """One import statement.

    Args:
        statement: as it stands in the old program.
        line: where it stands.

    Returns:
        The statements to put in its place as source (empty: leave it as it is), the changes, and
        what is gone without a replacement.
    """
    if isinstance(statement, cst.Import):
        return _plain(statement, line)
    return _from(statement, line)


def _plain(node: cst.Import, line: int) -> tuple[list[str], list[Change], list[Left]]:
    lines: list[str] = []
    changes: list[Change] = []
    left: list[Left] = []
    for alias in node.names:
        old = dotted(alias.name)
        new = canonical(PYTHON_2_MODULES.get(old, old))
        if old in GONE:
            left.append(Left(line, old, GONE[old]))
        given = local_name(alias) if alias.asname is not None else None
        if given is None and new != old and old in PYTHON_2_MODULES:
            given = old
        keep = f"import {new}" + (f" as {given}" if given not in (None, new) else "")
        lines.append(keep)
        if new != old:
            changes.append(Change(line, f"{old} → {new}", *_reason(old)))
    return (lines if changes else []), changes, left


def _from(node: cst.ImportFrom, line: int) -> tuple[list[str], list[Change], list[Left]]:
    old_module = dotted(node.module)
    if node.relative or not old_module:
        return [], [], []
    if isinstance(node.names, cst.ImportStar):
        new = canonical(old_module)
        if new == old_module:
            return [], [], []
        change = Change(line, f"{old_module} → {new}", *_reason(old_module))
        return [f"from {new} import *"], [change], []
    changes: list[Change] = []
    left: list[Left] = []
    by_module: dict[str, list[str]] = {}
    plain: list[str] = []
    for alias in node.names:
        name = dotted(alias.name)
        old = f"{old_module}.{name}"
        new = canonical(PYTHON_2_MODULES.get(old_module, old_module) + f".{name}")
        given = local_name(alias)
        if new in GONE or old in GONE:
            left.append(Left(line, name, GONE.get(new) or GONE[old]))
            new = old
        module, _, new_name = new.rpartition(".")
        if not module:  # from tensorflow import keras
            plain.append(f"import {new}" + (f" as {given}" if given != new else ""))
        else:
            # A name that follows the renaming is renamed wherever it is used.
            follows = alias.asname is None and new in NAMES.values()
            shown = new_name if follows or given == new_name else f"{new_name} as {given}"
            by_module.setdefault(module, []).append(shown)
        if new != old and new_name == name:
            what = f"{name}: {old_module} → {module}"
            changes.append(Change(line, what, *_reason(old)))
        elif new != old:
            changes.append(Change(line, f"{old} → {new}", *_reason(old)))
    lines = plain + [f"from {module} import {', '.join(n)}" for module, n in by_module.items()]
    return (lines if changes else []), changes, left


def _reason(old: str) -> tuple[str, str]:
    """Why the full name `old` changed, and since when."""
    if old.startswith("sklearn."):
        return "moved", SKLEARN_0_20
    if old.split(".")[0] in PYTHON_2_MODULES:
        return "renamed", PYTHON_3
    if old.startswith(("tensorflow", "tf_keras")):
        return "Keras is a package of its own again", KERAS_3
    if canonical(old) in NAMES.values():
        return "renamed", KERAS_2
    return "moved", KERAS_3
