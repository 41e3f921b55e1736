"""`import penmark`: small, lazy, and what it promises."""

from __future__ import annotations

import subprocess
import sys
import types

import pytest

import penmark
from penmark import data

PUBLIC = {
    "Dataset", "Run", "accelerate", "evaluate", "export", "fit", "load_data", "plot", "predict",
    "read",
    "recipes", "__version__",
}  # fmt: skip


def test_all_is_exactly_the_public_names():
    assert set(penmark.__all__) == PUBLIC
    assert set(dir(penmark)) == PUBLIC


@pytest.mark.parametrize("name", sorted(PUBLIC - {"__version__"}))
def test_every_public_name_is_there_and_documented(name):
    value = getattr(penmark, name)
    assert isinstance(value, types.ModuleType) or callable(value)
    assert value.__doc__


def test_the_data_room_shows_its_names_before_they_are_imported():
    code = "import penmark.data as data; print(dir(data) == sorted(data.__all__))"
    finished = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert finished.stdout.strip() == "True", finished.stderr
    assert all(getattr(data, name) is not None for name in data.__all__)
    with pytest.raises(AttributeError, match="has no attribute 'load_date'"):
        _ = data.load_date


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="has no attribute 'recieps'"):
        _ = penmark.recieps


@pytest.mark.parametrize(
    "statement",
    [
        "import penmark",
        "from penmark import load_data, Dataset, Run, recipes; recipes.names()",
        "import sys; sys.argv = ['penmark', '--help']; import penmark.cli",
    ],
)
def test_nothing_heavy_is_imported_before_it_is_needed(statement):
    code = f"{statement}; import sys; print([m for m in {HEAVY!r} if m in sys.modules])"
    finished = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert finished.stdout.strip() == "[]", finished.stderr


HEAVY = ("keras", "jax", "sklearn", "scipy", "matplotlib", "PIL", "pooch", "requests", "jinja2")


def test_the_package_says_that_it_is_typed():
    from importlib.resources import files

    assert (files("penmark") / "py.typed").is_file()
