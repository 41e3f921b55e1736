"""Several files, one after another, and the pictures and JSON that are written."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image

from penmark.errors import InputError
from penmark.reading.files import check_targets, read_files


def test_a_bad_file_does_not_stop_the_rest(tmp_path, page_of):
    good, bad, missing = (tmp_path / name for name in ("good.png", "bad.png", "missing.png"))
    Image.fromarray(page_of("31")).save(good)
    bad.write_text("no image")
    drawn = tmp_path / "drawn"
    results = list(
        read_files([bad, good, missing], save=drawn, show_prepared=tmp_path / "prepared")
    )
    assert [result.exit_code for result in results] == [2, 0, 2]
    documents = [result.to_json() for result in results]
    assert "cannot be read" in documents[0]["error"] and documents[0]["digits"] == []
    assert documents[1]["text"] == "31" and documents[1]["error"] is None
    assert {"label", "probability", "runner_up", "box", "line"} == set(documents[1]["digits"][0])
    with Image.open(drawn / "good.png") as marked, Image.open(good) as original:
        assert marked.size == original.size
    assert (tmp_path / "prepared" / "good-prepared.png").is_file()
    assert not (drawn / "bad.png").exists()


def test_pictures_go_to_a_file_or_to_a_folder(tmp_path):
    files = [Path("a.png"), Path("b.png")]
    check_targets(files, tmp_path, tmp_path / "new", None)
    check_targets(files[:1], tmp_path / "one.png")
    with pytest.raises(InputError, match="name a folder"):
        check_targets(files, tmp_path / "one.png")
    with pytest.raises(InputError, match="is a folder"):
        check_targets(files[:1], tmp_path)
