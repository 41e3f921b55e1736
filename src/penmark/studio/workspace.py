"""The folder the studio works in, and the names by which the page may ask for what is in it."""

from __future__ import annotations

from pathlib import Path

from penmark.errors import RunError
from penmark.runs import RUNS_FOLDER, Run, is_run, list_runs

_LONGEST_NAME = 200


class NotFound(RunError):
    """What was asked for by name is not in the workspace."""


class Workspace:
    """A folder with `runs/`, `uploads/` and the studio's own notes on trainings.

    Every name that comes from a client is checked here: what it leads to lies directly in the
    folder it should lie in, also where links are on the way.

    Args:
        folder: an existing folder.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder.resolve()
        self.runs_folder = self.folder / RUNS_FOLDER
        self.uploads_folder = self.folder / "uploads"
        self.jobs_folder = self.folder / ".studio"

    def run(self, name: str) -> Run:
        """The run of this name.

        Raises:
            NotFound: there is none.
            RunError: its folder is damaged.
        """
        path = confined(self.runs_folder, name)
        if path is None or not is_run(path):
            raise NotFound(f"there is no run {shown(name)!r} in this workspace")
        return Run(path)

    def runs(self) -> list[Run]:
        """All runs, the newest first."""
        found = [
            run for run in list_runs(self.runs_folder) if confined(self.runs_folder, run.path.name)
        ]
        return found[::-1]

    def contains(self, path: Path) -> bool:
        """Whether a path lies in the workspace, links followed."""
        return path.resolve().is_relative_to(self.folder)


def confined(folder: Path, name: str) -> Path | None:
    """`folder / name` if that lies directly in `folder`, links followed; else None."""
    if not is_plain_name(name):
        return None
    path = folder / name
    try:
        return path if path.resolve().parent == folder.resolve() else None
    except (OSError, RuntimeError):  # links that go round in a circle
        return None


def is_plain_name(name: str) -> bool:
    """Whether a name is that of one visible file or folder, on any system."""
    return (
        0 < len(name) <= _LONGEST_NAME
        and name.isprintable()
        and name == name.strip()
        and not name.startswith(".")
        and not name.endswith(".")
        and not set(name) & set('/\\:*?"<>|')
    )


def shown(name: str) -> str:
    """A client's word as an error may repeat it."""
    return name[:80]
