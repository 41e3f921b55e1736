"""Ctrl-C in a training: never lost, and never in the middle of a batch."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Iterator
from types import FrameType
from typing import Any

from penmark.engine.backend import keras


class Interruption(keras.callbacks.Callback):  # type: ignore[misc]
    """Ends a training with KeyboardInterrupt after Ctrl-C, but not in the middle of anything.

    Python raises KeyboardInterrupt in whatever runs when Ctrl-C arrives. In a finalizer or in the
    callback of a weak reference it prints "Exception ignored" and goes on, and Keras and JAX run
    thousands of these around every epoch: of small trainings, one interruption in ten was lost.
    So Ctrl-C is remembered, and raised after the batch. Who presses it twice does not wait for
    that.
    """

    # Only reads a flag, so that neither engine has to stop for it after every batch.
    async_safe = True

    def __init__(self) -> None:
        super().__init__()
        self._asked = False

    @contextlib.contextmanager
    def noticed(self) -> Iterator[None]:
        """Remember Ctrl-C while the context lasts; at its end it is raised if it was not yet.

        Only where Python's own handler would get it: in the main thread, and if the program has
        not set another one. What is set within the context stays.

        Raises:
            KeyboardInterrupt: Ctrl-C came after the last batch.
        """
        ours = (
            threading.current_thread() is threading.main_thread()
            and signal.getsignal(signal.SIGINT) is signal.default_int_handler
        )
        if not ours:
            yield
            return
        signal.signal(signal.SIGINT, self._remember)
        try:
            yield
        finally:
            # Each look at an attribute makes a new bound method; they are equal, not the same.
            if signal.getsignal(signal.SIGINT) == self._remember:
                signal.signal(signal.SIGINT, signal.default_int_handler)
        self._raise_if_asked()

    def _remember(self, number: int, frame: FrameType | None) -> None:
        if self._asked:
            signal.default_int_handler(number, frame)
        self._asked = True

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        self._raise_if_asked()

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        self._raise_if_asked()

    def on_test_batch_end(self, batch: int, logs: Any = None) -> None:
        self._raise_if_asked()

    def _raise_if_asked(self) -> None:
        if self._asked:
            raise KeyboardInterrupt
