"""`penmark studio`: listen, say where, and end well."""

from __future__ import annotations

import dataclasses
import socket
from collections.abc import Callable

from penmark.errors import InputError
from penmark.studio.settings import StudioSettings, token_for


def serve(settings: StudioSettings, announce: Callable[[str], None]) -> None:
    """Run the studio until Ctrl-C.

    Args:
        settings: where to listen, and on what to work; the token is made here.
        announce: gets a line for the person at the terminal now and then.

    Raises:
        InputError: the extra is not installed, or the address cannot be listened on.
        ModelError, RunError: the model to begin with is none.
    """
    try:
        import uvicorn

        from penmark.studio.app import bare_app, guarded
    except ImportError as error:
        raise InputError(
            f"the studio needs {error.name}; install it with: pip install 'penmark[studio]'"
        ) from error
    listening = _listen(settings.host, settings.port)
    with listening:
        port = listening.getsockname()[1]
        settings = dataclasses.replace(settings, port=port, token=token_for(settings.host))
        app = bare_app(settings)
        config = uvicorn.Config(
            guarded(app, settings),
            log_level="warning",
            access_log=False,
            server_header=False,
            limit_concurrency=settings.limits.connections,
            timeout_keep_alive=15,
            timeout_graceful_shutdown=3,
            ws_max_size=4096,
            ws_max_queue=4,
            ws_ping_interval=20.0,
            ws_ping_timeout=20.0,
            ws_per_message_deflate=False,
        )
        for line in greeting(settings):
            announce(line)
        try:
            uvicorn.Server(config).run(sockets=[listening])
        except KeyboardInterrupt:
            pass
        finally:
            stopped = app.state.context.jobs.stop_own()
    if stopped is not None:
        announce(
            f"The training of {stopped} keeps its last whole epoch; go on with: "
            f"penmark train --resume {app.state.context.workspace.runs_folder / stopped}"
        )


def greeting(settings: StudioSettings) -> list[str]:
    """What to tell the person who has started the studio."""
    host = f"[{settings.host}]" if ":" in settings.host else settings.host
    if settings.host in ("0.0.0.0", "::"):
        host = socket.gethostname()
    address = f"http://{host}:{settings.port}/"
    if settings.token is None:
        return [f"The studio is at {address} (Ctrl-C ends it)"]
    return [
        f"The studio is at {address}?token={settings.token} (Ctrl-C ends it)",
        "Whoever has this address can use it, and what is drawn travels unencrypted: "
        "share it only in a network you trust.",
    ]


def _listen(host: str, port: int) -> socket.socket:
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host.strip("[]"), port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        listening = socket.socket(family, kind, protocol)
        try:
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listening.bind(address)
            listening.listen(256)
        except OSError:
            listening.close()
            raise
    except (OSError, OverflowError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise InputError(
            f"cannot listen on {host} port {port}: {reason.lower()}; choose another with --port"
        ) from error
    return listening
