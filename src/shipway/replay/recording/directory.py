"""The directory of replays as a recorder writes it: names, replacing, parts.

In: exchanges as they complete, possibly several at once. Out: their files, each written in one step. What is
recorded again takes the place and the name of its older recording, so that a diff shows what changed.
"""

from __future__ import annotations

import contextlib
import os
import re
import threading
from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING

from shipway.replay import parts
from shipway.replay.recording import naming

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from shipway.replay.exchange import Request
    from shipway.replay.tape import Recording

_DIGITS = 3


@dataclass(slots=True)
class Turn:
    """What a user asked, and how many requests were made for it."""

    number: int
    slug: str
    steps: int = 0


@dataclass(frozen=True, slots=True)
class Place:
    """The name that a request's recording gets unless it replaces another."""

    turn: Turn
    step: int


@dataclass(frozen=True, slots=True)
class Stored:
    """A written recording; `removed` are the older ones of the same request, its own name perhaps first."""

    file: str
    size: int
    removed: tuple[str, ...] = ()


class Directory:
    """`recordings` are those that were there at the start. Its methods may be called from any thread."""

    def __init__(self, path: Path, recordings: Iterable[Recording]) -> None:
        self.path = path
        self._lock = threading.Lock()
        self._old: dict[str, list[str]] = defaultdict(list)
        for recording in recordings:
            self._old[recording.key].append(recording.file)
        self._vacant: dict[str, list[str]] = {}
        self._turns: dict[str, Turn] = {}
        numbers = [found[0] for file in path.glob("*.json") if (found := re.match(r"\d+", file.name))]
        self._digits = max(map(len, numbers), default=_DIGITS)
        self._number = max(map(int, numbers), default=0)

    def reserve(self, request: Request) -> Place:
        """The name for a request that just arrived: names are in the order in which requests came."""
        asked = naming.asked(request)
        with self._lock:
            turn = self._turns.get(asked.so_far) if asked.step else None
            if turn is None:
                self._number += 1
                turn = self._turns[asked.so_far] = Turn(self._number, asked.slug)
            turn.steps += 1
            return Place(turn, turn.steps)

    def release(self, place: Place) -> None:
        """Nothing will be stored there: the next one may have the name, if no later one was given."""
        with self._lock:
            turn = place.turn
            if turn.steps == place.step:
                turn.steps -= 1
                if not turn.steps and turn.number == self._number:
                    self._number -= 1

    def store(self, place: Place, key: str, text: str, files: dict[str, bytes]) -> Stored:
        """Write an exchange; the first of its key in this run replaces the older ones. Raises OSError."""
        with self._lock:
            for name, content in files.items():
                self._write_part(name, content)
            old = self._old.pop(key, [])
            names = self._vacant.setdefault(key, list(old))
            if names:
                path = self.path / names.pop(0)
                _write(path, text.encode())
            else:
                path = self._add(place, text.encode())
            for name in old[1:]:
                (self.path / name).unlink(missing_ok=True)
            size = len(text.encode()) + sum(map(len, files.values()))
            return Stored(path.relative_to(self.path).as_posix(), size, tuple(old))

    def left(self) -> int:
        """How many of the recordings that were there at the start were not replaced."""
        with self._lock:
            return sum(map(len, self._old.values()))

    def sweep(self) -> tuple[str, ...]:
        """Remove the parts that no recording refers to any more; their names."""
        directory = self.path / parts.DIRECTORY
        names = {file.name for file in directory.glob("*") if parts.is_name(file.name)}
        for file in self.path.rglob("*.json") if names else ():
            text = file.read_text(encoding="utf-8", errors="replace")
            names -= {name for name in names if name in text}
        for name in names:
            (directory / name).unlink(missing_ok=True)
        return tuple(sorted(names))

    def _add(self, place: Place, content: bytes) -> Path:
        """A file of the name, or of the first free one after it: no other is ever overwritten."""
        for suffix in _suffixes():
            number = f"{place.turn.number:0{self._digits}d}"
            path = self.path / f"{number}-{place.turn.slug}-{place.step}{suffix}.json"
            with contextlib.suppress(FileExistsError):
                _write(path, content, new=True)
                return path
        raise AssertionError("unreachable: suffixes never end")

    def _write_part(self, name: str, content: bytes) -> None:
        path = self.path / parts.DIRECTORY / name
        if not path.exists():
            path.parent.mkdir(exist_ok=True)
            _write(path, content)


def _suffixes() -> Iterator[str]:
    yield ""
    count = 2
    while True:
        yield f"-again-{count}"
        count += 1


def _link(written: Path, path: Path) -> None:
    try:
        path.hardlink_to(written)
    except FileExistsError:
        raise
    except OSError:  # a file system without links: somebody else's file of this very moment is lost
        if path.exists():
            raise FileExistsError(path) from None
        written.replace(path)


def _write(path: Path, content: bytes, *, new: bool = False) -> None:
    """All of it, or nothing. Raises FileExistsError where it is to be `new`, and is not."""
    written = path.with_name(f".{path.name}.{os.getpid()}.new")
    try:
        written.write_bytes(content)
        if new:
            _link(written, path)
        else:
            written.replace(path)
    finally:
        written.unlink(missing_ok=True)
