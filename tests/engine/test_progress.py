"""Progress as a person sees it, in a terminal and in a log file."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from penmark.engine.progress import TrainingProgress
from penmark.engine.progress_text import duration, sparkline


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.04, "0.0 s"),
        (9.94, "9.9 s"),
        (9.96, "10 s"),
        (59.6, "1 min 00 s"),
        (185, "3 min 05 s"),
        (3720, "1 h 02 min"),
    ],
)
def test_durations(seconds, text):
    assert duration(seconds) == text


def test_sparklines():
    assert sparkline([]) == ""
    assert sparkline([0.5, 0.5]) == "▁▁"
    assert sparkline([0, 1, 2, 3, 4, 5, 6, 7]) == "▁▂▃▄▅▆▇█"
    assert sparkline([9, 0, 7], width=2) == "▁█"
    assert sparkline([0, 1], ascii_only=True) == "_#"


def trained_screen(*, terminal, encoding="utf-8"):
    """What two epochs of four batches leave on a screen."""
    stream = io.TextIOWrapper(io.BytesIO(), encoding=encoding)
    console = Console(file=stream, force_terminal=terminal, width=120, highlight=False)
    progress = TrainingProgress(images=1000, console=console)
    progress.set_params({"epochs": 2, "steps": 4})
    progress.on_train_begin()
    for epoch in range(2):
        progress.on_epoch_begin(epoch)
        for batch in range(4):
            progress._last_refresh = 0.0  # every batch is drawn, however fast it was
            progress.on_train_batch_end(batch, {"loss": 1.5, "accuracy": 0.25 * batch})
        progress.on_epoch_end(epoch, {"loss": 1.25, "accuracy": 0.5 + epoch / 4, "val_loss": 2.0})
    progress.on_train_end()
    stream.flush()
    return stream.buffer.getvalue().decode(encoding)


def test_a_log_file_gets_one_plain_line_an_epoch():
    lines = trained_screen(terminal=False).splitlines()
    assert len(lines) == 2
    assert lines[0].startswith("epoch 1/2  loss 1.2500  accuracy 0.5000  val_loss 2.0000  0.0 s")
    assert "images/s" in lines[0]
    assert lines[1].endswith("▁█")
    assert "\x1b" not in "".join(lines)


def test_a_terminal_shows_bar_rate_and_time_left_while_an_epoch_runs():
    screen = trained_screen(terminal=True)
    assert "75%" in screen
    assert "images/s" in screen
    assert "left" in screen
    assert "━" in screen


def test_an_encoding_without_block_characters_does_not_break():
    assert trained_screen(terminal=False, encoding="ascii").splitlines()[1].endswith("_#")
