"""No name that a client can send leads out of the workspace."""

from __future__ import annotations

import shutil

import pytest

from penmark.errors import InputError
from penmark.studio.settings import StudioSettings
from penmark.studio.workspace import Workspace, confined, is_plain_name

ESCAPES = [
    "../tiny",
    "..",
    ".",
    ".hidden",
    "a/b",
    "a\\b",
    "/etc",
    "c:",
    "",
    "a\0b",
    "x" * 300,
    "a\n",
]


@pytest.mark.parametrize("name", ESCAPES)
def test_names_that_are_not_plain_are_none(tmp_path, name):
    assert not is_plain_name(name)
    assert confined(tmp_path, name) is None


@pytest.mark.parametrize(
    "name", ["tiny", "2026-11-22_101530_cnn_mnist", "mein Lauf", "日本", "a.b"]
)
def test_ordinary_names_are_plain(tmp_path, name):
    assert confined(tmp_path, name) == tmp_path / name


def test_a_link_that_leads_out_is_not_followed(workspace, client, trained, tmp_path):
    outside = tmp_path / "outside"
    shutil.copytree(trained.path, outside)
    (workspace / "runs" / "link").symlink_to(outside)
    assert client.get("/api/runs/link").status_code == 404
    assert [entry["name"] for entry in client.get("/api/runs").json()] == ["tiny"]
    assert [entry["id"] for entry in client.get("/api/state").json()["models"]][-1] == "run:tiny"
    read = client.post("/api/read", params=_drawing("run:link"), content=bytes(4))
    assert read.status_code == 404


def _drawing(model):
    return {"model": model, "width": 2, "height": 2}


@pytest.mark.parametrize("name", ["..%2ftiny", "..", "%2e%2e", "..%5ctiny", ".studio"])
def test_runs_are_only_found_in_their_folder(client, name):
    for path in (f"/api/runs/{name}", f"/api/runs/{name}/report", f"/api/runs/{name}/evaluation"):
        answer = client.get(path)
        assert answer.status_code in (404, 422)


@pytest.mark.parametrize(
    "data", ["upload:..", "upload:../runs", "run:../..", "/etc", "runs/tiny", "."]
)
def test_data_sets_are_names_and_not_paths(client, data):
    for path in ("view", "images", "duplicates", "image"):
        answer = client.get(f"/api/data/{path}", params={"data": data, "index": 0})
        assert answer.status_code in (400, 404)
    started = client.post("/api/runs", json={"recipe": "softmax", "data": data})
    assert started.status_code in (400, 404)
    assert client.delete("/api/data", params={"data": data}).status_code == 400


@pytest.mark.parametrize(
    "path",
    [
        "/assets/../app.py",
        "/assets/%2e%2e/%2e%2e/app.py",
        "//etc/passwd",
        "/static/index.html",
        "/app.py",
    ],
)
def test_the_page_is_a_list_of_files_and_no_folder(client, path):
    answer = client.get(path)
    assert (answer.status_code, answer.json()) == (404, {"detail": "Not Found"})


def test_a_person_at_a_wrong_address_gets_the_page_that_says_so(client):
    browser = {"accept": "text/html,application/xhtml+xml,*/*;q=0.8"}
    answer = client.get("/nowhere", headers=browser)
    assert answer.status_code == 404
    assert answer.text == client.get("/").text
    assert client.get("/api/nowhere", headers=browser).json() == {"detail": "Not Found"}


def test_a_run_whose_data_lie_elsewhere_shows_no_images_of_them(workspace, client, tmp_path):
    import json

    path = workspace / "runs" / "tiny" / "config.json"
    config = json.loads(path.read_text())
    config["settings"]["data"] = str(tmp_path)
    path.write_text(json.dumps(config))
    answer = client.get("/api/data/view", params={"data": "run:tiny"})
    assert answer.status_code == 400
    assert "outside this workspace" in answer.json()["detail"]


def test_a_workspace_must_be_there(tmp_path):
    with pytest.raises(InputError, match="not a folder"):
        StudioSettings(workspace=tmp_path / "nothing")


def test_an_empty_workspace_has_no_runs(tmp_path):
    assert Workspace(tmp_path).runs() == []
