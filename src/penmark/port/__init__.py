"""Old Keras programs made to run again: their source ported, each change with its reason."""

from __future__ import annotations

from penmark.port.findings import Change, Left, Ported
from penmark.port.program import port_file, port_source

__all__ = ["Change", "Left", "Ported", "port_file", "port_source"]
