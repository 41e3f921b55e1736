"""The command-line page: every command with its arguments and options, from the app itself."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator
from typing import Any

from typer.main import get_command

from penmark.cli import app as penmark_app

MARKER = "<!-- every command, from the app itself -->"


def _commands(command: Any, path: str) -> Iterator[tuple[str, Any]]:
    """Each command with its full name, a group before its commands."""
    yield path, command
    for name, inner in getattr(command, "commands", {}).items():
        yield from _commands(inner, f"{path} {name}")


def _described(path: str, command: Any) -> str:
    """One command as Markdown: a heading, its usage, what it does, its arguments and options."""
    context = command.make_context(path, [], resilient_parsing=True)
    arguments = [each for each in command.params if each.param_type_name == "argument"]
    options = [each for each in command.params if each.param_type_name == "option"]
    usage = [path, *(["[OPTION]..."] if options else []), *map(_usage, arguments)]
    if getattr(command, "commands", {}):
        usage.append("COMMAND ...")
    parts = [f"## {path}", f"    {' '.join(usage)}", _text(command.help or "")]
    rows = [_row(each, context) for each in [*arguments, *options]]
    if rows:
        parts.append("\n".join(["| option | what it does |", "| --- | --- |", *rows]))
    return "\n\n".join(parts)


def _metavar(argument: Any) -> str:
    return re.sub(r"[\[\].]", "", argument.metavar or argument.name.upper())


def _usage(argument: Any) -> str:
    shown = _metavar(argument) + ("..." if argument.nargs == -1 else "")
    return shown if argument.required else f"[{shown}]"


def _text(text: str) -> str:
    """A help text, its options as code."""
    return re.sub(r"(?<![`\w-])(--[a-z][a-z-]*)", r"`\1`", inspect.cleandoc(text))


def _row(parameter: Any, context: Any) -> str:
    names, text = parameter.get_help_record(context)
    text = _text(text)
    if parameter.param_type_name == "argument":
        names = _metavar(parameter)
    text = re.sub(r"\s*\[required\]$", "", text)
    text = re.sub(r"\s*\[default: (.+)\]$", r" Default: `\1`.", text)
    return "| {} | {} |".format(*(part.replace("|", r"\|") for part in (f"`{names}`", text)))


def _add_commands(app: Any, page: str, source: list[str]) -> None:
    if MARKER in source[0]:
        described = [_described(*each) for each in _commands(get_command(penmark_app), "penmark")]
        source[0] = source[0].replace(MARKER, "\n\n".join(described))


def setup(app: Any) -> dict[str, bool]:
    app.connect("source-read", _add_commands)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
