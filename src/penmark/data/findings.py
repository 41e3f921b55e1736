"""What was found in a folder of images: one entry per file, and a summary."""

from __future__ import annotations

import dataclasses
import functools
from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal, get_args

if TYPE_CHECKING:
    from penmark.data.mislabeled import Mislabeled

Split = Literal["train", "test"]
# Worst first: what makes labels or accuracy wrong, what is left out, what is merely redundant.
Problem = Literal[
    "two classes",
    "across splits",
    "probably mislabeled",
    "unreadable",
    "empty",
    "too large",
    "one color",
    "misplaced",
    "not an image",
    "duplicate",
    "near duplicate",
]
PROBLEMS: tuple[Problem, ...] = get_args(Problem)

# For the summary: what each problem means, and whether such files are used.
_MEANINGS: dict[Problem, str] = {
    "not an image": "left out: not image files",
    "misplaced": "left out: images outside the class folders",
    "empty": "left out: files without a byte",
    "unreadable": "left out: damaged, incomplete or no image inside",
    "too large": "left out: too many pixels",
    "one color": "left out: every pixel is the same",
    "two classes": "used, but the same image is in another class too: one of the two is wrong",
    "across splits": "used, but the same image is in train and test: the accuracy looks too good",
    "duplicate": "used, but the same image is there more than once",
    "near duplicate": "used, but almost the same image is there already",
    "probably mislabeled": "used, but a model sees another class in them",
}
# A class with this many times the images of another dominates what a network learns.
IMBALANCE_WORTH_A_WORD = 3.0


@dataclasses.dataclass(frozen=True)
class FileFinding:
    """One file that was looked at.

    Args:
        path: path relative to the folder, with "/" between its parts.
        class_name: the class whose folder it is in; None outside a class folder.
        split: the split it belongs to; None if it is not used.
        size: (height, width) of the image as stored upright; None if unknown.
        mode: Pillow's name for how the file stores pixels; None if unknown.
        problem: the worst thing found, or None.
        detail: a few words on the problem, and on how the image was read.
        used: whether the image is part of the data set.
    """

    path: str
    class_name: str | None
    split: Split | None
    size: tuple[int, int] | None
    mode: str | None
    problem: Problem | None
    detail: str
    used: bool


@dataclasses.dataclass(frozen=True)
class FolderReport:
    """What was found in a folder of images.

    Args:
        folder: the folder, as it was given.
        class_names: in label order.
        files: one entry per file that was looked at.
        train_files, test_files: paths of the used images in the order of the rows of `x_train`
            and `x_test`: `train_files[i]` is where row i comes from.
        split_by: "folders" if the folder has a train and a test level, "chance" if the images
            were split at random.
        image_shape: shape of every image after loading; None if none could be used.
    """

    folder: str
    class_names: tuple[str, ...]
    files: tuple[FileFinding, ...]
    train_files: tuple[str, ...]
    test_files: tuple[str, ...]
    split_by: Literal["folders", "chance"]
    image_shape: tuple[int, ...] | None

    @functools.cached_property
    def class_counts(self) -> dict[str, dict[Split, int]]:
        """Number of used images of every class in each split, in label order."""
        counts: dict[str, dict[Split, int]] = {
            name: {"train": 0, "test": 0} for name in self.class_names
        }
        for file in self.files:
            if file.used and file.class_name is not None and file.split is not None:
                counts[file.class_name][file.split] += 1
        return counts

    @functools.cached_property
    def problem_counts(self) -> dict[Problem, int]:
        """Number of files with each problem that occurs, worst first."""
        counts = Counter(file.problem for file in self.files)
        return {problem: counts[problem] for problem in PROBLEMS if counts[problem]}

    @functools.cached_property
    def size_range(self) -> tuple[tuple[int, int], tuple[int, int]] | None:
        """Smallest and largest (height, width) among the used images, each side by itself."""
        sizes = [file.size for file in self.files if file.used and file.size is not None]
        if not sizes:
            return None
        heights, widths = zip(*sizes, strict=True)
        return (min(heights), min(widths)), (max(heights), max(widths))

    @property
    def imbalance(self) -> float | None:
        """Training images of the largest class over those of the smallest; None if one has none."""
        counts = [count["train"] for count in self.class_counts.values()]
        if not counts or min(counts) == 0:
            return None
        return max(counts) / min(counts)

    @property
    def imbalance_sentence(self) -> str | None:
        """A plain sentence on the imbalance; None if the classes are about even."""
        ratio = self.imbalance
        if ratio is None or ratio <= IMBALANCE_WORTH_A_WORD:
            return None
        by_count = sorted(self.class_names, key=lambda name: self.class_counts[name]["train"])
        smallest, largest = by_count[0], by_count[-1]
        return (
            f"The classes are uneven: {shown(largest)} has {ratio:.1f} times the training images "
            f"of {shown(smallest)}; the network will favor it. More images of "
            f"{shown(smallest)} help most."
        )

    def with_mislabeled(self, split: Split, mislabeled: Sequence[Mislabeled]) -> FolderReport:
        """The report with a model's doubts noted at the files that they concern.

        Args:
            split: the split whose rows were judged.
            mislabeled: from `probably_mislabeled`, with indices of that split's rows.
        """
        rows = self.train_files if split == "train" else self.test_files
        doubts = {rows[item.index]: item for item in mislabeled}
        files = []
        for file in self.files:
            doubt = doubts.get(file.path)
            if doubt is None:
                files.append(file)
                continue
            detail = (
                f"looks like {doubt.suggested_class} ({doubt.suggested_probability:.0%}), "
                f"not {doubt.class_name} ({doubt.class_probability:.1%})"
            )
            files.append(with_problem(file, "probably mislabeled", detail))
        return dataclasses.replace(self, files=tuple(files))

    def to_json(self) -> dict[str, Any]:
        """The report as a document of plain values, ready to be written as JSON.

        Bytes in file names that are no UTF-8 appear as escapes.
        """
        smallest, largest = self.size_range or (None, None)
        return {
            "folder": _encodable(self.folder),
            "class_names": list(self.class_names),
            "class_counts": {name: dict(count) for name, count in self.class_counts.items()},
            "split_by": self.split_by,
            "image_shape": None if self.image_shape is None else list(self.image_shape),
            "train_images": len(self.train_files),
            "test_images": len(self.test_files),
            "smallest_size": None if smallest is None else list(smallest),
            "largest_size": None if largest is None else list(largest),
            "imbalance": self.imbalance,
            "problems": dict(self.problem_counts),
            "files": [
                {
                    "path": _encodable(file.path),
                    "class": file.class_name,
                    "split": file.split,
                    "size": None if file.size is None else list(file.size),
                    "mode": file.mode,
                    "problem": file.problem,
                    "detail": _encodable(file.detail),
                    "used": file.used,
                }
                for file in self.files
            ],
        }

    def summary(self, *, files_per_problem: int | None = 5) -> tuple[str, ...]:
        """Plain lines for the terminal: counts, sizes, and files with each problem.

        Args:
            files_per_problem: name so many files of each kind of problem; None names all.
        """
        used = len(self.train_files) + len(self.test_files)
        how = "as in its folders" if self.split_by == "folders" else "chosen by chance"
        lines = [
            f"{shown(self.folder)}: {used:,} of {len(self.files):,} files used, "
            f"{len(self.class_names)} classes, {len(self.train_files):,} training and "
            f"{len(self.test_files):,} test images ({how})"
        ]
        if self.size_range is not None and self.image_shape is not None:
            (low_height, low_width), (high_height, high_width) = self.size_range
            sizes = f"{low_width}×{low_height}"
            if (low_height, low_width) != (high_height, high_width):
                sizes += f" to {high_width}×{high_height}"
            kind = "gray" if len(self.image_shape) == 2 else "color"
            lines.append(
                f"sizes (width×height): {sizes}; loaded as "
                f"{self.image_shape[1]}×{self.image_shape[0]}, {kind}"
            )
        if self.imbalance_sentence:
            lines.append(self.imbalance_sentence)
        for problem, count in self.problem_counts.items():
            lines.append(f"{problem}: {count:,} ({_MEANINGS[problem]})")
            concerned = [file for file in self.files if file.problem == problem]
            named = concerned[:files_per_problem]
            lines.extend(f"  {shown(file.path)}: {shown(file.detail)}" for file in named)
            if len(named) < count:
                lines.append(f"  and {count - len(named):,} more")
        if not self.problem_counts:
            lines.append("no problems found")
        return tuple(lines)


def with_problem(file: FileFinding, problem: Problem, detail: str) -> FileFinding:
    """The entry with one more problem: the worst one names it, the details stand side by side."""
    outranked = file.problem is None or PROBLEMS.index(problem) < PROBLEMS.index(file.problem)
    details = (detail, file.detail) if outranked else (file.detail, detail)
    return dataclasses.replace(
        file,
        problem=problem if outranked else file.problem,
        detail="; ".join(part for part in details if part),
    )


def shown(text: str) -> str:
    """Text for a terminal: control characters and undecodable bytes as escapes, so that a file's
    name cannot break the line or steer the terminal."""
    return "".join(
        character if character.isprintable() else character.encode("unicode_escape").decode()
        for character in text
    )


def _encodable(text: str) -> str:
    return text.encode("utf-8", "backslashreplace").decode("utf-8")
