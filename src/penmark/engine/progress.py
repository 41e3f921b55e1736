"""Training as a person likes to watch it: a live line while an epoch runs, one line that stays.

In a terminal the running epoch shows a bar, loss, accuracy, images per second and the time left
to the end of the training; everywhere else (a log file, a pipe) there is one plain line an epoch.
Progress goes to standard error: standard output belongs to results.
"""

from __future__ import annotations

import time
from typing import Any

from rich.console import Console
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from penmark.engine.backend import keras
from penmark.engine.progress_text import duration, sparkline

_REFRESHES_PER_SECOND = 8


class TrainingProgress(keras.callbacks.Callback):  # type: ignore[misc]
    """Shows how training goes on.

    Args:
        images: how many images an epoch visits, to show images per second; None if unknown.
        live: False leaves out the live line even in a terminal.
        console: where to write; standard error if not given.
    """

    # Only reads the logs, so Keras may call it beside the next step instead of waiting for it.
    async_safe = True

    def __init__(
        self, *, images: int | None = None, live: bool = True, console: Console | None = None
    ) -> None:
        super().__init__()
        self._images = images
        self._console = console or Console(stderr=True, highlight=False)
        self._wants_live = live and self._console.is_terminal
        encoding = (self._console.encoding or "ascii").lower()
        self._ascii_only = not encoding.startswith("utf")
        self._live: Live | None = None
        self._curve: list[float] = []
        self._first_epoch = 0
        self._training_started = 0.0
        self._epoch_started = 0.0
        self._last_refresh = 0.0

    def on_train_begin(self, logs: Any = None) -> None:
        self._training_started = time.perf_counter()
        self._curve = []
        self._first_epoch = -1

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        if self._first_epoch < 0:
            self._first_epoch = epoch
        self._epoch_started = time.perf_counter()
        if self._wants_live:
            self._live = Live(console=self._console, transient=True, auto_refresh=False)
            self._live.start()

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        now = time.perf_counter()
        if self._live and now - self._last_refresh > 1 / _REFRESHES_PER_SECOND:
            self._last_refresh = now
            self._live.update(self._live_line(batch + 1, logs or {}, now), refresh=True)

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        self._stop_live()
        logs = logs or {}
        seconds = time.perf_counter() - self._epoch_started
        watched = logs.get("val_accuracy", logs.get("accuracy", logs.get("loss")))
        if watched is not None:
            self._curve.append(float(watched))
        self._console.print(self._epoch_line(epoch, logs, seconds), soft_wrap=True)

    def on_train_end(self, logs: Any = None) -> None:
        self._stop_live()

    def close(self) -> None:
        """Take the live line off the screen, also when training ended by an error."""
        self._stop_live()

    def _stop_live(self) -> None:
        if self._live:
            self._live.stop()
            self._live = None

    def _epochs(self) -> int:
        return int((self.params or {}).get("epochs") or 1)

    def _epoch_label(self, epoch: int) -> str:
        total = str(self._epochs())
        return f"epoch {epoch + 1:>{len(total)}}/{total}"

    @staticmethod
    def _rate(images: float, seconds: float) -> str:
        return f"{images / max(seconds, 1e-9):,.0f} images/s"

    def _live_line(self, step: int, logs: dict[str, float], now: float) -> Table:
        steps = (self.params or {}).get("steps")
        grid = Table.grid(padding=(0, 2))
        elapsed = now - self._epoch_started
        cells: list[Any] = [Text(self._epoch_label(len(self._curve) + self._first_epoch))]
        if steps:
            cells.append(ProgressBar(total=steps, completed=step, width=24))
            cells.append(Text(f"{100 * step / steps:3.0f}%"))
        else:
            cells.append(Text(f"batch {step}"))
        cells.extend(
            Text(f"{name} {logs[name]:.4f}") for name in ("loss", "accuracy") if name in logs
        )
        if steps and elapsed > 0:
            if self._images:
                cells.append(Text(self._rate(self._images * step / steps, elapsed)))
            steps_done = steps * len(self._curve) + step
            steps_left = steps * (self._epochs() - self._first_epoch) - steps_done
            seconds_left = steps_left * (now - self._training_started) / steps_done
            cells.append(Text(f"{duration(seconds_left)} left"))
        grid.add_row(*cells)
        return grid

    def _epoch_line(self, epoch: int, logs: dict[str, float], seconds: float) -> Text:
        parts = [self._epoch_label(epoch)]
        for name in ("loss", "accuracy", "val_loss", "val_accuracy"):
            if name in logs:
                parts.append(f"{name} {float(logs[name]):.4f}")
        parts.append(duration(seconds))
        if self._images:
            parts.append(self._rate(self._images, seconds))
        curve = sparkline(self._curve, ascii_only=self._ascii_only)
        if len(curve) > 1:
            parts.append(curve)
        return Text("  ".join(parts))
