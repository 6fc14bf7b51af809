"""Files that are there whole or not at all, and what to do when a disk takes no more.

In: a path, and somebody who writes. Out: the file under its name when all of it was written; else nothing,
and a BuildError that names the directory. Names of what is being written begin with UNFINISHED, so that
what a killed process left is known and can go.
"""

from __future__ import annotations

import errno
import hashlib
import shutil
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING

from shipway.build.interruption import temporary
from shipway.errors import BuildError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

UNFINISHED = ".making-"
STALE_S = 24 * 3600
"""After that long nobody is still writing."""

_FULL = (errno.ENOSPC, errno.EDQUOT)
_DISK = (*_FULL, errno.EROFS)
_REFUSED = (errno.EACCES, errno.EPERM, errno.ENOTDIR, errno.EEXIST)


@contextmanager
def replacing(path: Path) -> Iterator[IO[bytes]]:
    """A temporary file beside `path` that takes its place only if nothing was raised."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with temporary(
        lambda: tempfile.NamedTemporaryFile(dir=path.parent, prefix=UNFINISHED, delete=False)
    ) as sink:
        yield sink
        sink.flush()
        Path(sink.name).chmod(0o644)
        Path(sink.name).replace(path)


def is_whole(path: Path, digest: str, size: int | None = None) -> bool:
    """Whether the file is there with the content of this digest, sha256:…, and this size in bytes."""
    try:
        if size is not None and path.stat().st_size != size:
            return False
        with path.open("rb") as file:
            return f"sha256:{hashlib.file_digest(file, 'sha256').hexdigest()}" == digest
    except OSError:
        return False


def replace_text(path: Path, text: str) -> None:
    """Write the file in one step. Raises BuildError as `disk_errors`."""
    with disk_errors(path.parent), replacing(path) as sink:
        sink.write(text.encode())


@contextmanager
def disk_errors(directory: Path, instead: str = "") -> Iterator[None]:
    """Say what keeps files from being written to `directory`; `instead` is another way, as an instruction.

    Raises BuildError for a full disk, a read-only one, and a directory that is somebody else's.
    """
    try:
        yield
    except OSError as error:
        place = _place(error, directory)
        if place is None:
            raise
        first = "make room there" if error.errno in _FULL else "make it writable"
        what_to_do = f"{first}, or {instead}" if instead and place == directory else first
        reason = (error.strerror or str(error)).lower()
        raise BuildError(f"{place} cannot be written to: {reason}", what_to_do) from error


def _place(error: OSError, directory: Path) -> Path | None:
    """The directory that could not be written to. A write that fails names no file; only a full or read-only
    disk is sure to be about writing when it names one elsewhere."""
    names = [Path(name).absolute() for name in (error.filename, error.filename2) if isinstance(name, str)]
    if error.errno in (*_REFUSED, *_DISK) and (
        not names or any(name.is_relative_to(directory.absolute()) for name in names)
    ):
        return directory
    return names[-1].parent if error.errno in _DISK else None


def remove_stale(paths: Iterable[Path]) -> None:
    """Remove what killed processes left, files and directories, once nobody can be writing it."""
    for path in paths:
        try:
            if path.lstat().st_mtime > time.time() - STALE_S:
                continue
        except OSError:  # another process was faster
            continue
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)
