"""`Recipe`: a network and the way to train it, as one named thing."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, Literal

from penmark.errors import InputError, ModelError

if TYPE_CHECKING:
    import keras

    from penmark.data import Dataset
    from penmark.engine import Augment, LossFrom

Precision = Literal["float32", "mixed_bfloat16"]
Schedule = Literal["constant", "cosine", "one-cycle", "exponential", "plateau"]
PRECISIONS: tuple[Precision, ...] = ("float32", "mixed_bfloat16")


@dataclasses.dataclass(frozen=True)
class Recipe:
    """A network and its training, as published.

    Args:
        name: as in `penmark train NAME`.
        network: the layers in one line, for people.
        make_network: (image shape, number of classes) -> the model, not yet compiled.
        optimizer: Keras's name of the optimizer, taken with Keras's defaults; None for a network
            that is trained by a rule of its own.
        learning_rate: instead of the optimizer's default.
        schedule: how the learning rate changes, as for `penmark.runs.TrainingSettings`.
        batch_size, epochs: as published.
        validation_split: the share of the training images held back at their end, or 0.
        pixels: "0-255" where the network gets raw pixels, "0-1" where a layer rescales them.
        published_accuracy: lowest and highest published test accuracy on MNIST, or None.
        loss: Keras's name of the loss.
        loss_from: as for `penmark.fit`.
        smallest_image_px: the least height and width that the layers can work on.
        binary: the network tells one class from the rest.
        augmentation: makes of a data set what `penmark.fit` takes as `augment`, or None where it
            has nothing to vary; None for the images as they are.
        fit: trains a model of this recipe, called like `penmark.fit`; None for `penmark.fit`.
    """

    name: str
    network: str
    make_network: Callable[[tuple[int, ...], int], keras.Model]
    optimizer: str | None
    batch_size: int
    epochs: int
    learning_rate: float | None = None
    schedule: Schedule = "constant"
    validation_split: float = 0.0
    pixels: Literal["0-255", "0-1"] = "0-255"
    published_accuracy: tuple[float, float] | None = None
    loss: str = "categorical_crossentropy"
    loss_from: LossFrom = "logits"
    smallest_image_px: int = 1
    binary: bool = False
    augmentation: Callable[[Dataset], Augment | None] | None = None
    fit: Callable[..., keras.callbacks.History] | None = None

    def build(
        self,
        dataset: Dataset | None = None,
        *,
        image_shape: tuple[int, ...] = (28, 28),
        num_classes: int = 10,
        optimizer: Any = None,
        precision: Precision = "float32",
        seed: int | None = None,
    ) -> keras.Model:
        """Make the compiled network for a data set, or for MNIST's shape and classes.

        Args:
            dataset: gives the image shape and the number of classes.
            image_shape: (height, width) or (height, width, channels), without a data set.
            num_classes: without a data set.
            optimizer: anything `model.compile` takes, instead of the published optimizer.
            precision: "mixed_bfloat16" computes in bfloat16 and keeps float32 weights.
            seed: makes the initial weights repeatable, through `keras.utils.set_random_seed`.

        Returns:
            A compiled keras.Model from raw pixels, 0 to 255, to class probabilities of shape
            (n, classes); for a binary recipe to 0 or 1, shape (n, 1).

        Raises:
            ModelError: the images are too small for the layers.
            InputError: unknown precision, an optimizer for a recipe with a rule of its own, or
                more than two classes for a binary recipe.
        """
        if dataset is not None:
            image_shape, num_classes = dataset.image_shape, dataset.num_classes
            if self.binary and num_classes != 2:
                raise InputError(
                    f"{self.name} tells one class from the rest; give it "
                    f"dataset.one_against_rest({dataset.class_names[0]!r}) or another class"
                )
        if min(image_shape[:2]) < self.smallest_image_px:
            raise ModelError(
                f"{self.name} needs images of at least {self.smallest_image_px}×"
                f"{self.smallest_image_px} pixels; these are {image_shape[0]}×{image_shape[1]}"
            )
        if self.optimizer is None and optimizer is not None:
            raise InputError(
                f"{self.name} is trained by a rule of its own; leave the optimizer out"
            )
        from penmark.engine.backend import keras

        if seed is not None:
            keras.utils.set_random_seed(seed)
        with _dtype_policy(precision):
            model = self.make_network(image_shape, num_classes)
        model.compile(
            optimizer=optimizer if optimizer is not None else self.optimizer or "sgd",
            loss=self.loss,
            metrics=["accuracy"],
        )
        return model


@contextlib.contextmanager
def _dtype_policy(precision: str) -> Iterator[None]:
    """Make layers with `precision`, then put the user's own policy back."""
    if precision not in PRECISIONS:
        raise InputError(f"precision must be one of {', '.join(PRECISIONS)}; got {precision!r}")
    from penmark.engine.backend import keras

    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(precision)
    try:
        yield
    finally:
        keras.config.set_dtype_policy(before)
