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
    path = path / FILE if path.is_dir() and path.name != FILE else path
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

_PLAIN_WORDS = (
    ("Cannot overwrite a value", "this key is already set above", "keep one of the two"),
    ("Cannot declare", "this table is already there above", "put its keys into one table"),
    (
        "Cannot mutate immutable namespace",
        "an inline table { … } cannot be added to",
        "write its keys inside {}",
    ),
    ("Duplicate inline table key", "a key is twice in this inline table", "keep one of the two"),
    ("Invalid initial character for a key part", "expected a key", "quote a key with other than A-Za-z0-9_-"),
    ("Expected '=' after a key", "a key without a value; expected key = value", "add = and the value"),
    ("Expected newline or end of document", "there is more on this line after the value", "one key a line"),
    ("Unterminated string", "a string does not end", "close it with the quote it began with"),
    (
        "Illegal character '\\n'",
        "a string does not end on this line",
        "close it with the quote it began with",
    ),
    ("Unclosed array", "a list does not end; expected , or ]", "close it with ]"),
    ("Unclosed inline table", "an inline table does not end; expected , or }", "close it with }"),
    ("Expected ']' at the end of a table", "a table's name does not end; expected ]", "close it with ]"),
    (
        "Expected ']]' at the end of an array",
        "an array table's name does not end; expected ]]",
        "close it with ]]",
    ),
    ("Unescaped '\\' in a string", "\\ begins an escape here, and this is none", "write \\\\, or use '…'"),
    ("Invalid hex value", "this \\u escape is no character", "write \\\\u, or use '…'"),
    ("Invalid date or datetime", "this is no date that exists", "quote it if it is text"),
)


def _syntax(file: str, text: str, error: str) -> Finding:
    lines = text.replace("\r\n", "\n").split("\n")
    what, place = _split(error)
    number = place if place else max((i for i, line in enumerate(lines, 1) if line.strip()), default=1)
    shown = lines[number - 1].strip()
    known = ((message, fix) for start, message, fix in _PLAIN_WORDS if what.startswith(start))
    message, fix = next(known, None) or _unknown(what, shown)
    return Finding("syntax", f"{message}: {_redact(shown)}", fix, file, number)


def _split(error: str) -> tuple[str, int]:
    """tomllib's message without its place, and the line, 0 for the end of the document."""
    match = re.fullmatch(r"(.*) \(at (?:line (\d+), column \d+|end of document)\)", error, re.DOTALL)
    return (match[1], int(match[2] or 0)) if match else (error, 0)


def _unknown(what: str, shown: str) -> tuple[str, str]:
    if what.startswith("Invalid value") and shown.rstrip().endswith("="):
        return "a key without a value", "write the value after ="
    if what.startswith("Invalid value"):
        return "this value is not TOML", "put text in double quotes; true and false are lower-case"
    return f"not TOML ({what})", "see https://toml.io for what a line may hold"


def _redact(shown: str) -> str:
    """The offending line, at most 60 characters of it, without long words: they may be secrets."""
    return re.sub(r"[A-Za-z0-9+/_-]{24,}", "…", shown)[:60] or "(an empty line)"
