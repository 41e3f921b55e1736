"""A training from data to its run folder."""

from __future__ import annotations

import dataclasses
import json
import shlex

import keras
import numpy as np
import pytest

import penmark
from penmark.errors import InputError, RunError
from penmark.runs import Run, TrainingSettings, resume, train
from tests.runs.conftest import QUICK


def test_a_finished_run_has_everything(finished):
    assert {path.name for path in finished.path.iterdir()} == {
        "config.json", "history.csv", "model.keras", "metrics.json", "report.html", "figures",
    }  # fmt: skip
    assert finished.status == "complete"
    assert finished.history["epoch"] == [1, 2, 3]
    assert set(finished.history) == {
        "epoch", "loss", "accuracy", "val_loss", "val_accuracy", "seconds",
    }  # fmt: skip
    assert "training_curves.png" in {path.name for path in (finished.path / "figures").iterdir()}


def test_the_metrics_are_the_models_own(finished, digits):
    model = keras.saving.load_model(finished.path / "model.keras")
    correct = model.predict(digits.x_test, verbose=0).argmax(axis=1) == digits.y_test
    assert finished.metrics["accuracy"] == pytest.approx(correct.mean())
    assert finished.metrics["loss"] == pytest.approx(
        penmark.evaluate(model, digits.x_test, digits.y_test)[0], rel=1e-5
    )
    assert finished.metrics["parameters"] == 7850
    assert np.array(finished.metrics["confusion"]).sum() == len(digits.x_test)


def test_the_configuration_is_enough_to_repeat_the_run(finished, digits, tmp_path):
    config = json.loads((finished.path / "config.json").read_text())
    assert config["data"]["checksum"] == digits.checksum
    assert config["versions"]["keras"] == keras.__version__
    assert config["machine"]["cores"] >= 1
    assert shlex.split(config["command"])[:5] == ["penmark", "train", "softmax", "--data", "digits"]

    again = train(
        TrainingSettings.from_json(config["settings"]),
        out=tmp_path / "again",
        report=False,
        verbose=0,
    )

    assert again.metrics["loss"] == finished.metrics["loss"]
    for name in ("loss", "accuracy", "val_loss", "val_accuracy"):
        assert again.history[name] == finished.history[name]


def test_the_perceptron_has_the_same_surface(tmp_path, digits):
    settings = TrainingSettings(recipe="perceptron", data="digits", positive_class="3", epochs=2)
    run = train(settings, out=tmp_path / "run", dataset=digits, verbose=0)
    assert run.config["data"]["class_names"] == ["not 3", "3"]
    assert len(run.metrics["per_class"]) == 2
    assert run.metrics["accuracy"] > 0.9
    assert (run.path / "report.html").is_file()
    assert run.metrics["parameters"] == 785


def test_keep_best_keeps_the_most_accurate_epoch(tmp_path, digits):
    class Spoil(keras.callbacks.Callback):
        """Makes the last epoch end far from where the others were going."""

        def on_epoch_begin(self, epoch, logs=None):
            if epoch == 2:
                self.model.set_weights([-weights for weights in self.model.get_weights()])
                self.model.optimizer.learning_rate = 0.0

    runs = {}
    for keep_best in (False, True):
        settings = dataclasses.replace(QUICK, keep_best=keep_best)
        runs[keep_best] = train(
            settings,
            out=tmp_path / str(keep_best),
            dataset=digits,
            report=False,
            verbose=0,
            callbacks=[Spoil()],
        )
    curve = runs[True].history["val_accuracy"]
    assert max(curve) > curve[2]
    validation = slice(int(len(digits.x_train) * 0.9), None)
    for keep_best, expected in ((False, curve[2]), (True, max(curve))):
        _, accuracy = penmark.evaluate(
            runs[keep_best].model(), digits.x_train[validation], digits.y_train[validation]
        )
        assert accuracy == pytest.approx(expected)


def test_early_stopping_stops(tmp_path, digits):
    settings = dataclasses.replace(QUICK, early_stopping=1, learning_rate=10.0, epochs=20)
    run = train(settings, out=tmp_path / "run", dataset=digits, report=False, verbose=0)
    losses = run.history["val_loss"]
    assert run.epochs_done < 20
    assert losses[-1] >= min(losses[:-1])


@pytest.mark.parametrize("schedule", ["cosine", "one-cycle", "exponential", "plateau"])
def test_schedules_change_the_learning_rate(tmp_path, digits, schedule):
    rates = []

    class Watch(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            rates.append(float(self.model.optimizer.learning_rate))

    settings = dataclasses.replace(QUICK, schedule=schedule, learning_rate=5.0, epochs=6)
    train(
        settings, out=tmp_path / "run", dataset=digits, report=False, verbose=0, callbacks=[Watch()]
    )
    if schedule == "cosine":
        expected = [5 * (1 + np.cos(np.pi * done / 6)) / 2 for done in range(1, 7)]
        assert rates == pytest.approx(expected, abs=1e-4)
    elif schedule == "one-cycle":
        # 41 steps an epoch: 61 of 246 rise from 0.5 to 5, the others follow a cosine to 0.
        expected = [0.5 + 4.5 * 41 / 61] + [
            5 * (1 + np.cos(np.pi * (41 * done - 61) / 185)) / 2 for done in range(2, 7)
        ]
        assert rates == pytest.approx(expected, abs=1e-4)
    elif schedule == "exponential":
        assert rates == pytest.approx([5 * 0.9**done for done in range(1, 7)], rel=1e-5)
    else:
        assert set(rates) <= {5.0, 2.5, 1.25}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"epochs": 0}, "epochs must be at least 1; got 0"),
        ({"batch_size": -1}, "batch_size must be at least 1"),
        ({"early_stopping": 0}, "early_stopping must be at least 1"),
        ({"learning_rate": 0.0}, "learning_rate must be a number above 0"),
        ({"learning_rate": float("nan")}, "learning_rate must be a number above 0; got nan"),
        ({"validation_split": 1.0}, "validation_split must be at least 0 and less than 1"),
        ({"seed": -1}, "seed must be a whole number from 0"),
        ({"schedule": "linear"}, "schedule must be one of constant, cosine"),
        ({"optimizer": "adamm"}, "optimizer must be one of sgd"),
    ],
)
def test_settings_out_of_range_are_named(change, message):
    with pytest.raises(InputError, match=message):
        TrainingSettings(**({"recipe": "softmax"} | change))


def test_nothing_is_written_when_the_recipe_or_the_data_is_wrong(tmp_path, digits):
    for settings in (
        TrainingSettings(recipe="sofmax", data="digits"),
        TrainingSettings(recipe="softmax", data=str(tmp_path / "nowhere")),
        TrainingSettings(recipe="perceptron", data="digits", positive_class="x"),
    ):
        with pytest.raises(InputError):
            train(settings, out=tmp_path / "run", verbose=0)
        assert list(tmp_path.iterdir()) == []


def test_a_folder_in_use_is_not_touched(finished, tmp_path, digits):
    with pytest.raises(RunError, match="already holds a run.*--resume.*--overwrite"):
        train(QUICK, out=finished.path, dataset=digits, report=False, verbose=0)
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "letter.txt").write_text("dear")
    with pytest.raises(RunError, match="exists and is not a run"):
        train(QUICK, out=tmp_path / "mine", dataset=digits, report=False, verbose=0, overwrite=True)
    assert (tmp_path / "mine" / "letter.txt").read_text() == "dear"


def test_resuming_a_finished_run_says_what_would_make_sense(finished):
    with pytest.raises(RunError, match="already finished after 3 epochs.*--epochs 6"):
        resume(finished.path, verbose=0)
    with pytest.raises(RunError, match="already has 3 epochs"):
        resume(finished.path, epochs=2, verbose=0)


def test_a_finished_run_can_be_trained_longer(finished, tmp_path, digits):
    import shutil

    shutil.copytree(finished.path, tmp_path / "longer")
    longer = resume(tmp_path / "longer", epochs=5, dataset=digits, report=False, verbose=0)
    at_once = train(
        dataclasses.replace(QUICK, epochs=5),
        out=tmp_path / "at-once",
        dataset=digits,
        report=False,
        verbose=0,
    )
    assert longer.history["loss"] == at_once.history["loss"]
    assert longer.metrics["loss"] == at_once.metrics["loss"]


def test_resuming_on_other_images_is_refused(finished, tmp_path, digits):
    import shutil

    shutil.copytree(finished.path, tmp_path / "run")
    other = dataclasses.replace(digits, x_train=255 - digits.x_train)
    with pytest.raises(RunError, match="not what .* was trained on"):
        resume(tmp_path / "run", epochs=5, dataset=other, verbose=0)


def test_a_command_line_repeats_the_settings():
    settings = TrainingSettings(
        recipe="cnn", data="/data/my digits", image_size=(32, 24), epochs=7, keep_best=True
    )
    assert shlex.split(settings.command()) == [
        "penmark", "train", "cnn", "--data", "/data/my digits", "--image-size", "32x24",
        "--epochs", "7", "--keep-best", "--seed", "0",
    ]  # fmt: skip


def test_damaged_run_folders_are_named(tmp_path):
    with pytest.raises(RunError, match="is not a run folder: it has no config.json"):
        Run(tmp_path)
    (tmp_path / "config.json").write_text("{")
    with pytest.raises(RunError, match="cannot read"):
        Run(tmp_path)
    (tmp_path / "config.json").write_text('{"settings": {"recipe": "softmax", "colour": 1}}')
    with pytest.raises(RunError, match="settings cannot be read"):
        _ = Run(tmp_path).settings
    (tmp_path / "history.csv").write_text("epoch,loss\n1,x\n")
    with pytest.raises(RunError, match="history.csv is damaged"):
        _ = Run(tmp_path).history
