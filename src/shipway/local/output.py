"""What the processes say: on the terminal with their names in front, and in .shipway/logs/NAME.log.

In: lines. Out: `name | line` in the process's colour, where stdout is a terminal; in the file, the line after
the time (UTC, milliseconds), so that `shipway logs` can put several files in order. A file holds one run.
"""

from __future__ import annotations

import contextlib
import heapq
import os
import sys
import time
from datetime import UTC, datetime
from typing import IO, TYPE_CHECKING

import click

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path

SELF = "shipway"
_COLOURS = ("cyan", "yellow", "green", "magenta", "blue", "bright_cyan", "bright_yellow", "bright_green")
_POLL_S = 0.2


class Names:
    """Prefixes of one width, each name in a colour of its own that stays the same from run to run."""

    def __init__(self, names: Sequence[str], *, coloured: bool | None = None) -> None:
        terminal = sys.stdout.isatty() and "NO_COLOR" not in os.environ
        self._coloured = terminal if coloured is None else coloured
        self._width = max(map(len, (*names, SELF)))
        self._colours = dict(zip(names, (c for _ in names for c in _COLOURS), strict=False))

    def show(self, name: str, line: str) -> str:
        prefix = f"{name:<{self._width}} |"
        return f"{click.style(prefix, fg=self._colours.get(name)) if self._coloured else prefix} {line}"


class Output:
    """Every line of a run. Use as a context manager; `quiet` writes the files alone."""

    def __init__(self, directory: Path, names: Sequence[str], *, quiet: bool = False) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        for old in directory.glob("*.log"):
            old.unlink()
        self._names = Names(names)
        self._quiet = quiet
        self._files: dict[str, IO[str]] = {}
        for name in (*names, SELF):
            path = directory / f"{name}.log"
            self._files[name] = path.open("w", encoding="utf-8", errors="replace", buffering=1)

    def line(self, name: str, text: str) -> None:
        """Show and keep one line."""
        now = datetime.now(UTC).isoformat(timespec="milliseconds")
        self._files[name].write(f"{now} {text}\n")
        if not self._quiet:
            # Whoever read stdout is gone: the stack still has to be ended in order.
            with contextlib.suppress(BrokenPipeError, ValueError):
                print(self._names.show(name, text), flush=True)

    def say(self, text: str) -> None:
        """A line of shipway's own."""
        self.line(SELF, text)

    def close(self) -> None:
        for file in self._files.values():
            file.close()


def tail(directory: Path, name: str, lines: int) -> list[str]:
    """The last lines of one process, without their times."""
    with contextlib.suppress(OSError):
        text = (directory / f"{name}.log").read_text("utf-8", errors="replace")
        return [line.partition(" ")[2] for line in text.splitlines()[-lines:]]
    return []


def known(directory: Path) -> list[str]:
    """The names that have a file, in the order they were made."""
    files = sorted(directory.glob("*.log"), key=lambda path: (path.stem == SELF, path.stem))
    return [path.stem for path in files]


def merged(directory: Path, names: Iterable[str]) -> Iterator[tuple[str, str]]:
    """(name, line) of every file so far, in the order of time."""
    streams = [_timed(directory / f"{name}.log", name) for name in names]
    for _, name, line in heapq.merge(*streams, key=lambda entry: entry[0]):
        yield name, line


def follow(directory: Path, names: Sequence[str]) -> Iterator[tuple[str, str]]:
    """What is there, then what comes, without an end."""
    with contextlib.ExitStack() as stack:
        paths = {name: directory / f"{name}.log" for name in names}
        files = {
            name: stack.enter_context(path.open(encoding="utf-8", errors="replace"))
            for name, path in paths.items()
        }
        rest = dict.fromkeys(names, "")
        while True:
            entries = []
            for name, file in files.items():
                *lines, rest[name] = (rest[name] + file.read()).split("\n")
                entries += [(*_split(line), name) for line in lines]
            for _, line, name in sorted(entries, key=lambda entry: entry[0]):
                yield name, line
            time.sleep(_POLL_S)


def _timed(path: Path, name: str) -> Iterator[tuple[str, str, str]]:
    with contextlib.suppress(FileNotFoundError), path.open(encoding="utf-8", errors="replace") as file:
        for line in file:
            when, text = _split(line.rstrip("\n"))
            yield when, name, text


def _split(line: str) -> tuple[str, str]:
    when, _, text = line.partition(" ")
    return when, text
