"""How results look in a terminal: tables on standard output, images as text."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table
from rich.text import Text

from penmark.engine.progress_text import duration, sparkline
from penmark.report.wording import percent

if TYPE_CHECKING:
    from penmark.data.dataset import Dataset
    from penmark.export import Exported
    from penmark.port import Ported
    from penmark.reading.measurement import Measurement
    from penmark.report.evaluation import Evaluation
    from penmark.runs import Run

_GRAYS = " .:-=+*#%@"


def table(*columns: str, numbers: Iterable[str] = (), title: str | None = None) -> Table:
    """An empty table in the one style of all tables; columns named in `numbers` align right."""
    made = Table(
        title=title,
        title_justify="left",
        title_style="bold",
        box=None,
        pad_edge=False,
        header_style="bold",
    )
    right = set(numbers)
    for column in columns:
        made.add_column(column, justify="right" if column in right else "left")
    return made


def evaluation_tables(evaluation: Evaluation) -> list[Table | Text]:
    """The headline, a row for each class, and the most confused pairs."""
    headline = Text(
        f"accuracy {percent(evaluation.accuracy, images=evaluation.images)}  "
        f"({evaluation.errors:,} of {evaluation.images:,} images read wrongly)",
        style="bold",
    )
    details = Text(
        f"top-2 {percent(evaluation.top2_accuracy)}   loss {evaluation.loss:.4f}   "
        f"calibration error {percent(evaluation.ece)}   {duration(evaluation.seconds)}"
    )
    classes = table(
        "class", "precision", "recall", "images", numbers=("precision", "recall", "images")
    )
    for row in evaluation.per_class:
        classes.add_row(
            Text(row["class"]),
            f"{100 * row['precision']:.1f}%",
            f"{100 * row['recall']:.1f}%",
            f"{row['images']:,}",
        )
    parts: list[Table | Text] = [headline, details, Text(), classes]
    pairs = evaluation.most_confused()[:5]
    if pairs:
        confused = table("class", "taken for", "times", numbers=("times",), title="Most confused")
        for true, predicted, count in pairs:
            confused.add_row(Text(true), Text(predicted), str(count))
        parts += [Text(), confused]
    return parts


def reading_tables(measurement: Measurement) -> list[Table | Text]:
    """The headline, what went wrong, and accuracy by surface and along each axis of difficulty."""
    from penmark.reading.measurement import LEVELS
    from penmark.reading.pages import AXES

    overall = measurement.overall
    low, high = measurement.digit_interval
    row_low, row_high = measurement.row_interval
    parts: list[Table | Text] = [
        Text(
            f"digits {percent(overall.digit_accuracy, images=overall.digits)} "
            f"({overall.correct:,} of {overall.digits:,})   "
            f"rows {percent(overall.row_accuracy, images=overall.rows)} "
            f"({overall.rows_correct:,} of {overall.rows:,})",
            style="bold",
        ),
        Text(
            f"95% intervals: digits {percent(low)} to {percent(high)}, "
            f"rows {percent(row_low)} to {percent(row_high)}; "
            f"{overall.pages:,} pages, {duration(overall.seconds / overall.pages)} a page"
        ),
        Text(
            f"{overall.misread:,} misread, {overall.questioned:,} read as ?, "
            f"{overall.missed:,} not found; on each page {overall.false_digits_per_page:.2f} "
            f"false digits, {overall.false_questions / overall.pages:.2f} false ?"
        ),
        Text(),
    ]
    numbers = ("pages", "digits", "rows", "false digits")
    for kind, groups in (("surface", measurement.surfaces), ("pen", measurement.pens)):
        made = table(kind, *numbers, numbers=numbers)
        for name, tally in groups.items():
            made.add_row(
                name,
                f"{tally.pages:,}",
                percent(tally.digit_accuracy),
                percent(tally.row_accuracy),
                f"{tally.false_digits:,}",
            )
        parts += [made, Text()]
    columns = [f"{level:.0%}" for level in LEVELS]
    made = table(
        "difficulty", "from", "to", *columns,
        numbers=("from", "to", *columns), title="Digit accuracy as one difficulty grows",
    )  # fmt: skip
    made.caption = (
        f"clean pages: digits {percent(measurement.clean.digit_accuracy)}, "
        f"rows {percent(measurement.clean.row_accuracy)}; "
        f"pages at each point: {measurement.clean.pages}"
    )
    made.caption_justify = "left"
    made.caption_style = ""
    for name, tallies in measurement.axes.items():
        axis = AXES[name]
        cells = [percent(tally.digit_accuracy) for tally in tallies]
        made.add_row(name, axis.text(0.0), axis.text(1.0), *cells)
    return [*parts, made]


def dataset_tables(dataset: Dataset) -> list[Table | Text]:
    """Shapes, dtypes and how many images each class has."""
    arrays = table("array", "shape", "dtype", "values")
    for name in ("x_train", "y_train", "x_test", "y_test"):
        array = getattr(dataset, name)
        low, high = (array.min(), array.max()) if array.size else ("–", "–")
        arrays.add_row(name, str(array.shape), str(array.dtype), f"{low} to {high}")
    counts = table("class", "training", "test", numbers=("training", "test"))
    training = np.bincount(dataset.y_train, minlength=dataset.num_classes)
    test = np.bincount(dataset.y_test, minlength=dataset.num_classes)
    for name, in_training, in_test in zip(dataset.class_names, training, test, strict=True):
        counts.add_row(Text(name), f"{in_training:,}", f"{in_test:,}")
    counts.add_section()
    counts.add_row("all", f"{training.sum():,}", f"{test.sum():,}")
    return [Text(dataset.source), Text(), arrays, Text(), counts]


def runs_table(runs: Sequence[Run], *, width: int) -> Table:
    """One row a run: recipe, data, accuracy, loss, epochs, time, and how it ended.

    Args:
        runs: what to list.
        width: of the terminal, in characters; a wide one also gets the curve of the accuracy.
    """
    has_curve = width >= 100
    numbers = ("accuracy", "loss", "epochs", "time")
    made = table(
        "run", "recipe", "data", *numbers, *(["curve"] if has_curve else []), numbers=numbers
    )
    for column in made.columns[1:]:
        column.no_wrap = True
    for run in runs:
        metrics = run.metrics or {}
        history = run.history
        accuracy, loss = metrics.get("accuracy"), metrics.get("loss")
        name = run.name if run.status == "complete" else f"{run.name} ({run.status})"
        curve = sparkline(history.get("val_accuracy") or history.get("accuracy") or [], width=12)
        made.add_row(
            Text(name, overflow="fold"),
            run.settings.recipe,
            Text(str(run.config.get("data", {}).get("name", ""))),
            "–" if accuracy is None else percent(accuracy, images=metrics.get("images", 0)),
            "–" if loss is None else f"{loss:.4g}",
            str(run.epochs_done),
            duration(sum(history.get("seconds", []))),
            *([curve] if has_curve else []),
        )
    return made


def reproduce_table(rows: Iterable[Mapping[str, Any]]) -> Table:
    """The rows of `penmark.runs.reproduce`."""
    from penmark.runs.reproduce import published_text

    made = table(
        "recipe",
        "parameters",
        "epochs",
        "published",
        "measured",
        "s/epoch",
        "total",
        numbers=("parameters", "epochs", "published", "measured", "s/epoch", "total"),
    )
    for row in rows:
        made.add_row(
            row["recipe"],
            f"{row['parameters']:,}",
            str(row["epochs"]),
            published_text(row),
            f"{100 * row['measured_accuracy']:.2f}%",
            f"{row['seconds_per_epoch']:.1f}",
            duration(row["seconds"]),
        )
    return made


def bench_tables(rows: Sequence[Mapping[str, Any]]) -> list[Table | Text]:
    """The rows of `penmark.runs.bench`, and where there are profiles a table of each."""
    numbers = ["engine s", "peer s", "ratio", "of peak"]
    columns = ["recipe", "engine s", "peer", "peer s", "ratio", "of peak"]
    compared = any("ratio_to_float32" in row for row in rows)
    if compared:
        columns += (more := ["float32 s", "ratio to float32"])
        numbers += more
    made = table(*columns, numbers=numbers)
    parts: list[Table | Text] = [made]
    if any(row["share_of_peak"] > 1 for row in rows):
        parts.append(Text("Over 100%: all products count, also those that the engine leaves out."))
    for row in rows:
        cells = [
            row["recipe"],
            f"{row['seconds_per_epoch']:.2f}",
            row["peer"],
            f"{row['peer_seconds_per_epoch']:.2f}",
            f"{row['ratio']:.2f}×",
            f"{100 * row['share_of_peak']:.0f}%",
        ]
        if compared:
            cells.append(f"{row['float32_seconds_per_epoch']:.2f}")
            cells.append(f"{row['ratio_to_float32']:.2f}×")
        made.add_row(*cells)
        if "layers" in row:
            layers = table(
                "layer", "forward s", "backward s",
                numbers=("forward s", "backward s"), title=f"\n{row['recipe']}",
            )  # fmt: skip
            for layer in row["layers"]:
                layers.add_row(
                    layer["layer"],
                    f"{layer['forward_seconds']:.2f}",
                    f"{layer['backward_seconds']:.2f}",
                )
            parts.append(layers)
    return parts


def export_tables(exported: Exported) -> list[Table | Text]:
    """Where an export went, what it takes and gives, and how close its answers are."""
    description = exported.description
    names = {"onnx": "ONNX file", "litert": "LiteRT file", "web": "Web page"}
    size = f"{exported.size_bytes / 1e6:.1f} MB"
    shape = ", ".join(map(str, description.input_shape))
    facts = table("", "")
    facts.show_header = False
    rows = [
        ("takes", f"uint8 (batch, {shape}): raw pixels, 0 to 255"),
        ("answers", _classes_in_short(description.class_names, description.class_names_known)),
        (
            "checked",
            f"{exported.checked_images} images in {exported.checked_with}: largest difference "
            f"from the model's own answers {exported.largest_difference:.1e}",
        ),
    ]
    if exported.form == "web":
        rows.append(("model card", str(exported.path / "MODEL_CARD.md")))
        rows.append(
            ("look at it", shlex.join(["python", "-m", "http.server", "-d", str(exported.path)]))
        )
    else:
        rows.append(("model card", f"{exported.path}.md, and inside the file"))
    for name, value in rows:
        facts.add_row(Text(name), Text(value, overflow="fold"))
    return [Text(f"{names[exported.form]} {exported.path}  {size}", style="bold"), facts]


def _classes_in_short(names: Sequence[str], known: bool) -> str:
    shown = ", ".join(names[:12]) + (", …" if len(names) > 12 else "")
    return shown if known else f"{shown} (numbered: the file names no classes)"


def examples_as_text(dataset: Dataset, console: Console, *, rows: int = 3) -> list[Text]:
    """A few training images as rows of characters, as many as fit side by side.

    In a terminal two pixels share one character cell, drawn as half blocks in their own color;
    elsewhere a pixel is a character from light to dark.

    Args:
        dataset: images of any shape; larger ones are shrunk.
        console: its width and its colors decide how much is drawn, and how.
        rows: how many rows of images.
    """
    side_px = 14
    gap = 2
    columns = max(1, min(10, (console.width + gap) // (side_px + gap)))
    chosen = _one_of_each_class(dataset.y_train, dataset.num_classes, rows * columns)
    lines: list[Text] = []
    for start in range(0, len(chosen), columns):
        in_row = chosen[start : start + columns]
        titles = Text()
        drawings = []
        for index in in_row:
            name = dataset.class_names[dataset.y_train[index]]
            titles.append(name[:side_px].ljust(side_px + gap), style="bold")
            drawings.append(_drawing(_shrunk(dataset.x_train[index], side_px), console))
        lines.append(titles)
        for parts in zip(*drawings, strict=True):
            lines.append(Text(" " * gap).join(parts))
        lines.append(Text())
    return lines


def _one_of_each_class(labels: NDArray[np.int64], classes: int, count: int) -> list[int]:
    """Indices of images, going round the classes: first the first of each, then the second."""
    by_class = [np.flatnonzero(labels == label) for label in range(classes)]
    chosen: list[int] = []
    turn = 0
    while len(chosen) < count and any(turn < len(found) for found in by_class):
        chosen += [int(found[turn]) for found in by_class if turn < len(found)]
        turn += 1
    return chosen[:count]


def _shrunk(image: NDArray[np.uint8], side_px: int) -> NDArray[np.uint8]:
    """An image as (side_px, side_px, 3) by averaging."""
    from PIL import Image

    picture = Image.fromarray(image).convert("RGB")
    return np.asarray(picture.resize((side_px, side_px), Image.Resampling.BOX))


def _drawing(image: NDArray[np.uint8], console: Console) -> list[Text]:
    lines = []
    for upper, lower in zip(image[0::2], image[1::2], strict=True):
        line = Text()
        for above, below in zip(upper, lower, strict=True):
            if console.color_system:
                line.append("▀", style=f"rgb({_rgb(above)}) on rgb({_rgb(below)})")
            else:
                gray = (int(above.mean()) + int(below.mean())) // 2
                line.append(_GRAYS[gray * len(_GRAYS) // 256])
        lines.append(line)
    return lines


def _rgb(pixel: NDArray[np.uint8]) -> str:
    return ",".join(str(int(value)) for value in pixel)


def port_findings(ported: Ported) -> list[Table | Text]:
    """What `penmark port` changed and what it left, each with its line and reason."""
    parts: list[Table | Text] = []
    if ported.changes:
        made = table("line", "change", "because", numbers=["line"])
        for change in ported.changes:
            made.add_row(str(change.line), Text(change.what), f"{change.why}: {change.since}")
        parts += [made, Text()]
    else:
        parts.append(Text(f"{ported.name}: nothing to change"))
    if ported.left:
        made = table("line", "left as it was", "what to do", numbers=["line"])
        for left in ported.left:
            made.add_row(str(left.line), Text(left.what), Text(left.hint))
        parts += [made, Text()]
    for part in parts:
        if isinstance(part, Table):
            for column in part.columns[1:]:
                column.overflow = "fold"
    return parts
