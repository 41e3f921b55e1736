"""Every `penmark …` line that the pages show is one that the app takes: nothing is run."""

from __future__ import annotations

import re
import shlex

import pytest
from typer import TyperException
from typer.main import get_command

from penmark.cli import app
from tests.docs.pages import PAGES, blocks, inline_codes, name

COMMAND = get_command(app)
NO_COMMANDS = {"penmark bfloat16"}  # what the benchmarks call one of their competitors


def command_lines(page):
    """The commands in code blocks, continued lines joined, and those within the text."""
    for block in blocks(page):
        if block.language in ("python", "js"):
            continue
        for line in block.text.replace("\\\n", " ").splitlines():
            if shown := re.match(r"\s*(?:\$ )?(?:\S+/bin/)?(penmark(?: .*)?)$", line):
                yield shown[1]
    yield from (
        code
        for code in inline_codes(page)
        if re.match(r"penmark [a-z-]", code) and code not in NO_COMMANDS
    )


def arguments(line):
    """The words behind `penmark`: without comments, what is piped on, and marks of repetition.

    N, X and SEED stand for numbers, and A|B for a choice of which the first is tried. Three
    spaces end the command: what comes then explains it.
    """
    line = re.split(r"\s{3,}", line.strip())[0]
    line = re.sub(r"\s(\||>|&&|2>)\s.*", "", line)
    words = [word.rstrip("…") for word in shlex.split(line, comments=True)][1:]
    words = ["1" if word in ("N", "X", "SEED") else word for word in words if word]
    return [word.split("|")[0] for word in words]


def complaint(line):
    """Why the app would refuse the line; None if it would not."""
    command, path, words = COMMAND, "penmark", arguments(line)
    while inner := getattr(command, "commands", {}):
        if not words or words[0].startswith("-"):
            break
        if words[0] not in inner:
            return f"{line}: {path} has no command {words[0]}"
        command, path, words = inner[words[0]], f"{path} {words[0]}", words[1:]
    if not words:
        return None  # a command is spoken of, not shown
    options = [word for word in words if word not in ("--debug", "--help", "--version")]
    if not options and options != words:
        return None  # these end the command before anything is missed
    try:
        command.make_context(path, options)
    except TyperException as error:
        return f"{line}: {error.format_message()}"
    return None


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_every_command_is_one_that_the_app_takes(page):
    assert [wrong for line in command_lines(page) if (wrong := complaint(line))] == []


def test_enough_commands_are_found():
    assert sum(1 for page in PAGES for _ in command_lines(page)) > 30


@pytest.mark.parametrize(
    "line",
    [
        "penmark trian cnn",
        "penmark train cnn --epoch 3",
        "penmark train cnn --epochs three",
        "penmark data shw digits",
        "penmark data check --model RUN",
        "penmark trian --help",
    ],
)
def test_a_wrong_command_is_found(line):
    assert complaint(line) is not None


@pytest.mark.parametrize(
    "line",
    [
        "penmark train cnn --epochs 3   # as published",
        "penmark port old.py | patch old.py",
        "penmark runs compare RUN RUN…",
        "penmark runs",
        "penmark --help",
        "penmark data check FOLDER --model RUN",
    ],
)
def test_a_right_command_is_taken(line):
    assert complaint(line) is None
