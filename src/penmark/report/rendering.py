"""The one place where figures become files: matplotlib's global settings, for a moment."""

from __future__ import annotations

import contextlib
import threading
import warnings
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from penmark.atomic import replacing
from penmark.errors import InputError

if TYPE_CHECKING:
    from matplotlib.figure import Figure

DPI = 160

# Settings are process-wide; two threads that set and restore them could swap their order.
_lock = threading.Lock()


@contextlib.contextmanager
def rendering(settings: Mapping[str, Any]) -> Iterator[None]:
    """Render inside this block with these rcParams, and without warnings on missing glyphs.

    matplotlib's font lacks, for example, Chinese characters. A class name in them shows as boxes
    in a picture, which the reader sees; a page of warnings at the terminal would not help.
    """
    import matplotlib

    with _lock, matplotlib.rc_context(dict(settings)), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing from")
        yield


def save_figure(figure: Figure, path: Path | str) -> None:
    """Write a figure to a picture file, whole or not at all; its suffix decides the format.

    Args:
        figure: any matplotlib figure.
        path: for example `grid.png`, `curves.svg`, `report.pdf`.

    Raises:
        InputError: the suffix names no format that matplotlib writes.
        StorageError: the file cannot be written.
    """
    formats = figure.canvas.get_supported_filetypes()
    if Path(path).suffix.lower().lstrip(".") not in formats:
        raise InputError(
            f"cannot draw to {path}: give the file one of the suffixes "
            f"{', '.join('.' + suffix for suffix in sorted(formats))}"
        )
    with replacing(path) as temporary, rendering({}):
        figure.savefig(temporary, dpi=DPI)
