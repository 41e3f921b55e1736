"""Keras models in the native core: `fit`, `evaluate`, `predict` and `activations`.

The model stays the user's: its weights and its optimizer's state go into the core, and back after
every epoch, so that callbacks, `model.save` and a later `fit` find what they would after Keras.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from penmark.engine import Augment, LossFrom
from penmark.engine.backend import keras
from penmark.engine.inputs import checked_labels
from penmark.engine.native_model import FloatArray, NativeModel, float_array
from penmark.engine.order import epoch_order
from penmark.engine.session import augmented, callback_list, training_arrays, watchers
from penmark.engine.spec import Unsupported
from penmark.engine.spec_reader import read_model
from penmark.engine.spec_training import TrainingSpec, clipped, rates_of, read_training
from penmark.errors import DataError

_FIT_ARGUMENTS = {
    "batch_size",
    "epochs",
    "verbose",
    "callbacks",
    "validation_split",
    "validation_data",
    "shuffle",
    "class_weight",
    "sample_weight",
    "initial_epoch",
    "validation_batch_size",
    "validation_freq",
    "augment",
}


# What the core's copy of a model is for. Training needs room for the optimizer's state, evaluating
# a loss that the core has, predicting neither.
Purpose = Literal["train", "evaluate", "predict"]


def unsupported_reason(model: Any, fit_arguments: Mapping[str, Any] | None = None) -> str | None:
    """Why the core cannot train `model`, naming the layer or option; None if it can.

    Args:
        model: a compiled `keras.Model`.
        fit_arguments: keyword arguments meant for `penmark.fit`.
    """
    arguments = dict(fit_arguments or {})
    loss_from = arguments.pop("loss_from", "logits")
    for name, value in arguments.items():
        if name not in _FIT_ARGUMENTS and value is not None:
            return f"fit({name}=...)"
    try:
        _build(model, purpose="train", loss_from=loss_from, runs=False)
    except Unsupported as reason:
        return str(reason)
    return None


def bind(model: Any, *, purpose: Purpose = "train", loss_from: LossFrom = "logits") -> NativeModel:
    """Build the core's copy of a live Keras model and load its weights.

    Raises:
        Unsupported: a layer or option that the core does not cover.
    """
    native = _build(model, purpose=purpose, loss_from=loss_from)
    pull(native, model)
    return native


def _build(model: Any, *, purpose: Purpose, loss_from: LossFrom, runs: bool = True) -> NativeModel:
    """The core's copy of a Keras model, its weights still zero. Raises Unsupported."""
    try:
        config = model.get_config()
    except (NotImplementedError, TypeError, ValueError) as error:
        raise Unsupported(f"a model without a configuration ({type(model).__name__})") from error
    if type(model).__name__ not in ("Sequential", "Functional", "Model"):
        raise Unsupported(f"the model class {type(model).__name__}, which may do things of its own")
    spec = read_model(config)
    training: TrainingSpec | None = None
    if purpose != "predict" or getattr(model, "compiled", False):
        try:
            training = read_training(model.get_compile_config(), spec)
        except Unsupported:
            if purpose != "predict":
                raise
    if training is not None and loss_from == "probabilities":
        training = clipped(training)
    return NativeModel(spec, training, trains=purpose == "train", runs=runs)


def _numpy(variable: Any) -> NDArray[Any]:
    """The value of a Keras variable, whatever the backend."""
    value: NDArray[Any] = keras.ops.convert_to_numpy(variable)
    return value


def pull(native: NativeModel, model: Any) -> None:
    """Load the weights of the Keras model into the core."""
    native.set_weights(
        {
            name: [_numpy(weight) for weight in model.get_layer(name).weights]
            for name in dict.fromkeys(name for name, _ in native.owners)
        }
    )


def push(native: NativeModel, model: Any) -> None:
    """Store the core's weights in the Keras model."""
    for number, (name, place) in enumerate(native.owners):
        model.get_layer(name).weights[place].assign(native.network.get(number))


def _slots(native: NativeModel, model: Any) -> list[tuple[int, str, Any]]:
    """(weight, slot of the core, Keras variable) for all of the optimizer's state."""
    optimizer, found = model.optimizer, []
    if native.training is None:
        return []
    for number, (name, place) in enumerate(native.owners):
        variable = model.get_layer(name).weights[place]
        if not native.network.params()[number][2]:
            continue
        index = optimizer._get_variable_index(variable)
        for slot, attribute in enumerate(native.training.optimizer.slots):
            variables = getattr(optimizer, attribute, None)
            if variables:  # RMSprop keeps the lists that it does not use empty
                found.append((number, f"slot{slot}", variables[index]))
    return found


def _pull_optimizer(native: NativeModel, model: Any) -> int:
    """Load the optimizer's state; returns how many steps it has done."""
    optimizer = model.optimizer
    if not optimizer.built:
        optimizer.build(model.trainable_variables)
    for number, slot, variable in _slots(native, model):
        native.network.set(number, slot, float_array(_numpy(variable)))
    for number, (name, place) in enumerate(native.owners):
        variable = model.get_layer(name).weights[place]
        if native.network.params()[number][2] and not optimizer._use_weight_decay(variable):
            native.network.exclude_from_weight_decay(number)
    return int(_numpy(optimizer.iterations))


def _push_optimizer(native: NativeModel, model: Any, iterations: int) -> None:
    for number, slot, variable in _slots(native, model):
        variable.assign(native.network.get(number, slot))
    model.optimizer.iterations.assign(iterations)


def fit(
    model: Any,
    x: NDArray[Any],
    y: Any,
    *,
    loss_from: LossFrom,
    seed: int | None,
    verbose: str | int,
    batch_size: int | None = None,
    epochs: int = 1,
    initial_epoch: int = 0,
    callbacks: Any = None,
    validation_split: float = 0.0,
    validation_data: Any = None,
    validation_batch_size: int | None = None,
    validation_freq: int = 1,
    shuffle: bool = True,
    class_weight: Mapping[int, float] | None = None,
    sample_weight: NDArray[Any] | None = None,
    augment: Augment | None = None,
) -> Any:
    """See `penmark.engine.fit`; for a model and arguments that `unsupported_reason` has passed."""
    arrays = training_arrays(
        model,
        x,
        y,
        batch_size=batch_size,
        seed=seed,
        sample_weight=sample_weight,
        class_weight=class_weight,
        validation_split=validation_split,
        validation_data=None if validation_data is None else tuple(validation_data),
    )
    native = _build(model, purpose="train", loss_from=loss_from)
    images, labels = native.images(arrays.x), native.labels(arrays.y)
    weights = _weights(labels, class_weight, arrays.sample_weight)
    iterations = _pull_optimizer(native, model)
    batches = -(-len(images) // arrays.batch_size)
    model.stop_training = False
    added = watchers(verbose, images=len(images))
    with callback_list(model, callbacks, added, epochs, batches) as hooks:
        by_batch = any(_changes_by_batch(callback) for callback in hooks.callbacks)
        watching = [callback for callback in hooks.callbacks if _watches_batches(callback)]
        hooks.on_train_begin()
        logs: dict[str, float] = {}
        for epoch in range(initial_epoch, epochs):
            hooks.on_epoch_begin(epoch)
            # Now, since a callback may have changed weights or the learning rate.
            pull(native, model)
            if augment is not None:
                x, y = augmented(augment, arrays.x, arrays.y, arrays.seed, epoch)
                images, labels = native.images(x), native.labels(y)
                weights = _weights(labels, class_weight, arrays.sample_weight)
            rates = _rates(model, iterations, batches)
            run = _Epoch(native, images, labels, weights, arrays.batch_size, arrays.seed, rates)
            count = len(images)
            order = epoch_order(count, arrays.seed, epoch) if shuffle else np.arange(count)
            if by_batch:
                sums = run.by_batches(order, iterations, hooks, model)
            else:
                sums = run.at_once(order, iterations, watching)
            iterations += run.done
            logs = native.logs(sums)
            push(native, model)
            _push_optimizer(native, model, iterations)
            if arrays.validation is not None and (epoch + 1) % validation_freq == 0:
                size = validation_batch_size or arrays.batch_size
                held_x, held_y, held_weight = arrays.validation
                hooks.on_test_begin()
                held = native.evaluate(held_x, held_y, size, held_weight)
                hooks.on_test_end(held)
                logs |= {f"val_{name}": value for name, value in held.items()}
            hooks.on_epoch_end(epoch, logs)
            if model.stop_training:
                break
        hooks.on_train_end(logs=logs)
    return model.history


class _Epoch:
    """One pass over the images, in the order given."""

    def __init__(
        self,
        native: NativeModel,
        images: NDArray[Any],
        labels: NDArray[Any],
        weights: FloatArray | None,
        batch: int,
        seed: int,
        rates: FloatArray,
    ) -> None:
        self.native = native
        self.images = images
        self.labels = labels
        self.weights = weights
        self.batch = batch
        self.seed = seed
        self.rates = rates
        self.done = 0

    def at_once(
        self, sequence: NDArray[np.int64], iterations: int, watching: Sequence[Any]
    ) -> Mapping[str, Any]:
        """All batches in one call of the core; those who watch hear of it a few times a second."""

        def show(done: int, sums: Mapping[str, Any]) -> None:
            logs = self.native.logs(sums)
            for callback in watching:
                callback.on_train_batch_end(done - 1, logs)

        sums = self._train(sequence, self.rates, iterations, show)
        self.done = len(self.rates)
        return sums

    def by_batches(
        self, sequence: NDArray[np.int64], iterations: int, hooks: Any, model: Any
    ) -> Mapping[str, Any]:
        """One call of the core per batch, for callbacks that watch batches."""
        total: dict[str, Any] = {"images": 0, "loss": 0.0, "correct": 0.0, "binary": 0.0}
        total["top_k"] = []
        for number in range(len(self.rates)):
            hooks.on_train_batch_begin(number)
            part = sequence[number * self.batch : (number + 1) * self.batch]
            rates = self.rates[number : number + 1]
            sums = self._train(part, rates, iterations + number, None)
            for key in ("images", "loss", "correct", "binary"):
                total[key] += sums[key]
            total["top_k"] = [
                old + new
                for old, new in zip(
                    total["top_k"] or [0.0] * len(sums["top_k"]), sums["top_k"], strict=True
                )
            ]
            self.done += 1
            push(self.native, model)
            hooks.on_train_batch_end(number, self.native.logs(total))
            if model.stop_training:
                break
        return total

    def _train(
        self, order: NDArray[np.int64], rates: FloatArray, iteration: int, progress: Any
    ) -> Mapping[str, Any]:
        return self.native.network.train(
            self.images,
            self.labels,
            np.ascontiguousarray(order),
            self.batch,
            np.ascontiguousarray(rates),
            iteration,
            self.seed,
            self.weights,
            progress,
        )


def _rates(model: Any, iterations: int, batches: int) -> FloatArray:
    """Learning rates of the next epoch: the schedule's, or what the optimizer holds now."""
    schedule = model.optimizer.get_config()["learning_rate"]
    if isinstance(schedule, Mapping):
        return rates_of(schedule, iterations, batches)
    return rates_of(float(_numpy(model.optimizer.learning_rate)), iterations, batches)


def _weights(
    labels: NDArray[Any],
    class_weight: Mapping[int, float] | None,
    sample_weight: NDArray[Any] | None,
) -> FloatArray | None:
    """One weight per image: `sample_weight`, or `class_weight` by the image's class."""
    if sample_weight is not None:
        if sample_weight.shape != (len(labels),):
            raise DataError(
                f"sample_weight must have one number for each of the {len(labels)} images; got "
                f"shape {sample_weight.shape}"
            )
        return float_array(sample_weight)
    if class_weight is None:
        return None
    if labels.ndim == 1 or labels.shape[1] == 1:
        classes = labels.reshape(-1).astype(np.int64)
    else:
        classes = np.argmax(labels, axis=1)
    table = np.ones(max(int(classes.max()), *map(int, class_weight)) + 1, np.float32)
    for number, weight in class_weight.items():
        table[int(number)] = weight
    return float_array(table[classes])


def _watches_batches(callback: Any) -> bool:
    """Whether a callback has hooks of its own for batches."""
    base = keras.callbacks.Callback
    hooks = ("on_batch_begin", "on_batch_end", "on_train_batch_begin", "on_train_batch_end")
    return any(getattr(type(callback), hook) is not getattr(base, hook) for hook in hooks)


def _changes_by_batch(callback: Any) -> bool:
    """Whether a callback must be called after every batch, because it may act on the model.

    `async_safe` is Keras's word for callbacks that only look at the logs.
    """
    return _watches_batches(callback) and not getattr(callback, "async_safe", False)


def layer_times(
    model: Any, x: NDArray[Any], y: Any, *, batch_size: int
) -> list[tuple[str, float, float]]:
    """Train a copy of the model in the core for one epoch; where did the time go?

    Returns:
        (layer, seconds forward, seconds backward) for each layer, as the first thread saw them.
    """
    native = bind(model)
    images, labels = native.images(x), native.labels(checked_labels(model, x, y))
    steps = -(-len(images) // batch_size)
    order = np.arange(len(images))
    native.network.train(images, labels, order, batch_size, np.zeros(steps, np.float32), 0, 0)
    return list(native.network.training_times())


def predict(model: Any, x: NDArray[Any], *, batch_size: int | None = None) -> NDArray[Any]:
    """What `model.predict(x)` returns. Raises Unsupported, DataError."""
    return bind(model, purpose="predict").predict(x, batch_size)


def evaluate(
    model: Any,
    x: NDArray[Any],
    y: Any,
    *,
    batch_size: int | None = None,
    sample_weight: NDArray[Any] | None = None,
    return_dict: bool = False,
) -> Any:
    """What `model.evaluate(x, y)` returns. Raises Unsupported, DataError."""
    native = bind(model, purpose="evaluate")
    results = native.evaluate(x, checked_labels(model, x, y), batch_size, sample_weight)
    return results if return_dict else list(results.values())


def activations(
    model: Any, x: NDArray[Any], layers: Sequence[str], *, batch_size: int | None = None
) -> dict[str, FloatArray]:
    """Outputs of the named layers for each image. Raises Unsupported, DataError, ModelError."""
    native = bind(model, purpose="predict")
    return {name: native.activations(x, name, batch_size) for name in layers}
