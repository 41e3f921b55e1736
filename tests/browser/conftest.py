"""A real Chromium for the tests of pages, and a static web server for what they look at.

The browser is the system's (`chromium`, or what PENMARK_CHROMIUM names); without it, or without
Playwright, the tests skip, visibly.
"""

from __future__ import annotations

import contextlib
import functools
import http.server
import os
import shutil
import threading

import pytest


@pytest.fixture(scope="session")
def browser():
    """Chromium, without a window."""
    sync_api = pytest.importorskip("playwright.sync_api", reason="Playwright is not installed")
    named = os.environ.get("PENMARK_CHROMIUM")
    found = named or next(filter(None, map(shutil.which, ("chromium", "chromium-browser"))), None)
    if found is None:
        pytest.skip("there is no chromium; install it, or name one in PENMARK_CHROMIUM")
    with sync_api.sync_playwright() as playwright:
        chromium = playwright.chromium.launch(
            executable_path=found, args=["--no-sandbox", "--disable-gpu", "--disable-quic"]
        )
        yield chromium
        chromium.close()


@pytest.fixture(scope="session")
def serve():
    """A function from a folder to the address at which a static web server shows it."""
    with contextlib.ExitStack() as stack:

        def start(folder):
            handler = functools.partial(_Quiet, directory=str(folder))
            server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
            threading.Thread(target=server.serve_forever, daemon=True).start()
            stack.callback(server.server_close)
            stack.callback(server.shutdown)
            return f"http://127.0.0.1:{server.server_port}/"

        yield start


class _Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, format, *args):
        pass


@pytest.fixture
def open_page(browser):
    """A function that opens an address in a browser cut off from every other server.

    It gives the page, whose `outside` lists what it asked of others and `complaints` its errors
    and warnings; the test fails where either is not empty at its end. Keyword arguments go to
    Playwright's `new_context` (viewport, color_scheme, has_touch and so on).
    """
    opened = []

    def open_address(address, **options):
        server = "/".join(address.split("/")[:3])
        context = browser.new_context(**options)
        page = context.new_page()
        page.outside, page.complaints = [], []

        def guard(route):
            if route.request.url.startswith((f"{server}/", "data:", "blob:")):
                route.continue_()
            else:
                page.outside.append(route.request.url)
                route.abort()

        context.route("**/*", guard)
        page.on("pageerror", lambda error: page.complaints.append(str(error)))
        page.on(
            "console",
            lambda line: (
                page.complaints.append(line.text) if line.type in ("error", "warning") else None
            ),
        )
        opened.append((context, page))
        page.goto(address)
        return page

    yield open_address
    for context, page in opened:
        context.close()
        assert page.outside == []
        assert page.complaints == []
