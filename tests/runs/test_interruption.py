"""Killed, stopped, out of disk: nothing is lost that was finished, nothing is half-written."""

from __future__ import annotations

import os
import resource
import signal
import subprocess
import sys
import time

import keras
import numpy as np
import pytest

from penmark.errors import StorageError, TrainingError
from penmark.runs import Run, TrainingSettings, resume, train

# Dropout, Adam's moments, a schedule and early stopping all have state that must survive.
ARGUMENTS = [
    "train", "mlp-dropout", "--data", "digits", "--epochs", "6", "--validation-split", "0.1",
    "--schedule", "plateau", "--early-stopping", "5", "--keep-best", "--seed", "3", "--no-report",
]  # fmt: skip


def penmark_command(*arguments):
    return [sys.executable, "-c", "from penmark.cli import main; main()", *map(str, arguments)]


def wait_for(path, process, *, timeout_s=120):
    deadline = time.monotonic() + timeout_s
    while not path.exists():
        assert process.poll() is None, process.stderr.read()
        assert time.monotonic() < deadline
        time.sleep(0.002)


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory):
    folder = tmp_path_factory.mktemp("uninterrupted") / "run"
    subprocess.run(penmark_command(*ARGUMENTS, "--out", folder), check=True, capture_output=True)
    return Run(folder)


def same_result(run, expected):
    assert {k: v for k, v in run.history.items() if k != "seconds"} == {
        k: v for k, v in expected.history.items() if k != "seconds"
    }
    assert run.metrics["loss"] == expected.metrics["loss"]
    for ours, theirs in zip(run.model().get_weights(), expected.model().get_weights(), strict=True):
        np.testing.assert_array_equal(ours, theirs)


@pytest.mark.parametrize("after_epoch", [1, 4])
def test_killed_in_mid_epoch_and_resumed_ends_with_the_same_result(
    tmp_path, uninterrupted, after_epoch
):
    folder = tmp_path / "run"
    process = subprocess.Popen(
        penmark_command(*ARGUMENTS, "--out", folder), stderr=subprocess.PIPE, text=True
    )
    wait_for(folder / "checkpoints" / f"epoch-{after_epoch:04d}.keras", process)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert Run(folder).status == "running"
    assert not (folder / "model.keras").exists()

    subprocess.run(
        penmark_command("train", "--resume", folder, "--no-report"), check=True, capture_output=True
    )

    run = Run(folder)
    assert run.status == "complete"
    assert not (folder / "checkpoints").exists()
    same_result(run, uninterrupted)


def test_killed_before_the_first_epoch_ended_starts_again(tmp_path, uninterrupted):
    folder = tmp_path / "run"
    process = subprocess.Popen(
        penmark_command(*ARGUMENTS, "--out", folder), stderr=subprocess.PIPE, text=True
    )
    wait_for(folder / "config.json", process)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    same_result(resume(folder, report=False, verbose=0), uninterrupted)


def test_control_c_keeps_the_last_whole_epoch_and_says_how_to_go_on(tmp_path, uninterrupted):
    folder = tmp_path / "run"
    process = subprocess.Popen(
        penmark_command(*ARGUMENTS, "--out", folder), stderr=subprocess.PIPE, text=True
    )
    wait_for(folder / "checkpoints" / "epoch-0002.keras", process)
    process.send_signal(signal.SIGINT)
    _, stderr = process.communicate(timeout=120)
    run = Run(folder)
    if run.status == "complete":
        pytest.skip("the training ended before the signal came")
    assert process.returncode == 130
    assert "Traceback" not in stderr
    assert f"penmark train --resume {folder}" in stderr
    assert run.status == "interrupted"
    assert run.metrics["epochs"] == run.epochs_done >= 2
    assert run.model().count_params() == 669_706
    same_result(resume(folder, report=False, verbose=0), uninterrupted)


def test_control_c_after_the_last_batch_is_an_interruption_with_nothing_left_to_train(
    tmp_path, digits
):
    class PressAtTheEnd(keras.callbacks.Callback):
        def on_train_end(self, logs=None):
            os.kill(os.getpid(), signal.SIGINT)

    settings = TrainingSettings(recipe="softmax", data="digits", epochs=2)
    run = train(
        settings, out=tmp_path / "run", dataset=digits, report=False, verbose=0,
        callbacks=[PressAtTheEnd()],
    )  # fmt: skip
    assert (run.status, run.epochs_done) == ("interrupted", 2)
    expected = train(settings, out=tmp_path / "expected", dataset=digits, report=False, verbose=0)
    resumed = resume(run.path, dataset=digits, report=False, verbose=0)
    assert resumed.status == "complete"
    same_result(resumed, expected)


def test_a_full_disk_is_one_line_and_the_last_checkpoint_stays_whole(tmp_path, digits):
    settings = TrainingSettings(recipe="softmax", data="digits", epochs=4)
    folder = tmp_path / "run"
    before = resource.getrlimit(resource.RLIMIT_FSIZE)

    class FillDisk(keras.callbacks.Callback):
        def on_epoch_begin(self, epoch, logs=None):
            if epoch == 2:
                resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, before[1]))

    try:
        with pytest.raises(StorageError, match=r"cannot write .*epoch-0003.keras: file too large"):
            train(
                settings,
                out=folder,
                dataset=digits,
                report=False,
                verbose=0,
                callbacks=[FillDisk()],
            )
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert Run(folder).status == "failed"
    assert [path.name for path in (folder / "checkpoints").iterdir()] == ["epoch-0002.keras"]
    expected = train(settings, out=tmp_path / "expected", dataset=digits, report=False, verbose=0)
    same_result(resume(folder, dataset=digits, report=False, verbose=0), expected)


def test_a_place_that_cannot_be_written_is_one_line(tmp_path, digits):
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError, match="cannot write"):
        train(
            TrainingSettings(recipe="softmax", data="digits"),
            out=tmp_path / "file" / "run", dataset=digits, report=False, verbose=0,
        )  # fmt: skip


def test_a_loss_that_is_not_a_number_fails_the_run_and_says_why(tmp_path, digits):
    settings = TrainingSettings(
        recipe="mlp-relu", data="digits", epochs=2, learning_rate=1e30, seed=0
    )
    with pytest.raises(TrainingError, match="the loss became .*smaller learning rate"):
        train(settings, out=tmp_path / "run", dataset=digits, report=False, verbose=0)
    run = Run(tmp_path / "run")
    assert run.status == "failed"
    assert "smaller learning rate" in run.config["error"]
    assert not run.model_path.exists()


def test_early_stopping_that_had_fired_before_the_kill_fires_again(tmp_path, digits):
    """The process dies after the deciding epoch's checkpoint and before the results."""
    settings = TrainingSettings(
        recipe="softmax", data="digits", epochs=30, validation_split=0.1, early_stopping=1,
        learning_rate=10.0, seed=1,
    )  # fmt: skip
    expected = train(settings, out=tmp_path / "expected", dataset=digits, report=False, verbose=0)

    class Leave(keras.callbacks.Callback):
        """Ends the process as a kill would: no cleaning up of ours runs on SystemExit."""

        def on_epoch_end(self, epoch, logs=None):
            if epoch + 1 == expected.epochs_done:
                raise SystemExit

    run_folder = tmp_path / "run"
    with pytest.raises(SystemExit):
        train(
            settings, out=run_folder, dataset=digits, report=False, verbose=0, callbacks=[Leave()]
        )
    assert Run(run_folder).epochs_done == expected.epochs_done
    same_result(resume(run_folder, dataset=digits, report=False, verbose=0), expected)
