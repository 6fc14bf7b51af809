"""agent.toml as it was written: the parsed tables and the line of every key.

In: a path. Out: a Document, or SpecError with one finding that says what stands in the way: no file, not
text, not TOML.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from shipway.errors import Finding, SpecError
from shipway.spec import positions

FILE = "agent.toml"


@dataclass(frozen=True, slots=True)
class Document:
    """One agent.toml. Lists are tuples; `file` is how findings name it."""

    path: Path
    file: str
    data: Mapping[str, Any]
    lines: Mapping[positions.Path, int]


def read(path: Path) -> Document:
    """Read agent.toml, or the one in the directory `path`. Raises SpecError with one finding."""
    path = path if path.suffix == ".toml" else path / FILE
    text = _text(path)
    try:
        data = tomllib.loads(text)
        return Document(path, path.name, freeze(data), positions.positions(text))
    except tomllib.TOMLDecodeError as error:
        raise SpecError([_syntax(path.name, text, str(error))]) from None
    except RecursionError:
        raise SpecError(
            [Finding("syntax", "lists or tables too deep in each other", "", path.name)]
        ) from None


def freeze(value: Any) -> Any:
    """Lists become tuples: what is frozen holds nothing that changes."""
    if isinstance(value, dict):
        return {key: freeze(item) for key, item in value.items()}
    return tuple(freeze(item) for item in value) if isinstance(value, list) else value


def _text(path: Path) -> str:
    try:
        raw = path.read_bytes()
    except FileNotFoundError:
        where = path.parent.resolve()
        raise _refuse(
            Finding("no-spec", f"there is no {path.name} in {where}", "run `shipway init` there to write one")
        ) from None
    except IsADirectoryError:
        raise _refuse(
            Finding("unreadable", f"{path} is a directory, expected a file", "move the directory away")
        ) from None
    except OSError as error:
        fix = "let the user who runs shipway read it"
        raise _refuse(Finding("unreadable", f"{path} cannot be read: {error.strerror}", fix)) from None
    return _decode(path, raw)


def _decode(path: Path, raw: bytes) -> str:
    if raw.startswith((b"\xff\xfe", b"\xfe\xff")):
        message = "this file is UTF-16, and TOML is UTF-8"
        raise _refuse(Finding("unreadable", message, "save it as UTF-8", path.name))
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        message = f"byte 0x{raw[error.start]:02x} is not UTF-8, and TOML is"
        raise _refuse(Finding("unreadable", message, "save the file as UTF-8", path.name, line)) from None


def _refuse(finding: Finding) -> SpecError:
    return SpecError([finding])


# -- Syntax errors in plain words ------------------------------------------------------------------------

_QUOTES = "put text in double quotes; write one key a line"
_CLOSE = "close it with the quote it began with"
_PLAIN_WORDS = (
    ("Cannot overwrite a value", "this key is set above already", "keep one of the two"),
    ("Cannot declare", "this table is there above already", "put the keys of both into one table"),
    ("Cannot redefine", "this table is there above already", "put the keys of both into one table"),
    (
        "Cannot mutate immutable namespace",
        "a table written as { … } cannot be added to",
        "write it inside { … }",
    ),
    ("Duplicate inline table key", "a key is in this table twice", "keep one of the two"),
    ("Invalid statement", "expected a key, a [table] or a # comment", 'quote a key such as "é" or "a b"'),
    (
        "Invalid initial character for a key part",
        "expected a key",
        "write { … } on one line, with key = value in it",
    ),
    ("Expected '=' after a key", "a key without a value; expected key = value", "add = and the value"),
    ("Expected newline or end of document", "after the value there is something else", _QUOTES),
    ("Unterminated string", "a text does not end", _CLOSE),
    ("Expected \"'", "a text does not end", _CLOSE),
    ("Illegal character '\\n'", "a text does not end on its line", _CLOSE),
    ("Illegal character", "a control character", "remove it; in double quotes write it as \\u0001"),
    (
        "Unclosed array",
        "a list does not end; expected , or ]",
        "separate its items with , and close it with ]",
    ),
    (
        "Unclosed inline table",
        "a table does not end; expected , or }",
        "separate its keys with , and close it with }",
    ),
    ("Expected ']' at the end of a table", "a table's header does not end; expected ]", "close it with ]"),
    ("Expected ']]' at the end of an array", "a header does not end; expected ]]", "close it with ]]"),
    (
        "Unescaped '\\' in a string",
        "in double quotes \\ begins an escape, and this is none",
        "write \\\\, or use '…'",
    ),
    ("Invalid hex value", "\\u and \\U need hexadecimal digits", "write \\\\, or use '…'"),
    ("Invalid date or datetime", "there is no such date", "quote it if it is text"),
)


def _syntax(file: str, text: str, error: str) -> Finding:
    lines = text.replace("\r\n", "\n").split("\n")
    what, place = _split(error)
    number = place if place else max((i for i, line in enumerate(lines, 1) if line.strip()), default=1)
    shown = lines[number - 1].strip()
    known = ((message, fix) for start, message, fix in _PLAIN_WORDS if what.startswith(start))
    message, fix = next(known, None) or _unknown(what, shown)
    return Finding("syntax", f"`{_redact(shown)}`: {message}", fix, file, number)


def _split(error: str) -> tuple[str, int]:
    """tomllib's message without its place, and the line, 0 for the end of the document."""
    match = re.fullmatch(r"(.*) \(at (?:line (\d+), column \d+|end of document)\)", error, re.DOTALL)
    return (match[1], int(match[2] or 0)) if match else (error, 0)


def _unknown(what: str, shown: str) -> tuple[str, str]:
    if what.startswith("Invalid value") and shown.rstrip().endswith("="):
        return "a key without a value", "write the value after ="
    if what.startswith("Invalid value"):
        return "this value is not TOML", "put text in straight double quotes; true and false are lower-case"
    return f"not TOML ({what})", "see https://toml.io for what a line may hold"


def _redact(shown: str) -> str:
    """The offending line, at most 60 characters of it, without long words: they may be secrets."""
    return re.sub(r"[A-Za-z0-9+/_-]{24,}", "…", shown)[:60] or "the end"
