"""A model as a folder of static files: a page that draws and predicts in the browser, offline."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING

from penmark.atomic import replacing_folder, write_json, write_text
from penmark.data.preparation import SIDE
from penmark.errors import ModelError
from penmark.export.card import model_card
from penmark.export.description import Description
from penmark.export.destination import folder_destination
from penmark.export.exported import Exported
from penmark.export.onnx_file import checked_onnx, plain_data, require_onnx, runtime_version
from penmark.export.source import open_source
from penmark.report.wording import percent, shorten

if TYPE_CHECKING:
    from penmark.runs import Run

_PARTS = Path(__file__).parent / "web"
_RUNTIME = _PARTS / "runtime"
_SCRIPTS = ("page.js", "drawing.js", "network.js", "prepare.js", "style.css", "icon.svg")
_WASM = "ort-wasm-simd-threaded.wasm.gz"
# What tells an exported page from a folder with something else in it.
_MARK = "model.json"
_DIGITS = tuple("0123456789")
_FORM = (
    "This card belongs to a web page that draws and reads entirely in the browser. Put its folder "
    "on any static web server; it asks no other server for anything."
)


def to_web(
    target: Run | Path | str, out: Path | str | None = None, *, overwrite: bool = False
) -> Exported:
    """Write a folder of static files: the model in ONNX, and a page that uses it.

    The page draws, prepares the drawing as `penmark.data.preparation` does, and runs the model in
    ONNX Runtime Web, all of which is in the folder. Any static web server can show it, under any
    path, without a connection to anywhere else.

    Args:
        target: a run, its folder, or a `.keras` file of a model for 28×28 gray images.
        out: the folder to write; None puts it beside the model.
        overwrite: replace an earlier export of a page that is already there.

    Raises:
        ModelError: no model, a layer that cannot be exported (named), or one for other images.
        InputError: a missing package, or a place that is taken.
        ExportError, StorageError: as `penmark.export.to_onnx`.
    """
    require_onnx()
    source = open_source(target)
    name = "web" if source.run is not None else f"{source.stem}-web"
    path = folder_destination(source.folder / name, out, _MARK, overwrite=overwrite)
    made = checked_onnx(source, path)
    description = made.description
    _check_drawable(description, source.model_path)
    card = model_card(description, _FORM)
    model = made.finished(card)
    with replacing_folder(path) as folder:
        for part in _SCRIPTS:
            shutil.copyfile(_PARTS / part, folder / part)
        shutil.copytree(_RUNTIME, folder / "runtime", copy_function=shutil.copyfile)
        (folder / "model.onnx").write_bytes(model)
        write_text(folder / "MODEL_CARD.md", card)
        write_text(folder / "index.html", page_html(description))
        write_json(
            folder / _MARK,
            {
                "title": description.title,
                "classNames": list(description.class_names),
                "inputShape": list(description.input_shape),
                "output": made.output,
                "preparation": description.preparation,
                "penmark": description.version,
                "bytes": {"model": len(model), "runtime": (_RUNTIME / _WASM).stat().st_size},
            },
        )
    return Exported(
        form="web",
        path=path,
        size_bytes=sum(file.stat().st_size for file in path.rglob("*") if file.is_file()),
        description=description,
        checked_with=f"onnxruntime {runtime_version()}",
        checked_images=made.checked_images,
        largest_difference=made.largest_difference,
        output=made.output,
    )


def page_html(description: Description) -> str:
    """The page's `index.html`; what it says about the model is escaped."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    templates = Environment(
        loader=FileSystemLoader(_PARTS),
        autoescape=True,
        undefined=StrictUndefined,
        keep_trailing_newline=True,
    )
    reads_digits = description.class_names == _DIGITS
    names = ", ".join(shorten(name, 24) for name in description.class_names[:20])
    more = "…" if len(description.class_names) > 20 else "."
    accuracy = description.accuracy
    return templates.get_template("index.html.j2").render(
        title=shorten(description.title, 80),
        heading="Draw a digit" if reads_digits else "Draw something",
        lead=(
            "Any from 0 to 9, as large as you like. The network answers while you draw."
            if reads_digits
            else f"The network answers while you draw. It knows: {names}{more}"
        ),
        accuracy=None if accuracy is None else percent(accuracy, images=description.test_images),
        facts=_facts(description),
        version=description.version,
    )


def _facts(description: Description) -> list[tuple[str, str]]:
    data = description.data or {}
    trained_on = plain_data(description)
    images = data.get("train_images")
    if trained_on and isinstance(images, int):
        trained_on += f", {images:,} images"
    accuracy = description.accuracy
    return [
        ("Recipe", description.recipe or "unknown"),
        ("Trained on", trained_on or "unknown"),
        (
            "Test accuracy",
            "unknown"
            if accuracy is None
            else f"{percent(accuracy, images=description.test_images)} of "
            f"{description.test_images:,} images",
        ),
        ("Parameters", f"{description.parameters:,}"),
        ("Input", description.preparation),
        ("Limits", "It answers everything you draw with one of its classes, also a doodle."),
    ]


def _check_drawable(description: Description, model_path: Path) -> None:
    if "side" not in description.preparation_parameters:
        raise ModelError(
            f"{model_path} takes images of shape {description.input_shape}; the page draws "
            f"{SIDE}×{SIDE} gray ones (--to onnx takes any)",
            path=model_path,
        )
    if description.outputs < 1:
        raise ModelError(
            f"{model_path} does not answer with one number a class, which the page needs "
            "(--to onnx takes any)",
            path=model_path,
        )
