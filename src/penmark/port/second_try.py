"""A training that breaks down with the exact loss starts again with the one of its day.

Keras, until TensorFlow's began to look for the logits behind a softmax (about 2019), took
cross-entropy from probabilities clipped to [1e-7, 1 - 1e-7]: an image that the network gets badly
wrong then has no gradient. penmark takes the exact loss, which serves old programs better almost
everywhere. But some, with ReLU on raw pixels, trained only because their largest gradients were
cut away: with the exact ones their weights overflow or all their units die, within an epoch.
`docs/port.md` has what was measured.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

import numpy as np

from penmark.errors import TrainingError

_LOSSES = ("categorical_crossentropy", "sparse_categorical_crossentropy")
_IMAGES_WATCHED = 256
# Answers of a network that is alive differ far more between images, be it ever so bad.
_SAME = 1e-6


class _DeadNetwork(Exception):
    """The network gives the same answer to every image."""


def with_second_try(model: Any) -> Callable[..., Any]:
    """The model's `fit` with a second try where the first breaks down.

    It breaks down where the loss becomes infinite or not a number, or where after an epoch the
    network gives the same answer to every image. Weights and optimizer then go back to where they
    were, one line on standard error says so, and the training starts again.

    Args:
        model: accelerated, and compiled.

    Returns:
        A function with the arguments and the result of `model.fit`.
    """
    from penmark.engine.accelerate import by_name
    from penmark.engine.inputs import loss_name

    fit = model.fit

    def fit_twice(*arguments: Any, **named: Any) -> Any:
        given = by_name("fit", arguments, named)
        if loss_name(model) not in _LOSSES or not model.built or not hasattr(given["x"], "shape"):
            return fit(**given)
        state = _state(model)
        watched = given["x"][:_IMAGES_WATCHED]
        callbacks = [*_listed(given.get("callbacks")), _watch(watched)]
        try:
            return fit(**given | {"callbacks": callbacks})
        except TrainingError as error:
            reason = str(error).partition(";")[0]
        except _DeadNetwork as error:
            reason = str(error)
        print(
            f"With the exact cross-entropy {reason}. Training again from the start with that of "
            "old Keras, from probabilities clipped to 1e-7.",
            file=sys.stderr,
            flush=True,
        )
        _restore(state)
        return fit(**given, loss_from="probabilities")

    return fit_twice


def _watch(images: Any) -> Any:
    """A callback that raises _DeadNetwork after an epoch which the network did not survive."""
    from penmark.engine import predict
    from penmark.engine.backend import keras

    class Watch(keras.callbacks.Callback):  # type: ignore[misc]
        def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
            answers = predict(self.model, images, verbose=0)
            if not np.ptp(answers, axis=0).max() > _SAME:
                raise _DeadNetwork(
                    f"the network gives one answer to every image after epoch {epoch + 1}"
                )

    return Watch()


def _listed(callbacks: Any) -> list[Any]:
    if callbacks is None:
        return []
    return list(getattr(callbacks, "callbacks", callbacks))


def _state(model: Any) -> list[tuple[Any, Any]]:
    """Every variable of the model and its optimizer, with its value."""
    from penmark.engine.backend import keras

    if not model.optimizer.built:
        model.optimizer.build(model.trainable_variables)
    variables = [*model.variables, *model.optimizer.variables]
    return [(variable, keras.ops.convert_to_numpy(variable).copy()) for variable in variables]


def _restore(state: list[tuple[Any, Any]]) -> None:
    for variable, value in state:
        variable.assign(value)
