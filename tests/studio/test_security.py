"""Who may talk to the studio: other sites, other names, other computers, too long bodies."""

from __future__ import annotations

import re
import socket
import time

import httpx
import pytest
from starlette.testclient import TestClient
from starlette.websockets import WebSocketDisconnect

from penmark.studio.app import create_app
from penmark.studio.routes.page import PAGES, STATIC
from penmark.studio.security import allowed_names
from penmark.studio.serve import greeting
from penmark.studio.settings import StudioSettings, token_for

TOKEN = "a-token-for-tests"


@pytest.mark.parametrize(
    "host",
    [
        "evil.example",
        "127.0.0.1.evil.example",
        "localhost.evil.example:8128",
        "",
        "a b",
        "10.0.0.1",
    ],
)
def test_a_name_that_is_made_to_point_here_is_refused(client, host):
    for path in ("/", "/api/state", "/assets/studio.js"):
        answer = client.get(path, headers={"host": host})
        assert answer.status_code == 403
        assert "detail" in answer.json()


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST:9", "127.0.0.1:8128", "[::1]:1"])
def test_the_names_of_this_computer_are_fine_whatever_the_port(client, host):
    assert client.get("/api/state", headers={"host": host}).status_code == 200


@pytest.mark.parametrize(
    "origin",
    ["http://evil.example", "null", "https://127.0.0.1:8128.evil.example", "http://127.0.0.1:3000"],
)
def test_requests_of_other_sites_are_refused(client, origin):
    headers = {"origin": origin}
    assert client.get("/api/state", headers=headers).status_code == 403
    assert client.post("/api/runs", json={"recipe": "softmax"}, headers=headers).status_code == 403
    with pytest.raises(WebSocketDisconnect):
        with client.websocket_connect("/api/runs/tiny/live", headers=headers | _HOST):
            pass


_HOST = {"host": "127.0.0.1:8128"}


def test_the_pages_own_requests_are_fine(client):
    headers = {"origin": "http://127.0.0.1:8128", "sec-fetch-site": "same-origin"}
    assert client.get("/api/state", headers=headers).status_code == 200
    with client.websocket_connect("/api/runs/tiny/live", headers=headers | _HOST) as socket:
        assert socket.receive_json()["live"] is False


@pytest.mark.parametrize("site", ["cross-site", "same-site"])
def test_a_page_may_be_linked_to_but_not_loaded_into_another(client, site):
    link = {"sec-fetch-site": site, "sec-fetch-mode": "navigate", "sec-fetch-dest": "document"}
    assert client.get("/", headers=link).status_code == 200
    frame = link | {"sec-fetch-dest": "iframe"}
    assert client.get("/", headers=frame).status_code == 403
    image = {"sec-fetch-site": site, "sec-fetch-mode": "no-cors", "sec-fetch-dest": "image"}
    assert client.get("/api/data/sheet?data=digits&indices=1", headers=image).status_code == 403


def test_only_other_addresses_than_this_computers_ask_for_a_token():
    assert token_for("127.0.0.1") is token_for("localhost") is token_for("::1") is None
    tokens = {token_for("0.0.0.0"), token_for("192.168.1.7"), token_for("::")}
    assert len(tokens) == 3
    assert all(len(token) >= 32 for token in tokens)
    assert "192.168.1.7" in allowed_names("192.168.1.7")


def test_the_greeting_names_the_token_only_where_there_is_one(tmp_path):
    here = StudioSettings(workspace=tmp_path, port=8128)
    assert greeting(here) == ["The studio is at http://127.0.0.1:8128/ (Ctrl-C ends it)"]
    there = StudioSettings(workspace=tmp_path, host="192.168.1.7", port=80, token=TOKEN)
    assert f"http://192.168.1.7:80/?token={TOKEN}" in greeting(there)[0]


@pytest.fixture
def open_to_others(workspace):
    settings = StudioSettings(workspace=workspace, host="0.0.0.0", port=8128, token=TOKEN)
    with TestClient(create_app(settings), base_url="http://192.168.1.7:8128") as client:
        yield client


def test_without_the_token_nothing_is_shown(open_to_others):
    for path in ("/api/state", "/api/openapi.json", "/assets/studio.js"):
        assert open_to_others.get(path).status_code == 401
    page = open_to_others.get("/")
    assert page.status_code == 401
    assert "asks for a token" in page.text
    for headers in ({"authorization": "Bearer wrong"}, {"authorization": "Bearer "}):
        assert open_to_others.get("/api/state", headers=headers).status_code == 401
    assert open_to_others.get("/?token=wrong").status_code == 401
    assert open_to_others.post(f"/api/runs?token={TOKEN}", json={}).status_code == 401
    with pytest.raises(WebSocketDisconnect):
        with open_to_others.websocket_connect("/api/runs/tiny/live", headers=_OTHER):
            pass


_OTHER = {"host": "192.168.1.7:8128"}


def test_the_token_in_the_address_becomes_a_cookie_that_scripts_and_other_sites_cannot_use(
    open_to_others,
):
    page = open_to_others.get(f"/?token={TOKEN}")
    assert page.status_code == 200
    cookie = page.headers["set-cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=Strict" in cookie
    assert open_to_others.get("/api/state").status_code == 200  # the client keeps cookies
    shown = _OTHER | {"cookie": cookie.split(";")[0]}
    with open_to_others.websocket_connect("/api/runs/tiny/live", headers=shown) as socket:
        assert socket.receive_json()["live"] is False


def test_a_program_shows_the_token_in_a_header(open_to_others):
    headers = {"authorization": f"Bearer {TOKEN}"}
    assert open_to_others.get("/api/state", headers=headers).status_code == 200


def test_open_to_others_it_is_reached_by_address_but_by_no_strange_name(open_to_others):
    headers = {"authorization": f"Bearer {TOKEN}"}
    for host, status in (("10.1.2.3:8128", 200), ("[fe80::1]:8128", 200), ("evil.example", 403)):
        answer = open_to_others.get("/api/state", headers=headers | {"host": host})
        assert answer.status_code == status


@pytest.mark.parametrize(
    "path", [*PAGES, "/api/state", "/api/nothing", "/api/runs/none", "/nowhere"]
)
def test_every_answer_forbids_what_the_page_does_not_need(client, path):
    headers = client.get(path).headers
    policy = headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert "frame-ancestors 'none'" in policy
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "no-referrer"
    assert "server" not in headers


def test_the_bundle_names_no_other_server():
    found = []
    for path in _files(STATIC):
        text = path.read_text(encoding="utf-8")
        found += re.findall(r"(?:https?:)?//[a-z0-9-]+\.[a-z0-9.-]+[^\s\"'`)]*", text)
    assert {address for address in found if "www.w3.org/" not in address} == set()


def _files(folder):
    for entry in folder.iterdir():
        yield from _files(entry) if entry.is_dir() else [entry]


def test_the_server_loads_no_documentation_pages_from_elsewhere(client):
    for path in ("/docs", "/redoc"):
        assert client.get(path).status_code == 404


def test_a_body_that_declares_too_much_is_refused_unheard(client):
    answer = client.post("/api/read?model=reader&width=9&height=9", content=bytes(500_000))
    assert answer.status_code == 413
    assert "larger than" in answer.json()["detail"]


def test_a_body_that_does_not_declare_its_length_is_cut_off(settings, listening):
    address = listening(settings)
    sent = 0

    def endless():
        nonlocal sent
        for _ in range(4000):
            sent += 65_536
            yield bytes(65_536)

    try:
        answer = httpx.post(f"{address}/api/picture?model=run:tiny", content=endless(), timeout=30)
        assert answer.status_code == 413
    except httpx.TransportError:
        pass  # the connection was closed while it was still being sent
    assert sent < 400 * 65_536  # a tenth of it: what fits into the buffers on the way


def test_a_body_that_never_comes_is_given_up(settings, listening):
    host, port = listening(settings).removeprefix("http://").split(":")
    started = time.monotonic()
    with socket.create_connection((host, int(port)), timeout=30) as connection:
        connection.sendall(
            b"POST /api/read?model=run:tiny&width=10&height=10 HTTP/1.1\r\n"
            b"Host: 127.0.0.1\r\nContent-Length: 100\r\n\r\nabc"
        )
        answer = connection.recv(4096)
    assert b" 408 " in answer.split(b"\r\n")[0]
    assert time.monotonic() - started > settings.limits.receive_seconds
