"""Ctrl-C and SIGTERM while threads and other programs are at work: all of it ends at once.

In: programs that are run and temporary paths, as they come and go. Out: when a signal comes, an exit with 130
or 143 that leaves no program running and nothing temporary. No thread is waited for: whatever is kept was
renamed into its place when it was whole, so a build may end anywhere.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import threading
import time
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

Made = TypeVar("Made", Path, "IO[bytes]")

SIGNALS = (signal.SIGINT, signal.SIGTERM)

_ATTEMPTS = 40
"""To remove a directory into which a thread still writes."""
_PATIENCE_S = 2.0

_starting = threading.Lock()
"""Held while a program or a temporary path comes into being, and from an interruption to the end."""
_running: set[subprocess.Popen[str]] = set()
_temporary: set[Path] = set()
_ending = threading.Event()


def run(
    command: Sequence[str | Path], cwd: Path | None = None, env: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """Run a program to its end, with its output. It and all that it starts end with this process's work.

    It has a process group of its own: a terminal's Ctrl-C reaches us alone, and we end the group.
    """
    with _starting:
        process = subprocess.Popen(
            command,
            cwd=cwd,
            env=env,
            text=True,
            process_group=0,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        _running.add(process)
    try:
        out, error = process.communicate()
    except BaseException:
        _end(process)
        raise
    finally:
        _running.discard(process)
    return subprocess.CompletedProcess(command, process.returncode, out, error)


@contextmanager
def temporary(make: Callable[[], Made]) -> Iterator[Made]:
    """What `make` makes, a directory or an open file; what is left under its name at the end is removed."""
    with _starting:
        made = make()
        path = made if isinstance(made, Path) else Path(made.name)
        _temporary.add(path)
    try:
        yield made
    finally:
        _remove(path)
        _temporary.discard(path)
        if not isinstance(made, Path):
            made.close()


@contextmanager
def interruptible() -> Iterator[None]:
    """From here on SIGINT and SIGTERM end this process as the module says. For the main thread."""
    reading, writing = os.pipe()
    threading.Thread(target=_watch, args=(reading,), daemon=True).start()
    before = {number: signal.signal(number, lambda n, _: _tell(writing, n)) for number in SIGNALS}
    try:
        yield
    finally:
        if _ending.is_set():
            threading.Event().wait()  # what fails now fails because all is being ended: nothing to tell
        for number, handler in before.items():
            signal.signal(number, handler)
        os.close(writing)


def _tell(writing: int, number: int) -> None:
    """In the signal's handler, where nothing may wait for a lock."""
    _ending.set()
    os.write(writing, bytes([number]))


def _watch(reading: int) -> None:
    number = os.read(reading, 1)
    os.close(reading)
    if number:
        _starting.acquire()
        for process in list(_running):
            _end(process)
        for path in list(_temporary):
            _remove(path)
        os.write(2, b"\ninterrupted\n")
        os._exit(128 + number[0])


def _end(process: subprocess.Popen[str]) -> None:
    """Kill the program's group, and wait until it writes no more."""
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
    with suppress(subprocess.TimeoutExpired):
        process.wait(_PATIENCE_S)


def _remove(path: Path) -> None:
    for _ in range(_ATTEMPTS):
        if not path.is_dir():
            break
        shutil.rmtree(path, ignore_errors=True)
        if path.exists():
            time.sleep(_PATIENCE_S / _ATTEMPTS)
    else:
        return
    with suppress(OSError):
        path.unlink(missing_ok=True)
