"""What porting a program gives: the new text, and every change and every gap by line."""

from __future__ import annotations

import dataclasses
import difflib

# The versions that made changes necessary.
PYTHON_3 = "Python 3.0 (2008)"
KERAS_1 = "Keras 1.0 (2016)"
KERAS_2 = "Keras 2.0 (2017)"
KERAS_2_3 = "Keras 2.3 (2019)"
KERAS_2_4 = "Keras 2.4 (2020)"
KERAS_2_6 = "Keras 2.6 (2021)"
KERAS_3 = "Keras 3.0 (2023)"
NUMPY_1_24 = "NumPy 1.24 (2022)"
SKLEARN_0_20 = "scikit-learn 0.20 (2018)"


@dataclasses.dataclass(frozen=True, order=True)
class Change:
    """One thing that was changed.

    Args:
        line: where, in the old text, counted from 1.
        what: old and new in a few words.
        why: the reason, a clause.
        since: the version that made it necessary.
    """

    line: int
    what: str
    why: str
    since: str


@dataclasses.dataclass(frozen=True, order=True)
class Left:
    """Something old that was left as it was, because no sure replacement is known.

    Args:
        line: where, in the old text, counted from 1.
        what: the old thing.
        hint: what a person can do about it.
    """

    line: int
    what: str
    hint: str


@dataclasses.dataclass(frozen=True)
class Ported:
    """A ported program.

    Args:
        name: of the file, for people.
        old, new: its text before and after; of a notebook, the whole file.
        program: the Python to run; of a notebook, its code cells without their magic.
        changes, left: in the order of their lines.
    """

    name: str
    old: str
    new: str
    program: str
    changes: tuple[Change, ...]
    left: tuple[Left, ...]

    def diff(self) -> str:
        """The changes as a unified diff; empty if there are none."""
        lines = difflib.unified_diff(
            self.old.splitlines(),
            self.new.splitlines(),
            self.name,
            f"{self.name} (ported)",
            lineterm="",
        )
        return "\n".join(lines)
