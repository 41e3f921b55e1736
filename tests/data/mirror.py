"""A mirror on this computer that behaves as badly as it is told to."""

from __future__ import annotations

import contextlib
import dataclasses
import socket
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclasses.dataclass
class Behavior:
    """How to answer a request for a file.

    Args:
        status: HTTP status; anything but 200 and 206 has no body.
        body: sent instead of the file.
        announced: Content-Length to claim, if not the true one.
        stop_after: send so many bytes, then close the connection.
        stall_after: send so many bytes, then nothing more, but keep the connection open.
        ranges: whether Range is honored.
        range_shift: answer a Range request with a range so many bytes off.
        delay_s: wait before each block of the body.
    """

    status: int = 200
    body: bytes | None = None
    announced: int | None = None
    stop_after: int | None = None
    stall_after: int | None = None
    ranges: bool = True
    range_shift: int = 0
    delay_s: float = 0.0


class Mirror:
    """A running mirror.

    Args:
        files: content by file name.
        behaviors: one per request, in order; the last one for all that follow.
    """

    def __init__(self, files: dict[str, bytes], behaviors: list[Behavior]) -> None:
        self.files = files
        self.behaviors = behaviors
        self.requests: list[tuple[str, str | None]] = []  # file name, Range header
        self.closing = threading.Event()
        self.url = ""

    def next_behavior(self, name: str, asked_range: str | None) -> Behavior:
        self.requests.append((name, asked_range))
        return self.behaviors[min(len(self.requests), len(self.behaviors)) - 1]


@contextlib.contextmanager
def serving(files: dict[str, bytes], *behaviors: Behavior) -> Iterator[Mirror]:
    """Run a mirror while the block runs; `url` ends in "/"."""
    mirror = Mirror(files, list(behaviors) or [Behavior()])

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            name = self.path.rsplit("/", 1)[-1]
            asked = self.headers.get("Range")
            behavior = mirror.next_behavior(name, asked)
            content = mirror.files.get(name) if behavior.body is None else behavior.body
            if behavior.status != 200 or content is None:
                self.send_error(behavior.status if content is not None else 404)
                return
            start = 0
            if asked is not None and behavior.ranges:
                start = int(asked.removeprefix("bytes=").removesuffix("-")) + behavior.range_shift
                if start >= len(content):
                    self.send_error(416)
                    return
                self.send_response(206)
                end = len(content) - 1
                self.send_header("Content-Range", f"bytes {start}-{end}/{len(content)}")
            else:
                self.send_response(200)
            body = content[start:]
            announced = len(body) if behavior.announced is None else behavior.announced
            self.send_header("Content-Length", str(announced))
            self.end_headers()
            self.send_body(body, behavior)

        def send_body(self, body: bytes, behavior: Behavior) -> None:
            if behavior.stop_after is not None:
                body = body[: behavior.stop_after]
            if behavior.stall_after is not None:
                body = body[: behavior.stall_after]
            block = 10_000
            # A client that has gone away is what some of the tests are about.
            with contextlib.suppress(ConnectionError):
                for offset in range(0, len(body), block):
                    time.sleep(behavior.delay_s)
                    self.wfile.write(body[offset : offset + block])
                self.wfile.flush()
            if behavior.stall_after is not None:
                mirror.closing.wait(20)
            self.close_connection = True

        def log_message(self, format: str, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = False
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    mirror.url = f"http://127.0.0.1:{server.server_port}/"
    try:
        yield mirror
    finally:
        mirror.closing.set()
        server.shutdown()
        server.server_close()
        thread.join()


def unused_address() -> str:
    """An address on which nothing answers."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{probe.getsockname()[1]}/"
