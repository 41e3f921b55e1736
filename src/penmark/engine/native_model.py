"""A model in the native core, from its configuration alone: predict, evaluate, look inside.

No Keras is imported here: a `.keras` file answers in milliseconds.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from penmark.engine import _core, spec
from penmark.engine.saved_model import read_saved_model
from penmark.engine.spec import ModelSpec, Unsupported
from penmark.engine.spec_reader import read_model
from penmark.engine.spec_training import Loss, Metric, TrainingSpec, read_training
from penmark.errors import DataError, ModelError

FloatArray = NDArray[np.float32]
Progress = Callable[[int, Mapping[str, Any]], bool | None]
# Large enough to keep all cores busy, small enough for the activations to stay in cache.
_INFERENCE_BATCH = 256
_LOSS_NAMES = {
    "sigmoid_cross_entropy": "binary_crossentropy",
    "mean_squared_error": "mean_squared_error",
}


class NativeModel:
    """A network of the core, built from a model's description; its weights start at zero.

    Args:
        model: the layers.
        training: how it trains; None for inference only.
        threads: 0 for as many as the process may use.
        isa: an instruction set of `_core.usable_isas()`; "" for the fastest.
        guards: put guard bytes around all work space, for tests.
        trains: False for answers alone, without room for the optimizer's state.
        runs: False for one that only tells whether the core covers the model: it has no weights.

    Raises:
        Unsupported: the layers do what the core does not cover.
    """

    def __init__(
        self,
        model: ModelSpec,
        training: TrainingSpec | None = None,
        *,
        threads: int = 0,
        isa: str = "",
        guards: bool = False,
        trains: bool = True,
        runs: bool = True,
    ) -> None:
        self.model = model
        self.training = training
        self.tensors: dict[str, int] = {}
        # Core weights in order: the layer each belongs to and its place among that layer's weights.
        self.owners: list[tuple[str, int]] = []
        self._scores = scores = 0
        self._warp: dict[str, Any] = {}
        self._input_scale, self._input_offset = 1.0, 0.0
        self._raw: set[str] = set()
        try:
            shape = _core_shape(model.input_shape)
            self.network = _core.Network(shape, threads=threads, isa=isa, guards=guards)
            for layer in model.layers:
                self._build(layer)
                if layer.name == model.output:
                    scores = self._scores
            self._scores = scores
        except ValueError as error:
            raise Unsupported(str(error)) from error
        if training is not None:
            self._prepare(training)
        if runs:
            self.network.finish(trains)

    @classmethod
    def from_file(cls, path: Path | str, *, threads: int = 0) -> NativeModel:
        """Build from a `.keras` file, weights included.

        Raises:
            ModelError: the file is missing or damaged, or its weights do not fit its layers.
            Unsupported: the model does what the core does not cover.
        """
        saved = read_saved_model(path)
        model = read_model(saved.config)
        training = None
        if saved.compile_config is not None:
            try:
                training = read_training(saved.compile_config, model)
            except Unsupported:
                training = None  # such a model can still predict
        native = cls(model, training, threads=threads, trains=False)
        try:
            native.set_weights(saved.weights)
        except (KeyError, IndexError, ValueError) as error:
            raise ModelError(
                f"{path}: its weights do not fit its layers ({error}); save the model again",
                path=path,
            ) from error
        return native

    @property
    def name(self) -> str:
        return self.model.name

    @property
    def input_shape(self) -> tuple[int | None, ...]:
        """As Keras has it: of a batch, its size open."""
        return (None, *self.model.input_shape)

    @property
    def output_shape(self) -> tuple[int | None, ...]:
        """As Keras has it: of a batch, its size open."""
        return (None, *self.model.output_layer.output_shape)

    @property
    def compiled(self) -> bool:
        """Whether the model came with a loss, so that it can be evaluated."""
        return self.training is not None

    @property
    def loss(self) -> str:
        """Keras's name of the loss. Raises ModelError if the model is not compiled."""
        loss = self._training().loss
        if loss.kind == "softmax_cross_entropy":
            return f"{'sparse_' if loss.sparse else ''}categorical_crossentropy"
        return _LOSS_NAMES[loss.kind]

    def set_weights(self, weights: Mapping[str, Sequence[NDArray[Any]]]) -> None:
        """Load weights, given per layer in Keras's order.

        Raises:
            KeyError, IndexError, ValueError: one is missing or has another shape.
        """
        for number, (layer, place) in enumerate(self.owners):
            self.network.set(number, "weight", float_array(weights[layer][place]))

    def get_weights(self) -> dict[str, list[FloatArray]]:
        """Copies of all weights, per layer in Keras's order."""
        weights: dict[str, list[FloatArray]] = {}
        for number, (layer, _) in enumerate(self.owners):
            weights.setdefault(layer, []).append(self.network.get(number))
        return weights

    def predict(self, x: NDArray[Any], batch_size: int | None = None) -> NDArray[Any]:
        """The model's output for each image, shape (n, *output shape).

        float32, or, as in Keras, bfloat16 where the last layer's policy is `mixed_bfloat16`.
        """
        out = self.activations(x, self.model.output, batch_size)
        if not self.model.output_layer.bfloat16:
            return out
        # Only here: a model of float32 shall not wait for it.
        from ml_dtypes import bfloat16

        return out.astype(bfloat16)

    def activations(self, x: NDArray[Any], layer: str, batch_size: int | None = None) -> FloatArray:
        """What layer `layer` gives for each image, float32 of shape (n, *its output shape).

        Raises:
            ModelError: there is no layer of that name.
        """
        names = {entry.name: entry for entry in self.model.layers}
        if layer not in names:
            raise ModelError(f"there is no layer {layer!r}; choose one of {', '.join(names)}")
        shape = names[layer].output_shape
        images = self.images(x)
        if len(images) == 0:
            return np.zeros((0, *shape), np.float32)
        order = np.arange(len(images), dtype=np.int64)
        batch = batch_size or _INFERENCE_BATCH
        out = self.network.predict(images, order, batch, self.tensors[layer])
        return out.reshape(len(images), *shape)

    def evaluate(
        self,
        x: NDArray[Any],
        y: NDArray[Any],
        batch_size: int | None = None,
        sample_weight: NDArray[Any] | None = None,
        progress: Progress | None = None,
    ) -> dict[str, float]:
        """Loss and compiled metrics over all images, as Keras names them."""
        images, labels = self.images(x), self.labels(y)
        order = np.arange(len(images), dtype=np.int64)
        weights = None if sample_weight is None else float_array(sample_weight)
        sums = self.network.evaluate(
            images, labels, order, batch_size or _INFERENCE_BATCH, weights, progress
        )
        return self.logs(sums)

    def logs(self, sums: Mapping[str, Any]) -> dict[str, float]:
        """The core's sums as Keras's logs: the loss and each metric by name."""
        training = self._training()
        images = max(int(sums["images"]), 1)
        logs = {"loss": float(sums["loss"]) / images}
        ks = _top_ks(training.metrics)
        for metric in training.metrics:
            if metric.kind == "top_k":
                total = sums["top_k"][ks.index(metric.k)]
            else:
                total = sums["correct" if metric.kind == "categorical" else "binary"]
            logs[metric.name] = float(total) / images
        return logs

    def images(self, x: NDArray[Any]) -> NDArray[Any]:
        """`x` as the core takes it: uint8 as it is, anything else as float32; contiguous.

        Raises:
            DataError: a wrong shape, or a value that is not finite.
        """
        array = np.asarray(x)
        wanted = self.model.input_shape
        if array.ndim == 0 or _without_ones(array.shape[1:]) != _without_ones(wanted):
            raise DataError(
                f"images must have shape (n, {', '.join(map(str, wanted))}); got {array.shape}"
            )
        if array.dtype == np.uint8:
            return np.ascontiguousarray(array)
        array = float_array(array)
        if not np.isfinite(array).all():
            where = int(np.argwhere(~np.isfinite(array))[0][0])
            raise DataError(
                f"image {where} holds a value that is not a finite number; mend or remove it"
            )
        return array

    def labels(self, y: NDArray[Any]) -> NDArray[Any]:
        """`y` as the core takes it: classes, int64 (n,), or targets, float32 (n, units).

        Raises:
            DataError: a wrong shape, a class that the model does not have, or not a number.
        """
        loss, units = self._training().loss, self.model.output_layer.output_shape[0]
        array = np.asarray(y)
        if loss.sparse:
            flat = array.reshape(-1) if array.ndim == 2 and array.shape[1] == 1 else array
            classes = np.ascontiguousarray(flat, np.int64)
            if classes.ndim != 1 or not np.array_equal(classes, flat):
                raise DataError(f"labels must be whole numbers, shape (n,); got {array.shape}")
            wrong = np.flatnonzero((classes < 0) | (classes >= units))
            if wrong.size:
                raise DataError(
                    f"label {classes[wrong[0]]} of image {wrong[0]} is not one of the classes 0 to "
                    f"{units - 1}"
                )
            return classes
        targets = float_array(array)
        if targets.ndim == 1 and units == 1:
            targets = targets.reshape(-1, 1)
        if targets.shape[1:] != (units,):
            raise DataError(f"labels must have shape (n, {units}); got {array.shape}")
        # One-hot rows say no more than their classes, which take a fifth of the memory and less:
        # in a step of a small network, fetching rows from all over an array is a tenth of the time.
        if units > 1:
            places = _core.one_hot_classes(targets)
            if places is not None:
                return places
        if not np.isfinite(targets).all():
            raise DataError("a label is not a finite number; mend or remove it")
        return targets

    def _training(self) -> TrainingSpec:
        if self.training is None:
            raise ModelError("the model is not compiled; call model.compile(...) before saving it")
        return self.training

    def _prepare(self, training: TrainingSpec) -> None:
        o, loss = training.optimizer, training.loss
        self.network.set_optimizer(
            o.kind,
            beta1=o.beta1,
            beta2=o.beta2,
            epsilon=o.epsilon,
            weight_decay=o.weight_decay,
            clip_value=o.clip_value,
            clip_norm=o.clip_norm,
            global_clip_norm=o.global_clip_norm,
            amsgrad=o.amsgrad,
            centered=o.centered,
        )
        at = self.tensors[self.model.output] if _is_output(loss) else self._scores
        self.network.set_loss(
            at,
            loss.kind,
            loss.label_smoothing,
            _top_ks(training.metrics),
            _threshold(training),
            loss.clips,
        )
        if self._warp:
            self.network.set_augment(**self._warp)

    def _build(self, layer: spec.Layer) -> None:
        """Add one layer to the core's network; `_scores` becomes what its activation reads."""
        net = self.network
        if isinstance(layer, spec.Input):
            self.tensors[layer.name] = 0
            self._raw.add(layer.name)
            return
        x = self.tensors[layer.inputs[0]]
        if isinstance(layer, spec.Dense | spec.Conv2D):
            kind, alpha = spec.ACTIVATIONS[layer.activation]
            is_output = layer.name == self.model.output
            apart = is_output or kind not in ("linear", "relu", "sigmoid", "tanh")
            fused = "linear" if apart else kind
            if isinstance(layer, spec.Dense):
                x = net.dense(
                    x,
                    layer.units,
                    layer.use_bias,
                    fused,
                    layer.trainable,
                    layer.name,
                    layer.bfloat16,
                )
            else:
                x = net.conv2d(
                    x,
                    layer.filters,
                    layer.kernel_size,
                    layer.strides,
                    layer.padding == "same",
                    layer.use_bias,
                    fused,
                    layer.trainable,
                    layer.name,
                    layer.bfloat16,
                )
            self._own(layer.name, 2 if layer.use_bias else 1)
            if apart:
                x = self._activate(x, kind, alpha)
        elif isinstance(layer, spec.Pooling):
            same = layer.padding == "same"
            x = net.pool(x, layer.takes_max, layer.pool_size, layer.strides, same)
        elif isinstance(layer, spec.GlobalAveragePooling):
            x = net.global_average_pool(x)
        elif isinstance(layer, spec.Activation):
            x = self._activate(x, layer.activation, layer.alpha)
        elif isinstance(layer, spec.Dropout):
            x = net.dropout(x, layer.rate)
        elif isinstance(layer, spec.BatchNormalization):
            x = net.batch_norm(
                x,
                layer.momentum,
                layer.epsilon,
                layer.center,
                layer.scale,
                layer.trainable,
                layer.name,
            )
            self._own(layer.name, 2 + int(layer.center) + int(layer.scale))
        elif isinstance(layer, spec.Add):
            x = net.add([self.tensors[name] for name in layer.inputs])
        elif isinstance(layer, spec.Rescaling):
            if layer.inputs[0] in self._raw:
                self._raw.add(layer.name)
                self._input_scale *= layer.scale
                self._input_offset = self._input_offset * layer.scale + layer.offset
            x = net.rescale(x, layer.scale, layer.offset)
        elif isinstance(layer, spec.Reshape):
            shape = _core_shape(layer.output_shape)
            if layer.inputs[0] in self._raw and shape == net.shape(x):
                self._raw.add(layer.name)
            x = net.reshape(x, shape)
        elif isinstance(layer, spec.RandomWarp):
            self._add_warp(layer)
        self.tensors[layer.name] = x

    def _activate(self, x: int, kind: str, alpha: float) -> int:
        self._scores = x
        if kind == "linear":
            return x
        return (
            self.network.softmax(x) if kind == "softmax" else self.network.activate(x, kind, alpha)
        )

    def _own(self, layer: str, count: int) -> None:
        self.owners.extend((layer, place) for place in range(count))

    def _add_warp(self, layer: spec.RandomWarp) -> None:
        """Join a random layer to the one warp that the core does while it gathers a batch."""
        if layer.inputs[0] not in self._raw:
            raise Unsupported(f"the layer {layer.name!r} after layers other than Rescaling")
        self._raw.add(layer.name)
        zero = (0.0, 0.0)
        raw_fill = (layer.fill_value - self._input_offset) / (self._input_scale or 1.0)
        new: dict[str, Any] = {
            "shift_h": layer.shift_height,
            "shift_w": layer.shift_width,
            "turn": layer.turn,
            "zoom_h": layer.zoom_height,
            "zoom_w": layer.zoom_width,
            "fill": layer.fill_mode,
            "fill_value": raw_fill,
            "bilinear": layer.interpolation == "bilinear",
        }
        for key in ("shift_h", "shift_w", "turn", "zoom_h"):
            old = self._warp.get(key, zero)
            if old != zero and new[key] != zero:
                raise Unsupported(f"the layer {layer.name!r}, the second of its kind")
            new[key] = new[key] if new[key] != zero else old
        new["zoom_w"] = new["zoom_w"] or self._warp.get("zoom_w")
        for key in ("fill", "fill_value", "bilinear"):
            if key in self._warp and self._warp[key] != new[key]:
                raise Unsupported(f"the layer {layer.name!r}, which fills or resamples differently")
        self._warp = new


def float_array(values: Any) -> FloatArray:
    """Float32 in C order, of the same shape (`ascontiguousarray` would give a scalar an axis)."""
    return np.asarray(values, np.float32, order="C")


def _core_shape(shape: spec.Shape) -> tuple[int, int, int]:
    if len(shape) == 1:
        return 1, 1, shape[0]
    if len(shape) == 2:
        return shape[0], shape[1], 1
    if len(shape) == 3:
        return shape[0], shape[1], shape[2]
    raise Unsupported(f"data of shape {shape}")


def _without_ones(shape: Sequence[int]) -> tuple[int, ...]:
    """Keras takes (28, 28) for (28, 28, 1) and the other way round."""
    sizes = tuple(shape)
    return sizes[:-1] if len(sizes) > 1 and sizes[-1] == 1 else sizes


def _is_output(loss: Loss) -> bool:
    """Whether the loss reads the model's output itself, and not what a softmax or sigmoid reads."""
    return loss.from_logits or loss.kind == "mean_squared_error"


def _top_ks(metrics: Sequence[Metric]) -> list[int]:
    return sorted({metric.k for metric in metrics if metric.kind == "top_k"})


def _threshold(training: TrainingSpec) -> float | None:
    """The score above which the answer is yes: probabilities are compared as logits.

    None where no metric asks.
    """
    wanted = next((m.threshold for m in training.metrics if m.kind == "binary"), None)
    if wanted is None:
        return None
    if training.loss.kind != "sigmoid_cross_entropy" or training.loss.from_logits:
        return wanted
    if not 0.0 < wanted < 1.0:
        return float("inf") if wanted >= 1.0 else float("-inf")
    return float(np.log(wanted / (1.0 - wanted)))
