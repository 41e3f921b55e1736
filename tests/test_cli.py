"""The commands as a person or a program calls them: in a process, through a pipe."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from penmark.data import load_data
from penmark.runs import Run


def penmark(*arguments, cwd=None, **environment):
    return subprocess.run(
        [sys.executable, "-c", "from penmark.cli import main; main()", *map(str, arguments)],
        capture_output=True,
        text=True,
        cwd=cwd,
        env=os.environ | environment,
    )


@pytest.fixture(scope="module")
def workspace(tmp_path_factory):
    """A folder with two short runs, made by the command."""
    folder = tmp_path_factory.mktemp("workspace")
    for recipe in ("softmax", "perceptron"):
        made = penmark(
            "train", recipe, "--data", "digits", "--epochs", "2", "--validation-split", "0.1",
            "--out", folder / "runs" / recipe, cwd=folder,
        )  # fmt: skip
        assert made.returncode == 0, made.stderr
    return folder


@pytest.fixture(scope="module")
def mixed_folder(tmp_path_factory):
    """200 image files of two classes in many formats and sizes; every tenth is broken."""
    folder = tmp_path_factory.mktemp("mixed") / "photos"
    digits = load_data("digits")
    images = np.concatenate([digits.x_train[digits.y_train == label][:100] for label in (0, 1)])
    broken = []
    for index, pixels in enumerate(images):
        name = ("zero", "one")[index // 100]
        suffix = ("png", "jpg", "bmp", "gif", "webp", "tif")[index % 6]
        path = folder / name / f"{index:03d}.{suffix}"
        path.parent.mkdir(parents=True, exist_ok=True)
        side = 20 + index % 30
        Image.fromarray(pixels).resize((side, side + index % 3)).save(path)
        if index % 10 == 9:
            broken.append(f"{name}/{path.name}")
            whole = path.read_bytes()
            path.write_bytes(
                [b"", b"this is text", whole[: len(whole) // 2], whole[:20]][index // 10 % 4]
            )
    return folder, broken


def test_help_answers_and_names_the_commands():
    shown = penmark("--help")
    assert shown.returncode == 0
    for command in ("train", "evaluate", "reproduce", "data", "runs"):
        assert command in shown.stdout
    assert "..." not in shown.stdout.split("Commands:")[1]  # every line is whole


def test_training_says_where_to_look_and_keeps_standard_output_free(workspace):
    again = penmark(
        "train", "softmax", "--data", "digits", "--epochs", "1", "--out", workspace / "free"
    )
    assert again.stdout == ""
    assert "epoch 1/1" in again.stderr
    assert "Test accuracy" in again.stderr
    assert str(workspace / "free" / "report.html") in again.stderr
    assert "\x1b" not in again.stderr  # no terminal, no control sequences


def test_quiet_is_quiet(workspace):
    run = penmark(
        "train", "softmax", "--data", "digits", "--epochs", "1", "--quiet", "--no-report",
        "--out", workspace / "quiet",
    )  # fmt: skip
    assert (run.returncode, run.stdout, run.stderr) == (0, "", "")


def test_runs_get_a_place_of_their_own_by_default(tmp_path):
    for _ in range(2):
        made = penmark(
            "train", "softmax", "--data", "digits", "--epochs", "1", "--no-report", cwd=tmp_path
        )
        assert made.returncode == 0, made.stderr
    found = list((tmp_path / "runs").iterdir())
    assert len(found) == 2
    assert all("softmax_digits" in path.name for path in found)


@pytest.mark.parametrize("recipe", ["softmax", "perceptron"])
def test_evaluate_gives_the_documented_json(workspace, recipe):
    shown = penmark("evaluate", workspace / "runs" / recipe, "--json", "-")
    document = json.loads(shown.stdout)
    assert {
        "accuracy", "loss", "top2_accuracy", "ece", "per_class", "confusion", "images", "seconds",
    } <= set(document)  # fmt: skip
    stored = Run(workspace / "runs" / recipe).metrics
    assert document["accuracy"] == stored["accuracy"]
    assert document["confusion"] == stored["confusion"]


def test_evaluate_takes_a_model_file_and_other_data(workspace):
    model = workspace / "runs" / "softmax" / "model.keras"
    shown = penmark("evaluate", model, "--data", "digits", "--json", workspace / "e.json")
    assert shown.returncode == 0, shown.stderr
    assert "of 359 images read wrongly" in shown.stdout
    document = json.loads((workspace / "e.json").read_text())
    assert document["accuracy"] == Run(workspace / "runs" / "softmax").metrics["accuracy"]

    missing = penmark("evaluate", model)
    assert missing.returncode == 2
    assert "say what to evaluate" in missing.stderr


def test_evaluate_leaves_keras_alone_where_the_core_covers_the_model(workspace):
    from penmark.engine.core import missing_core

    if missing_core() is not None:
        pytest.skip(missing_core())
    # Python refuses to import a module that is None in sys.modules.
    code = "import sys; sys.modules['keras'] = None; from penmark.cli import main; main()"
    arguments = ["evaluate", str(workspace / "runs" / "softmax")]
    shown = subprocess.run([sys.executable, "-c", code, *arguments], capture_output=True, text=True)
    assert shown.returncode == 0, shown.stderr
    assert "of 359 images read wrongly" in shown.stdout


def test_a_perceptrons_file_needs_the_class_it_was_trained_for(workspace):
    model = workspace / "runs" / "perceptron" / "model.keras"
    refused = penmark("evaluate", model, "--data", "digits")
    assert refused.returncode == 2
    assert "--positive-class" in refused.stderr
    shown = penmark("evaluate", model, "--data", "digits", "--positive-class", "0", "--json", "-")
    stored = Run(workspace / "runs" / "perceptron").metrics
    assert json.loads(shown.stdout)["accuracy"] == stored["accuracy"]


def test_reproduce_gives_the_documented_json(tmp_path):
    shown = penmark(
        "reproduce", "--data", "digits", "--recipe", "softmax", "--recipe", "perceptron",
        "--json", "-", "--markdown", tmp_path / "table.md",
    )  # fmt: skip
    rows = json.loads(shown.stdout)
    assert [row["recipe"] for row in rows] == ["softmax", "perceptron"]
    assert {
        "recipe", "parameters", "published_accuracy", "measured_accuracy", "epochs",
        "seconds_per_epoch", "seconds", "engine",
    } <= set(rows[0])  # fmt: skip
    assert rows[0]["parameters"] == 7850
    assert rows[0]["published_accuracy"] == 0.92
    assert rows[0]["epochs"] == 20
    assert rows[1]["published_accuracy"] is None
    table = (tmp_path / "table.md").read_text()
    assert "| `softmax` | 7,850 | 20 | 92–93% |" in table


def test_runs_are_listed_and_compared(workspace):
    listed = penmark("runs", cwd=workspace, COLUMNS="120")
    assert listed.returncode == 0
    assert "softmax" in listed.stdout and "perceptron" in listed.stdout
    assert "curve" in listed.stdout
    assert "curve" not in penmark("runs", cwd=workspace, COLUMNS="80").stdout
    compared = penmark(
        "runs", "compare", workspace / "runs" / "softmax", workspace / "runs" / "perceptron",
        "--save", workspace / "both.png",
    )  # fmt: skip
    assert compared.returncode == 0, compared.stderr
    with Image.open(workspace / "both.png") as picture:
        assert picture.width > 600
    empty = penmark("runs", "--in", workspace / "nowhere")
    assert empty.returncode == 0
    assert "no runs" in empty.stderr


def test_data_list_and_show(tmp_path):
    listed = penmark("data", "list", COLUMNS="160")
    for name in ("digits", "mnist", "fashion-mnist", "cifar10", "bundled"):
        assert name in listed.stdout
    shown = penmark("data", "show", "digits")
    assert "(1438, 28, 28)" in shown.stdout and "uint8" in shown.stdout
    saved = penmark("data", "show", "digits", "--save", tmp_path / "grid.png")
    assert saved.returncode == 0, saved.stderr
    assert (tmp_path / "grid.png").stat().st_size > 10_000
    refused = penmark("data", "show", "digits", "--save", tmp_path / "grid.xyz")
    assert refused.returncode == 2
    assert "suffixes" in refused.stderr


def test_two_hundred_mixed_files_train_and_every_broken_one_is_listed(mixed_folder, tmp_path):
    folder, broken = mixed_folder
    trained = penmark(
        "train", "mlp-dropout", "--data", folder, "--epochs", "8", "--no-report",
        "--out", tmp_path / "run",
    )  # fmt: skip
    assert trained.returncode == 0, trained.stderr
    assert "20 of 200 files left out" in trained.stderr
    run = Run(tmp_path / "run")
    assert run.metrics["accuracy"] > 0.8
    report = json.loads((tmp_path / "run" / "data-report.json").read_text())
    left_out = {entry["path"] for entry in report["files"] if not entry["used"]}
    assert left_out == set(broken)

    checked = penmark("data", "check", folder, "--json", tmp_path / "check.json")
    assert checked.returncode == 0, checked.stderr
    for path in broken:
        assert path in checked.stdout
    document = json.loads((tmp_path / "check.json").read_text())
    assert len(document["files"]) == 200


def test_a_model_names_images_that_look_mislabeled(mixed_folder, tmp_path):
    import shutil

    folder, _ = mixed_folder
    penmark(
        "train",
        "mlp-dropout",
        "--data",
        folder,
        "--epochs",
        "8",
        "--no-report",
        "--out",
        tmp_path / "run",
    )
    shutil.copytree(folder, tmp_path / "copy")
    moved = tmp_path / "copy" / "one" / "moved.png"
    Image.open(folder / "zero" / "000.png").transpose(Image.Transpose.FLIP_LEFT_RIGHT).save(moved)
    checked = penmark("data", "check", tmp_path / "copy", "--model", tmp_path / "run")
    assert checked.returncode == 0, checked.stderr
    assert "probably mislabeled" in checked.stdout
    assert "one/moved.png" in checked.stdout.split("probably mislabeled")[1]


@pytest.mark.parametrize(
    ("arguments", "status", "message"),
    [
        (["train"], 2, "say which recipe to train"),
        (["train", "sofmax"], 2, "did you mean softmax?"),
        (["train", "softmax", "--data", "mnits"], 2, "mnist"),
        (["train", "softmax", "--data", "digits", "--epochs", "0"], 2, "epochs must be at least 1"),
        (["train", "softmax", "--data", "digits", "--epochs", "x"], 2, "valid int"),
        (["train", "softmax", "--data", "digits", "--image-size", "big"], 2, "like 28x28"),
        (["train", "softmax", "--data", "digits", "--engine", "warp"], 2, "engine must be one of"),
        (["train", "perceptron", "--data", "digits", "--optimizer", "adam"], 2, "rule of its own"),
        (["train", "cnn", "--data", "digits", "--image-size", "9x9"], 2, "at least 16×16"),
        (["train", "softmax", "--data", "digits", "--out", "/dev/null/run"], 1, "cannot write"),
        (["train", "--resume", "nowhere"], 2, "nowhere is not a run folder"),
        (["evaluate", "nowhere.keras", "--data", "digits"], 2, "there is no model at"),
        (["evaluate", __file__, "--data", "digits"], 2, "is not a .keras file"),
        (["data", "check", "nowhere"], 2, "nowhere"),
        (["data", "show", __file__], 2, "test_cli.py"),
        (["runs", "compare", "nowhere"], 2, "is not a run folder"),
        (["reproduce", "--recipe", "cn", "--data", "digits"], 2, "did you mean cnn?"),
        (["fly"], 2, "No such command 'fly'"),
        (["train", "--fly"], 2, "No such option"),
    ],
)  # fmt: skip
def test_errors_are_short_and_have_the_right_status(tmp_path, arguments, status, message):
    failed = penmark(*arguments, cwd=tmp_path)
    assert failed.returncode == status, failed.stderr
    assert message in failed.stderr
    assert "Traceback" not in failed.stderr
    assert failed.stdout == ""
    assert not (tmp_path / "runs").exists()


def test_debug_shows_the_traceback_wherever_it_stands():
    for arguments in (["--debug", "train", "sofmax"], ["train", "sofmax", "--debug"]):
        failed = penmark(*arguments)
        assert failed.returncode == 2
        assert "Traceback" in failed.stderr


def test_a_reader_that_leaves_early_is_no_error():
    command = (
        f"{sys.executable} -c 'from penmark.cli import main; main()' data show digits | head -1"
    )
    shown = subprocess.run(command, shell=True, capture_output=True, text=True)
    assert shown.stderr == ""


def test_control_c_before_training_is_one_line():
    process = subprocess.Popen(
        [sys.executable, "-c", "from penmark.cli import main; main()",
         "reproduce", "--data", "digits", "--recipe", "cnn"],
        stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    line = process.stderr.readline()
    assert line.startswith("Training cnn"), line
    process.send_signal(signal.SIGINT)
    _, rest = process.communicate(timeout=120)
    assert process.returncode == 130
    assert "Traceback" not in rest


@pytest.mark.parametrize("share, noted", [(0.97, False), (1.04, True)])
def test_bench_says_how_the_peak_can_be_exceeded(share, noted):
    from penmark.terminal import bench_tables

    row = {
        "recipe": "mlp-relu", "seconds_per_epoch": 0.2, "peer": "keras/jax", "ratio": 2.5,
        "peer_seconds_per_epoch": 0.5, "share_of_peak": share,
    }  # fmt: skip
    _, *notes = bench_tables([row])
    assert [str(note).startswith("Over 100%") for note in notes] == [True] * noted


def test_bench_gives_the_documented_json():
    from penmark.engine.core import missing_core

    if missing_core() is not None:
        pytest.skip(missing_core())
    shown = penmark(
        "bench", "--recipe", "softmax", "--data", "digits", "--runs", "1", "--profile",
        "--json", "-",
    )  # fmt: skip
    assert shown.returncode == 0, shown.stderr
    (row,) = json.loads(shown.stdout)
    assert {
        "recipe", "engine", "seconds_per_epoch", "peer", "peer_seconds_per_epoch", "ratio",
        "share_of_peak", "runs",
    } <= set(row)  # fmt: skip
    assert row["ratio"] == pytest.approx(row["peer_seconds_per_epoch"] / row["seconds_per_epoch"])
    # Forward and gradient to the weights, 2 operations for each of 784 × 10 weights and image.
    images = 1438
    assert row["gflops"] == pytest.approx(2 * 2 * 7840 * images / row["seconds_per_epoch"] / 1e9)
    assert row["layers"]
    refused = penmark("bench", "--recipe", "perceptron", "--data", "digits")
    assert refused.returncode == 2
    assert "rule of its own" in refused.stderr
