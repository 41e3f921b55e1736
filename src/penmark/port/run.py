"""Run a ported program as it stands in memory, its models through penmark's engine."""

from __future__ import annotations

import contextlib
import linecache
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from penmark.errors import TrainingError
from penmark.port.findings import Ported


def run(ported: Ported, path: Path, arguments: Sequence[str] = ()) -> None:
    """Run the program as `python path arguments...` would.

    `keras.datasets` reads penmark's data, every model that the program compiles trains through
    `penmark.fit`, and where the loss becomes infinite the training starts again with probabilities
    clipped as the Keras of its day clipped them.

    Args:
        ported: the program; of a notebook its code cells run, one after the other.
        path: its file; its folder is where it imports from.
        arguments: for `sys.argv`.

    Raises:
        Exception, SystemExit: what the program raises.
    """
    filename = f"{path} (ported)"
    # Tracebacks show the lines that run.
    lines = ported.program.splitlines(keepends=True)
    linecache.cache[filename] = (len(ported.program), None, lines, filename)
    code = compile(ported.program, filename, "exec")
    old_argv, old_path = sys.argv, list(sys.path)
    sys.argv = [str(path), *arguments]
    sys.path.insert(0, str(path.resolve().parent))
    try:
        with _accelerated(), _penmark_data():
            exec(code, {"__name__": "__main__", "__file__": str(path)})
    finally:
        sys.argv, sys.path[:] = old_argv, old_path


@contextlib.contextmanager
def _accelerated() -> Iterator[None]:
    """Every model that is compiled meanwhile trains, evaluates and predicts through the engine."""
    from penmark.engine.accelerate import accelerate
    from penmark.engine.backend import keras

    compile_model = keras.Model.compile

    def compile_and_accelerate(self: Any, *arguments: Any, **named: Any) -> None:
        compile_model(self, *arguments, **named)
        if not hasattr(self, "_penmark_program"):
            self._penmark_program = True
            accelerate(self)
            self.fit = _with_second_try(self, self.fit)

    keras.Model.compile = compile_and_accelerate
    try:
        yield
    finally:
        keras.Model.compile = compile_model


def _with_second_try(model: Any, fit: Any) -> Any:
    """Networks on raw pixels overflow with the exact loss; the clipped one was their luck."""

    def fit_again(*arguments: Any, **named: Any) -> Any:
        weights = model.get_weights()
        try:
            return fit(*arguments, **named)
        except TrainingError as error:
            if "loss_from" in named:
                raise
            print(
                f"{error}\nTraining again from the start with probabilities clipped to 1e-7, as "
                "Keras clipped them then.",
                file=sys.stderr,
                flush=True,
            )
            model.set_weights(weights)
            return fit(*arguments, **named, loss_from="probabilities")

    return fit_again


@contextlib.contextmanager
def _penmark_data() -> Iterator[None]:
    """`keras.datasets.mnist.load_data()` and its like read what `penmark.load_data` finds."""
    from penmark.data import load_data
    from penmark.engine.backend import keras

    modules = {
        "mnist": keras.datasets.mnist,
        "fashion-mnist": keras.datasets.fashion_mnist,
        "cifar10": keras.datasets.cifar10,
    }
    kept = {name: module.load_data for name, module in modules.items()}

    def reader(name: str) -> Any:
        def load(path: str | None = None) -> Any:
            data = load_data(name)
            shape = (-1, 1) if name == "cifar10" else (-1,)
            return (
                (data.x_train, data.y_train.reshape(shape).astype("uint8")),
                (data.x_test, data.y_test.reshape(shape).astype("uint8")),
            )

        return load

    for name, module in modules.items():
        module.load_data = reader(name)
    try:
        yield
    finally:
        for name, module in modules.items():
            module.load_data = kept[name]
