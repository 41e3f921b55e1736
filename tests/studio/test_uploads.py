"""One's own images: whole or not at all, bounded, and nowhere else."""

from __future__ import annotations

import io
import zipfile
import zlib

import numpy as np
import pytest
from PIL import Image

from penmark.errors import DataError
from penmark.studio.uploads import safe_parts


def picture(seed=0, side=20):
    pixels = np.random.default_rng(seed).integers(0, 255, (side, side), dtype=np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
    return buffer.getvalue()


def archive(members, **options):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED, **options) as file:
        for name, content in members:
            file.writestr(name, content)
    return buffer.getvalue()


@pytest.fixture
def begin(client):
    def start(name="mine"):
        answer = client.post("/api/uploads", json={"name": name})
        assert answer.status_code == 201, answer.text
        return answer.json()["ticket"]

    return start


def send_zip(client, ticket, content):
    return client.put(f"/api/uploads/{ticket}/archive", content=content)


def send_file(client, ticket, path, content):
    return client.put(f"/api/uploads/{ticket}/file", params={"path": path}, content=content)


CLASSES = [
    (f"{name}/{n}.png", picture(n + 10 * (name == "dogs")))
    for name in ("cats", "dogs")
    for n in range(5)
]


def leftovers(workspace):
    folder = workspace / "uploads"
    return [path.name for path in folder.iterdir()] if folder.is_dir() else []


def test_a_folder_sent_file_by_file_becomes_a_data_set(client, begin, workspace):
    ticket = begin()
    for path, content in CLASSES:
        assert send_file(client, ticket, f"photos/{path}", content).status_code == 200
    assert send_file(client, ticket, "photos/notes.txt", b"text").json()["files"] == 10
    made = client.post(f"/api/uploads/{ticket}/finish")
    assert made.status_code == 200, made.text
    assert made.json()["id"] == "upload:mine"
    assert made.json()["class_names"] == ["cats", "dogs"]
    view = client.get("/api/data/view", params={"data": "upload:mine"}).json()
    assert sum(view["train_counts"]) + sum(view["test_counts"]) == 10
    assert leftovers(workspace) == ["mine"]
    listed = {entry["id"]: entry for entry in client.get("/api/data").json()}
    assert listed["upload:mine"]["uploaded"]


def test_a_zip_archive_becomes_one_and_can_be_removed(client, begin, workspace):
    ticket = begin()
    noise = [("__MACOSX/cats/._1.png", b"x"), ("mine/.DS_Store", b"x"), ("mine/readme.txt", b"x")]
    packed = archive([(f"mine/{path}", content) for path, content in CLASSES] + noise)
    assert send_zip(client, ticket, packed).json() == {
        "files": 10,
        "bytes": sum(len(content) for _, content in CLASSES),
    }
    assert client.post(f"/api/uploads/{ticket}/finish").status_code == 200
    assert client.delete("/api/data", params={"data": "upload:mine"}).status_code == 200
    assert leftovers(workspace) == []
    assert client.get("/api/data/view", params={"data": "upload:mine"}).status_code == 400


def test_an_archive_that_unpacks_to_too_much_is_refused_whatever_it_claims(
    client, begin, workspace
):
    bomb = archive([("cats/1.png", bytes(50_000_000))])
    assert len(bomb) < 60_000
    ticket = begin()
    answer = send_zip(client, ticket, bomb)
    assert answer.status_code == 413
    # The same with headers that claim ten bytes.
    lying = bytearray(bomb)
    for signature, at in ((b"PK\x03\x04", 22), (b"PK\x01\x02", 24)):
        place = lying.index(signature) + at
        lying[place : place + 4] = (10).to_bytes(4, "little")
    assert send_zip(client, ticket, bytes(lying)).status_code in (400, 413)
    many = archive([(f"cats/{n}.png", bytes(200_000)) for n in range(30)])
    assert send_zip(client, ticket, many).status_code == 413
    stored = sum(path.stat().st_size for path in (workspace / "uploads").rglob("*.png"))
    assert stored <= 700_000
    client.delete(f"/api/uploads/{ticket}")
    assert leftovers(workspace) == []


def test_too_many_files_are_refused(client, begin, settings):
    ticket = begin()
    answer = send_zip(client, ticket, archive([(f"cats/{n}.png", b"x") for n in range(60)]))
    assert answer.status_code == 413
    assert f"{settings.limits.upload_files}" in answer.json()["detail"]
    members = [(f"notes/{n}.txt", b"") for n in range(500)]
    assert send_zip(client, begin("other"), archive(members)).status_code == 413


@pytest.mark.parametrize(
    "path",
    [
        "../cats/1.png",
        "cats/../../1.png",
        "/cats/1.png",
        "c:/cats/1.png",
        "cats\\..\\1.png",
        "cats/a\x07b.png",
    ],
)
def test_a_path_that_leads_elsewhere_is_refused_in_folders_and_archives(
    client, begin, workspace, path
):
    with pytest.raises(DataError):
        safe_parts(path)
    ticket = begin()
    assert send_file(client, ticket, path, picture()).status_code == 400
    written = {file for file in workspace.rglob("*.png")}
    send_zip(client, ticket, archive([(path, picture())]))
    assert {file for file in workspace.rglob("*.png")} - written <= set(
        (workspace / "uploads").rglob("*.png")
    )
    assert not (workspace.parent / "cats").exists()


def test_links_in_an_archive_are_left_out(client, begin, workspace):
    link = zipfile.ZipInfo("cats/link.png")
    link.external_attr = 0o120777 << 16
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as file:
        file.writestr(link, "/etc/passwd")
    ticket = begin()
    assert send_zip(client, ticket, buffer.getvalue()).json()["files"] == 0
    assert not any(path.is_symlink() for path in workspace.rglob("*"))


@pytest.mark.parametrize(
    "content",
    [b"", b"no archive", archive(CLASSES)[:300], zlib.compress(b"x")],
    ids=["empty", "text", "cut short", "another format"],
)
def test_what_is_no_archive_is_one_line(client, begin, content):
    answer = send_zip(client, begin(), content)
    assert answer.status_code == 400
    assert "zip archive" in answer.json()["detail"]
    assert "\n" not in answer.json()["detail"]


def test_an_upload_that_makes_no_data_set_leaves_nothing(client, begin, workspace):
    ticket = begin()
    assert client.post(f"/api/uploads/{ticket}/finish").status_code == 400  # nothing was sent
    send_file(client, ticket, "cats/1.png", picture())
    answer = client.post(f"/api/uploads/{ticket}/finish")
    assert answer.status_code == 400
    assert "class" in answer.json()["detail"]
    assert leftovers(workspace) == []


def test_names_are_plain_and_not_taken_twice(client, begin, workspace):
    for name in ("../up", ".hidden", "a/b", "con:1"):
        assert client.post("/api/uploads", json={"name": name}).status_code == 400
    ticket = begin()
    send_zip(client, ticket, archive(CLASSES))
    client.post(f"/api/uploads/{ticket}/finish")
    again = client.post("/api/uploads", json={"name": "mine"})
    assert again.status_code == 400
    assert "already" in again.json()["detail"]


def test_uploads_are_bounded_in_number(client, begin):
    begin("one")
    begin("two")
    third = client.post("/api/uploads", json={"name": "three"})
    assert third.status_code == 400
    assert "too many" in third.json()["detail"]


def test_an_unknown_ticket_is_refused(client):
    assert send_file(client, "none", "cats/1.png", picture()).status_code == 400
    assert client.post("/api/uploads/none/finish").status_code == 400


def test_what_a_killed_studio_left_is_cleared(settings):
    from starlette.testclient import TestClient

    from penmark.studio.app import create_app

    half = settings.workspace / "uploads" / ".abandoned" / "cats"
    half.mkdir(parents=True)
    with TestClient(create_app(settings), base_url="http://127.0.0.1"):
        assert not half.parent.exists()
