"""One call of a Keras layer, optimizer, function or method, with today's arguments."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

import libcst as cst

from penmark.port.facts import flow_batch, string_value
from penmark.port.findings import KERAS_1, KERAS_2, KERAS_2_3, KERAS_2_4, KERAS_2_6, KERAS_3
from penmark.port.tables import (
    ARGUMENTS,
    DROPPED,
    METHOD_ARGUMENTS,
    OLD_RATES,
    POSITIONS,
    TF_OPTIMIZERS,
)

if TYPE_CHECKING:
    from penmark.port.transformer import Porter

_CONVOLUTIONS = {"keras.layers.Conv2D", "keras.layers.Conv2DTranspose"}
_GENERATOR_METHODS = {
    "fit_generator": "fit",
    "evaluate_generator": "evaluate",
    "predict_generator": "predict",
}
_ORDERINGS = {"th": "channels_first", "tf": "channels_last"}
_PLAIN_ASSIGN = cst.AssignEqual(
    whitespace_before=cst.SimpleWhitespace(""), whitespace_after=cst.SimpleWhitespace("")
)


class CallPorter:
    """Ports one call.

    Args:
        porter: the walk that it belongs to; it takes down the changes.
        original: the call as the program has it.
        updated: the same with the parts inside it ported already.
    """

    def __init__(self, porter: Porter, original: cst.Call, updated: cst.Call) -> None:
        self.porter = porter
        self.original = original
        self.call = updated
        self.name = porter.full_name(original.func) or ""
        is_method = isinstance(original.func, cst.Attribute) and not self.name
        self.method = cst.ensure_type(original.func, cst.Attribute).attr.value if is_method else ""

    def ported(self) -> cst.BaseExpression:
        """The call as it is written today."""
        summary = self._printed_summary()
        if summary is not None:
            return summary
        if self.name in TF_OPTIMIZERS:
            self._tensorflow_optimizer()
        if self.name in _CONVOLUTIONS:
            self._kernel_size()
        if self.name in ARGUMENTS or self.name in DROPPED:
            self._rename(ARGUMENTS.get(self.name, {}), KERAS_2)
            self._drop(DROPPED.get(self.name, frozenset()))
        if self.name.startswith("keras.layers."):
            self._layer_values()
        if self.name in POSITIONS:
            self._optimizer()
        if self.name == "keras.backend.set_image_data_format":
            self._values({"": ordering})
        if self.name.startswith("keras.callbacks."):
            self._callback()
        if self.name in ("keras.layers.merge", "keras.layers.Merge") and self.method == "":
            self._merge()
        if self.method:
            return self._method()
        return self.call

    # Small steps.

    def _changed(self, what: str, why: str, since: str) -> None:
        self.porter.changed(self.original, what, why, since)

    def _left(self, what: str, hint: str) -> None:
        self.porter.leave_alone(self.original, what, hint)

    def _given(self) -> dict[str, cst.BaseExpression]:
        return {arg.keyword.value: arg.value for arg in self.call.args if arg.keyword is not None}

    def _positional(self) -> list[cst.Arg]:
        return [arg for arg in self.call.args if arg.keyword is None and not arg.star]

    def _set_args(self, args: list[cst.Arg]) -> None:
        """Replace the arguments; commas as they were, and none missing between two."""
        before = self.call.args
        spaced = cst.Comma(whitespace_after=cst.SimpleWhitespace(" "))
        mended = [
            arg if isinstance(arg.comma, cst.Comma) else arg.with_changes(comma=spaced)
            for arg in args
        ]
        if mended:
            last = before[-1].comma if before else cst.MaybeSentinel.DEFAULT
            mended[-1] = mended[-1].with_changes(comma=last)
        self.call = self.call.with_changes(args=mended)

    def _rename(self, names: Mapping[str, str], since: str) -> None:
        args: list[cst.Arg] = []
        for arg in self.call.args:
            new = names.get(arg.keyword.value) if arg.keyword is not None else None
            if arg.keyword is not None and new is not None:
                self._changed(f"{arg.keyword.value}= → {new}=", "renamed", since)
                arg = arg.with_changes(keyword=cst.Name(new))
            args.append(arg)
        self.call = self.call.with_changes(args=args)

    def _drop(self, names: frozenset[str] | set[str], since: str = KERAS_2) -> None:
        kept: list[cst.Arg] = []
        for arg in self.call.args:
            if arg.keyword is not None and arg.keyword.value in names:
                self._changed(f"{arg.keyword.value}= removed", "it has no meaning now", since)
            else:
                kept.append(arg)
        if len(kept) != len(self.call.args):
            self._set_args(kept)

    def _values(
        self,
        rules: Mapping[str, Callable[[cst.BaseExpression], cst.BaseExpression | None]],
        since: str = KERAS_2,
    ) -> None:
        """Replace the values of arguments by name; "" stands for those without a name."""
        args: list[cst.Arg] = []
        for arg in self.call.args:
            rule = rules.get(arg.keyword.value if arg.keyword is not None else "")
            new = rule(arg.value) if rule is not None else None
            if new is not None:
                self._changed(f"{_code(arg.value)} → {_code(new)}", "renamed", since)
                arg = arg.with_changes(value=new)
            args.append(arg)
        self.call = self.call.with_changes(args=args)

    # Layers.

    def _kernel_size(self) -> None:
        """Conv2D(n, rows, columns)  →  Conv2D(n, (rows, columns)); nb_row= and nb_col= too."""
        given, plain = self._given(), self._positional()
        if "nb_row" in given and "nb_col" in given:
            size = f"({_code(given['nb_row'])}, {_code(given['nb_col'])})"
            args = []
            for arg in self.call.args:
                if arg.keyword is not None and arg.keyword.value == "nb_row":
                    arg = arg.with_changes(
                        keyword=cst.Name("kernel_size"), value=cst.parse_expression(size)
                    )
                elif arg.keyword is not None and arg.keyword.value == "nb_col":
                    continue
                args.append(arg)
            self._changed("nb_row=, nb_col= → kernel_size=", "renamed", KERAS_2)
            self._set_args(args)
        elif len(plain) >= 3 and not isinstance(plain[1].value, cst.Tuple | cst.List):
            size = f"({_code(plain[1].value)}, {_code(plain[2].value)})"
            rest = list(self.call.args)
            rest[1] = rest[1].with_changes(value=cst.parse_expression(size), comma=rest[2].comma)
            del rest[2]
            self._changed(
                f"{_code(plain[1].value)}, {_code(plain[2].value)} → {size}",
                "the kernel's size is one argument",
                KERAS_2_4,
            )
            self._set_args(rest)

    def _layer_values(self) -> None:
        given = self._given()
        if string_value(given.get("padding", cst.Name("None"))) == "full":
            self._left("border_mode='full'", "pad with keras.layers.ZeroPadding2D first")
        order = given.get("data_format")
        if order is not None and string_value(order) == "default":
            self._drop({"data_format"})
        self._values({"data_format": ordering})

    def _merge(self) -> None:
        """merge([a, b], mode='sum')  →  add([a, b])"""
        modes = {
            "sum": "add",
            "mul": "multiply",
            "ave": "average",
            "max": "maximum",
            "concat": "concatenate",
        }
        mode = string_value(self._given().get("mode", cst.Name("None")))
        if self.name == "keras.layers.Merge" or mode not in modes:
            self._left(_code(self.original.func), "use a merging layer of keras.layers")
            return
        self._drop({"mode"})
        self._rename({"concat_axis": "axis"}, KERAS_2)
        layers = self.porter.need_module("keras")
        func = cst.parse_expression(f"{layers}.layers.{modes[mode]}")
        self._changed(f"merge(mode={mode!r}) → {_code(func)}", "one function for each", KERAS_2)
        self.call = self.call.with_changes(func=func)

    # Optimizers.

    def _tensorflow_optimizer(self) -> None:
        self.name = TF_OPTIMIZERS[self.name]
        func = f"{self.porter.need_module('keras')}.{self.name.removeprefix('keras.')}"
        self._changed(f"{_code(self.original.func)} → {func}", "Keras has its own", KERAS_3)
        self.call = self.call.with_changes(func=cst.parse_expression(func))

    def _optimizer(self) -> None:
        self._rename({"lr": "learning_rate"}, KERAS_3)
        names = POSITIONS[self.name]
        args, renamed = [], False
        for place, arg in enumerate(self.call.args):
            if arg.keyword is None and not arg.star and 1 < place < len(names):
                arg = arg.with_changes(keyword=cst.Name(names[place]), equal=_PLAIN_ASSIGN)
                renamed = True
            args.append(arg)
        if renamed:
            self.call = self.call.with_changes(args=args)
            self._changed("arguments named", "their order has changed", KERAS_3)
        epsilon = self._given().get("epsilon")
        if isinstance(epsilon, cst.Name) and epsilon.value == "None":
            self._drop({"epsilon"}, KERAS_3)
        self._decay()
        self._drop({"schedule_decay"}, KERAS_3)

    def _decay(self) -> None:
        """decay=d: the rate falls as rate / (1 + d * step), which is InverseTimeDecay now."""
        decay = self._given().get("decay")
        if decay is None:
            return
        args = [arg for arg in self.call.args if not _is_keyword(arg, "decay")]
        if isinstance(decay, cst.Integer | cst.Float) and float(_code(decay)) == 0.0:
            self._changed("decay= removed", "it was zero", KERAS_3)
            self._set_args(args)
            return
        rate = self._given().get("learning_rate")
        if rate is None and args and args[0].keyword is None:
            rate = args[0].value
        rate_code = OLD_RATES[self.name] if rate is None else _code(rate)
        self.porter.need("from keras.optimizers.schedules import InverseTimeDecay")
        schedule = cst.parse_expression(
            f"InverseTimeDecay({rate_code}, decay_steps=1, decay_rate={_code(decay)})"
        )
        if rate is None:
            new = cst.Arg(schedule, keyword=cst.Name("learning_rate"), equal=_PLAIN_ASSIGN)
            args.insert(0, new)
        else:
            args = [arg.with_changes(value=schedule) if arg.value is rate else arg for arg in args]
        self._changed("decay= → InverseTimeDecay", "rates that fall are schedules now", KERAS_3)
        self._set_args(args)

    # Callbacks.

    def _callback(self) -> None:
        """What they watch, and names of files with the accuracy in them."""
        self._values({"monitor": self.porter.accuracy_name}, KERAS_2_3)
        if self.name in ("keras.callbacks.EarlyStopping", "keras.callbacks.ReduceLROnPlateau"):
            self._values({"": self.porter.accuracy_name}, KERAS_2_3)
        if self.name == "keras.callbacks.ModelCheckpoint":
            self._drop({"period"}, KERAS_3)

    # Methods of models.

    def _printed_summary(self) -> cst.BaseExpression | None:
        """print(model.summary())  →  model.summary(), which prints itself and returns None."""
        if _code(self.original.func) != "print" or len(self.call.args) != 1:
            return None
        inner = self.call.args[0].value
        is_summary = (
            isinstance(inner, cst.Call)
            and isinstance(inner.func, cst.Attribute)
            and inner.func.attr.value == "summary"
        )
        if not is_summary:
            return None
        self._changed("print(model.summary()) → model.summary()", "it prints itself", KERAS_1)
        return inner

    def _method(self) -> cst.BaseExpression:
        if self.method in _GENERATOR_METHODS and not self._generator():
            return self.call
        if self.method in ("predict_classes", "predict_proba"):
            return self._prediction()
        key = f".{self.method}"
        if key in METHOD_ARGUMENTS or key in DROPPED:
            self._rename(METHOD_ARGUMENTS.get(key, {}), KERAS_2)
            self._drop(DROPPED.get(key, frozenset()))
        if self.method == "compile":
            self._compile()
        if self.method == "get" and "logs" in _code(self.original.func):
            self._values({"": self.porter.accuracy_name}, KERAS_2_3)
        if self.method in ("to_yaml", "get_output", "get_input"):
            self._left(f".{self.method}()", "gone; save with model.save('name.keras')")
        return self.call

    def _set_method(self, name: str) -> None:
        self.method = name
        func = cst.ensure_type(self.call.func, cst.Attribute)
        self.call = self.call.with_changes(func=func.with_changes(attr=cst.Name(name)))

    def _compile(self) -> None:
        if self.porter.facts.wants_accuracy and "metrics" not in self._given():
            new = cst.Arg(
                cst.parse_expression("['accuracy']"),
                keyword=cst.Name("metrics"),
                equal=_PLAIN_ASSIGN,
            )
            self._changed("metrics=['accuracy'] added", "for show_accuracy=True", KERAS_1)
            self._set_args([*self.call.args, new])

    def _generator(self) -> bool:
        """fit_generator(g, ...)  →  fit(g, ...), samples counted in batches; False if left."""
        new = _GENERATOR_METHODS[self.method]
        given, plain = self._given(), self._positional()
        counted = {"samples_per_epoch": "steps_per_epoch", "nb_val_samples": "validation_steps"}
        if new != "fit":
            counted = {"val_samples": "steps"}
        batch = self._batch_of(plain[0].value if plain else given.get("generator"))
        if (counted.keys() & given.keys() or self._counts_samples(plain)) and batch is None:
            self._left(
                f"{self.method}(...) with samples", "give steps_per_epoch=, counted in batches"
            )
            return False
        args: list[cst.Arg] = []
        for place, arg in enumerate(self.call.args):
            name = arg.keyword.value if arg.keyword is not None else ""
            if name == "generator":
                arg = arg.with_changes(keyword=cst.Name("x"))
            elif name in counted:
                arg = arg.with_changes(
                    keyword=cst.Name(counted[name]), value=_in_batches(arg.value, batch)
                )
                self._changed(f"{name}= → {counted[name]}=", "counted in batches", KERAS_2)
            elif not name and place == 1:
                names = {"fit": "steps_per_epoch"}
                value = _in_batches(arg.value, batch) if self._counts_samples(plain) else arg.value
                arg = cst.Arg(
                    value,
                    keyword=cst.Name(names.get(new, "steps")),
                    equal=_PLAIN_ASSIGN,
                    comma=arg.comma,
                )
            elif not name and place == 2 and new == "fit":
                arg = cst.Arg(
                    arg.value, keyword=cst.Name("epochs"), equal=_PLAIN_ASSIGN, comma=arg.comma
                )
            args.append(arg)
        self.call = self.call.with_changes(args=args)
        self._changed(f"{self.method} → {new}", "one method takes all", KERAS_3)
        self._set_method(new)
        return True

    def _counts_samples(self, plain: list[cst.Arg]) -> bool:
        return self.porter.facts.is_keras_1 and len(plain) > 1

    def _batch_of(self, generator: cst.BaseExpression | None) -> str | None:
        if isinstance(generator, cst.Name):
            return self.porter.facts.batches.get(generator.value)
        return None if generator is None else flow_batch(generator)

    def _prediction(self) -> cst.BaseExpression:
        old = self.method
        self._set_method("predict")
        self._drop(DROPPED[".predict"])
        if old == "predict_proba":
            self._changed("predict_proba → predict", "they were the same", KERAS_2_6)
            return self.call
        if self.porter.facts.answers_yes_or_no:
            code = f'({_code(self.call)} > 0.5).astype("int32")'
        else:
            code = f"{self.porter.need_module('numpy')}.argmax({_code(self.call)}, axis=-1)"
        self._changed("predict_classes → argmax of predict", "it is gone", KERAS_2_6)
        return cst.parse_expression(code)


def ordering(node: cst.BaseExpression) -> cst.SimpleString | None:
    """'th' or 'tf' under today's name; None for everything else."""
    text = string_value(node)
    if text not in _ORDERINGS:
        return None
    quote = cst.ensure_type(node, cst.SimpleString).quote
    return cst.SimpleString(f"{quote}{_ORDERINGS[text]}{quote}")


def _is_keyword(arg: cst.Arg, name: str) -> bool:
    return arg.keyword is not None and arg.keyword.value == name


def _in_batches(samples: cst.BaseExpression, batch: str | None) -> cst.BaseExpression:
    code = _code(samples)
    if not isinstance(samples, cst.Name | cst.Integer | cst.Call | cst.Subscript | cst.Attribute):
        code = f"({code})"
    return cst.parse_expression(f"{code} // {batch}")


def _code(node: cst.CSTNode) -> str:
    return cst.Module([]).code_for_node(node)
