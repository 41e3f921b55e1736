"""Whether this installation has the native core, and which one."""

from __future__ import annotations

import functools
import importlib


@functools.cache
def missing_core() -> str | None:
    """Why there is no native core in this installation; None if there is one."""
    try:
        importlib.import_module("penmark.engine._core")
    except ImportError:
        return (
            "the native core is not built; install a C++ compiler (GCC 11 or Clang 14, or newer) "
            "and then penmark again"
        )
    return None


def core_name() -> str:
    """The core's instruction set and most threads, for example "avx512, up to 2 threads"."""
    from penmark.engine import _core

    threads = _core.available_threads()
    many = f"up to {threads} threads" if threads > 1 else "1 thread"
    # Of a network, since PENMARK_ISA may hold the core to another than the fastest.
    return f"{_core.Network((1, 1, 1)).isa}, {many}"
