"""What a training was asked to do: enough to do it again."""

from __future__ import annotations

import dataclasses
import shlex
from typing import Any, Literal, Self, get_args

from penmark.engine import check_engine
from penmark.errors import InputError, RunError
from penmark.recipes import Schedule

ColorMode = Literal["auto", "grayscale", "rgb"]
SCHEDULES: tuple[Schedule, ...] = get_args(Schedule)
OPTIMIZERS = ("sgd", "rmsprop", "adagrad", "adadelta", "adam", "adamw")


@dataclasses.dataclass(frozen=True)
class TrainingSettings:
    """Everything that decides a training's result, with the recipe's own values where None.

    Args:
        recipe: name of the recipe.
        data: what `penmark.load_data` takes: a name or a path.
        image_size: (height, width) to bring a folder's images to.
        color_mode: how a folder's images are read.
        positive_class: the class a binary recipe tells from the rest; None for the first.
        epochs, batch_size, validation_split, optimizer: instead of the recipe's.
        learning_rate: instead of the recipe's, or the optimizer's default.
        schedule: how the learning rate changes, None for as the recipe says: "cosine" falls to 0
            over the whole training, "one-cycle" rises for a quarter of it before it falls to 0,
            "exponential" falls by a tenth every epoch, "plateau" halves after 2 epochs without
            a lower loss (on validation where there is one).
        early_stopping: stop after so many epochs without a lower loss; None never stops.
        keep_best: keep the model of the most accurate epoch instead of the last.
        precision: "float32" or "mixed_bfloat16".
        engine: as in `penmark.fit`.
        seed: decides initial weights, order of images and dropout masks.

    Raises:
        InputError: a value outside its range.
    """

    recipe: str
    data: str = "mnist"
    image_size: tuple[int, int] | None = None
    color_mode: ColorMode = "auto"
    positive_class: str | None = None
    epochs: int | None = None
    batch_size: int | None = None
    validation_split: float | None = None
    optimizer: str | None = None
    learning_rate: float | None = None
    schedule: Schedule | None = None
    early_stopping: int | None = None
    keep_best: bool = False
    precision: str = "float32"
    engine: str = "auto"
    seed: int = 0

    def __post_init__(self) -> None:
        check_engine(self.engine)
        at_least_one = ("epochs", "batch_size", "early_stopping")
        for name in at_least_one:
            value = getattr(self, name)
            if value is not None and value < 1:
                raise InputError(f"{name} must be at least 1; got {value}")
        if self.learning_rate is not None and not 0 < self.learning_rate < float("inf"):
            raise InputError(f"learning_rate must be a number above 0; got {self.learning_rate}")
        if self.validation_split is not None and not 0 <= self.validation_split < 1:
            raise InputError(
                f"validation_split must be at least 0 and less than 1; got {self.validation_split}"
            )
        if not 0 <= self.seed < 2**31:
            raise InputError(f"seed must be a whole number from 0 to {2**31 - 1}; got {self.seed}")
        if self.schedule is not None and self.schedule not in SCHEDULES:
            raise InputError(
                f"schedule must be one of {', '.join(SCHEDULES)}; got {self.schedule!r}"
            )
        if self.optimizer is not None and self.optimizer not in OPTIMIZERS:
            raise InputError(
                f"optimizer must be one of {', '.join(OPTIMIZERS)}; got {self.optimizer!r}"
            )

    def to_json(self) -> dict[str, Any]:
        """As a plain dict of JSON values."""
        return dataclasses.asdict(self)

    @classmethod
    def from_json(cls, document: dict[str, Any]) -> Self:
        """The settings that `to_json` gave.

        Raises:
            RunError: unknown or missing keys, or values of the wrong kind.
        """
        values = dict(document)
        if values.get("image_size") is not None:
            values["image_size"] = tuple(values["image_size"])
        try:
            return cls(**values)
        except (TypeError, InputError) as error:
            raise RunError(f"the run's settings cannot be read: {error}") from error

    def command(self) -> str:
        """The command line that repeats this training."""
        words = ["penmark", "train", self.recipe]
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            always = field.name in ("data", "seed")
            if field.name == "recipe" or (value == field.default and not always):
                continue
            option = "--" + field.name.replace("_", "-")
            if field.name == "image_size":
                words += [option, f"{value[0]}x{value[1]}"]
            elif value is True:
                words.append(option)
            else:
                words += [option, str(value)]
        return shlex.join(words)
