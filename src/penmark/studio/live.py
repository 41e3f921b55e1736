"""What a training reports, for any number of watchers.

There is no queue. The events of a training are kept once, bounded, and each watcher remembers how
far it has got: one that is slow gets the newest state in one larger message, and one that is gone
costs nothing. The training never learns who watches.
"""

from __future__ import annotations

import dataclasses
import json
import os
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from penmark.report.wording import plain
from penmark.studio.schemas import LiveExamples, LiveUpdate, Phase

MOST_POINTS = 2000
_MOST_ROWS = 2000
_READ_BYTES = 1 << 20
# Watchers that ask within this time get what is known already.
_FRESH_SECONDS = 0.05


@dataclasses.dataclass
class _State:
    """Everything known about one training session; `number` counts what happened."""

    phase: Phase = "starting"
    detail: str = ""
    first_epoch: int = 0
    epochs: int = 0
    images: int = 0
    test_images: int = 0
    class_names: tuple[str, ...] = ()
    rate: float | None = None
    points: list[tuple[int, tuple[float | None, ...]]] = dataclasses.field(default_factory=list)
    rows: list[tuple[int, dict[str, float | None]]] = dataclasses.field(default_factory=list)
    examples: tuple[int, LiveExamples] | None = None
    number: int = 0


class Feed:
    """The events of one run's training.

    Args:
        path: the file that the training process appends to; may not be there yet.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._offset = 0
        self._rest = b""
        self._state = _State()
        self._generation = 1
        self._checked = -1.0
        self._lock = threading.Lock()

    def refresh(self, *, at_once: bool = False) -> None:
        """Read what was appended since the last time, a bounded piece of it.

        Args:
            at_once: also if the last time was a moment ago.
        """
        with self._lock:
            if at_once:
                self._checked = -1.0
            self._refresh()

    def _refresh(self) -> None:
        now = time.monotonic()
        if now - self._checked < _FRESH_SECONDS:
            return
        self._checked = now
        try:
            with self._path.open("rb") as file:
                if os.fstat(file.fileno()).st_size < self._offset:
                    self._offset, self._rest = 0, b""
                    self._begin()
                file.seek(self._offset)
                piece = file.read(_READ_BYTES)
        except OSError:
            return
        self._offset += len(piece)
        *lines, self._rest = (self._rest + piece).split(b"\n")
        self._rest = self._rest[-_READ_BYTES:]
        for line in lines:
            try:
                event = json.loads(line)
            except ValueError:
                continue  # half a line from a process that was killed
            if isinstance(event, dict):
                self._take(event)

    def since(self, generation: int, number: int, *, live: bool) -> LiveUpdate:
        """What a watcher does not know yet.

        Args:
            generation, number: of the last update that it got; 0 for none.
            live: whether the training's process is alive.
        """
        with self._lock:
            return self._since(generation, number, live)

    def _since(self, generation: int, number: int, live: bool) -> LiveUpdate:
        state = self._state
        reset = generation != self._generation
        after = 0 if reset else number
        examples = state.examples
        return LiveUpdate(
            generation=self._generation,
            number=state.number,
            reset=reset,
            live=live,
            phase=state.phase,
            detail=state.detail,
            first_epoch=state.first_epoch,
            epochs=state.epochs,
            images=state.images,
            test_images=state.test_images,
            class_names=list(state.class_names),
            rate=state.rate,
            points=[list(values) for at, values in state.points if at > after],
            rows=[row for at, row in state.rows if at > after],
            examples=examples[1] if examples is not None and examples[0] > after else None,
        )

    def _begin(self) -> None:
        self._state = _State()
        self._generation += 1

    def _take(self, event: Mapping[str, Any]) -> None:
        begins = event.get("type") == "starting" or (
            event.get("type") == "loading" and self._state.phase != "starting"
        )
        if begins and self._state.number:
            self._begin()  # another session of the same run
        state = self._state
        state.number += 1
        match event.get("type"):
            case "loading":
                state.phase = "loading"
            case "start":
                state.phase = "training"
                state.first_epoch = _whole(event, "first_epoch")
                state.epochs = _whole(event, "epochs")
                state.images = _whole(event, "images")
                state.test_images = _whole(event, "test_images")
                state.class_names = tuple(plain(name) for name in event.get("class_names", ()))
            case "batch":
                state.rate = _real(event, "rate")
                place = _whole(event, "epoch") + (_real(event, "share") or 0.0)
                values = (place, _real(event, "loss"), _real(event, "accuracy"), state.rate)
                state.points.append((state.number, values))
                if len(state.points) > MOST_POINTS:
                    half = len(state.points) // 2
                    state.points[:half] = state.points[:half:2]
            case "epoch":
                logs = event.get("logs", {})
                state.rate = _real(event, "rate")
                row: dict[str, float | None] = {"epoch": float(_whole(event, "epoch"))}
                row |= {str(name): _real(logs, name) for name in logs}
                row["seconds"] = _real(event, "seconds")
                state.rows.append((state.number, row))
                del state.rows[:-_MOST_ROWS]
            case "examples":
                state.examples = (
                    state.number,
                    LiveExamples(
                        epoch=_whole(event, "epoch"),
                        accuracy=_real(event, "accuracy") or 0.0,
                        accuracies=event.get("accuracies", []),
                        examples=event.get("examples", []),
                    ),
                )
            case "finishing":
                state.phase = "finishing"
            case "end":
                state.phase = "ended"
            case "error":
                state.phase, state.detail = "failed", str(event.get("detail", ""))[:500]


def _whole(event: Mapping[str, Any], name: str) -> int:
    value = event.get(name)
    return int(value) if isinstance(value, int | float) else 0


def _real(event: Mapping[str, Any], name: str) -> float | None:
    value = event.get(name)
    return float(value) if isinstance(value, int | float) else None
