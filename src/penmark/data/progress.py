"""A progress bar on standard error, for a person at a terminal and nobody else."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Iterator


@contextlib.contextmanager
def progress_bar(
    description: str, total: int, *, enabled: bool, in_bytes: bool = False
) -> Iterator[Callable[[int], None]]:
    """Show a bar while the block runs, if `enabled` and standard error is a terminal.

    Args:
        description: what is going on, such as "mnist: downloading".
        total: what the count goes up to.
        enabled: False shows nothing.
        in_bytes: whether the count is one of bytes, shown with a rate.

    Yields:
        A function that takes the count reached so far; it may go back.
    """
    if not (enabled and sys.stderr.isatty()):
        yield lambda done: None
        return
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        DownloadColumn,
        MofNCompleteColumn,
        Progress,
        ProgressColumn,
        TextColumn,
        TimeRemainingColumn,
        TransferSpeedColumn,
    )

    counts: list[ProgressColumn] = (
        [DownloadColumn(), TransferSpeedColumn()] if in_bytes else [MofNCompleteColumn()]
    )
    # markup=False: a description may hold a folder's name, and that may hold brackets.
    with Progress(
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        *counts,
        TimeRemainingColumn(),
        console=Console(stderr=True),
        transient=True,
    ) as bar:
        task = bar.add_task(description, total=total)
        yield lambda done: bar.update(task, completed=done)
