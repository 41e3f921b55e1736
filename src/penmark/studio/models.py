"""The networks that can answer: loaded when they are asked for, a few kept."""

from __future__ import annotations

import collections
import dataclasses
import threading
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

import penmark.reading
from penmark.data.dataset import UInt8Array
from penmark.engine.native_model import NativeModel
from penmark.engine.spec import Unsupported
from penmark.errors import ModelError, RunError
from penmark.reading.classifier import WEIGHTS
from penmark.report.wording import plain
from penmark.runs import Run, is_run
from penmark.studio.schemas import ModelEntry
from penmark.studio.workspace import NotFound, Workspace, shown

DIGIT_NAMES = tuple("0123456789")
READER = "reader"
GIVEN = "given"
RUN_PREFIX = "run:"
_KEPT = 4
_BATCH = 64
# Images whose probabilities are remembered, about a kilobyte each.
_RECENT = 1024


_READER_FILE = Path(penmark.reading.__file__).parent / WEIGHTS
_READER_ENTRY = ModelEntry(
    id=READER,
    title="penmark's reader",
    recipe=None,
    data=None,
    accuracy=None,
    test_images=None,
    reads_digits=True,
)


@dataclasses.dataclass(frozen=True)
class LoadedModel:
    """A network in memory.

    Args:
        entry: what the page is told about it.
        path: its `.keras` file.
        class_names: in label order.
        native: the core's copy; None where the core does not cover the model.
        reason: why not; empty where it does.
        lock: held while the core computes: its work space serves one caller at a time.
        recent: what images of the last drawings gave, the latest last.
    """

    entry: ModelEntry
    path: Path
    class_names: tuple[str, ...]
    native: NativeModel | None
    reason: str
    lock: threading.Lock = dataclasses.field(default_factory=threading.Lock)
    recent: collections.OrderedDict[bytes, NDArray[np.float32]] = dataclasses.field(
        default_factory=collections.OrderedDict, repr=False
    )

    @property
    def input_shape(self) -> tuple[int, ...] | None:
        """Shape of one image; None where only Keras knows."""
        return None if self.native is None else self.native.model.input_shape

    def probabilities(self, images: UInt8Array) -> NDArray[np.float32]:
        """Class probabilities, float32 (n, classes), for uint8 images (n, ...).

        Raises:
            DataError: the images do not fit the network.
        """
        if self.native is None:
            return self._keras_probabilities(images)
        parts = []
        # In pieces, so that somebody who draws meanwhile is served in between.
        for start in range(0, len(images), _BATCH):
            with self.lock:
                parts.append(self.native.predict(images[start : start + _BATCH], _BATCH))
        outputs = np.concatenate(parts)
        return np.concatenate([1 - outputs, outputs], axis=1) if outputs.shape[1] == 1 else outputs

    def recalled_probabilities(self, images: UInt8Array) -> NDArray[np.float32]:
        """`probabilities`, without computing again what was computed a moment ago.

        While somebody draws, nearly half of all digits and pieces of digits are what they were one
        move of the pen before.
        """
        keys = [image.tobytes() for image in images]
        with self.lock:
            rows = [self.recent.get(key) for key in keys]
        unknown = [place for place, row in enumerate(rows) if row is None]
        if unknown:
            for place, row in zip(unknown, self.probabilities(images[unknown]), strict=True):
                rows[place] = row.copy()
        known = [row for row in rows if row is not None]
        with self.lock:
            for key, row in zip(keys, known, strict=True):
                self.recent[key] = row
                self.recent.move_to_end(key)
            while len(self.recent) > _RECENT:
                self.recent.popitem(last=False)
        return np.stack(known)

    def _keras_probabilities(self, images: UInt8Array) -> NDArray[np.float32]:
        from penmark.engine.model_file import load_model
        from penmark.runs.scoring import class_probabilities

        with self.lock:
            return class_probabilities(load_model(self.path))(images, self.class_names)


class ModelShelf:
    """Models by the name the page knows them by: "reader", "given", or "run:" and a run's name.

    Args:
        workspace: where the runs are.
        given: a run's folder or `.keras` file to begin with.

    Raises:
        ModelError, RunError: `given` holds no model.
    """

    def __init__(self, workspace: Workspace, given: Path | None) -> None:
        self._workspace = workspace
        self._given = given
        self._kept: collections.OrderedDict[tuple[str, int], LoadedModel] = (
            collections.OrderedDict()
        )
        self._lock = threading.Lock()
        if given is not None:
            self._entry_and_path(GIVEN)

    def entries(self) -> list[ModelEntry]:
        """Every model there is, the one to begin with first."""
        found = [] if self._given is None else [self._entry_and_path(GIVEN)[0]]
        runs = [run for run in self._workspace.runs() if run.model_path.is_file()]
        entries = [_run_entry(RUN_PREFIX + run.name, run) for run in runs]
        # The best reader of digits first: that is what somebody who draws wants.
        entries.sort(key=lambda entry: (entry.reads_digits, entry.accuracy or 0.0), reverse=True)
        if _READER_FILE.is_file():
            found.append(_READER_ENTRY)
        return found + entries

    def default(self) -> str | None:
        """The model to begin with."""
        return next((entry.id for entry in self.entries() if entry.reads_digits), None)

    def load(self, model_id: str) -> LoadedModel:
        """The model of this name.

        Raises:
            RunError: there is none of that name.
            ModelError: its file is damaged.
        """
        entry, path, class_names = self._entry_and_path(model_id)
        try:
            key = (model_id, path.stat().st_mtime_ns)
        except OSError as error:
            raise ModelError(f"there is no model of {shown(model_id)!r} any more") from error
        with self._lock:
            if key in self._kept:
                self._kept.move_to_end(key)
                return self._kept[key]
            loaded = _load(entry, path, class_names)
            self._kept[key] = loaded
            while len(self._kept) > _KEPT:
                self._kept.popitem(last=False)
            return loaded

    def _entry_and_path(self, model_id: str) -> tuple[ModelEntry, Path, tuple[str, ...] | None]:
        if model_id == READER and _READER_FILE.is_file():
            return _READER_ENTRY, _READER_FILE, DIGIT_NAMES
        if model_id == GIVEN and self._given is not None:
            if not is_run(self._given):
                return _file_entry(self._given), self._given, None
            run = Run(self._given)
            entry = _run_entry(GIVEN, run)
        elif model_id.startswith(RUN_PREFIX):
            run = self._workspace.run(model_id.removeprefix(RUN_PREFIX))
            entry = _run_entry(model_id, run)
        else:
            raise NotFound(f"there is no model {shown(model_id)!r} here")
        if not run.model_path.is_file():
            raise RunError(f"{run.name} has no model yet; wait until its training has ended")
        return entry, run.model_path, _class_names(run)


def _load(entry: ModelEntry, path: Path, class_names: tuple[str, ...] | None) -> LoadedModel:
    try:
        # One thread: a single image is too little work to share, and a training that runs
        # meanwhile keeps the other cores.
        native = NativeModel.from_file(path, threads=1)
    except Unsupported as reason:
        return LoadedModel(entry, path, class_names or DIGIT_NAMES, None, str(reason))
    units = native.model.output_layer.output_shape[-1]
    names = class_names or (DIGIT_NAMES if units == 10 else tuple(map(str, range(units))))
    if units not in (len(names), 1):
        raise ModelError(f"{path.name} has {units} outputs for {len(names)} classes", path=path)
    return LoadedModel(entry, path, names, native, "")


def _class_names(run: Run) -> tuple[str, ...]:
    data = run.config.get("data")
    names = data.get("class_names") if isinstance(data, dict) else None
    return tuple(plain(name) for name in names) if isinstance(names, list) else DIGIT_NAMES


def _run_entry(model_id: str, run: Run) -> ModelEntry:
    metrics = run.metrics or {}
    data = run.config.get("data", {})
    shape = data.get("image_shape") if isinstance(data, dict) else None
    return ModelEntry(
        id=model_id,
        title=plain(run.name),
        recipe=run.settings.recipe,
        data=plain(data.get("name", "")) if isinstance(data, dict) else None,
        accuracy=metrics.get("accuracy"),
        test_images=metrics.get("images"),
        reads_digits=_class_names(run) == DIGIT_NAMES and shape in ([28, 28], [28, 28, 1]),
    )


def _file_entry(path: Path) -> ModelEntry:
    return ModelEntry(
        id=GIVEN,
        title=plain(path.stem),
        recipe=None,
        data=None,
        accuracy=None,
        test_images=None,
        reads_digits=True,
    )
