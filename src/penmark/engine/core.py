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
    """The core's instruction set and number of threads, for example "avx512, 2 threads"."""
    from penmark.engine import _core

    # Of a network, since PENMARK_ISA may hold the core to another than the fastest.
    return f"{_core.Network((1, 1, 1)).isa}, {_core.available_threads()} threads"
