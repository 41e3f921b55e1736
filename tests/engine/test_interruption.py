"""Ctrl-C ends a training after the batch, wherever it comes."""

from __future__ import annotations

import os
import signal
import sys
import threading

import keras
import numpy as np
import pytest

import penmark

IMAGES = np.arange(64 * 9, dtype=np.uint8).reshape(64, 3, 3)
LABELS = np.arange(64) % 4


def press_control_c():
    os.kill(os.getpid(), signal.SIGINT)


class Finalized:
    def __del__(self):
        press_control_c()
        # Python looks for signals at the start of a loop's next round, still in the finalizer.
        for _ in range(1000):
            pass


class PressInFinalizer(keras.callbacks.Callback):
    """Presses Ctrl-C where a KeyboardInterrupt would be lost: Python prints it and goes on."""

    def __init__(self, moment):
        super().__init__()
        self.moment = moment
        self.epochs_begun = 0
        self.epochs_done = 0

    def on_epoch_begin(self, epoch, logs=None):
        self.epochs_begun += 1

    def on_train_batch_end(self, batch, logs=None):
        if self.moment == ("batch", batch):
            Finalized()

    def on_epoch_end(self, epoch, logs=None):
        self.epochs_done += 1
        if self.moment == ("epoch", epoch):
            Finalized()


def softmax_model():
    model = keras.Sequential(
        [
            keras.Input((3, 3)),
            keras.layers.Flatten(),
            keras.layers.Dense(4, activation="softmax"),
        ]
    )
    model.compile("sgd", "sparse_categorical_crossentropy")
    return model


@pytest.fixture
def dropped(monkeypatch):
    """The exceptions that Python dropped."""
    found = []
    monkeypatch.setattr(sys, "unraisablehook", lambda what: found.append(what.exc_type))
    return found


@pytest.mark.usefixtures("path")
@pytest.mark.parametrize(
    ("moment", "begun", "done"), [(("epoch", 1), 2, 2), (("batch", 1), 1, 0), (("epoch", 4), 5, 5)]
)
def test_an_interruption_that_would_be_lost_in_a_finalizer_stops_the_training(
    moment, begun, done, dropped
):
    press = PressInFinalizer(moment)
    with pytest.raises(KeyboardInterrupt):
        penmark.fit(
            softmax_model(), IMAGES, LABELS, epochs=5, batch_size=16, verbose=0, callbacks=[press]
        )
    assert (press.epochs_begun, press.epochs_done) == (begun, done)
    assert dropped == []
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


@pytest.mark.usefixtures("path")
def test_pressed_twice_it_stops_at_once():
    class PressTwice(keras.callbacks.Callback):
        presses = 0

        def on_epoch_begin(self, epoch, logs=None):
            for _ in range(3):
                self.presses += 1
                press_control_c()

    press = PressTwice()
    with pytest.raises(KeyboardInterrupt):
        penmark.fit(softmax_model(), IMAGES, LABELS, epochs=2, verbose=0, callbacks=[press])
    assert press.presses == 2


def test_a_validation_through_keras_is_interrupted():
    class PressInValidation(keras.callbacks.Callback):
        batches = 0

        def on_test_batch_end(self, batch, logs=None):
            self.batches += 1
            press_control_c()

    press = PressInValidation()
    with pytest.raises(KeyboardInterrupt):
        penmark.fit(
            softmax_model(), IMAGES, LABELS, epochs=2, verbose=0, engine="keras", callbacks=[press],
            validation_data=(IMAGES, LABELS), validation_batch_size=8,
        )  # fmt: skip
    assert press.batches == 1


def test_a_handler_of_the_program_or_of_a_callback_stays(dropped):
    class IgnoreFromNowOn(keras.callbacks.Callback):
        def on_train_begin(self, logs=None):
            signal.signal(signal.SIGINT, signal.SIG_IGN)

        def on_epoch_begin(self, epoch, logs=None):
            press_control_c()

    presses = []
    try:
        penmark.fit(
            softmax_model(), IMAGES, LABELS, epochs=2, verbose=0, callbacks=[IgnoreFromNowOn()]
        )
        assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN

        def own_handler(number, frame):
            presses.append(number)

        signal.signal(signal.SIGINT, own_handler)
        press = PressInFinalizer(("epoch", 1))
        penmark.fit(softmax_model(), IMAGES, LABELS, epochs=3, verbose=0, callbacks=[press])
        assert signal.getsignal(signal.SIGINT) is own_handler
    finally:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    assert presses == [signal.SIGINT]
    assert press.epochs_done == 3
    assert dropped == []


def test_a_training_in_another_thread_leaves_signals_alone():
    handlers = []

    class Look(keras.callbacks.Callback):
        def on_epoch_begin(self, epoch, logs=None):
            handlers.append(signal.getsignal(signal.SIGINT))

    def train():
        penmark.fit(softmax_model(), IMAGES, LABELS, epochs=1, verbose=0, callbacks=[Look()])

    thread = threading.Thread(target=train)
    thread.start()
    thread.join()
    assert handlers == [signal.default_int_handler]
