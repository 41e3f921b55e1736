"""Every published network, trained as published: the claimed accuracy beside the measured one."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from penmark.recipes import get
from penmark.runs.settings import TrainingSettings
from penmark.runs.training import train

if TYPE_CHECKING:
    from penmark.data.dataset import Dataset


def reproduce(
    recipes: Sequence[str],
    data: str,
    *,
    dataset: Dataset,
    seed: int = 0,
    out: Path | str | None = None,
    verbose: str | int = "auto",
    announce: Callable[[str], None] = lambda line: None,
) -> Iterator[dict[str, Any]]:
    """Train recipes one after the other and give a row for each as soon as it is there.

    Args:
        recipes: names of recipes.
        data: name or path of the data, for the record.
        dataset: the same, loaded.
        seed: of every training.
        out: keep the runs in this folder, each under its recipe's name; None keeps none.
        verbose, announce: as for `penmark.runs.train`.

    Yields:
        {"recipe", "parameters", "published_accuracy", "published_accuracy_high",
        "measured_accuracy", "epochs", "seconds_per_epoch", "seconds", "engine", "backend",
        "seed"}. `published_accuracy` is the lower end where a range was published,
        `published_accuracy_high` the upper; both None where nothing was. `seconds` is the time of
        the whole training, without loading the data.

    Raises:
        PenmarkError: as `penmark.runs.train`.
    """
    for name in recipes:
        recipe = get(name)
        with tempfile.TemporaryDirectory(prefix="penmark-") as temporary:
            run = train(
                TrainingSettings(recipe=name, data=data, seed=seed),
                out=Path(out or temporary) / name,
                dataset=dataset,
                report=out is not None,
                verbose=verbose,
                announce=announce,
            )
            metrics = run.metrics
        if metrics is None:
            # Ctrl-C before the first epoch ended: the person wants to stop.
            raise KeyboardInterrupt
        low, high = recipe.published_accuracy or (None, None)
        yield {
            "recipe": name,
            "parameters": metrics["parameters"],
            "published_accuracy": low,
            "published_accuracy_high": high,
            "measured_accuracy": metrics["accuracy"],
            "epochs": metrics["epochs"],
            "seconds_per_epoch": metrics["seconds_per_epoch"],
            "seconds": metrics["train_seconds"],
            "engine": run.config["engine"],
            "backend": run.config["backend"],
            "seed": seed,
        }
        if run.status == "interrupted":
            raise KeyboardInterrupt


def markdown_table(rows: Sequence[dict[str, Any]]) -> str:
    """The rows of `reproduce` as a Markdown table."""
    lines = [
        "| recipe | parameters | epochs | published | measured | s/epoch | total |",
        "| --- | ---: | ---: | ---: | ---: | ---: | ---: |",
    ]
    for row in rows:
        lines.append(
            f"| `{row['recipe']}` | {row['parameters']:,} | {row['epochs']} | "
            f"{published_text(row)} | {100 * row['measured_accuracy']:.2f}% | "
            f"{row['seconds_per_epoch']:.1f} | {row['seconds']:.0f} s |"
        )
    return "\n".join(lines) + "\n"


def published_text(row: Mapping[str, Any]) -> str:
    """ "97.87%", "92–93%", or "–" where nothing was published."""
    low, high = row["published_accuracy"], row["published_accuracy_high"]
    if low is None:
        return "–"
    return f"{100 * low:.2f}%" if low == high else f"{100 * low:.0f}–{100 * high:.0f}%"
