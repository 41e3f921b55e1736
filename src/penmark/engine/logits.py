"""The same network seen from its logits, so that cross-entropy never meets a clipped probability.

A classifier ends in softmax (or sigmoid) and outputs probabilities. Once a probability underflows
to 0, its logarithm and the gradient through it are gone; Keras clips it at 1e-7, and training on
raw pixels, where logits run into the thousands, stands still. Taken from the logits, cross-entropy
is log-sum-exp minus one logit: finite, with gradient p - y everywhere (Goodfellow, Bengio and
Courville, *Deep Learning*, 2016, section 6.2.2).

`LogitsView` is a second `keras.Model` over the *same* layers and variables that stops before the
last activation. Training it trains the user's model; the callbacks see the user's model.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable
from typing import Any

from penmark.engine import LossFrom
from penmark.engine.backend import keras
from penmark.engine.inputs import loss_name
from penmark.errors import InputError

# Losses that can be taken from logits, and the last activation with which that is the same.
_LOSSES = {
    "categorical_crossentropy": ("softmax", keras.losses.CategoricalCrossentropy),
    "sparse_categorical_crossentropy": ("softmax", keras.losses.SparseCategoricalCrossentropy),
    "binary_crossentropy": ("sigmoid", keras.losses.BinaryCrossentropy),
}
_ACTIVATIONS = {
    "softmax": keras.activations.softmax,
    "sigmoid": keras.activations.sigmoid,
    "linear": keras.activations.linear,
}


class _BeforeActivation(keras.layers.Layer):  # type: ignore[misc]
    """Runs a layer without its activation, on the layer's own variables."""

    def __init__(self, layer: Any) -> None:
        super().__init__(dtype=layer.dtype_policy)
        self.layer = layer
        self.built = True

    def call(self, x: Any) -> Any:
        activation, self.layer.activation = self.layer.activation, keras.activations.linear
        try:
            return self.layer(x)
        finally:
            self.layer.activation = activation


class ClippedCrossentropy(keras.losses.Loss):  # type: ignore[misc]
    """Cross-entropy of probabilities clipped to [1e-7, 1 - 1e-7], given logits.

    What Keras computed from the output of a softmax until TensorFlow's backend began to look for
    the logits behind it, and what its other backends compute to this day. Where the true class's
    probability is clipped there is no gradient, which keeps some networks from diverging.
    """

    def __init__(self, label_smoothing: float = 0.0, **arguments: Any) -> None:
        super().__init__(**arguments)
        self.label_smoothing = label_smoothing

    def call(self, y_true: Any, y_pred: Any) -> Any:
        classes = y_pred.shape[-1]
        if len(y_true.shape) != len(y_pred.shape) or y_true.shape[-1] != classes:
            y_true = keras.ops.one_hot(keras.ops.reshape(y_true, (-1,)), classes)
        y_true = keras.ops.cast(y_true, y_pred.dtype)
        y_true = y_true * (1 - self.label_smoothing) + self.label_smoothing / classes
        probabilities = keras.ops.softmax(y_pred)
        epsilon = keras.config.epsilon()
        clipped = keras.ops.clip(probabilities, epsilon, 1 - epsilon)
        return -keras.ops.sum(y_true * keras.ops.log(clipped), axis=-1)


class _UserModel:
    """Holds the user's model weakly, out of sight of Keras's tracking of sublayers."""

    def __init__(self, model: Any) -> None:
        self._reference = weakref.ref(model)

    def __call__(self) -> Any:
        return self._reference()


class LogitsView(keras.Model):  # type: ignore[misc]
    """The user's model up to its logits; its metrics and its `stop_training` are the user's."""

    user_model: _UserModel
    last_activation: Callable[[Any], Any]

    def compute_metrics(self, x: Any, y: Any, y_pred: Any, sample_weight: Any = None) -> Any:
        return super().compute_metrics(x, y, self.last_activation(y_pred), sample_weight)

    @property
    def stop_training(self) -> bool:
        return bool(self.user_model().stop_training)

    @stop_training.setter
    def stop_training(self, value: bool) -> None:
        # Keras's constructor sets it before the view knows its model.
        if hasattr(self, "user_model"):
            self.user_model().stop_training = value


_Settings = tuple[LossFrom, dict[str, Any]]
_views: weakref.WeakKeyDictionary[Any, tuple[LogitsView, _Settings]] = weakref.WeakKeyDictionary()


def logits_view(model: Any, loss_from: LossFrom = "logits") -> Any:
    """The view of a compiled model whose loss is taken from logits; the model itself if none is.

    None is needed for other losses than cross-entropy; none is possible for a model that is not
    a plain graph of layers with one output, or does not end in softmax or sigmoid. The view is
    kept for as long as the model is compiled the same way, so that its compiled functions are
    made once.

    Args:
        model: a compiled keras.Model.
        loss_from: "probabilities" for `ClippedCrossentropy`, the same on every backend.

    Returns:
        A compiled keras.Model that shares the layers, variables and optimizer of `model`.
    """
    try:
        config = model.get_compile_config()
    except (TypeError, ValueError, NotImplementedError):
        return model
    # The optimizer is the same object; its serialized learning rate changes while it trains.
    compiled = {key: value for key, value in config.items() if key != "optimizer"}
    settings: _Settings = (loss_from, compiled)
    cached = _views.get(model)
    if cached and cached[1] == settings and cached[0].optimizer is model.optimizer:
        return cached[0]
    view = _make_view(model, settings)
    if view is None:
        return model
    _views[model] = (view, settings)
    return view


def _make_view(model: Any, settings: _Settings) -> LogitsView | None:
    loss_from, compiled = settings
    loss = _loss_from_logits(model)
    if loss is not None and loss_from == "probabilities":
        loss = _clipped(model, loss)
    logits = _logits_tensor(model) if loss is not None else None
    if loss is None or logits is None:
        return None
    view = LogitsView(inputs=model.inputs, outputs=logits)
    view.user_model = _UserModel(model)
    view.last_activation = _ACTIVATIONS[_last_activation(model.layers[-1])]
    if [id(v) for v in view.trainable_variables] != [id(v) for v in model.trainable_variables]:
        # The optimizer's slots follow this order; a view in another order would mix them up.
        return None
    arguments = keras.saving.deserialize_keras_object(compiled)
    view.compile(optimizer=model.optimizer, **{**arguments, "loss": loss})
    return view


def _loss_from_logits(model: Any) -> Any | None:
    name = loss_name(model)
    if name not in _LOSSES or not model.layers:
        return None
    activation, loss_class = _LOSSES[name]
    if _last_activation(model.layers[-1]) != activation:
        return None
    loss = model.loss
    if isinstance(loss, keras.losses.Loss):
        config = loss.get_config()
        if type(loss) is not loss_class or config.get("from_logits"):
            return None
        return loss_class.from_config({**config, "from_logits": True})
    return loss_class(from_logits=True)


def _clipped(model: Any, loss: Any) -> Any:
    """The clipped counterpart of a categorical cross-entropy from logits."""
    if isinstance(loss, keras.losses.BinaryCrossentropy):
        raise InputError(
            f"the model {model.name!r} has a binary cross-entropy; loss_from='probabilities' is "
            "for categorical ones"
        )
    smoothing = loss.get_config().get("label_smoothing", 0.0)
    return ClippedCrossentropy(label_smoothing=smoothing)


def _last_activation(layer: Any) -> str:
    if isinstance(layer, keras.layers.Softmax):
        return "softmax" if layer.axis == -1 else "linear"
    activation = getattr(layer, "activation", None)
    for name, function in _ACTIVATIONS.items():
        if activation is function:
            return name
    return "linear"


def _logits_tensor(model: Any) -> Any | None:
    try:
        if len(model.outputs) != 1:
            return None
        layer = model.layers[-1]
        # A layer called more than once has no single input, and says so.
        if layer.output is not model.outputs[0]:
            return None
        before = layer.input
    except (AttributeError, ValueError):
        return None
    if isinstance(layer, (keras.layers.Softmax, keras.layers.Activation)):
        return before
    return _BeforeActivation(layer)(before)
