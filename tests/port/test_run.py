"""The four classic programs, ported and run: they reach what was published."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

# Programs, the name before each accuracy they print, and the least it may be. Published: 92 to
# 93% (89% is what the exact loss gives on raw pixels, see docs/recipes.md), 95 to 98%, 97.87%,
# 94.51% and 99.10%; seeds differ by a few tenths of a percent.
CLASSICS = [
    ("softmax.py", {"test accuracy": 0.86}),
    ("mlp_dropout.py", {"test accuracy": 0.97}),
    ("workshop.ipynb", {"mlp accuracy": 0.92, "cnn accuracy": 0.975}),
]


def run(*arguments, cwd):
    return subprocess.run(
        [sys.executable, "-c", "from penmark.cli import main; main()", "port", "--run"]
        + [str(argument) for argument in arguments],
        capture_output=True,
        text=True,
        cwd=cwd,
        env=os.environ | {"MPLBACKEND": "agg"},
    )


@pytest.mark.skipif("PENMARK_DATA" not in os.environ, reason="needs MNIST: set PENMARK_DATA")
@pytest.mark.parametrize(("name", "expected"), CLASSICS)
def test_the_classics_reach_their_accuracy(programs, tmp_path, name, expected):
    done = run(programs / name, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    for label, least in expected.items():
        found = re.search(rf"{label}: ([0-9.]+)", done.stdout)
        assert found is not None, done.stdout
        assert float(found[1]) >= least


SMALL = """
import sys
import numpy as np
from keras.models import Sequential
from keras.layers.core import Dense
model = Sequential()
model.add(Dense(3, input_dim=4, activation='softmax'))
model.compile('sgd', 'sparse_categorical_crossentropy', metrics=['accuracy'])
h = model.fit(np.ones((9, 4)), np.zeros(9), nb_epoch=2, verbose=0)
print(sorted(h.history), sys.argv[1:], __name__)
sys.exit(7)
"""


def test_arguments_and_the_exit_status_are_the_programs_own(tmp_path):
    (tmp_path / "old.py").write_text(SMALL)
    done = run("old.py", "one", "two", cwd=tmp_path)
    assert "['acc', 'loss'] ['one', 'two'] __main__" in done.stdout.replace("accuracy", "acc")
    assert done.returncode == 7, done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["old.py"]


def test_an_error_in_the_program_names_the_line(tmp_path):
    (tmp_path / "old.py").write_text("from keras.models import Sequential\n\nraise KeyError(3)\n")
    done = run("old.py", "--debug", cwd=tmp_path)
    assert done.returncode == 1
    assert "raise KeyError(3)" in done.stderr and "old.py (ported)" in done.stderr


def test_the_new_program_is_written_whole_or_not_at_all(tmp_path):
    (tmp_path / "old.py").write_text(SMALL)
    command = [sys.executable, "-c", "from penmark.cli import main; main()", "port", "old.py"]
    shown = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path)
    assert shown.returncode == 0
    assert "+h = model.fit(np.ones((9, 4)), np.zeros(9), epochs=2, verbose=0)" in shown.stdout
    assert "nb_epoch= → epochs=" in shown.stderr and "Keras 2.0 (2017)" in shown.stderr

    command += ["-o", "new.py"]
    assert subprocess.run(command, capture_output=True, cwd=tmp_path).returncode == 0
    new = (tmp_path / "new.py").read_text()
    assert "epochs=2" in new
    again = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path)
    assert again.returncode == 2 and "already there" in again.stderr
    assert Path(tmp_path / "new.py").read_text() == new


def test_what_was_left_is_an_exit_status(tmp_path):
    (tmp_path / "old.py").write_text("from keras.layers import Highway\n")
    command = [sys.executable, "-c", "from penmark.cli import main; main()", "port", "old.py"]
    shown = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path)
    assert shown.returncode == 1
    assert "write it as a functional model" in shown.stderr
