"""A worker's side of the talk with the driver, one JSON document per line.

Questions come on standard input: {"load": FOLDER, "images": N} once per network, {"epoch": NUMBER}
once per round; inference workers answer others by the same rules. A worker computes only while it
is asked. Whatever the libraries print goes to standard error, so that the talk stays clean.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from typing import Any

Handler = Callable[[Any, dict[str, Any]], dict[str, Any]]


class Declined(Exception):
    """This peer cannot express the network; the text says why."""


def limit_threads() -> int:
    """Keep to the threads the driver allows; call it before any library is imported.

    The driver sets the libraries' own variables; where the system can, the processors are bounded
    too, for libraries that look at nothing else.
    """
    threads = int(os.environ["BENCH_THREADS"])
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:threads])
    return threads


def serve(handlers: dict[str, Handler]) -> None:
    """Answer until standard input ends; a handler is found by the first key of the request."""
    replies = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    for line in sys.stdin:
        request = json.loads(line)
        key = next(iter(request))
        try:
            reply = handlers[key](request[key], request)
        except Declined as reason:
            reply = {"declined": str(reason)}
        except Exception as error:  # the driver reports it and goes on with the others
            reply = {"error": f"{type(error).__name__}: {' '.join(str(error).split())[:300]}"}
        replies.write(json.dumps(reply) + "\n")
        replies.flush()
