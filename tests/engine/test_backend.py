"""Which backend Keras gets, seen in fresh interpreters with settings of their own."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

SHOW_BACKEND = "import penmark, keras; print(keras.backend.backend())"


def run(code, tmp_path, *, keras_backend=None, keras_json=None, blocked=(), available=()):
    """Run code where the named packages are hidden, or pretend to be installed."""
    home = tmp_path / "keras"
    home.mkdir()
    if keras_json is not None:
        (home / "keras.json").write_text(keras_json)
    fakes = tmp_path / "fakes"
    for name in available:
        (fakes / name).mkdir(parents=True)
        (fakes / name / "__init__.py").write_text("")
    environment = {k: v for k, v in os.environ.items() if k != "KERAS_BACKEND"}
    environment |= {"KERAS_HOME": str(home), "PYTHONPATH": str(fakes)}
    if keras_backend is not None:
        environment["KERAS_BACKEND"] = keras_backend
    hide = (
        "import importlib.util as u; real = u.find_spec\n"
        f"u.find_spec = lambda n, *a: None if n in {tuple(blocked)!r} else real(n, *a)\n"
    )
    return subprocess.run(
        [sys.executable, "-c", hide + code], env=environment, capture_output=True, text=True
    )


def test_jax_is_chosen_though_keras_json_has_the_default_that_keras_writes(tmp_path):
    finished = run(SHOW_BACKEND, tmp_path, keras_json=json.dumps({"backend": "tensorflow"}))
    assert finished.stdout == "jax\n", finished.stderr


def test_jax_is_chosen_without_any_setting(tmp_path):
    assert run(SHOW_BACKEND, tmp_path).stdout == "jax\n"


@pytest.mark.parametrize("keras_json", ["not json", "[]", '{"backend": 3}', "{}"])
def test_a_damaged_keras_json_decides_nothing(tmp_path, keras_json):
    code = "from penmark.engine.backend import choose_backend; print(choose_backend())"
    assert run(code, tmp_path, keras_json=keras_json).stdout == "jax\n"


def test_the_environment_variable_is_respected(tmp_path):
    # The NumPy backend is a choice penmark itself would never make.
    assert run(SHOW_BACKEND, tmp_path, keras_backend="numpy").stdout == "numpy\n"


def test_the_users_keras_json_is_respected_when_its_backend_is_installed(tmp_path):
    finished = run(
        "from penmark.engine.backend import choose_backend; print(choose_backend())",
        tmp_path,
        keras_json=json.dumps({"backend": "torch"}),
        available=["torch"],
    )
    assert finished.stdout == "torch\n"


def test_an_imported_keras_keeps_its_backend(tmp_path):
    code = "import os; os.environ['KERAS_BACKEND'] = 'jax'; import keras\n" + (
        "os.environ['KERAS_BACKEND'] = 'torch'\n"
        "import penmark; from penmark.engine.backend import choose_backend; print(choose_backend())"
    )
    assert run(code, tmp_path).stdout == "jax\n"


def test_a_missing_backend_is_said_in_one_line_when_keras_is_needed(tmp_path):
    code = (
        "import penmark\n"
        "try: penmark.recipes.get('softmax').build()\n"
        "except penmark.errors.InputError as error: print(error)"
    )
    finished = run(code, tmp_path, keras_backend="tensorflow", blocked=["tensorflow"])
    assert finished.stdout.startswith(
        "KERAS_BACKEND is 'tensorflow', but tensorflow is not installed"
    )
    assert finished.stdout.count("\n") == 1


def test_no_backend_at_all_names_the_lightest(tmp_path):
    code = (
        "import penmark; from penmark.engine.backend import choose_backend\n"
        "try: choose_backend()\n"
        "except penmark.errors.InputError as error: print(error)"
    )
    finished = run(code, tmp_path, blocked=["jax", "torch", "tensorflow"])
    assert finished.stdout.endswith("pip install jax\n")


def test_training_on_the_numpy_backend_is_refused_with_the_way_out(tmp_path):
    code = (
        "import numpy as np, penmark\n"
        "model = penmark.recipes.get('softmax').build()\n"
        "try: penmark.fit(model, np.zeros((4, 28, 28), np.uint8), np.zeros(4, int), "
        "engine='keras')\n"
        "except penmark.errors.InputError as error: print(error)"
    )
    finished = run(code, tmp_path, keras_backend="numpy")
    assert "NumPy backend cannot train" in finished.stdout, finished.stderr
