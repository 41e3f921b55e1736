"""Downloads from mirrors that misbehave: what arrives is the published file, or nothing."""

from __future__ import annotations

import hashlib
import io
import subprocess
import sys
import textwrap
from pathlib import Path

import numpy as np
import pytest

from penmark.data import download
from penmark.data.download import Timeouts, download_files
from penmark.data.registry import RemoteFile
from penmark.errors import DownloadError, StorageError
from tests.data.mirror import Behavior, serving, unused_address

CONTENT = np.random.default_rng(0).integers(0, 256, 200_000, dtype=np.uint8).tobytes()
FILE = RemoteFile("data.gz", len(CONTENT), hashlib.sha256(CONTENT).hexdigest())
FILES = {FILE.name: CONTENT}
BLOCK = download._CHUNK_BYTES
WRONG = bytes(len(CONTENT))


def fetch(folder: Path, *urls: str, files: tuple[RemoteFile, ...] = (FILE,)) -> list[Path]:
    return download_files(
        files,
        urls,
        folder,
        title="tiny",
        ways_out="use --data digits",
        timeouts=Timeouts(connect_s=2, read_s=0.3),
    )


def assert_whole(folder: Path) -> None:
    """The file is there, whole, under its own name, and nothing else but the lock."""
    assert (folder / FILE.name).read_bytes() == CONTENT
    assert {path.name for path in folder.iterdir()} <= {FILE.name, ".lock"}


def test_a_good_mirror(tmp_path):
    with serving(FILES) as mirror:
        assert fetch(tmp_path / "new" / "folder", mirror.url) == [
            tmp_path / "new" / "folder" / FILE.name
        ]
    assert_whole(tmp_path / "new" / "folder")
    assert mirror.requests == [(FILE.name, None)]


def test_what_is_there_is_not_fetched_again_but_what_is_damaged_is(tmp_path):
    with serving(FILES) as mirror:
        fetch(tmp_path, mirror.url)
        fetch(tmp_path, mirror.url)
        assert len(mirror.requests) == 1
        (tmp_path / FILE.name).write_bytes(WRONG)
        fetch(tmp_path, mirror.url)
        assert len(mirror.requests) == 2
    assert_whole(tmp_path)


@pytest.mark.parametrize(
    "bad",
    [
        Behavior(status=404),
        Behavior(status=403),
        Behavior(status=500),
        Behavior(body=WRONG),
        Behavior(body=WRONG + b"more"),
        Behavior(body=b"<html>please log in</html>"),
        Behavior(body=b""),
        Behavior(stall_after=0),
    ],
    ids=["404", "403", "500", "wrong", "longer", "login page", "nothing", "stall"],
)
def test_a_bad_mirror_is_followed_by_the_next(tmp_path, bad):
    with serving(FILES, bad) as first, serving(FILES) as second:
        fetch(tmp_path, first.url, second.url)
    assert_whole(tmp_path)
    assert second.requests


def test_a_host_that_is_not_there_is_followed_by_the_next(tmp_path):
    with serving(FILES) as mirror:
        fetch(tmp_path, unused_address(), mirror.url)
    assert_whole(tmp_path)


def test_a_host_without_a_secure_connection_is_followed_by_the_next(tmp_path):
    with serving(FILES) as mirror:
        insecure = mirror.url.replace("http:", "https:")
        with pytest.raises(DownloadError, match="no secure connection"):
            fetch(tmp_path, insecure)
        fetch(tmp_path, insecure, mirror.url)
    assert_whole(tmp_path)


def test_a_body_cut_short_is_resumed_where_it_ended(tmp_path):
    with serving(
        FILES, Behavior(stop_after=9 * BLOCK), Behavior(stop_after=5 * BLOCK), Behavior()
    ) as mirror:
        fetch(tmp_path, mirror.url)
    assert_whole(tmp_path)
    assert [asked for _, asked in mirror.requests] == [
        None,
        f"bytes={9 * BLOCK}-",
        f"bytes={14 * BLOCK}-",
    ]


def test_a_short_body_that_claims_to_be_all_is_resumed_too(tmp_path):
    with serving(FILES, Behavior(stop_after=9 * BLOCK, announced=9 * BLOCK), Behavior()) as mirror:
        fetch(tmp_path, mirror.url)
    assert_whole(tmp_path)


def test_a_stall_midway_is_resumed(tmp_path):
    with serving(FILES, Behavior(stall_after=9 * BLOCK), Behavior()) as mirror:
        fetch(tmp_path, mirror.url)
    assert_whole(tmp_path)
    assert mirror.requests[1] == (FILE.name, f"bytes={9 * BLOCK}-")


def test_a_server_without_ranges_starts_over(tmp_path):
    with serving(FILES, Behavior(stop_after=9 * BLOCK), Behavior(ranges=False)) as mirror:
        fetch(tmp_path, mirror.url)
    assert_whole(tmp_path)


def test_a_server_that_drops_every_time_without_ranges_comes_to_an_end(tmp_path):
    with serving(FILES, Behavior(stop_after=9 * BLOCK, ranges=False)) as mirror:
        with pytest.raises(DownloadError, match="the connection dropped|ended after"):
            fetch(tmp_path, mirror.url)
    assert len(mirror.requests) <= 20


def test_another_mirror_goes_on_where_the_first_one_stopped(tmp_path):
    with (
        serving(FILES, Behavior(stop_after=9 * BLOCK), Behavior(status=503)) as first,
        serving(FILES) as second,
    ):
        fetch(tmp_path, first.url, second.url)
    assert_whole(tmp_path)
    assert second.requests == [(FILE.name, f"bytes={9 * BLOCK}-")]


def test_an_earlier_run_is_taken_up(tmp_path):
    (tmp_path / "data.gz.part").write_bytes(CONTENT[:150_000])
    with serving(FILES) as mirror:
        fetch(tmp_path, mirror.url)
    assert_whole(tmp_path)
    assert mirror.requests == [(FILE.name, "bytes=150000-")]


@pytest.mark.parametrize(
    "left",
    [WRONG[:150_000], WRONG, WRONG + b"more"],
    ids=["part", "whole", "longer"],
)
def test_bad_bytes_of_an_earlier_run_are_thrown_away(tmp_path, left):
    (tmp_path / "data.gz.part").write_bytes(left)
    with serving(FILES) as mirror:
        fetch(tmp_path, mirror.url)
    assert_whole(tmp_path)
    assert mirror.requests[-1] == (FILE.name, None)


def test_a_complete_part_needs_no_request(tmp_path):
    (tmp_path / "data.gz.part").write_bytes(CONTENT)
    with serving(FILES) as mirror:
        fetch(tmp_path, mirror.url)
    assert_whole(tmp_path)
    assert mirror.requests == []


@pytest.mark.parametrize(
    "odd", [Behavior(body=CONTENT[:50_000]), Behavior(range_shift=1)], ids=["416", "other range"]
)
def test_a_range_that_does_not_fit_begins_again(tmp_path, odd):
    (tmp_path / "data.gz.part").write_bytes(CONTENT[:150_000])
    with serving(FILES, odd, Behavior()) as mirror:
        fetch(tmp_path, mirror.url)
    assert_whole(tmp_path)
    assert mirror.requests[-1] == (FILE.name, None)


def test_the_error_gives_every_mirrors_reason_in_one_line(tmp_path):
    with (
        serving(FILES, Behavior(status=403)) as forbidden,
        serving(FILES, Behavior(body=WRONG)) as wrong,
        serving(FILES, Behavior(stall_after=0)) as stalled,
    ):
        with pytest.raises(DownloadError) as caught:
            fetch(tmp_path, forbidden.url, wrong.url, stalled.url, unused_address())
    message = str(caught.value)
    assert "\n" not in message
    assert "HTTP status 403 Forbidden" in message
    assert "not the published one" in message
    assert "no data for 0.3 s" in message
    assert "no connection" in message
    assert message.startswith("cannot download tiny (data.gz): 127.0.0.1:")
    assert message.endswith("; use --data digits")
    assert not (tmp_path / FILE.name).exists()


def test_the_mirror_that_worked_is_asked_first_for_the_next_file(tmp_path):
    other = b"labels"
    second_file = RemoteFile("labels.gz", len(other), hashlib.sha256(other).hexdigest())
    with (
        serving({}, Behavior(status=500)) as bad,
        serving({**FILES, "labels.gz": other}) as good,
    ):
        paths = fetch(tmp_path, bad.url, good.url, files=(FILE, second_file))
    assert [path.name for path in paths] == ["data.gz", "labels.gz"]
    assert len(bad.requests) == 1 and len(good.requests) == 2


def test_an_interruption_keeps_what_has_arrived(tmp_path, monkeypatch):
    class Interrupting:
        """Stands in for the progress display, as the place where Ctrl-C arrives."""

        def __init__(self, *args, **kwargs):
            pass

        def __enter__(self):
            return self.show

        def __exit__(self, *error):
            return None

        def show(self, done):
            if done > 50_000:
                raise KeyboardInterrupt

    with serving(FILES, Behavior(delay_s=0.01)) as mirror:
        with monkeypatch.context() as patched:
            patched.setattr(download, "progress_bar", Interrupting)
            with pytest.raises(KeyboardInterrupt):
                fetch(tmp_path, mirror.url)
        arrived = (tmp_path / "data.gz.part").stat().st_size
        assert 50_000 < arrived < len(CONTENT)
        assert not (tmp_path / FILE.name).exists()
        mirror.behaviors = [Behavior()]
        fetch(tmp_path, mirror.url)
    assert_whole(tmp_path)
    assert mirror.requests[-1] == (FILE.name, f"bytes={arrived}-")


def test_two_processes_fetch_once(tmp_path):
    script = textwrap.dedent(
        """
        import sys
        from pathlib import Path
        from penmark.data.download import download_files
        from penmark.data.registry import RemoteFile
        url, folder, size, sha = sys.argv[1:]
        print("ready", flush=True)
        sys.stdin.readline()
        file = RemoteFile("data.gz", int(size), sha)
        (path,) = download_files([file], [url], Path(folder), title="tiny", ways_out="")
        print(path.stat().st_size)
        """
    )
    with serving(FILES, Behavior(delay_s=0.02)) as mirror:
        arguments = [mirror.url, str(tmp_path), str(FILE.size_bytes), FILE.sha256]
        processes = [
            subprocess.Popen(
                [sys.executable, "-c", script, *arguments],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
            )
            for _ in range(2)
        ]
        for process in processes:
            assert process.stdout is not None and process.stdout.readline() == "ready\n"
        for process in processes:
            assert process.stdin is not None
            process.stdin.write("go\n")
            process.stdin.flush()
        outputs = [process.communicate(timeout=20)[0] for process in processes]
    assert outputs == [f"{len(CONTENT)}\n"] * 2
    assert_whole(tmp_path)
    assert mirror.requests == [(FILE.name, None)]


def test_a_folder_that_cannot_be_made_is_a_storage_error(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(StorageError, match="cannot write"):
        fetch(tmp_path / "file" / "folder", unused_address())


def test_without_a_terminal_nothing_is_shown(tmp_path, capfd):
    with serving(FILES) as mirror:
        fetch(tmp_path, mirror.url)
    captured = capfd.readouterr()
    assert captured.out == "" and captured.err == ""


def test_at_a_terminal_progress_goes_to_standard_error(tmp_path, monkeypatch, capsys):
    class Terminal(io.StringIO):
        def isatty(self):
            return True

    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    with serving(FILES) as mirror:
        fetch(tmp_path, mirror.url)
    assert "tiny: downloading" in terminal.getvalue()
    assert capsys.readouterr().out == ""
