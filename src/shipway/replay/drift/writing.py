"""Lines that are appended to a file without anybody waiting for the disk.

In: lines as dictionaries, from one thread. Out: the file, one JSON object a line, whole lines alone, however
many processes append to it. A file that cannot be written is said once on stderr, and then left alone.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import queue
import sys
import threading
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

SIZE = 2_000_000  # bytes; a file above it loses its older half when the next writer comes
_PATIENCE_S = 2.0  # that the end of a process waits for the disk
_END = None


class Writer:
    """A thread that appends. A value that is a function is called there: it takes time to find out."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._lines: queue.SimpleQueue[dict[str, Any] | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._work, name="journal", daemon=True)
        self._thread.start()

    def put(self, line: dict[str, Any]) -> None:
        self._lines.put(line)

    def close(self) -> None:
        """Write what is left, and wait for the disk a moment."""
        self._lines.put(_END)
        self._thread.join(_PATIENCE_S)

    def _work(self) -> None:
        try:
            self._file.parent.mkdir(parents=True, exist_ok=True)
            with _alone(self._file):
                _shorten(self._file)
            self._append_all()
        except OSError as error:
            reason = f"{error.strerror or error}; `shipway replay verify` will not know of this run"
            print(f"replay: {self._file} cannot be written: {reason}", file=sys.stderr, flush=True)
            while self._lines.get() is not _END:
                pass  # nothing is kept for a file that takes nothing

    def _append_all(self) -> None:
        ended = False
        while not ended:
            batch = [self._lines.get()]
            while not self._lines.empty():
                batch.append(self._lines.get())
            ended = batch[-1] is _END
            content = b"".join(_encode(line) for line in batch if line is not _END)
            with _alone(self._file):
                _append(self._file, content)


def _encode(line: dict[str, Any]) -> bytes:
    return json.dumps(line, ensure_ascii=False, default=lambda find_out: find_out()).encode() + b"\n"


@contextlib.contextmanager
def _alone(file: Path) -> Iterator[None]:
    """No other process is here at the same time: the directory is locked, as the file may be replaced."""
    fd = os.open(file.parent, os.O_RDONLY)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX)
        yield
    finally:
        os.close(fd)


def _append(file: Path, content: bytes) -> None:
    with file.open("ab+") as end:
        if end.tell() and (end.seek(-1, os.SEEK_END), end.read(1))[1] != b"\n":
            content = b"\n" + content  # somebody died in the middle of a line
        end.write(content)


def _shorten(file: Path) -> None:
    if not file.exists() or file.stat().st_size <= SIZE:
        return
    with file.open("rb") as old:
        old.seek(-SIZE // 2, os.SEEK_END)
        kept = old.read().partition(b"\n")[2]
    new = file.with_suffix(".new")
    new.write_bytes(kept)
    new.replace(file)
