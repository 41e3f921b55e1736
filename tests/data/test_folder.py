"""A folder of images: what is loaded, and that every file is accounted for."""

from __future__ import annotations

import json
import os

import numpy as np
import pytest
from PIL import Image

from penmark.data import check_folder, load_data
from penmark.errors import DataError
from tests.data.files import image_folder, picture, save_picture


def findings(report) -> dict:
    return {file.path: file for file in report.files}


def problems(report) -> dict[str, str]:
    return {file.path: file.problem for file in report.files if file.problem}


def test_rows_are_the_files_that_the_report_names(tmp_path):
    root = image_folder(tmp_path / "pets", ("cat", "dog", "eel"), 10)
    dataset = load_data(root)
    assert dataset.name == "pets" and dataset.class_names == ("cat", "dog", "eel")
    assert dataset.x_train.shape == (24, 28, 28) and dataset.x_test.shape == (6, 28, 28)
    for split in ("train", "test"):
        rows = zip(
            getattr(dataset, f"x_{split}"),
            getattr(dataset, f"y_{split}"),
            getattr(dataset.report, f"{split}_files"),
            strict=True,
        )
        for image, label, path in rows:
            np.testing.assert_array_equal(image, np.asarray(Image.open(root / path)))
            assert path.split("/")[0] == dataset.class_names[label]
            assert findings(dataset.report)[path].split == split
    assert dataset.report.class_counts["dog"] == {"train": 8, "test": 2}
    assert dataset.report.problem_counts == {}


def test_the_seed_chooses_the_split(tmp_path):
    root = image_folder(tmp_path, count=20)
    first, again, other = (load_data(root, seed=seed) for seed in (0, 0, 1))
    assert first.checksum == again.checksum != other.checksum
    assert set(first.report.test_files) != set(other.report.test_files)


def test_training_rows_are_mixed(tmp_path):
    """A model that takes the last rows for validation must meet every class there."""
    dataset = load_data(image_folder(tmp_path, ("a", "b", "c", "d"), 30))
    assert set(dataset.y_train[-24:]) == {0, 1, 2, 3}


def test_numeric_names_are_in_numeric_order(tmp_path):
    root = image_folder(tmp_path, ("10", "2", "1", "x", "B"), 2)
    assert load_data(root).class_names == ("1", "2", "10", "B", "x")


@pytest.mark.parametrize(("train", "test"), [("train", "test"), ("Train", "TEST")])
def test_train_and_test_levels(tmp_path, train, test):
    image_folder(tmp_path / train, ("cat", "dog"), 4)
    save_picture(tmp_path / test / "dog" / "new.png", 9000)
    save_picture(tmp_path / "valid" / "dog" / "x.png", 9001)
    dataset = load_data(tmp_path)
    assert len(dataset.x_train) == 8
    assert dataset.report.test_files == (f"{test}/dog/new.png",)
    assert dataset.report.split_by == "folders"
    assert problems(dataset.report) == {"valid/dog/x.png": "misplaced"}


def test_a_train_level_alone_is_split(tmp_path):
    image_folder(tmp_path / "train", ("cat", "dog"), 10)
    dataset = load_data(tmp_path)
    assert len(dataset.x_train) == 16 and len(dataset.x_test) == 4
    assert dataset.report.split_by == "chance"


def test_train_may_be_a_class(tmp_path):
    assert load_data(image_folder(tmp_path, ("plane", "train"))).class_names == ("plane", "train")


def test_subfolders_of_a_class_belong_to_it(tmp_path):
    image_folder(tmp_path)
    save_picture(tmp_path / "cat" / "more" / "deep" / "x.png", 9000)
    assert findings(load_data(tmp_path).report)["cat/more/deep/x.png"].class_name == "cat"


def test_every_kind_of_problem_is_listed(tmp_path):
    root = image_folder(tmp_path, ("cat", "dog"), 10)
    (root / "notes.txt").write_text("hello")
    (root / "cat" / "Thumbs.db").write_bytes(b"x")
    save_picture(root / "stray.png", 9000)
    (root / "cat" / "empty.png").touch()
    (root / "cat" / "text.jpg").write_text("hello")
    Image.new("L", (9, 9), 5).save(root / "dog" / "flat.png")
    Image.fromarray(picture(0)).save(root / "cat" / "copy.bmp")
    Image.fromarray(picture(1)).save(root / "dog" / "cat1.png")
    (root / ".DS_Store").touch()
    (root / "cat" / ".hidden.png").touch()
    (root / ".git").mkdir()
    (root / ".git" / "x.png").touch()
    (root / "__MACOSX" / "cat").mkdir(parents=True)
    (root / "__MACOSX" / "cat" / "x.png").touch()
    report = load_data(root).report
    assert problems(report) == {
        "notes.txt": "not an image",
        "cat/Thumbs.db": "not an image",
        "stray.png": "misplaced",
        "cat/empty.png": "empty",
        "cat/text.jpg": "unreadable",
        "dog/flat.png": "one color",
        "cat/copy.bmp": "duplicate",
        "cat/1.png": "two classes",
        "dog/cat1.png": "two classes",
    }
    found = findings(report)
    assert len(report.files) == 28  # the hidden ones are not looked at
    assert {path for path, file in found.items() if not file.used} == {
        "notes.txt",
        "cat/Thumbs.db",
        "stray.png",
        "cat/empty.png",
        "cat/text.jpg",
        "dog/flat.png",
    }
    assert "cat/0.png" in found["cat/copy.bmp"].detail
    assert "cat/1.png" in found["dog/cat1.png"].detail
    assert report.problem_counts["two classes"] == 2
    assert len(report.train_files) + len(report.test_files) == 22


def test_duplicates_stay_on_one_side(tmp_path):
    root = image_folder(tmp_path, ("cat", "dog"), 10)
    for number in range(10):
        Image.fromarray(picture(number)).save(root / "cat" / f"copy{number}.png")
    for seed in range(5):
        dataset = load_data(root, seed=seed)
        test = {path.replace("copy", "") for path in dataset.report.test_files}
        train = {path.replace("copy", "") for path in dataset.report.train_files}
        assert not test & train
        assert len([path for path in dataset.report.test_files if path.startswith("cat")]) == 4


def test_duplicates_across_the_folders_of_a_split(tmp_path):
    image_folder(tmp_path / "train")
    image_folder(tmp_path / "test")
    save_picture(tmp_path / "test" / "cat" / "new.png", 9000)
    report = load_data(tmp_path).report
    assert report.problem_counts == {"across splits": 20}
    assert "test/cat/0.png" in findings(report)["train/cat/0.png"].detail


def test_too_large_an_image(tmp_path):
    from tests.data.test_image_file import png_of_size

    root = image_folder(tmp_path)
    (root / "cat" / "bomb.png").write_bytes(png_of_size(50_000, 50_000))
    assert problems(load_data(root).report) == {"cat/bomb.png": "too large"}


@pytest.mark.parametrize(
    ("sizes", "expected"),
    [
        ([(40, 32), (40, 32)], (40, 32)),
        ([(128, 128), (128, 128)], (128, 128)),
        ([(129, 30), (129, 30)], (28, 28)),
        ([(40, 32), (32, 40)], (28, 28)),
        ([(28, 28), (300, 200)], (28, 28)),
        ([(300, 200), (28, 28)], (28, 28)),
    ],
)
def test_the_size_that_all_share(tmp_path, sizes, expected):
    for label, size in enumerate(sizes):
        for number in range(3):
            save_picture(tmp_path / f"c{label}" / f"{number}.png", 10 * label + number, size)
    # A broken file of another size does not count.
    (tmp_path / "c0" / "broken.png").write_text("x")
    report = load_data(tmp_path).report
    assert report.image_shape == expected
    assert {file.size for file in report.files if file.used} == set(sizes)


def test_a_size_on_request(tmp_path):
    dataset = load_data(image_folder(tmp_path), image_size=(10, 12), color_mode="rgb")
    assert dataset.image_shape == (10, 12, 3)


@pytest.mark.parametrize(
    ("color_mode", "with_color", "channels"),
    [
        ("auto", False, ()),
        ("auto", True, (3,)),
        ("grayscale", True, ()),
        ("rgb", False, (3,)),
    ],
)
def test_gray_or_color(tmp_path, color_mode, with_color, channels):
    image_folder(tmp_path)
    Image.fromarray(picture(77)[..., None].repeat(3, -1)).save(tmp_path / "cat" / "gray.png")
    if with_color:
        save_picture(tmp_path / "cat" / "color.png", 78, channels=3)
    dataset = load_data(tmp_path, color_mode=color_mode)
    assert dataset.image_shape == (28, 28, *channels)


def test_the_aspect_is_kept_and_padded_with_the_border(tmp_path):
    page = np.full((100, 50), 250, np.uint8)
    page[30:70, 20:30] = 10
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        for number in range(2):
            page[50, 25] += 1
            Image.fromarray(page).save(tmp_path / name / f"{number}.png")
    dataset = load_data(tmp_path, image_size=(28, 28))
    image = dataset.x_train[0]
    assert set(image[:, :7].ravel()) == set(image[:, 21:].ravel()) == {250}
    dark = np.argwhere(image < 130)
    assert dark.min(axis=0).tolist() == [8, 13] and dark.max(axis=0).tolist() == [19, 14]


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda root: None, "has no class folders"),
        (lambda root: save_picture(root / "x.png", 1), "has no class folders; put the images"),
        (lambda root: image_folder(root, ("only",)), "only one class, 'only'"),
        (
            lambda root: (image_folder(root), (root / "eel").mkdir()),
            r"class 'eel' has no usable training image \(no files\)",
        ),
        (
            lambda root: (image_folder(root), (root / "eel").mkdir(), (root / "eel/x.png").touch()),
            r"'eel' has no usable training image \(1 files: empty\)",
        ),
        (
            lambda root: (image_folder(root / "train"), save_picture(root / "test/eel/1.png", 1)),
            r"'eel' has no usable training image \(1 in test only\)",
        ),
        (lambda root: image_folder(root, ("a\nb", "c")), "'a.nb' has control characters"),
        (lambda root: image_folder(root, (" ", "c")), "is blank"),
    ],
)
def test_folders_that_cannot_be_trained_on(tmp_path, make, message):
    root = tmp_path / "root"
    root.mkdir()
    make(root)
    with pytest.raises(DataError, match=message) as caught:
        load_data(root)
    assert "\n" not in str(caught.value)


def test_a_folder_that_is_not_there_and_one_that_is_a_file(tmp_path):
    with pytest.raises(DataError, match="there is no folder"):
        check_folder(tmp_path / "nowhere")
    (tmp_path / "file").touch()
    with pytest.raises(DataError, match="is not a folder"):
        check_folder(tmp_path / "file")


def test_a_folder_without_permission_is_an_error_not_an_empty_one(tmp_path, monkeypatch):
    root = image_folder(tmp_path)
    (root / "cat" / "secret").mkdir()
    scandir = os.scandir

    def guarded(path):  # a mode of 0 would not stop the superuser
        if str(path).endswith("secret"):
            raise PermissionError(13, "Permission denied", str(path))
        return scandir(path)

    monkeypatch.setattr(os, "scandir", guarded)
    with pytest.raises(DataError, match="cannot read .*secret: Permission denied; check"):
        load_data(root)


def test_a_pipe_is_not_waited_for(tmp_path):
    root = image_folder(tmp_path)
    os.mkfifo(root / "cat" / "pipe.png")
    assert problems(load_data(root).report) == {"cat/pipe.png": "not an image"}


def test_hostile_names_are_kept_and_shown_harmlessly(tmp_path):
    names = ("<img src=x onerror=alert(1)>", "n" * 250, "\u202eevil", "[bold]x")
    root = image_folder(tmp_path / "root", names, 2)
    undecodable = os.fsencode(root / names[0]) + b"/\xff\x1b[31m.png"
    with open(undecodable, "wb") as stream:
        stream.write((root / names[0] / "0.png").read_bytes())
    report = load_data(root).report
    assert set(report.class_names) == set(names)
    json.dumps(report.to_json(), allow_nan=False).encode("utf-8")
    text = "\n".join(report.summary())
    text.encode("utf-8")
    assert "\x1b" not in text and "\\x1b" in text and "\u202e" not in text


def test_a_report_is_there_even_if_every_image_is_broken(tmp_path):
    for name in ("cat", "dog"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "x.png").write_text("no")
    report = check_folder(tmp_path, model_probabilities=lambda images, names: 1 / 0)
    assert report.problem_counts == {"unreadable": 2}
    assert report.image_shape is None and report.train_files == report.test_files == ()
    assert report.imbalance is None and report.size_range is None
    assert report.to_json()["largest_size"] is None
    assert "0 of 2 files used" in report.summary()[0]


def test_near_duplicates_are_listed(tmp_path):
    root = image_folder(tmp_path, ("cat", "dog"), 6)
    # Pixels of a smooth kind: noise does not survive a change of size.
    smooth = np.asarray(Image.fromarray(picture(5, (6, 6))).resize((28, 28)))
    Image.fromarray(smooth).save(root / "cat" / "s.png")
    Image.fromarray((smooth * 0.8 + 20).astype(np.uint8)).save(root / "dog" / "brighter.png")
    report = check_folder(root)
    assert problems(report) == {"dog/brighter.png": "near duplicate"}
    assert "cat/s.png" in findings(report)["dog/brighter.png"].detail
    assert findings(report)["dog/brighter.png"].used
    assert problems(check_folder(root, near_duplicates=False)) == {}
    assert problems(load_data(root).report) == {}


def test_an_exact_duplicate_is_not_a_near_one_too(tmp_path):
    root = image_folder(tmp_path, ("cat", "dog"), 6)
    Image.fromarray(picture(0)).save(root / "cat" / "copy.png")
    report = check_folder(root)
    assert problems(report) == {"cat/copy.png": "duplicate"}
    assert "almost" not in findings(report)["cat/copy.png"].detail


def test_a_model_points_at_mislabeled_files(tmp_path):
    root = tmp_path / "root"
    for number in range(12):
        for name, value in (("dark", 40), ("light", 200)):
            image = np.full((28, 28), value, np.uint8)
            image[number, :] = 128
            (root / name).mkdir(parents=True, exist_ok=True)
            Image.fromarray(image).save(root / name / f"{number}.png")
    (root / "dark" / "3.png").rename(root / "light" / "wrong.png")

    def model(images, class_names):
        assert class_names == ("dark", "light")
        light = np.where(images.mean(axis=(1, 2)) > 120, 0.98, 0.02)
        return np.stack([1 - light, light], axis=1)

    report = check_folder(root, near_duplicates=False, model_probabilities=model)
    assert problems(report) == {"light/wrong.png": "probably mislabeled"}
    assert findings(report)["light/wrong.png"].detail == "looks like dark (98%), not light (2.0%)"


def test_uneven_classes_get_a_sentence(tmp_path):
    image_folder(tmp_path, ("cat",), 50)
    for number in range(5):
        save_picture(tmp_path / "dog" / f"{number}.png", 7000 + number)
    report = load_data(tmp_path).report
    assert report.imbalance == 10
    assert "cat has 10.0 times the training images of dog" in "\n".join(report.summary())
    even = load_data(image_folder(tmp_path / "even")).report
    assert even.imbalance == 1 and even.imbalance_sentence is None


def test_the_document_is_plain_and_complete(tmp_path):
    root = image_folder(tmp_path, ("cat", "dog"), 5)
    (root / "cat" / "empty.png").touch()
    document = json.loads(json.dumps(load_data(root).report.to_json(), allow_nan=False))
    assert document["train_images"] == 8 and document["test_images"] == 2
    assert document["problems"] == {"empty": 1}
    assert document["image_shape"] == document["smallest_size"] == [28, 28]
    (entry,) = [file for file in document["files"] if file["problem"]]
    assert entry == {
        "path": "cat/empty.png",
        "class": "cat",
        "split": None,
        "size": None,
        "mode": None,
        "problem": "empty",
        "detail": "the file has no bytes",
        "used": False,
    }
