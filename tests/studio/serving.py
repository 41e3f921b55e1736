"""A studio that listens, in a thread of the test's process."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Iterator
from typing import Any


@contextlib.contextmanager
def served(app: Any, **options: Any) -> Iterator[str]:
    """The address of an app while it listens; options are uvicorn's."""
    import uvicorn

    server = uvicorn.Server(
        uvicorn.Config(
            app,
            port=0,
            log_level="error",
            access_log=False,
            timeout_graceful_shutdown=2,
            **options,
        )
    )
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    deadline = time.monotonic() + 60
    while not server.started:
        assert thread.is_alive() and time.monotonic() < deadline
        time.sleep(0.01)
    try:
        yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join(timeout=30)
