"""Lines on disk, until somebody has taken them: what a queue must be that survives its process.

    outcomes/NAME/ENVIRONMENT/3f9a01c2/lock                 held by the process whose folder this is
    outcomes/NAME/ENVIRONMENT/3f9a01c2/01732…_0000.ndjson   segments: appended to, read from the oldest on

In: lines. Out: batches of them, each at least once: what was read and not taken is read again, by the next
process if need be. One that starts adopts the segments of those that have died, and only theirs: a kill
releases the lock. Written without fsync, so a line survives its process and not its machine. Bounded in
bytes; the oldest go first, and are counted. Blocking calls, from any thread. Errors: OSError.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import threading
import time
import uuid
from collections import deque
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

LIMIT = 64_000_000  # bytes; some 150,000 turns
SEGMENT = 1_000_000  # bytes; what is dropped at once
LOCK = "lock"


@dataclass(slots=True, eq=False)
class Segment:
    """A file, and how much of it was taken."""

    path: Path
    size: int
    lines: int
    taken: int = 0  # bytes
    taken_lines: int = 0


@dataclass(frozen=True, slots=True)
class Batch:
    """Whole lines of one segment."""

    segment: Segment
    data: bytes
    lines: int


class Spool:
    """The spool of this process below `root`, which several may share."""

    def __init__(self, root: Path, limit: int = LIMIT, segment: int = SEGMENT) -> None:
        self._root = self._own = root
        self._limit, self._segment_size = limit, segment
        self._segments: deque[Segment] = deque()
        self._lock = threading.Lock()
        self._held = -1
        self._serial = 0
        self.dropped = 0
        """Lines that had to give way."""

    def __len__(self) -> int:
        """Lines that nobody has taken yet."""
        return sum(segment.lines - segment.taken_lines for segment in tuple(self._segments))

    @property
    def size(self) -> int:
        return sum(segment.size for segment in tuple(self._segments))

    def open(self) -> None:
        """Make the folder, and adopt what others have left."""
        with self._lock:
            self._own, self._held = _claim(self._root)
            for folder in sorted(self._root.iterdir()):
                if folder != self._own and folder.is_dir():
                    self._adopt(folder)
            self._segments = deque(sorted(self._segments, key=lambda segment: segment.path.name))
            self._make_room(0)

    def add(self, lines: Sequence[bytes]) -> None:
        """Append lines, each without its end."""
        with self._lock:
            data = b"".join(line + b"\n" for line in lines)
            self._make_room(len(data))
            segment = self._segments[-1] if self._segments else None
            if segment is None or segment.size + len(data) > self._segment_size:
                self._serial += 1
                name = f"{time.time_ns():020d}_{self._serial:04d}.ndjson"
                segment = Segment(self._own / name, 0, 0)
                self._segments.append(segment)
            _append(segment.path, segment.size, data)
            segment.size += len(data)
            segment.lines += len(lines)

    def read(self, most_lines: int, most_bytes: int) -> Batch | None:
        """The oldest lines, at least one; None where there is none."""
        with self._lock:
            while self._segments:
                segment = self._segments[0]
                with contextlib.suppress(FileNotFoundError), segment.path.open("rb") as file:
                    file.seek(segment.taken)
                    if data := _cut(file.read(segment.size - segment.taken), most_lines, most_bytes):
                        return Batch(segment, data, data.count(b"\n"))
                self._remove(segment)  # taken as a whole, or somebody has tidied up
            return None

    def take(self, batch: Batch) -> None:
        """Somebody has the lines of this batch."""
        with self._lock:
            segment = batch.segment
            segment.taken += len(batch.data)
            segment.taken_lines += batch.lines
            if segment.taken >= segment.size and segment in self._segments:
                self._remove(segment)

    def close(self) -> None:
        """Let the next process have what is left."""
        with self._lock:
            if self._held >= 0:
                if not self._segments:
                    with contextlib.suppress(OSError):
                        (self._own / LOCK).unlink()
                        self._own.rmdir()
                os.close(self._held)
                self._held = -1

    def _adopt(self, folder: Path) -> None:
        """Take over a folder, unless its process lives. One that cannot be read is left alone."""
        with contextlib.suppress(OSError):
            held = _hold(folder)
            try:
                for path in sorted(folder.glob("*.ndjson")):
                    ours = self._own / path.name
                    path.rename(ours)
                    data = ours.read_bytes()
                    whole = data.rfind(b"\n") + 1  # its process may have died in the midst of a line
                    self._segments.append(Segment(ours, whole, data.count(b"\n", 0, whole)))
                (folder / LOCK).unlink()
                folder.rmdir()
            finally:
                os.close(held)

    def _make_room(self, size: int) -> None:
        while self._segments and self.size + size > self._limit:
            oldest = self._segments[0]
            self.dropped += oldest.lines - oldest.taken_lines
            self._remove(oldest)

    def _remove(self, segment: Segment) -> None:
        self._segments.remove(segment)
        segment.path.unlink(missing_ok=True)


def _claim(root: Path) -> tuple[Path, int]:
    """A folder of one's own, and its lock."""
    for _ in range(5):
        folder = root / uuid.uuid4().hex[:8]
        folder.mkdir(parents=True, mode=0o700)
        with contextlib.suppress(FileNotFoundError, BlockingIOError):  # adopted before it was locked
            return folder, _hold(folder)
    raise OSError(f"{root}: no folder there stays")


def _hold(folder: Path) -> int:
    """The lock of a folder, as an open file. Raises OSError while somebody else has it."""
    held = os.open(folder / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(held)
        raise
    return held


def _append(path: Path, size: int, data: bytes) -> None:
    """Write all of `data` behind the first `size` bytes, or leave the file as it was."""
    file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
    whole = False
    try:
        whole = os.pwrite(file, data, size) == len(data)
    finally:
        if not whole:
            os.ftruncate(file, size)
        os.close(file)
    if not whole:
        raise OSError(f"{path}: no space for {len(data)} bytes")


def _cut(data: bytes, most_lines: int, most_bytes: int) -> bytes:
    """The first lines of `data`: so many, and so many bytes, but one line always."""
    ends = _ends(data)
    end = next(ends, 0)
    for _, further in zip(range(most_lines - 1), ends, strict=False):
        if further > most_bytes:
            break
        end = further
    return data[:end]


def _ends(data: bytes) -> Iterator[int]:
    at = 0
    while at := data.find(b"\n", at) + 1:
        yield at
