"""The Python samples of the pages run, one after the other as a reader would try them.

They run in a folder that has what the pages speak of, on the bundled digits instead of MNIST and
for one epoch. A sample that cannot run stands below `<!-- not run: why -->`.
"""

from __future__ import annotations

import gzip
import re

import numpy as np
import pytest
from PIL import Image

import penmark
from penmark import runs
from tests.docs.pages import PAGES, blocks, name

SAMPLES = [page for page in PAGES if any(block.language == "python" for block in blocks(page))]
IMAGES = 60


@pytest.fixture(scope="module")
def digits():
    return penmark.load_data("digits")


@pytest.fixture(scope="module")
def folder(tmp_path_factory, digits):
    """A folder of images, arrays, IDX files, a photo and a run, by the names of the pages."""
    folder = tmp_path_factory.mktemp("samples")
    for index, (pixels, label) in enumerate(zip(digits.x_train, digits.y_train, strict=True)):
        if index < 3 * IMAGES:
            path = folder / "my-digits" / str(label) / f"{index:03d}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(pixels).save(path)
    arrays = {
        f"{part}_{split}": getattr(digits, f"{part}_{split}")[:IMAGES]
        for part in "xy"
        for split in ("train", "test")
    }
    np.savez(folder / "collected.npz", **arrays)
    (folder / "mnist-files").mkdir()
    for prefix, split in (("train", "train"), ("t10k", "test")):
        for kind, part in (("images-idx3", "x"), ("labels-idx1", "y")):
            array = arrays[f"{part}_{split}"].astype(np.uint8)
            header = np.array([0x800 + array.ndim, *array.shape], ">i4").tobytes()
            path = folder / "mnist-files" / f"{prefix}-{kind}-ubyte.gz"
            path.write_bytes(gzip.compress(header + array.tobytes()))
    Image.fromarray(255 - np.hstack(list(digits.x_test[:3]))).save(folder / "photo.jpg")
    settings = runs.TrainingSettings(
        recipe="softmax", data="digits", epochs=1, validation_split=0.1, engine="auto"
    )
    run = folder / "runs" / "2026-11-22_101530_cnn_mnist"
    runs.train(settings, out=run, report=False, verbose=0, announce=lambda line: None)
    return folder


@pytest.fixture(scope="module")
def model(digits):
    """A compiled network, for samples that begin with one."""
    return penmark.recipes.get("softmax").build(digits, seed=0)


@pytest.mark.parametrize("page", SAMPLES, ids=name)
def test_every_sample_runs(page, folder, model, monkeypatch):
    monkeypatch.chdir(folder)
    if page.suffix == ".ipynb":
        pytest.skip("the tests of the lessons run it")
    known = {"model": model, "__name__": "sample"}
    for block in blocks(page):
        if block.language == "python" and block.runs:
            code = re.sub(r"\bepochs=\d+", "epochs=1", block.text.replace('"mnist"', '"digits"'))
            exec(compile("\n" * block.line + code, name(page), "exec"), known)
