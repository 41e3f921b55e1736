"""Keras without the packages that only its rarer parts need, until these are used."""

from __future__ import annotations

import importlib.util
import subprocess
import sys

import pytest

from penmark.engine.lazy_keras import LAZY_PARTS

LOADED = "print([m for m in ('sklearn', 'matplotlib') if m in sys.modules])\n"


def printed(code):
    done = subprocess.run(
        [sys.executable, "-c", "import sys\n" + code], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


@pytest.mark.parametrize("imports", ["import keras", "from penmark.engine.backend import keras"])
def test_importing_keras_loads_neither_scikit_learn_nor_matplotlib(imports):
    assert printed(f"import penmark\n{imports}\n" + LOADED) == ["[]"]


def test_the_parts_are_there_when_they_are_used():
    code = (
        "import penmark, keras\n"
        "print(keras.wrappers.SKLearnClassifier.__mro__[1].__module__)\n"
        + LOADED
        + "from keras.visualization import plot_image_gallery\n"
        "print(plot_image_gallery.__name__, keras.visualization.draw_bounding_boxes.__name__)\n"
        + LOADED
    )
    assert printed(code) == [
        "sklearn.base",
        "['sklearn']",
        "plot_image_gallery draw_bounding_boxes",
        "['sklearn', 'matplotlib']",
    ]


def test_keras_still_has_these_parts():
    for name in LAZY_PARTS:
        assert importlib.util.find_spec(name) is not None


def test_a_keras_that_is_there_already_stays_as_it_is():
    assert printed("import keras, penmark\n" + LOADED) == ["['sklearn', 'matplotlib']"]
