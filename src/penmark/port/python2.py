"""Python 2 source as Python 3 can read it; line by line, so that line numbers stay.

Only what keeps Python 3 from reading a program is rewritten here, from its tokens: `print` and
`exec` statements, `except X, e`, `raise X, "text"`, backticks, `<>`, numbers like 0777 and 10L.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterator

from penmark.port.findings import PYTHON_3, Change

# Python 3's own tokenizer refuses text that is not Python 3, so this reads Python 2's tokens.
_TOKEN = re.compile(
    r"""
      (?P<comment>\#[^\n]*)
    | (?P<string>[bBuUrR]{0,3}(?:\"{3}(?:\\.|[^\\])*?\"{3}|'{3}(?:\\.|[^\\])*?'{3}
                               |\"(?:\\.|[^\\\n\"])*\"|'(?:\\.|[^\\\n'])*'))
    | (?P<number>(?:0[xX][0-9a-fA-F]+|0[bB][01]+|0[oO]?[0-7]+(?![\d.eEjJ])
                  |(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)[lLjJ]?)
    | (?P<name>[^\W\d]\w*)
    | (?P<joined>\\\r?\n)
    | (?P<newline>\r?\n)
    | (?P<space>[ \t\f]+)
    | (?P<operator><>|>>=|<<=|\*\*=|//=|>>|<<|\*\*|//|[-+*/%&|^=!<>]=|->|.)
    """,
    re.VERBOSE | re.DOTALL,
)


@dataclasses.dataclass
class _Token:
    kind: str
    text: str
    line: int


def as_python3(source: str) -> tuple[str, list[Change]]:
    """Rewrite the statements that only Python 2 has.

    Args:
        source: a program; Python 3 passes unchanged.

    Returns:
        The program, with as many lines, and what was changed.
    """
    tokens = list(_tokens(source))
    changes: list[Change] = []
    for statement in _statements(tokens):
        _rewrite(statement, changes)
    return "".join(token.text for token in tokens), changes


def _tokens(source: str) -> Iterator[_Token]:
    line = 1
    for match in _TOKEN.finditer(source):
        yield _Token(str(match.lastgroup), match[0], line)
        line += match[0].count("\n")


def _statements(tokens: list[_Token]) -> Iterator[list[_Token]]:
    """The tokens of each simple statement: between newlines and semicolons outside brackets.

    What follows the colon of `if x: print x` on the same line is a statement of its own.
    """
    statement: list[_Token] = []
    depth = 0
    for token in tokens:
        if token.kind == "operator" and token.text in "([{":
            depth += 1
        elif token.kind == "operator" and token.text in ")]}":
            depth = max(0, depth - 1)
        ends = depth == 0 and (
            token.kind in ("newline", "comment") or (token.kind == "operator" and token.text == ";")
        )
        if ends:
            if statement:
                yield statement
            statement = []
            continue
        if not statement and token.kind == "space":
            continue
        statement.append(token)
        opens_block = depth == 0 and token.kind == "operator" and token.text == ":"
        if opens_block and statement[0].text != "lambda":
            yield statement
            statement = []
    if statement:
        yield statement


def _rewrite(statement: list[_Token], changes: list[Change]) -> None:
    words = [token for token in statement if token.kind not in ("space", "joined")]
    if not words:
        return
    first = words[0]
    ticks = [token for token in words if token.text == "`"]
    for place, token in enumerate(ticks):
        token.text = "repr(" if place % 2 == 0 else ")"
    if ticks:
        changes.append(Change(first.line, "`x` → repr(x)", "backticks are gone", PYTHON_3))
    if first.text == "print" and _is_statement(words):
        _print(statement, words)
        changes.append(Change(first.line, "print statement", "print is a function", PYTHON_3))
    elif first.text == "exec" and _is_statement(words):
        _call(statement, words)
        changes.append(Change(first.line, "exec statement", "exec is a function", PYTHON_3))
    elif first.text in ("except", "raise"):
        _exception(statement, words, changes)
    for token in words:
        if token.kind == "operator" and token.text == "<>":
            token.text = "!="
            changes.append(Change(token.line, "<> → !=", "the old form is gone", PYTHON_3))
        elif token.kind == "number":
            _number(token, changes)


def _is_statement(words: list[_Token]) -> bool:
    """Whether `print` or `exec` is the statement, and not a call or another use of the name."""
    if len(words) == 1:
        return words[0].text == "print"
    second = words[1]
    if second.kind == "operator" and second.text in {"=", ".", ",", ")", ":", "["} | {"+=", "-="}:
        return False
    if second.text != "(":
        return True
    depth = 0
    for place, token in enumerate(words[1:], start=1):
        depth += (token.text == "(") - (token.text == ")") if token.kind == "operator" else 0
        if depth == 0:
            return place + 1 < len(words)  # something follows the closing bracket
    return False


def _print(statement: list[_Token], words: list[_Token]) -> None:
    """print a, b  →  print(a, b);  print >>f, a  →  print(a, file=f);  print a,  →  end=" "."""
    if len(words) == 1:
        words[0].text = "print()"
        return
    file = ""
    start = 1
    if words[1].text == ">>":
        end = next(
            (i for i, depth in _depths(words) if i > 1 and depth == 0 and words[i].text == ","),
            len(words),
        )
        file = "".join(token.text for token in words[2:end])
        for token in words[1 : end + 1]:
            token.text = ""
        if end < len(words):
            _close_up(statement, words[end])
        start = end + 1
    options = f"file={file}" if file else ""
    if start < len(words) and words[-1].text == ",":
        words[-1].text = ""
        options = ", ".join(filter(None, ['end=" "', options]))
    rest = [token for token in words[start:] if token.text]
    _open_after(statement, words[0])
    last = words[-1]
    last.text += (", " if options and rest else "") + options + ")"


def _call(statement: list[_Token], words: list[_Token]) -> None:
    for i, depth in _depths(words):
        if depth == 0 and words[i].text == "in":
            words[i].text = ","
    _open_after(statement, words[0])
    words[-1].text += ")"


def _open_after(statement: list[_Token], word: _Token) -> None:
    """Put the opening bracket in place of the space after the word."""
    word.text += "("
    _close_up(statement, word)


def _close_up(statement: list[_Token], word: _Token) -> None:
    """Drop the space after the word."""
    place = next(i for i, token in enumerate(statement) if token is word)
    for token in statement[place + 1 :]:
        if token.kind != "space":
            break
        token.text = ""


def _exception(statement: list[_Token], words: list[_Token], changes: list[Change]) -> None:
    comma = next(
        (words[i] for i, depth in _depths(words) if depth == 0 and words[i].text == ","), None
    )
    if comma is None:
        return
    if words[0].text == "except":
        comma.text = " as"
        changes.append(Change(comma.line, "except X, e → except X as e", "new form", PYTHON_3))
    else:
        comma.text = "("
        _close_up(statement, comma)
        words[-1].text += ")"
        changes.append(Change(comma.line, "raise X, y → raise X(y)", "new form", PYTHON_3))


def _number(token: _Token, changes: list[Change]) -> None:
    new = token.text.rstrip("lL")
    if re.fullmatch(r"0\d*[1-7]\d*", new) and new.isdigit():
        new = "0o" + new.lstrip("0")
    if new != token.text:
        changes.append(Change(token.line, f"{token.text} → {new}", "one form of int", PYTHON_3))
        token.text = new


def _depths(words: list[_Token]) -> Iterator[tuple[int, int]]:
    """(place, how many brackets are open there) for each word."""
    depth = 0
    for place, token in enumerate(words):
        if token.kind == "operator" and token.text in ")]}":
            depth -= 1
        yield place, depth
        if token.kind == "operator" and token.text in "([{":
            depth += 1
