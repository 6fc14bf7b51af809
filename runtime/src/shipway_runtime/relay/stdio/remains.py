"""The processes of MCP servers, found in /proc, and a watcher that ends what a killed relay leaves behind.

In: ids of servers' first processes, each the leader of a session of its own. Out: everything that belongs to
them: their sessions, whatever its process group and whoever its parent is by now, and all that is below.

As a program, `python -I -S remains.py PARENT`, it is the watcher of one relay. Lines arrive on stdin: "+12",
a server was started; "-12", it has ended. When the relay is gone, by any kind of end, what is left is killed.
It looks at the servers now and then: what went to a session of its own, such as a browser, cannot be told
from others once its parents have ended. It imports as little as it can: it stays as long as the relay does.
"""

from __future__ import annotations

import os
import select
import sys
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

_LOOK_S = 2.0
_KILL = 9
_ROUNDS = 50
_PAUSE = 0.02

HAS_PROC = os.access("/proc/self/stat", os.R_OK)

Known = tuple[int, bytes]
"""A process: its id and when it started, so that an id that was given to another one is never mistaken."""


def started(pid: int) -> bytes | None:
    """When the process started; None when there is none, or only what it left for its parent to read."""
    row = _stat(pid)
    return row[2] if row else None


def family(servers: Mapping[int, bytes | None]) -> set[Known]:
    """Every living process that belongs to servers, given by id and start. Linux; elsewhere empty."""
    table = {pid: row for pid in _list() if (row := _stat(pid))}
    children: dict[int, list[int]] = {}
    for pid, (parent, _, _) in table.items():
        children.setdefault(parent, []).append(pid)
    leaders = {pid for pid, start in servers.items() if pid not in table or start in (None, table[pid][2])}
    found, ahead = set(), [pid for pid, row in table.items() if pid in leaders or row[1] in leaders]
    while ahead:
        known = (pid := ahead.pop(), table[pid][2])
        if known not in found:
            found.add(known)
            ahead += children.get(pid, [])
    return found


def send(processes: Iterable[Known], number: int) -> None:
    """A signal to those that still live."""
    for pid, start in processes:
        if started(pid) == start:
            try:
                os.kill(pid, number)
            except (ProcessLookupError, PermissionError):
                continue


def signal_family(server: Mapping[int, bytes | None], number: int) -> bool:
    """A signal to all that belongs to a server; without /proc, to its group. False when nothing was left."""
    if HAS_PROC:
        send(left := family(server), number)
        return bool(left)
    for leader in server:
        try:
            os.killpg(leader, number)
        except (ProcessLookupError, PermissionError):
            return False
    return True


def kill_round(server: Mapping[int, bytes | None], seen: Iterable[Known]) -> bool:
    """SIGKILL to a server's family, and to those of it that were seen before. False when nothing was left."""
    lost = {known for known in seen if started(known[0]) == known[1]}
    send(lost, _KILL)
    return signal_family(server, _KILL) or bool(lost)


def _list() -> list[int]:
    try:
        return [int(name) for name in os.listdir("/proc") if name.isdigit()]  # noqa: PTH208 - pathlib is large
    except OSError:
        return []


def _stat(pid: int) -> tuple[int, int, bytes] | None:
    """Parent, session and start, from /proc/PID/stat; the name in it may hold spaces and parentheses."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as stat:  # noqa: PTH123
            fields = stat.read().rpartition(b")")[2].split()
    except OSError:
        return None
    return None if fields[0] in b"ZX" else (int(fields[1]), int(fields[3]), fields[19])


# -- The watcher -----------------------------------------------------------------------------------------


class _Watch:
    """What the watcher knows: each server's start, and all that was seen to belong to it."""

    def __init__(self) -> None:
        self.servers: dict[int, bytes | None] = {}
        self._seen: dict[int, set[Known]] = {}

    def hear(self, line: bytes) -> None:
        pid = int(line[1:])
        if line.startswith(b"+"):
            self.servers[pid] = started(pid)
        else:
            self.end(pid)

    def look(self) -> None:
        for pid, start in self.servers.items():
            old = {known for known in self._seen.get(pid, ()) if started(known[0]) == known[1]}
            self._seen[pid] = old | family({pid: start})

    def end(self, pid: int) -> None:
        """Kill a server's family until nothing is left: what is being ended may still start something."""
        server, seen = {pid: self.servers.pop(pid, None)}, self._seen.pop(pid, set())
        for _ in range(_ROUNDS):
            if not kill_round(server, seen):
                return
            time.sleep(_PAUSE)


def watch(parent: int, reading: int) -> None:
    """Returns when the relay is gone and everything of its servers is."""
    known, rest = _Watch(), b""
    while True:
        if select.select([reading], [], [], _LOOK_S)[0]:
            if not (data := os.read(reading, 65536)):
                break
            *lines, rest = (rest + data).split(b"\n")
            for line in lines:
                known.hear(line)
        elif os.getppid() != parent:  # somebody else holds the pipe, such as a process that the agent forked
            break
        else:
            known.look()
    for pid in tuple(known.servers):
        known.end(pid)


if __name__ == "__main__":
    watch(int(sys.argv[1]), 0)
