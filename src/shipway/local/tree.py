"""The processes of this machine as a tree, and ends for whole branches of it.

In: process ids. Out: what descends from them. A process is known by its id and its start, so that an id that
the system has given to somebody else is never mistaken. Linux reads /proc, other systems ask `ps`.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    import signal
    from collections.abc import Iterable


_PROC = Path("/proc/self/stat").exists()


class Known(NamedTuple):
    """A process: its id, and when it started, in the system's own words."""

    pid: int
    started: str


def started(pid: int) -> str | None:
    """When the process started; None when there is none, or only what it left for its parent to read."""
    found = _stat(Path(f"/proc/{pid}")) if _PROC else _table().get(pid)
    return found[1] if found else None


def is_alive(process: Known) -> bool:
    return started(process.pid) == process.started


def descendants(roots: Iterable[int]) -> set[Known]:
    """The roots that live and everything below them."""
    table = _table()
    children: dict[int, list[int]] = {}
    for pid, (parent, _) in table.items():
        children.setdefault(parent, []).append(pid)
    found, ahead = set(), [pid for pid in roots if pid in table]
    while ahead:
        pid = ahead.pop()
        found.add(Known(pid, table[pid][1]))
        ahead += children.get(pid, [])
    return found


def end(processes: Iterable[Known], number: signal.Signals) -> None:
    """Send a signal to those that still live."""
    for process in processes:
        if is_alive(process):
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(process.pid, number)


def _table() -> dict[int, tuple[int, str]]:
    """Parent and start of every process."""
    if _PROC:
        rows = ((int(path.name), _stat(path)) for path in Path("/proc").glob("[0-9]*"))
        return {pid: row for pid, row in rows if row}
    listed = subprocess.run(
        ["ps", "-A", "-o", "pid=,ppid=,stat=,lstart="], capture_output=True, text=True, check=True
    )
    split = (line.split(None, 3) for line in listed.stdout.splitlines())
    return {int(pid): (int(parent), start) for pid, parent, state, start in split if state[0] != "Z"}


def _stat(process: Path) -> tuple[int, str] | None:
    """Parent and start, from /proc/PID/stat; the name in it may hold spaces and parentheses."""
    try:
        fields = (process / "stat").read_text(errors="replace").rpartition(")")[2].split()
    except OSError:
        return None
    return None if fields[0] in "ZX" else (int(fields[1]), fields[19])
