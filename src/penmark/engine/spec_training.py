"""How a model trains: loss, metrics, optimizer and learning rate, from its compile configuration.

Takes what `model.get_compile_config()` gives, or `compile_config` of a `.keras` file; no Keras.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from penmark.engine.spec import Activation, Config, Conv2D, Dense, ModelSpec, Unsupported


@dataclasses.dataclass(frozen=True)
class Loss:
    """`kind` as the core names it; `sparse`: labels are class numbers."""

    kind: str
    sparse: bool
    label_smoothing: float
    from_logits: bool
    # Probabilities are clipped to [1e-7, 1 - 1e-7], and have no gradient outside.
    clips: bool = False


@dataclasses.dataclass(frozen=True)
class Metric:
    """`kind`: "categorical", "binary" or "top_k"; `name`: its key in the logs."""

    name: str
    kind: str
    k: int = 0
    threshold: float = 0.5


@dataclasses.dataclass(frozen=True)
class Optimizer:
    """`kind` and the constants as the core takes them (see native/kernels.h, UpdateRule)."""

    kind: str
    beta1: float = 0.0
    beta2: float = 0.0
    epsilon: float = 0.0
    weight_decay: float = 0.0
    clip_value: float = 0.0
    clip_norm: float = 0.0
    global_clip_norm: float = 0.0
    amsgrad: bool = False
    centered: bool = False
    slots: tuple[str, ...] = ()  # Keras's attributes that hold the core's slots, in order


@dataclasses.dataclass(frozen=True)
class TrainingSpec:
    """Everything of `model.compile` that the core needs.

    Args:
        learning_rate: a number, or the configuration of a schedule.
    """

    loss: Loss
    metrics: tuple[Metric, ...]
    optimizer: Optimizer
    learning_rate: float | Config


def clipped(training: TrainingSpec) -> TrainingSpec:
    """The same training with its cross-entropy from clipped probabilities.

    Raises:
        Unsupported: the loss is no categorical cross-entropy.
    """
    if training.loss.kind != "softmax_cross_entropy":
        raise Unsupported("loss_from='probabilities' for another loss than cross-entropy")
    return dataclasses.replace(training, loss=dataclasses.replace(training.loss, clips=True))


def read_training(config: Config | None, model: ModelSpec) -> TrainingSpec:
    """Read a compile configuration.

    Raises:
        Unsupported: an option that the core does not cover, named.
    """
    if not config:
        raise Unsupported("a model that is not compiled, or with parts that cannot be serialized")
    try:
        if config.get("loss_weights") is not None:
            raise Unsupported("loss_weights")
        if config.get("weighted_metrics"):
            raise Unsupported("weighted_metrics")
        loss = _read_loss(config["loss"], model)
        metrics = _read_metrics(config.get("metrics"), loss, model)
        optimizer, rate = _read_optimizer(config["optimizer"])
    except (KeyError, TypeError, ValueError, IndexError, AttributeError) as error:
        raise Unsupported(f"a compile configuration that is not understood ({error!r})") from error
    return TrainingSpec(loss, metrics, optimizer, rate)


_LOSSES: Mapping[str, tuple[str, bool]] = {
    "sparse_categorical_crossentropy": ("softmax_cross_entropy", True),
    "SparseCategoricalCrossentropy": ("softmax_cross_entropy", True),
    "categorical_crossentropy": ("softmax_cross_entropy", False),
    "CategoricalCrossentropy": ("softmax_cross_entropy", False),
    "binary_crossentropy": ("sigmoid_cross_entropy", False),
    "BinaryCrossentropy": ("sigmoid_cross_entropy", False),
    "mse": ("mean_squared_error", False),
    "MSE": ("mean_squared_error", False),
    "mean_squared_error": ("mean_squared_error", False),
    "MeanSquaredError": ("mean_squared_error", False),
}


def _name_and_options(value: Any, what: str) -> tuple[str, Config]:
    """A string, or a serialized object with its configuration."""
    if isinstance(value, str):
        return value, {}
    if isinstance(value, Mapping) and not value.get("registered_name"):
        inner = value.get("config")
        if value.get("class_name") == "function" and isinstance(inner, str):
            return inner, {}
        return str(value["class_name"]), inner if isinstance(inner, Mapping) else {}
    raise Unsupported(f"a custom {what}")


def output_activation(model: ModelSpec) -> str:
    """Name of the function that makes the model's output: "softmax", "sigmoid", "linear", ..."""
    layer = model.output_layer
    if isinstance(layer, Dense | Conv2D | Activation):
        return layer.activation
    return "linear"


def _read_loss(value: Any, model: ModelSpec) -> Loss:
    if value is None or isinstance(value, list | tuple):
        raise Unsupported("a model without one loss")
    name, options = _name_and_options(value, "loss")
    if name not in _LOSSES:
        raise Unsupported(f"the loss {name!r}")
    kind, sparse = _LOSSES[name]
    if options.get("reduction", "sum_over_batch_size") != "sum_over_batch_size":
        raise Unsupported(f"reduction={options['reduction']!r} of the loss")
    if options.get("axis", -1) != -1 or options.get("ignore_class") is not None:
        raise Unsupported("axis or ignore_class of the loss")
    if len(model.output_layer.output_shape) != 1:
        raise Unsupported(f"an output of shape {model.output_layer.output_shape}")
    from_logits = bool(options.get("from_logits", False))
    made_by = output_activation(model)
    needed = {"softmax_cross_entropy": "softmax", "sigmoid_cross_entropy": "sigmoid"}.get(kind)
    if needed is not None and (made_by == needed) == from_logits:
        raise Unsupported(
            f"the loss {name!r} with from_logits={from_logits} on an output made by {made_by!r}"
        )
    return Loss(kind, sparse, float(options.get("label_smoothing") or 0.0), from_logits)


_METRICS: Mapping[str, tuple[str, str]] = {
    "sparse_categorical_accuracy": ("categorical", "sparse_categorical_accuracy"),
    "SparseCategoricalAccuracy": ("categorical", "sparse_categorical_accuracy"),
    "categorical_accuracy": ("categorical", "categorical_accuracy"),
    "CategoricalAccuracy": ("categorical", "categorical_accuracy"),
    "binary_accuracy": ("binary", "binary_accuracy"),
    "BinaryAccuracy": ("binary", "binary_accuracy"),
    "top_k_categorical_accuracy": ("top_k", "top_k_categorical_accuracy"),
    "TopKCategoricalAccuracy": ("top_k", "top_k_categorical_accuracy"),
    "sparse_top_k_categorical_accuracy": ("top_k", "sparse_top_k_categorical_accuracy"),
    "SparseTopKCategoricalAccuracy": ("top_k", "sparse_top_k_categorical_accuracy"),
}


def _read_metrics(value: Any, loss: Loss, model: ModelSpec) -> tuple[Metric, ...]:
    if value is None:
        return ()
    if not isinstance(value, list | tuple):
        raise Unsupported("metrics that are not a list")
    metrics = tuple(_read_metric(item, loss, model) for item in value)
    if len({metric.threshold for metric in metrics if metric.kind == "binary"}) > 1:
        raise Unsupported("binary accuracies with different thresholds")
    if len({metric.name for metric in metrics}) != len(metrics):
        raise Unsupported("several metrics of one name")
    return metrics


def _read_metric(value: Any, loss: Loss, model: ModelSpec) -> Metric:
    name, options = _name_and_options(value, "metric")
    units = model.output_layer.output_shape[0]
    binary = units == 1 or (loss.kind == "sigmoid_cross_entropy")
    if name in ("accuracy", "acc"):
        # Keras chooses by shape: one output is binary, several are classes.
        return Metric(name, "binary" if units == 1 else "categorical")
    if name not in _METRICS:
        raise Unsupported(f"the metric {name!r}")
    kind, plain = _METRICS[name]
    if kind == "binary" and not (binary or loss.kind == "mean_squared_error"):
        raise Unsupported(f"the metric {name!r} on class probabilities")
    return Metric(
        str(options.get("name") or plain),
        kind,
        int(options.get("k", 5)) if kind == "top_k" else 0,
        float(options.get("threshold", 0.5)),
    )


def _read_optimizer(value: Any) -> tuple[Optimizer, float | Config]:
    name, options = _name_and_options(value, "optimizer")
    for option in ("use_ema", "loss_scale_factor", "gradient_accumulation_steps"):
        if options.get(option):
            raise Unsupported(f"{option} of the optimizer {name!r}")
    rate = options["learning_rate"]
    if isinstance(rate, Mapping):
        rates_of(rate, 0, 1)  # raises for a schedule that is not known
    momentum = float(options.get("momentum") or 0.0)
    common: dict[str, Any] = {
        "epsilon": float(options.get("epsilon") or 0.0),
        "weight_decay": float(options.get("weight_decay") or 0.0),
        "clip_value": float(options.get("clipvalue") or 0.0),
        "clip_norm": float(options.get("clipnorm") or 0.0),
        "global_clip_norm": float(options.get("global_clipnorm") or 0.0),
    }
    if name == "SGD":
        kind = "nesterov" if options.get("nesterov") else "momentum"
        if momentum == 0.0:
            return Optimizer("sgd", **common), rate
        return Optimizer(kind, beta1=momentum, slots=("momentums",), **common), rate
    if name in ("Adam", "AdamW"):
        amsgrad = bool(options.get("amsgrad", False))
        slots = ("_momentums", "_velocities", "_velocity_hats")[: 3 if amsgrad else 2]
        return Optimizer(
            "adam",
            beta1=float(options["beta_1"]),
            beta2=float(options["beta_2"]),
            amsgrad=amsgrad,
            slots=slots,
            **common,
        ), rate
    if name == "RMSprop":
        return Optimizer(
            "rmsprop",
            beta1=momentum,
            beta2=float(options["rho"]),
            centered=bool(options.get("centered", False)),
            slots=("_velocities", "_momentums", "_average_gradients"),
            **common,
        ), rate
    if name == "Adagrad":
        return Optimizer("adagrad", slots=("_accumulators",), **common), rate
    if name == "Adadelta":
        return Optimizer(
            "adadelta",
            beta2=float(options["rho"]),
            slots=("_accumulated_grads", "_accumulated_delta_vars"),
            **common,
        ), rate
    raise Unsupported(f"the optimizer {name!r}")


def rates_of(rate: float | Config, first: int, count: int) -> NDArray[np.float32]:
    """Learning rates of the steps `first` to `first + count - 1`, float32 of shape (count,).

    Args:
        rate: a number, or a serialized Keras learning-rate schedule.

    Raises:
        Unsupported: a schedule that is not one of Keras's own.
    """
    if not isinstance(rate, Mapping):
        return np.full(count, rate, np.float32)
    name, options = _name_and_options(rate, "learning-rate schedule")
    steps = np.arange(first, first + count, dtype=np.float64)
    if name not in _SCHEDULES:
        raise Unsupported(f"the learning-rate schedule {name!r}")
    return np.asarray(_SCHEDULES[name](steps, options), np.float32)


def _exponential(steps: NDArray[np.float64], o: Config) -> NDArray[np.float64]:
    power = steps / o["decay_steps"]
    power = np.floor(power) if o.get("staircase") else power
    return np.asarray(o["initial_learning_rate"] * o["decay_rate"] ** power)


def _inverse_time(steps: NDArray[np.float64], o: Config) -> NDArray[np.float64]:
    power = steps / o["decay_steps"]
    power = np.floor(power) if o.get("staircase") else power
    return np.asarray(o["initial_learning_rate"] / (1.0 + o["decay_rate"] * power))


def _polynomial(steps: NDArray[np.float64], o: Config) -> NDArray[np.float64]:
    last = float(o["decay_steps"])
    if o.get("cycle"):
        over = last * np.where(steps == 0, 1.0, np.ceil(steps / last))
    else:
        over, steps = np.full_like(steps, last), np.minimum(steps, last)
    left = (1.0 - steps / over) ** float(o.get("power", 1.0))
    end = float(o.get("end_learning_rate", 1e-4))
    return np.asarray((o["initial_learning_rate"] - end) * left + end)


def _cosine(steps: NDArray[np.float64], o: Config) -> NDArray[np.float64]:
    initial, alpha = float(o["initial_learning_rate"]), float(o.get("alpha", 0.0))
    warmup, target = float(o.get("warmup_steps") or 0), o.get("warmup_target")

    def decay(at: NDArray[np.float64], start: float) -> NDArray[np.float64]:
        share = np.minimum(at, o["decay_steps"]) / o["decay_steps"]
        return np.asarray(start * ((1 - alpha) * 0.5 * (1 + np.cos(math.pi * share)) + alpha))

    if target is None:
        return decay(steps, initial)
    rising = initial + (float(target) - initial) * steps / max(warmup, 1.0)
    return np.where(steps < warmup, rising, decay(steps - warmup, float(target)))


def _cosine_restarts(steps: NDArray[np.float64], o: Config) -> NDArray[np.float64]:
    t_mul, m_mul = float(o.get("t_mul", 2.0)), float(o.get("m_mul", 1.0))
    alpha = float(o.get("alpha", 0.0))
    share = steps / o["first_decay_steps"]
    if t_mul == 1.0:
        restart = np.floor(share)
        share = share - restart
    else:
        restart = np.floor(np.log(1.0 - share * (1.0 - t_mul)) / math.log(t_mul))
        share = (share - (1.0 - t_mul**restart) / (1.0 - t_mul)) / t_mul**restart
    cosine = 0.5 * m_mul**restart * (1.0 + np.cos(math.pi * share))
    return np.asarray(o["initial_learning_rate"] * ((1 - alpha) * cosine + alpha))


def _piecewise(steps: NDArray[np.float64], o: Config) -> NDArray[np.float64]:
    boundaries: Sequence[float] = o["boundaries"]
    return np.asarray(o["values"], np.float64)[np.searchsorted(boundaries, steps, side="left")]


_SCHEDULES: Mapping[str, Any] = {
    "ExponentialDecay": _exponential,
    "InverseTimeDecay": _inverse_time,
    "PolynomialDecay": _polynomial,
    "CosineDecay": _cosine,
    "CosineDecayRestarts": _cosine_restarts,
    "PiecewiseConstantDecay": _piecewise,
}
