"""Files appear whole or not at all."""

from __future__ import annotations

import resource
import stat

import pytest

from penmark.atomic import replacing, replacing_folder, write_json, write_text
from penmark.errors import StorageError


def test_an_error_leaves_the_old_file_and_no_leftovers(tmp_path):
    target = tmp_path / "file.txt"
    target.write_text("old")
    with pytest.raises(RuntimeError), replacing(target) as temporary:
        temporary.write_text("half of the ne")
        raise RuntimeError
    assert target.read_text() == "old"
    assert list(tmp_path.iterdir()) == [target]


def test_folders_are_made_and_the_file_is_readable_by_others(tmp_path):
    target = tmp_path / "a" / "b" / "file.json"
    write_json(target, {"ä": [1, None]})
    assert target.read_text(encoding="utf-8") == '{\n  "ä": [\n    1,\n    null\n  ]\n}\n'
    assert stat.S_IMODE(target.stat().st_mode) & 0o444 == 0o444


def test_a_number_that_json_cannot_hold_writes_nothing(tmp_path):
    with pytest.raises(ValueError, match="JSON compliant"):
        write_json(tmp_path / "file.json", {"loss": float("nan")})
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_is_one_line_and_keeps_the_old_file(tmp_path):
    target = tmp_path / "file.txt"
    target.write_text("old")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, before[1]))
    try:
        with pytest.raises(StorageError, match="cannot write .*file.txt: file too large") as caught:
            write_text(target, "x" * 5000)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert caught.value.path == target
    assert target.read_text() == "old"
    assert list(tmp_path.iterdir()) == [target]


def test_a_file_in_the_place_of_a_folder_is_one_line(tmp_path):
    (tmp_path / "taken").write_text("")
    with pytest.raises(StorageError, match="cannot write"):
        write_text(tmp_path / "taken" / "file.txt", "text")


def test_a_folder_appears_whole(tmp_path):
    target = tmp_path / "a" / "page"
    with replacing_folder(target) as folder:
        (folder / "file.txt").write_text("new")
        assert not target.exists()
    assert [file.name for file in target.iterdir()] == ["file.txt"]
    assert list(target.parent.iterdir()) == [target]
    assert stat.S_IMODE(target.stat().st_mode) & 0o055 == 0o055


def test_an_error_leaves_the_old_folder(tmp_path):
    target = tmp_path / "page"
    target.mkdir()
    (target / "file.txt").write_text("old")
    with pytest.raises(RuntimeError), replacing_folder(target) as folder:
        (folder / "file.txt").write_text("half of the ne")
        raise RuntimeError
    assert (target / "file.txt").read_text() == "old"
    assert list(tmp_path.iterdir()) == [target]


def test_an_old_folder_makes_way_whole(tmp_path):
    target = tmp_path / "page"
    target.mkdir()
    (target / "stray.txt").write_text("old")
    with replacing_folder(target) as folder:
        (folder / "file.txt").write_text("new")
    assert [file.name for file in target.iterdir()] == ["file.txt"]
    assert list(tmp_path.iterdir()) == [target]


def test_a_folder_that_cannot_take_its_place_puts_the_old_one_back(tmp_path, monkeypatch):
    import penmark.atomic

    target = tmp_path / "page"
    target.mkdir()
    (target / "file.txt").write_text("old")
    rename = penmark.atomic.os.replace

    def refuse(source, destination):
        if str(source).endswith("new"):
            raise OSError(28, "No space left on device")
        rename(source, destination)

    monkeypatch.setattr(penmark.atomic.os, "replace", refuse)
    with pytest.raises(StorageError, match="no space left"), replacing_folder(target) as folder:
        (folder / "file.txt").write_text("new")
    assert (target / "file.txt").read_text() == "old"
    assert list(tmp_path.iterdir()) == [target]
