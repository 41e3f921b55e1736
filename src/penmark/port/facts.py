"""What must be known of a whole program before single lines of it can be ported."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import libcst as cst
from libcst.metadata import QualifiedNameSource

from penmark.port.tables import ARGUMENTS, canonical

_KERAS_1_ARGUMENTS = {"nb_epoch", "nb_filter", "nb_row", "nb_col", "border_mode", "subsample"} | {
    "output_dim", "samples_per_epoch", "nb_val_samples", "dim_ordering", "W_regularizer", "init"
}  # fmt: skip
_DEFAULT_FLOW_BATCH = "32"


class Facts(cst.CSTVisitor):
    """Collected in one walk over the program.

    Args:
        names: what `QualifiedNameProvider` knows of its nodes.
    """

    def __init__(self, names: Mapping[cst.CSTNode, Any]) -> None:
        super().__init__()
        self._names = names
        self.uses_keras = False
        self.is_keras_1 = False
        self.metrics: set[str] = set()  # strings in metrics=[...]
        self.wants_accuracy = False  # show_accuracy=True somewhere
        self.answers_yes_or_no = False  # the last Dense layer has one unit
        self.assigned: set[str] = set()
        self.imported: dict[str, str] = {}  # local name -> full name of today
        self.stars: set[str] = set()  # modules imported with *
        self.strings: dict[str, str] = {}  # name -> the one string literal it was given
        self.files: dict[str, str] = {}  # file name -> the name that Keras 3 can write it under
        self.histories: set[str] = set()  # names given something.history
        self.batches: dict[str, str] = {}  # generator's name -> its batch size, as source

    def visit_ImportFrom(self, node: cst.ImportFrom) -> None:
        module = dotted(node.module)
        if module.split(".")[0] in ("keras", "tensorflow", "tf_keras"):
            self.uses_keras = True
        if isinstance(node.names, cst.ImportStar):
            self.stars.add(canonical(module))
            return
        for alias in node.names:
            name = dotted(alias.name)
            self.imported[local_name(alias)] = canonical(f"{module}.{name}")

    def visit_Import(self, node: cst.Import) -> None:
        for alias in node.names:
            full = dotted(alias.name)
            if full.split(".")[0] in ("keras", "tensorflow", "tf_keras"):
                self.uses_keras = True
            if alias.asname is not None:
                self.imported[local_name(alias)] = canonical(full)
            else:
                self.imported[full.split(".")[0]] = full.split(".")[0]

    def visit_AssignTarget(self, node: cst.AssignTarget) -> None:
        if isinstance(node.target, cst.Name):
            self.assigned.add(node.target.value)

    def visit_Param(self, node: cst.Param) -> None:
        self.assigned.add(node.name.value)

    def visit_FunctionDef(self, node: cst.FunctionDef) -> None:
        self.assigned.add(node.name.value)

    def visit_Assign(self, node: cst.Assign) -> None:
        target = node.targets[0].target
        if not isinstance(target, cst.Name):
            return
        name, value = target.value, node.value
        text = string_value(value)
        if text is not None:
            if name in self.strings:
                del self.strings[name]  # given twice: not sure which one counts
            else:
                self.strings[name] = text
        if isinstance(value, cst.Attribute) and value.attr.value == "history":
            self.histories.add(name)
        batch = flow_batch(value)
        if batch is not None:
            self.batches[name] = batch

    def visit_Call(self, node: cst.Call) -> None:
        arguments = {arg.keyword.value: arg.value for arg in node.args if arg.keyword is not None}
        if arguments.keys() & _KERAS_1_ARGUMENTS:
            self.is_keras_1 = True
        flag = arguments.get("show_accuracy")
        if isinstance(flag, cst.Name) and flag.value == "True":
            self.wants_accuracy = True
        metrics = arguments.get("metrics")
        if isinstance(metrics, cst.List):
            found = (string_value(element.value) for element in metrics.elements)
            self.metrics |= {text for text in found if text is not None}
        name = self.full_name(node.func)
        if name == "keras.layers.Dense":
            units = node.args[0].value if node.args else None
            self.answers_yes_or_no = isinstance(units, cst.Integer) and units.value == "1"
        if name in ("keras.layers.Conv2D", "keras.layers.Conv1D") and len(_positional(node)) > 2:
            self.is_keras_1 = True
        self._find_files(node, name, arguments)

    def _find_files(
        self, node: cst.Call, name: str | None, arguments: Mapping[str, cst.BaseExpression]
    ) -> None:
        method = node.func.attr.value if isinstance(node.func, cst.Attribute) else ""
        first = node.args[0].value if node.args and node.args[0].keyword is None else None
        if method == "save_weights":
            text = self._text(arguments.get("filepath", first))
            if text is not None and not text.endswith(".weights.h5"):
                self.files[text] = _stem(text) + ".weights.h5"
        elif name == "keras.callbacks.ModelCheckpoint":
            text = self._text(arguments.get("filepath", first))
            only = arguments.get("save_weights_only")
            if text is None:
                return
            if isinstance(only, cst.Name) and only.value == "True":
                if not text.endswith(".weights.h5"):
                    self.files[text] = _stem(text) + ".weights.h5"
            elif not text.endswith((".keras", ".h5")):
                self.files[text] = _stem(text) + ".keras"

    def _text(self, value: cst.BaseExpression | None) -> str | None:
        if isinstance(value, cst.Name):
            return self.strings.get(value.value)
        return None if value is None else string_value(value)

    def full_name(self, node: cst.CSTNode) -> str | None:
        """The full name of today that `node` refers to through an import; None if to none."""
        raw = self.old_name(node)
        return None if raw is None else canonical(raw)

    def old_name(self, node: cst.CSTNode) -> str | None:
        """The full name as the program's imports give it."""
        names = self._names.get(node, set())
        if callable(names):
            names = names()
        imported = [name.name for name in names if name.source is QualifiedNameSource.IMPORT]
        if imported:
            return str(min(imported))
        if isinstance(node, cst.Name) and not names:
            for module in self.stars:
                full = canonical(f"{module}.{node.value}")
                if full in ARGUMENTS:
                    return f"{module}.{node.value}"
        return None


def dotted(node: cst.BaseExpression | None) -> str:
    """ "a.b.c" of the nodes that say so."""
    if isinstance(node, cst.Attribute):
        return f"{dotted(node.value)}.{node.attr.value}"
    return node.value if isinstance(node, cst.Name) else ""


def local_name(alias: cst.ImportAlias) -> str:
    """The name that an import gives."""
    if alias.asname is not None and isinstance(alias.asname.name, cst.Name):
        return alias.asname.name.value
    return dotted(alias.name)


def string_value(node: cst.BaseExpression) -> str | None:
    """The text of a plain string literal; None for everything else."""
    if not isinstance(node, cst.SimpleString):
        return None
    value = node.evaluated_value
    return value if isinstance(value, str) else None


def flow_batch(node: cst.BaseExpression) -> str | None:
    """The batch size, as source, of `generator.flow(...)`; None if it is no such call."""
    if not isinstance(node, cst.Call) or not isinstance(node.func, cst.Attribute):
        return None
    if node.func.attr.value not in ("flow", "flow_from_directory"):
        return None
    for arg in node.args:
        if arg.keyword is not None and arg.keyword.value == "batch_size":
            return cst.Module([]).code_for_node(arg.value)
    third = _positional(node)[2:3] if node.func.attr.value == "flow" else []
    return cst.Module([]).code_for_node(third[0].value) if third else _DEFAULT_FLOW_BATCH


def _positional(node: cst.Call) -> list[cst.Arg]:
    return [arg for arg in node.args if arg.keyword is None and not arg.star]


def _stem(name: str) -> str:
    for suffix in (".weights.h5", ".weights.hdf5", ".hdf5", ".h5", ".hdf"):
        if name.endswith(suffix):
            return name[: -len(suffix)]
    return name
