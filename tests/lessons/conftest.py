"""Lessons as a learner meets them: a fresh kernel, an empty folder, no settings of one's own."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nbclient
import nbformat
import pytest

NOTEBOOKS = Path(__file__).resolve().parents[2] / "notebooks"
LESSONS = (
    "01-images-are-numbers",
    "02-one-neuron",
    "03-from-scores-to-probabilities",
    "04-going-downhill",
    "05-hidden-layers",
    "06-convolution",
    "07-is-it-any-good",
    "08-your-own-digits",
)

# One thread: lessons are checked, not timed, and other tests want to run as well.
KERNEL_SETTINGS = {
    "PENMARK_THREADS": "1",
    "KERAS_BACKEND": "jax",
    "MPLBACKEND": "module://matplotlib_inline.backend_inline",
    # Learners see all but what the whole project passes over (pyproject.toml says why).
    "PYTHONWARNINGS": "default,ignore:__array__ implementation:DeprecationWarning",
}
SECONDS_PER_CELL = 600


@dataclasses.dataclass(frozen=True)
class Session:
    """A notebook after all its cells have run.

    Args:
        printed: what it wrote to standard output.
        complaints: what it wrote to standard error, warnings among it.
        pictures: how many figures each cell of code showed.
        folder: where it ran.
    """

    printed: str
    complaints: str
    pictures: tuple[int, ...]
    folder: Path


def read_notebook(lesson: str) -> Any:
    return nbformat.read(NOTEBOOKS / f"{lesson}.ipynb", as_version=4)


def _keep_for_the_site(notebook: Any, lesson: str) -> None:
    """Put an executed lesson where `make docs` looks before it runs one itself."""
    folder = os.environ.get("PENMARK_KEEP_LESSONS")
    if folder:
        from jupyter_cache import get_cache
        from jupyter_cache.base import CacheBundleIn

        cache = get_cache(folder)
        cache.cache_notebook_bundle(
            CacheBundleIn(notebook, str(NOTEBOOKS / f"{lesson}.ipynb")),
            check_validity=False,
            overwrite=True,
        )
        # From Python 3.13 on a connection to a database that nobody closed is a warning.
        cache.db.dispose()


@pytest.fixture
def run_lesson(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[[str, Path | None], Session]:
    """A function (lesson, folder with MNIST or None) -> Session; a cell that raises fails."""

    def run(lesson: str, data_folder: Path | None) -> Session:
        notebook = read_notebook(lesson)
        folder = tmp_path / "lessons"
        folder.mkdir()
        environment = os.environ | KERNEL_SETTINGS
        for name in ("cache", "keras", "ipython"):
            (tmp_path / name).mkdir()
        environment["PENMARK_CACHE"] = str(tmp_path / "cache")
        environment["KERAS_HOME"] = str(tmp_path / "keras")
        environment["IPYTHONDIR"] = str(tmp_path / "ipython")
        environment.pop("PENMARK_DATA", None)
        if data_folder is not None:
            environment["PENMARK_DATA"] = str(data_folder)
        client = nbclient.NotebookClient(
            notebook,
            timeout=SECONDS_PER_CELL,
            kernel_name="python3",
            resources={"metadata": {"path": str(folder)}},
            record_timing=False,
        )
        client.execute(env=environment)
        outputs = [output for cell in notebook.cells for output in cell.get("outputs", ())]
        if data_folder is None:
            _keep_for_the_site(notebook, lesson)
        streams = {"stdout": "", "stderr": ""}
        for output in outputs:
            if output.output_type == "stream":
                streams[output.name] += output.text
        pictures = tuple(
            sum("image/png" in output.get("data", {}) for output in cell.outputs)
            for cell in notebook.cells
            if cell.cell_type == "code"
        )
        return Session(streams["stdout"], streams["stderr"], pictures, folder)

    return run
