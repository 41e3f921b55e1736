"""Rewrites a program's syntax tree, statement by statement; everything else stays as it was."""

from __future__ import annotations

from collections.abc import Sequence

import libcst as cst
from libcst.metadata import ParentNodeProvider, PositionProvider

from penmark.port.calls import CallPorter, ordering
from penmark.port.facts import Facts, local_name, string_value
from penmark.port.findings import (
    KERAS_2,
    KERAS_2_3,
    KERAS_3,
    NUMPY_1_24,
    PYTHON_3,
    Change,
    Left,
)
from penmark.port.imports import ported_import
from penmark.port.tables import (
    BACKEND_TO_OPS,
    GONE,
    NAMES,
    NUMPY_NAMES,
    PYTHON_2_METHODS,
    PYTHON_2_NAMES,
    canonical,
)

_SEQUENTIAL = ("keras.Sequential", "keras.models.Sequential")
_INPUT_ARGUMENTS = ("input_shape", "input_dim", "batch_input_shape", "input_length")


class Porter(cst.CSTTransformer):
    """One walk over the program; `changes` and `left` say what it did.

    Args:
        facts: of the same tree.
        was_python_2: the program had to be rewritten before it could be read.
    """

    METADATA_DEPENDENCIES = (PositionProvider, ParentNodeProvider)

    def __init__(self, facts: Facts, *, was_python_2: bool) -> None:
        super().__init__()
        self.facts = facts
        self.was_python_2 = was_python_2
        self.changes: list[Change] = []
        self.left: list[Left] = []
        self._needed: dict[str, None] = {}  # imports to add, in order
        self._layers_added: dict[str, int] = {}  # model's name -> layers added so far
        self._replaced_tensorflow = False

    # What the pieces tell.

    def line(self, node: cst.CSTNode) -> int:
        """Where an original node stands, counted from 1."""
        return int(self.get_metadata(PositionProvider, node).start.line)

    def changed(self, node: cst.CSTNode, what: str, why: str, since: str) -> None:
        self.changes.append(Change(self.line(node), what, why, since))

    def leave_alone(self, node: cst.CSTNode, what: str, hint: str) -> None:
        self.left.append(Left(self.line(node), what, hint))

    def need(self, statement: str) -> None:
        """Add an import at the top."""
        self._needed[statement] = None

    def need_module(self, name: str) -> str:
        """The local name of a module, imported if it was not."""
        for local, full in self.facts.imported.items():
            if full == name:
                return local
        usual = {"numpy": "np"}.get(name, name)
        self.need(f"import {name}" + (f" as {usual}" if usual != name else ""))
        return usual

    def full_name(self, node: cst.CSTNode) -> str | None:
        return self.facts.full_name(node)

    # Statements.

    def visit_Import(self, node: cst.Import) -> bool:
        return False  # handled as a whole, with their statement

    def visit_ImportFrom(self, node: cst.ImportFrom) -> bool:
        return False

    def leave_Module(self, original_node: cst.Module, updated_node: cst.Module) -> cst.Module:
        module = updated_node
        if self._replaced_tensorflow:
            module = _without_unused_tensorflow(module)
        if not self._needed:
            return module
        body = list(module.body)
        imports = [i for i, node in enumerate(body) if _is_import(node)]
        of_keras = [i for i in imports if "keras" in _code(body[i])]
        place = (of_keras or imports or [-1])[0] + 1
        new = [cst.parse_statement(statement) for statement in self._needed]
        return module.with_changes(body=[*body[:place], *new, *body[place:]])

    def leave_SimpleStatementLine(
        self, original_node: cst.SimpleStatementLine, updated_node: cst.SimpleStatementLine
    ) -> cst.BaseStatement | cst.FlattenSentinel[cst.BaseStatement] | cst.RemovalSentinel:
        first = original_node.body[0]
        if len(original_node.body) == 1 and isinstance(first, cst.Import | cst.ImportFrom):
            return self._import(first, original_node, updated_node)
        return self._first_layer(original_node, updated_node)

    def _import(
        self,
        statement: cst.Import | cst.ImportFrom,
        original_node: cst.SimpleStatementLine,
        updated_node: cst.SimpleStatementLine,
    ) -> cst.BaseStatement | cst.FlattenSentinel[cst.BaseStatement]:
        lines, changes, left = ported_import(statement, self.line(statement))
        self.changes += changes
        self.left += left
        if not lines:
            return original_node
        new: list[cst.BaseStatement] = []
        for number, line in enumerate(lines):
            made = cst.ensure_type(cst.parse_statement(line), cst.SimpleStatementLine)
            if number == 0:
                made = made.with_changes(leading_lines=updated_node.leading_lines)
            if number == len(lines) - 1:
                made = made.with_changes(trailing_whitespace=updated_node.trailing_whitespace)
            new.append(made)
        return cst.FlattenSentinel(new)

    def _first_layer(
        self, original_node: cst.SimpleStatementLine, updated_node: cst.SimpleStatementLine
    ) -> cst.BaseStatement | cst.FlattenSentinel[cst.BaseStatement]:
        """model.add(Layer(..., input_shape=s))  →  model.add(Input(shape=s)) before it."""
        statement = updated_node.body[0]
        if isinstance(statement, cst.Assign):
            target, value = statement.targets[0].target, statement.value
            if isinstance(target, cst.Name) and isinstance(value, cst.Call):
                self._layers_added[target.value] = 0
        add = statement.value if isinstance(statement, cst.Expr) else None
        if (
            not isinstance(add, cst.Call)
            or not isinstance(add.func, cst.Attribute)
            or add.func.attr.value != "add"
            or len(add.args) != 1
            or not isinstance(add.args[0].value, cst.Call)
            or not self.facts.uses_keras
        ):
            return updated_node
        model = _code(add.func.value)
        place = self._layers_added.get(model, 0)
        self._layers_added[model] = place + 1
        layer = add.args[0].value
        taken, shape = self._take_shape(original_node, layer)
        if taken is layer:
            return updated_node
        rest = updated_node.with_deep_changes(add.args[0], value=taken)
        if place > 0 or shape is None:
            self.changed(
                original_node, "shape of the input removed", "only the first counts", KERAS_3
            )
            return rest
        self._says_input(original_node)
        inserted = cst.ensure_type(
            cst.parse_statement(f"{model}.add({self._input_name()}({shape}))"),
            cst.SimpleStatementLine,
        ).with_changes(leading_lines=updated_node.leading_lines)
        return cst.FlattenSentinel([inserted, rest.with_changes(leading_lines=())])

    def _take_shape(
        self, original_node: cst.CSTNode, layer: cst.Call
    ) -> tuple[cst.Call, str | None]:
        """A layer without its arguments about the input, and these for `Input`, as source."""
        given = {
            arg.keyword.value: _code(arg.value)
            for arg in layer.args
            if arg.keyword is not None and arg.keyword.value in _INPUT_ARGUMENTS
        }
        if _code(layer.func).endswith("Embedding"):
            given.pop("input_dim", None)  # there it is the number of words
        if not given:
            return layer, None
        kept = [arg for arg in layer.args if arg.keyword is None or arg.keyword.value not in given]
        without = layer.with_changes(args=without_last_comma(kept, layer.args))
        if "batch_input_shape" in given:
            return without, f"batch_shape={given['batch_input_shape']}"
        if "input_shape" in given:
            return without, f"shape={given['input_shape']}"
        if "input_dim" in given and "input_length" in given:
            return without, f"shape=({given['input_length']}, {given['input_dim']})"
        if "input_dim" in given:
            return without, f"shape=({given['input_dim']},)"
        return without, None

    def _says_input(self, node: cst.CSTNode) -> None:
        what = "shape of the input → Input(...)"
        self.changed(node, what, "it is a layer of its own now", KERAS_3)

    def _input_name(self) -> str:
        for local, full in self.facts.imported.items():
            if full in ("keras.layers.Input", "keras.Input", "keras.models.Input"):
                return local
        for local, full in self.facts.imported.items():
            if full == "keras":
                return f"{local}.Input"
        if "Input" in self.facts.assigned:
            return f"{self.need_module('keras')}.Input"
        self.need("from keras import Input")
        return "Input"

    # Names.

    def leave_Name(self, original_node: cst.Name, updated_node: cst.Name) -> cst.BaseExpression:
        parent = self.get_metadata(ParentNodeProvider, original_node, None)
        if (
            isinstance(parent, cst.Attribute | cst.ImportAlias | cst.AsName)
            and getattr(parent, "attr", original_node) is original_node
        ) or (isinstance(parent, cst.Arg) and parent.keyword is original_node):
            return updated_node
        name = original_node.value
        old = self.facts.old_name(original_node)
        if old is None:
            new = PYTHON_2_NAMES.get(name)
            if new is None or name in self.facts.assigned or name in self.facts.imported:
                return updated_node
            self.changed(original_node, f"{name} → {new}", "renamed", PYTHON_3)
            return updated_node.with_changes(value=new)
        today = canonical(old)
        if today in GONE and not isinstance(parent, cst.Attribute):
            self.leave_alone(original_node, name, GONE[today])
            return updated_node
        new = today.rsplit(".", 1)[-1]
        if today in NAMES.values() and old.rsplit(".", 1)[-1] == name != new:
            self.changed(original_node, f"{name} → {new}", "renamed", KERAS_2)
            return updated_node.with_changes(value=new)
        return updated_node

    def leave_Attribute(
        self, original_node: cst.Attribute, updated_node: cst.Attribute
    ) -> cst.BaseExpression:
        attribute = original_node.attr.value
        old = self.facts.old_name(original_node)
        if old is None:
            new = PYTHON_2_METHODS.get(attribute)
            if new is None or not self.was_python_2:
                return updated_node
            self.changed(original_node, f".{attribute}() → .{new}()", "renamed", PYTHON_3)
            return updated_node.with_changes(attr=cst.Name(new))
        if old in NUMPY_NAMES:
            self.changed(
                original_node, f"{_code(original_node)} → {NUMPY_NAMES[old]}", "gone", NUMPY_1_24
            )
            return cst.Name(NUMPY_NAMES[old])
        new_full, base_full = self._today(old), canonical(self._base_name(original_node))
        if new_full in GONE or old in GONE:
            self.leave_alone(original_node, _code(original_node), GONE.get(new_full) or GONE[old])
            return updated_node
        if new_full == old and not old.startswith("tensorflow.keras"):
            self._check_backend(original_node, new_full)
            return updated_node
        if new_full.startswith(base_full + "."):
            text = self._base_code(original_node) + new_full[len(base_full) :]
        elif new_full == base_full:
            text = self._base_code(original_node)
        else:
            module, _, rest = new_full.partition(".")
            text = self.need_module(module) + (f".{rest}" if rest else "")
        if text == _code(original_node):
            return updated_node
        parent = self.get_metadata(ParentNodeProvider, original_node, None)
        if not isinstance(parent, cst.Attribute) or self.facts.old_name(parent) is None:
            since = KERAS_3 if old.startswith("tensorflow") else KERAS_2
            self._replaced_tensorflow |= old.startswith("tensorflow")
            self.changed(
                original_node, f"{_code(original_node)} → {text}", "moved or renamed", since
            )
        return cst.parse_expression(text)

    def _today(self, old: str) -> str:
        full = canonical(old)
        name = full.removeprefix("keras.backend.")
        return f"keras.ops.{name}" if name != full and name in BACKEND_TO_OPS else full

    def _check_backend(self, node: cst.Attribute, full: str) -> None:
        name = full.removeprefix("keras.backend.")
        known = {
            "backend", "clear_session", "epsilon", "floatx", "image_data_format", "set_epsilon",
            "set_floatx", "set_image_data_format", "is_keras_tensor",
        }  # fmt: skip
        if name != full and "." not in name and name not in known:
            self.leave_alone(node, _code(node), "look for its replacement in keras.ops")

    def _base(self, node: cst.BaseExpression) -> cst.BaseExpression:
        while isinstance(node, cst.Attribute):
            node = node.value
        return node

    def _base_name(self, node: cst.Attribute) -> str:
        return self.facts.old_name(self._base(node)) or ""

    def _base_code(self, node: cst.Attribute) -> str:
        return _code(self._base(node))

    # Expressions.

    def leave_Call(self, original_node: cst.Call, updated_node: cst.Call) -> cst.BaseExpression:
        if not self.facts.uses_keras:
            return updated_node
        return CallPorter(self, original_node, updated_node).ported()

    def leave_List(self, original_node: cst.List, updated_node: cst.List) -> cst.BaseExpression:
        """Sequential([Layer(..., input_shape=s), ...])  →  Sequential([Input(shape=s), ...])"""
        parent = self.get_metadata(ParentNodeProvider, original_node, None)
        grandparent = self.get_metadata(ParentNodeProvider, parent, None) if parent else None
        if (
            not updated_node.elements
            or not isinstance(grandparent, cst.Call)
            or self.full_name(grandparent.func)
            not in ("keras.Sequential", "keras.models.Sequential")
        ):
            return updated_node
        first = updated_node.elements[0]
        if not isinstance(first.value, cst.Call):
            return updated_node
        layer, shape = self._take_shape(original_node.elements[0], first.value)
        if shape is None:
            return updated_node
        self._says_input(original_node.elements[0])
        comma = first.comma
        if not isinstance(comma, cst.Comma):
            comma = cst.Comma(whitespace_after=cst.SimpleWhitespace(" "))
        made = cst.Element(cst.parse_expression(f"{self._input_name()}({shape})"), comma=comma)
        rest = [first.with_changes(value=layer), *updated_node.elements[1:]]
        return updated_node.with_changes(elements=[made, *rest])

    def leave_Subscript(
        self, original_node: cst.Subscript, updated_node: cst.Subscript
    ) -> cst.BaseExpression:
        """history.history['acc']  →  history.history['accuracy']"""
        value = original_node.value
        is_history = (isinstance(value, cst.Attribute) and value.attr.value == "history") or (
            isinstance(value, cst.Name) and value.value in self.facts.histories | {"logs"}
        )
        index = original_node.slice[0].slice if len(original_node.slice) == 1 else None
        if not is_history or not isinstance(index, cst.Index):
            return updated_node
        new = self.accuracy_name(index.value)
        if new is None:
            return updated_node
        what = f"{_code(index.value)} → {new.value}"
        self.changed(original_node, what, "renamed", KERAS_2_3)
        return updated_node.with_deep_changes(updated_node.slice[0].slice, value=new)

    def accuracy_name(self, node: cst.BaseExpression) -> cst.SimpleString | None:
        """ "acc" or "val_acc" under today's name; None for everything else."""
        text = string_value(node)
        if text not in ("acc", "val_acc") or "acc" in self.facts.metrics:
            return None
        literal = cst.ensure_type(node, cst.SimpleString)
        return literal.with_changes(value=literal.value.replace("acc", "accuracy"))

    def leave_SimpleString(
        self, original_node: cst.SimpleString, updated_node: cst.SimpleString
    ) -> cst.BaseExpression:
        """File names that Keras 3 does not write under, wherever the program says them."""
        text = string_value(original_node)
        new = None if text is None else self.facts.files.get(text)
        if text is None or new is None:
            return updated_node
        self.changed(
            original_node, f"{text!r} → {new!r}", "the ending says what kind of file", KERAS_3
        )
        return updated_node.with_changes(value=updated_node.value.replace(text, new))

    def leave_Comparison(
        self, original_node: cst.Comparison, updated_node: cst.Comparison
    ) -> cst.BaseExpression:
        """K.image_dim_ordering() == 'th'  →  K.image_data_format() == 'channels_first'"""
        left = original_node.left
        if (
            not isinstance(left, cst.Call)
            or self.full_name(left.func) != "keras.backend.image_data_format"
        ):
            return updated_node
        target = updated_node.comparisons[0]
        new = ordering(target.comparator)
        if new is None:
            return updated_node
        self.changed(original_node, f"{_code(target.comparator)} → {new.value}", "renamed", KERAS_2)
        return updated_node.with_deep_changes(target, comparator=new)

    def leave_BinaryOperation(
        self, original_node: cst.BinaryOperation, updated_node: cst.BinaryOperation
    ) -> cst.BaseExpression:
        """Python 2 dropped the fraction of `7 / 2`."""
        if not self.was_python_2 or not isinstance(original_node.operator, cst.Divide):
            return updated_node
        left, right = original_node.left, original_node.right
        if isinstance(left, cst.Float) or isinstance(right, cst.Float):
            return updated_node
        if isinstance(right, cst.Integer) and (isinstance(left, cst.Integer) or _is_count(left)):
            self.changed(original_node, "/ → //", "/ keeps the fraction", PYTHON_3)
            return updated_node.with_changes(operator=cst.FloorDivide())
        return updated_node


def without_last_comma(kept: Sequence[cst.Arg], before: Sequence[cst.Arg]) -> list[cst.Arg]:
    """Arguments of which some are gone; the last one ends as the last one did before."""
    if not kept:
        return []
    return [*kept[:-1], kept[-1].with_changes(comma=before[-1].comma)]


def _is_count(node: cst.BaseExpression) -> bool:
    return isinstance(node, cst.Call) and _code(node.func) == "len"


def _is_import(node: cst.CSTNode) -> bool:
    if not isinstance(node, cst.SimpleStatementLine):
        return False
    statement = node.body[0]
    if isinstance(statement, cst.ImportFrom):
        return _code(statement.module) != "__future__" if statement.module else True
    return isinstance(statement, cst.Import)


def _without_unused_tensorflow(module: cst.Module) -> cst.Module:
    """Without `import tensorflow as tf`, if Keras was all that it was for."""
    used: set[str] = set()

    class Uses(cst.CSTVisitor):
        def visit_Import(self, node: cst.Import) -> bool:
            return False

        def visit_Name(self, node: cst.Name) -> None:
            used.add(node.value)

    class Remover(cst.CSTTransformer):
        def leave_SimpleStatementLine(
            self, original_node: cst.SimpleStatementLine, updated_node: cst.SimpleStatementLine
        ) -> cst.SimpleStatementLine | cst.RemovalSentinel:
            statement = updated_node.body[0]
            if (
                isinstance(statement, cst.Import)
                and len(statement.names) == 1
                and _code(statement.names[0].name) == "tensorflow"
                and local_name(statement.names[0]) not in used
            ):
                return cst.RemoveFromParent()
            return updated_node

    module.visit(Uses())
    return module.visit(Remover())


def _code(node: cst.CSTNode) -> str:
    return cst.Module([]).code_for_node(node)
