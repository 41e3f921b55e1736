"""The model card: one page of Markdown that goes wherever the model goes.

The sections are those of M. Mitchell et al., "Model Cards for Model Reporting", FAT* 2019, as far
as a run can fill them. What nobody recorded is said to be unknown.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from penmark.export.description import Description
from penmark.report.wording import percent, plain

_UNKNOWN = "unknown: only the model file was given, not the run that made it"


def model_card(description: Description, form: str) -> str:
    """Write the card.

    Args:
        description: what is known about the model.
        form: what it was exported as, and what that takes, in a paragraph.
    """
    parts = [
        f"# {_escaped(description.title)}",
        f"A Keras model with {description.parameters:,} parameters, exported by penmark "
        f"{description.version}.",
        form,
        "## Input and output",
        _table(
            ("", ""),
            [
                ("Input", f"uint8, (batch, {_shape(description.input_shape)})"),
                ("Preparation", description.preparation),
                ("Output", _output(description)),
                ("Classes, in order", _classes(description)),
            ],
        ),
        "## Training data",
        _data(description),
        "## Training",
        _training(description),
        "## Results",
        _results(description),
        "## Limits",
        _limits(description),
    ]
    return "\n\n".join(parts) + "\n"


def _output(description: Description) -> str:
    if description.outputs == 1:
        return "float32, (batch, 1): how much speaks for the second class; above 0.5 it is that one"
    return f"float32, (batch, {description.outputs}): one number a class, the largest is the answer"


def _classes(description: Description) -> str:
    names = ", ".join(_escaped(name) for name in description.class_names)
    return (
        names
        if description.class_names_known
        else f"{names} (only numbered: the file has no names)"
    )


def _data(description: Description) -> str:
    data = description.data
    if data is None:
        return _sentence(_UNKNOWN)
    rows = [
        ("Data set", data.get("name")),
        ("Source", data.get("source")),
        ("Training images", _count(data.get("train_images"))),
        ("Test images", _count(data.get("test_images"))),
        ("Checksum", data.get("checksum")),
    ]
    return _table(("", ""), [(name, _escaped(value)) for name, value in rows if value])


def _training(description: Description) -> str:
    if description.recipe is None:
        return _sentence(_UNKNOWN)
    rows = [
        ("Recipe", f"`{description.recipe}`"),
        ("Date", _escaped(description.created or "unknown")),
        ("Again with", f"`{_code(description.command or '')}`"),
        ("Trained in", f"{description.computes_in}; this export computes in float32"),
    ]
    return _table(("", ""), rows)


def _results(description: Description) -> str:
    accuracy, results = description.accuracy, description.results or {}
    if accuracy is None:
        return _sentence(_UNKNOWN if description.recipe is None else "unknown: no metrics.json")
    images = description.test_images
    parts = [
        f"Accuracy {percent(accuracy, images=images)} on the {images:,} test images of the data "
        "set, which took no part in the training."
    ]
    rows = results.get("per_class")
    if isinstance(rows, list) and rows:
        table = [
            (_escaped(row["class"]), _share(row["precision"]), _share(row["recall"]),
             _count(row["images"]))
            for row in rows
            if isinstance(row, dict) and {"class", "precision", "recall", "images"} <= set(row)
        ]  # fmt: skip
        parts.append(_table(("Class", "Precision", "Recall", "Test images"), table))
    return "\n\n".join(parts)


def _limits(description: Description) -> str:
    points = [
        "It answers every image with one of its classes, also an image that shows none of them.",
        "Its probabilities say how sure the network is, not how often it is right.",
        "It knows the kind of images it was trained on. On other hands, pens or cameras it errs "
        "more often; measure it on your own images before you rely on it.",
    ]
    if description.preparation_parameters.get("side"):
        points.append(
            "It expects prepared images (see Preparation). Dark ink on light paper, a digit that "
            "touches the border or one that is not centered is read much worse."
        )
    if (description.data or {}).get("name") == "digits":
        points.append(
            "The bundled digits are small (8×8 pixels, enlarged) and few: good for a first look, "
            "weak on real handwriting."
        )
    return "\n".join(f"- {point}" for point in points)


def _table(head: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> str:
    lines = [f"| {' | '.join(head)} |", f"|{' --- |' * len(head)}"]
    return "\n".join(lines + [f"| {' | '.join(row)} |" for row in rows])


def _shape(shape: tuple[int, ...]) -> str:
    return ", ".join(map(str, shape))


def _sentence(text: str) -> str:
    return f"{text[0].upper()}{text[1:]}."


def _share(value: Any) -> str:
    return percent(float(value)) if isinstance(value, int | float) else "–"


def _count(value: Any) -> str:
    return f"{value:,}" if isinstance(value, int) else ""


def _escaped(text: Any) -> str:
    """Text that Markdown shows as it is: a class may be called `<b>` or `|`."""
    return re.sub(r"([\\`*_\[\]<>|#])", r"\\\1", plain(text))


def _code(text: str) -> str:
    return plain(text).replace("`", "'").replace("|", "\\|")
