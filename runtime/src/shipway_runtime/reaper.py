"""Orphans: the duty of process 1 to reap processes whose own parent has ended.

In: /proc. Out: fewer zombies. A reaper that waits for any child steals exit codes from asyncio and
subprocess, so only unknown ones are touched: zombies seen at two looks in a row that no Popen object in
this process stands for.
"""

from __future__ import annotations

import contextlib
import gc
import os
from pathlib import Path


class Reaper:
    """Call `look` every few seconds."""

    def __init__(self) -> None:
        self._seen: set[int] = set()

    def look(self) -> list[int]:
        """Reap the orphans that were there at the last look already; returns their process ids."""
        zombies = find_zombies()
        old = zombies & self._seen
        orphans = sorted(old - _awaited()) if old else []
        for pid in orphans:
            with contextlib.suppress(ChildProcessError):
                os.waitpid(pid, os.WNOHANG)
        self._seen = zombies
        return orphans


def find_zombies() -> set[int]:
    """Children of this process that have ended and were not waited for."""
    me, found = str(os.getpid()), set()
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            # "pid (command) state parent …": the command may hold anything, parentheses too
            state, parent = stat.read_text("utf-8", "replace").rpartition(")")[2].split()[:2]
            if state == "Z" and parent == me:
                found.add(int(stat.parent.name))
    return found


def _awaited() -> set[int]:
    """Process ids that a Popen of subprocess, asyncio or multiprocessing stands for."""
    candidates = (item for item in gc.get_objects() if type(item).__name__ == "Popen")
    return {pid for item in candidates if isinstance(pid := getattr(item, "pid", None), int)}
