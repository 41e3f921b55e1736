"""`penmark export` as a person or a program calls it."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest


def penmark(*arguments, cwd=None):
    return subprocess.run(
        [sys.executable, "-c", "from penmark.cli import main; main()", *map(str, arguments)],
        capture_output=True,
        text=True,
        cwd=cwd,
        env=os.environ | {"COLUMNS": "100"},
    )


def test_the_screen_says_where_what_and_how_close(run, tmp_path):
    shown = penmark("export", run.path, "--to", "onnx", "--out", tmp_path / "digits.onnx")
    assert shown.returncode == 0, shown.stderr
    assert shown.stdout.startswith("ONNX file ")
    assert "uint8 (batch, 28, 28): raw pixels, 0 to 255" in shown.stdout
    assert "128 images in onnxruntime" in shown.stdout
    assert "largest difference" in shown.stdout
    assert "\x1b" not in shown.stdout
    again = penmark("export", run.path, "--to", "onnx", "--out", tmp_path / "digits.onnx")
    assert again.returncode == 2
    assert again.stderr.count("\n") == 1 and "--overwrite" in again.stderr


def test_json_for_programs(run, tmp_path):
    shown = penmark(
        "export", run.model_path, "--to", "web", "--out", "--page", "--json", "-", cwd=tmp_path
    )
    document = json.loads(shown.stdout)
    assert document["form"] == "web"
    assert document["largest_difference"] < 1e-5
    assert document["class_names"] == list("0123456789")
    assert document["test_accuracy"] == run.metrics["accuracy"]
    assert (tmp_path / "--page" / "index.html").is_file()  # an odd name is a name


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nowhere", "--to", "onnx"], "there is no model at nowhere"),
        (["nowhere", "--to", "pdf"], "--to must be one of onnx, litert, web; got 'pdf'"),
        ([".", "--to", "web"], "is not a run folder"),
        (["x" * 5000, "--to", "onnx"], "there is no model at"),
        (["--", "--to.keras"], "Missing option '--to'"),
    ],
)
def test_errors_are_one_line(tmp_path, arguments, message):
    shown = penmark("export", *arguments, cwd=tmp_path)
    assert shown.returncode == 2
    assert shown.stdout == ""
    assert message in shown.stderr
    assert not list(tmp_path.iterdir())
