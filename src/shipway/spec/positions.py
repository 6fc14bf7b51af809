"""Where each key of a TOML document is written.

In: text that tomllib has accepted; nothing is checked again here. Out: the line of every key, table, array
element and array of tables, under the same path by which the parsed document reaches it.
"""

from __future__ import annotations

import re
import tomllib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

Path = tuple[str | int, ...]
"""Keys and list indices from the root: ("rollout", "steps", 1, "weight")."""

_BLANK = re.compile(r"(?:[ \t\r\n]|#[^\n]*)*")
_SPACE = re.compile(r"[ \t]*")
_KEY = re.compile(r'"(?:\\.|[^"\\\n])*"' r"|'[^'\n]*'" r"|[A-Za-z0-9_-]+")
_STRING = re.compile(
    r'"""(?:\\.|(?!""")[^\\])*"{3,5}'
    r"|'''(?:(?!''').)*'{3,5}"
    r'|"(?:\\.|[^"\\\n])*"'
    r"|'[^'\n]*'",
    re.DOTALL,
)
_PLAIN = re.compile(r"[^,\]}#\n]+")


def positions(text: str) -> Mapping[Path, int]:
    """The line, from 1, of everything in `text` that has a path.

    A table that several lines touch is at its own header, if it has one, else where it is first named.
    """
    return _Scanner(text).scan()


class _Scanner:
    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0
        self.lines: dict[Path, int] = {}
        self.counts: dict[Path, int] = {}
        """How many tables each array of tables has so far: a header below it means the last one."""
        self._counted = (0, 1)

    def scan(self) -> Mapping[Path, int]:
        table: Path = ()
        self._skip(_BLANK)
        while self.at < len(self.text):
            if self._take("["):
                table = self._header(array=self._take("["))
            else:
                self._pair(table)
            self._skip(_BLANK)
        return self.lines

    def _header(self, *, array: bool) -> Path:
        line, keys = self._line(), self._keys()
        path: Path = ()
        for key in keys[:-1]:
            path = self._enter((*path, key), line)
        path = (*path, keys[-1])
        if array:
            index = self.counts.get(path, 0)
            self.counts[path] = index + 1
            self.lines.setdefault(path, line)
            path = (*path, index)
        self.lines[path] = line
        self._skip(_SPACE)
        self.at += 2 if array else 1  # the closing brackets
        return path

    def _enter(self, path: Path, line: int) -> Path:
        self.lines.setdefault(path, line)
        return (*path, self.counts[path] - 1) if path in self.counts else path

    def _pair(self, table: Path) -> None:
        line, path = self._line(), table
        for key in self._keys():
            path = (*path, key)
            self.lines.setdefault(path, line)
        self._skip(_SPACE)
        self._take("=")
        self._skip(_SPACE)
        self._value(path)

    def _value(self, path: Path) -> None:
        if self._take("["):
            self._items(path)
        elif self._take("{"):
            self._skip(_BLANK)
            while not self._take("}"):
                self._pair(path)
                self._separator()
        else:
            self._skip(_STRING) or self._skip(_PLAIN)

    def _items(self, path: Path) -> None:
        index = 0
        self._skip(_BLANK)
        while not self._take("]"):
            self.lines[(*path, index)] = self._line()
            self._value((*path, index))
            index += 1
            self._separator()

    def _separator(self) -> None:
        self._skip(_BLANK)
        self._take(",")
        self._skip(_BLANK)

    def _keys(self) -> list[str]:
        keys = [self._key()]
        self._skip(_SPACE)
        while self._take("."):
            keys.append(self._key())
            self._skip(_SPACE)
        return keys

    def _key(self) -> str:
        self._skip(_SPACE)
        match = _KEY.match(self.text, self.at)
        if match is None:
            raise ValueError(f"line {self._line()}: no key here; tomllib has not accepted this text")
        self.at = match.end()
        raw = match[0]
        return next(iter(tomllib.loads(f"{raw}=0"))) if raw[0] == '"' else raw.strip("'")

    def _line(self) -> int:
        at, line = self._counted
        line += self.text.count("\n", at, self.at)
        self._counted = (self.at, line)
        return line

    def _take(self, literal: str) -> bool:
        found = self.text.startswith(literal, self.at)
        self.at += len(literal) if found else 0
        return found

    def _skip(self, pattern: re.Pattern[str]) -> bool:
        match = pattern.match(self.text, self.at)
        self.at = match.end() if match else self.at
        return bool(match and match[0])
