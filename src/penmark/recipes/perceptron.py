"""The perceptron: one neuron with a unit step, trained by Rosenblatt's rule.

F. Rosenblatt, "The Perceptron: A Probabilistic Model for Information Storage and Organization in
the Brain", Psychological Review 65 (1958), 386-408. The neuron says 1 where w·x + b >= 0. After
every image: w <- w + (y - ŷ) x and b <- b + (y - ŷ), so that only mistakes change anything. On two
linearly separable classes the rule ends after finitely many mistakes; otherwise it never settles.

The unit step has no useful derivative, so the rule is not an optimizer and works one image at a
time; the model it trains is an ordinary `keras.Model` all the same.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from penmark.engine import LossFrom
from penmark.engine.inputs import check_compiled, check_images
from penmark.engine.order import epoch_order
from penmark.errors import DataError, InputError
from penmark.recipes.recipe import Recipe

NEURON = "neuron"


def _one_neuron(image_shape: tuple[int, ...], num_classes: int) -> Any:
    from penmark.engine.backend import keras

    image = keras.Input(image_shape, name="image")
    pixels = keras.layers.Rescaling(1 / 255, name="rescaling")(image)
    pixels = keras.layers.Flatten(name="flatten")(pixels)
    score = keras.layers.Dense(1, kernel_initializer="zeros", dtype="float32", name=NEURON)(pixels)
    step = keras.ops.cast(keras.ops.greater_equal(score, 0), "float32")
    return keras.Model(image, step, name="perceptron")


def fit(
    model: Any,
    x: NDArray[Any],
    y: NDArray[np.int64],
    *,
    engine: str = "auto",
    loss_from: LossFrom = "logits",
    seed: int | None = None,
    verbose: str | int = "auto",
    batch_size: int | None = None,
    epochs: int = 1,
    initial_epoch: int = 0,
    validation_split: float = 0.0,
    validation_data: Any = None,
    callbacks: Any = None,
) -> Any:
    """Train the perceptron by Rosenblatt's rule; called like `penmark.fit`.

    Args:
        model: built by the recipe.
        x: images, shape (n, *model.input_shape[1:]), 0 to 255.
        y: 0 or 1, shape (n,).
        engine, loss_from: taken so that callers need no special case; the rule runs in NumPy and
            has no loss.
        seed: fixes the order of the images; None draws one from NumPy's global generator.
        verbose, epochs, initial_epoch, validation_split, validation_data, callbacks: as for
            `penmark.fit`.
        batch_size: 1 or None; the rule knows no batches.

    Returns:
        keras.callbacks.History with `accuracy` (share of images answered right when their turn
        came), `loss` (share answered wrong), and with validation `val_accuracy` and `val_loss`.

    Raises:
        DataError: images and labels do not fit, or labels other than 0 and 1.
        InputError: a batch size other than 1.
    """
    from penmark.engine import session

    check_compiled(model)
    check_images(model, x)
    labels = np.asarray(y)
    if len(labels) != len(x):
        raise DataError(f"{len(x)} images but {len(labels)} labels; each image needs one label")
    if not np.isin(labels, (0, 1)).all():
        raise DataError(
            "a perceptron's labels are 0 and 1: use dataset.one_against_rest(class_name)"
        )
    if batch_size not in (None, 1):
        raise InputError(
            f"the perceptron learns from one image at a time; got batch_size={batch_size}"
        )
    (x, labels, _), validation_data = session.split_validation(
        x, labels, None, validation_split, validation_data
    )
    if seed is None:
        seed = int(np.random.randint(2**31))

    added = session.watchers(verbose, images=len(x))
    with session.callback_list(model, callbacks, added, epochs, len(x)) as watching:
        _train(model, x, labels, seed, range(initial_epoch, epochs), validation_data, watching)
    return model.history


def _train(
    model: Any,
    x: NDArray[Any],
    labels: NDArray[Any],
    seed: int,
    epochs: range,
    validation_data: Any,
    callback_list: Any,
) -> None:
    neuron = model.get_layer(NEURON)
    features = _features(x)
    # In float64 the order of the additions does not show in the result's last digits.
    weights = np.asarray(neuron.kernel, dtype=np.float64).reshape(-1)
    bias = float(np.asarray(neuron.bias)[0])
    model.stop_training = False
    callback_list.on_train_begin()
    logs: dict[str, float] = {}
    for epoch in epochs:
        callback_list.on_epoch_begin(epoch)
        mistakes = 0
        for index in epoch_order(len(labels), seed, epoch):
            pixels = features[index].astype(np.float64)
            error = int(labels[index]) - int(pixels @ weights + bias >= 0)
            if error:
                weights += error * pixels
                bias += error
                mistakes += 1
        neuron.set_weights([weights.reshape(-1, 1), np.array([bias])])
        logs = {"accuracy": 1 - mistakes / len(labels), "loss": mistakes / len(labels)}
        if validation_data is not None:
            wrong = np.mean(
                (_features(validation_data[0]) @ weights + bias >= 0) != validation_data[1]
            )
            logs |= {"val_accuracy": 1 - float(wrong), "val_loss": float(wrong)}
        callback_list.on_epoch_end(epoch, logs)
        # A checkpoint keeps float32; going on from there must give what going on from here gives.
        weights = np.asarray(neuron.kernel, dtype=np.float64).reshape(-1)
        bias = float(np.asarray(neuron.bias)[0])
        if model.stop_training:
            break
    callback_list.on_train_end(logs)


def _features(images: NDArray[Any]) -> NDArray[np.float32]:
    """Shape (n, ...) -> (n, pixels), 0 to 1, as the model's own first layers make them."""
    return images.reshape(len(images), -1).astype(np.float32) / np.float32(255)


PERCEPTRON = Recipe(
    name="perceptron",
    network="one neuron, unit step",
    make_network=_one_neuron,
    optimizer=None,
    batch_size=1,
    epochs=5,
    pixels="0-1",
    loss="mean_squared_error",  # of answers that are 0 or 1: the share answered wrong
    binary=True,
    fit=fit,
)
