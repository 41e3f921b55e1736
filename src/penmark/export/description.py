"""What travels with every exported model: what it takes, what it answers, where it comes from."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

from penmark.data.preparation import BOX, CENTER, SIDE
from penmark.engine.spec import Shape
from penmark.export.source import Source
from penmark.report.wording import plain

MNIST_CONVENTION = (
    "A gray image, light ink (255) on a dark ground (0): the digit is cropped, scaled so that its "
    f"longer side is {BOX} pixels, and placed so that its center of mass lies on pixel "
    f"({CENTER}, {CENTER}) of {SIDE}×{SIDE}. The pixels go in as they are, 0 to 255."
)
AS_IN_TRAINING = (
    "Images in the shape and look of the training images. The pixels go in as they are, 0 to 255; "
    "any scaling happens inside the model."
)


@dataclasses.dataclass(frozen=True)
class Description:
    """The facts about a model that an export states; None where the source does not say.

    Args:
        title: what the model is called.
        version: of penmark.
        parameters: how many numbers the model holds.
        input_shape: of one image, uint8.
        outputs: how many numbers the model answers with.
        class_names: in the order of the outputs (two for one output: below and above one half).
        class_names_known: False where they are only numbers, because the file names none.
        preparation: in a sentence.
        preparation_parameters: the numbers in that sentence, for programs.
        recipe, data, trained, command, results: from the run.
    """

    title: str
    version: str
    parameters: int
    input_shape: Shape
    outputs: int
    class_names: tuple[str, ...]
    class_names_known: bool
    preparation: str
    preparation_parameters: dict[str, Any]
    computes_in: str
    recipe: str | None = None
    data: dict[str, Any] | None = None
    created: str | None = None
    command: str | None = None
    results: dict[str, Any] | None = None

    @property
    def accuracy(self) -> float | None:
        """On the run's test images, 0 to 1."""
        value = (self.results or {}).get("accuracy")
        return float(value) if isinstance(value, int | float) and math.isfinite(value) else None

    @property
    def test_images(self) -> int:
        value = (self.results or {}).get("images")
        return value if isinstance(value, int) else 0


def describe(source: Source, input_shape: Shape, outputs: int) -> Description:
    """Gather what is known about a model.

    Args:
        source: the model.
        input_shape: of one image.
        outputs: how many numbers it answers with.
    """
    from penmark import __version__

    run = source.run
    data = None if run is None else run.config.get("data")
    data = data if isinstance(data, dict) else None
    names = _class_names(data, outputs)
    gray = tuple(input_shape) in ((SIDE, SIDE), (SIDE, SIDE, 1), (SIDE * SIDE,))
    parameters: dict[str, Any] = {"dtype": "uint8", "range": [0, 255], "shape": list(input_shape)}
    if gray:
        parameters |= {"ink": 255, "ground": 0, "side": SIDE, "box": BOX, "center": CENTER}
    return Description(
        title=source.title,
        version=__version__,
        parameters=source.parameters,
        input_shape=input_shape,
        outputs=outputs,
        class_names=names or tuple(str(index) for index in range(max(outputs, 2))),
        class_names_known=names is not None,
        preparation=MNIST_CONVENTION if gray else AS_IN_TRAINING,
        preparation_parameters=parameters,
        computes_in=source.computes_in,
        recipe=None if run is None else plain(run.settings.recipe),
        data=data,
        created=None if run is None else plain(run.config.get("created", "")) or None,
        command=None if run is None else run.settings.command(),
        results=None if run is None else run.metrics,
    )


def _class_names(data: dict[str, Any] | None, outputs: int) -> tuple[str, ...] | None:
    """The run's class names, if it has as many as the model tells apart."""
    names = (data or {}).get("class_names")
    if not isinstance(names, list) or len(names) != max(outputs, 2):
        return None
    return tuple(plain(name) or "–" for name in names)
