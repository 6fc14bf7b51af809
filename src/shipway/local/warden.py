"""A small process that outlives a killed supervisor and ends what it has started.

In: process ids, as the supervisor starts them. Out: nothing, unless the supervisor is gone without a word
(`kill -9`, out of memory): then every process of the list and everything below it gets SIGTERM, and a moment
later SIGKILL. It is forked before anything else runs, holds the lock until all is over, and works on every
Unix; on Linux the kernel signals the processes themselves as well, in case that the warden is killed too.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import subprocess
import time
from typing import TYPE_CHECKING

from shipway.local import tree

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

_LOOK_S = 1.0
_GRACE_S = 3.0


class Warden:
    """Made once, by `Warden.start`, while the process has one thread."""

    def __init__(self, pid: int, pipe: int) -> None:
        self._pid, self._pipe = pid, pipe

    @classmethod
    def start(cls, lock: int, last: Sequence[Sequence[str]] = ()) -> Warden:
        """Fork the warden. `lock` is the descriptor that it keeps open; `last` are commands that remove what
        no end of a process removes."""
        reading, writing = os.pipe()
        pid = os.fork()
        if pid == 0:
            try:
                os.close(writing)
                _become_quiet(keep=(reading, lock))
                _guard(reading, last)
            finally:
                os._exit(0)
        os.close(reading)
        return cls(pid, writing)

    def watch(self, pid: int) -> None:
        """Remember a process that was just started."""
        with contextlib.suppress(BrokenPipeError):
            os.write(self._pipe, b"%d\n" % pid)

    def dismiss(self) -> None:
        """Everything was ended in order: the warden has nothing to do."""
        with contextlib.suppress(BrokenPipeError):
            os.write(self._pipe, b"0\n")
        os.close(self._pipe)
        os.waitpid(self._pid, 0)


def _become_quiet(keep: tuple[int, int]) -> None:
    """A session of its own, no signal of the terminal, no output that somebody waits for the end of."""
    os.setsid()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGPIPE):
        signal.signal(number, signal.SIG_IGN)
    nowhere = os.open(os.devnull, os.O_RDWR)
    for standard in (0, 1, 2):
        os.dup2(nowhere, standard)
    first, second = sorted(keep)
    os.closerange(3, first)
    os.closerange(first + 1, second)
    os.closerange(second + 1, 1024)


def _guard(reading: int, last: Sequence[Sequence[str]]) -> None:
    """Read ids until the supervisor says that all is over, or is gone.

    Looks at the tree now and then: when the kernel has ended a process first, what it started cannot be
    told from other orphans any more.
    """
    roots: set[tree.Known] = set()
    seen: set[tree.Known] = set()
    rest = b""
    while True:
        if not select.select([reading], [], [], _LOOK_S)[0]:
            roots = {process for process in roots if tree.is_alive(process)}
            seen = tree.descendants(process.pid for process in roots)
            continue
        data = os.read(reading, 4096)
        *lines, rest = (rest + data).split(b"\n")
        roots |= {tree.Known(pid, start) for pid in map(int, lines) if (start := tree.started(pid))}
        if b"0" in lines:
            return
        if not data:
            end_all(roots | seen)
            for command in last:
                subprocess.run(command, check=False)
            return


def end_all(roots: Iterable[tree.Known]) -> None:
    """SIGTERM to every branch, SIGKILL to what is left after a moment."""
    left = {process for process in roots if tree.is_alive(process)}
    left |= tree.descendants(process.pid for process in left)
    tree.end(left, signal.SIGTERM)
    deadline = time.monotonic() + _GRACE_S
    while time.monotonic() < deadline and any(tree.is_alive(process) for process in left):
        time.sleep(0.05)
    left |= tree.descendants(process.pid for process in left if tree.is_alive(process))
    tree.end(left, signal.SIGKILL)
