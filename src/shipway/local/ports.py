"""Which ports the stack gets on this machine, and who holds one that it wants.

In: the plan's own numbers and the machine. Out: `Ports`. The API's port is the one that people have written
down, so it is never replaced silently; all others keep their distance to it (`--port 9080`: admin on 9081),
so that stacks which start at the same time do not meet, and move on to the next free one.
"""

from __future__ import annotations

import socket
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from shipway.errors import StackError
from shipway_runtime import contract

if TYPE_CHECKING:
    from collections.abc import Mapping

    from shipway.plan.stack import StackPlan

LOOPBACK = "127.0.0.1"
_HIGHEST = 65535
_ROOM = 100  # for those that are taken
SERVICE_PORTS: Mapping[str, int] = {"postgres": 5432, "redis": 6379}


@dataclass(frozen=True, slots=True)
class Ports:
    """Every port of a local stack; sidecars and services by name."""

    api: int
    admin: int
    relay: int
    replay: int
    sidecars: dict[str, int] = field(default_factory=dict)
    services: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Holder:
    """A process that listens on a port."""

    pid: int
    command: str


def choose(stack: StackPlan, api: int | None = None) -> Ports:
    """Free ports for the stack. Raises StackError when the API's is taken; `api` is the one asked for."""
    wanted = api or stack.agent.ports["api"]
    if not is_free(wanted):
        raise _taken(wanted)
    taken, shift = {wanted}, wanted - stack.agent.ports["api"]

    def near(port: int) -> int:
        return next_free(port + shift if 0 < port + shift <= _HIGHEST - _ROOM else port, taken)

    return Ports(
        api=wanted,
        admin=near(stack.agent.ports["admin"]),
        relay=near(stack.agent.ports["relay"]),
        replay=near(stack.replay.port if stack.replay else contract.REPLAY_PORT),
        sidecars={sidecar.name: near(sidecar.port) for sidecar in (*stack.sidecars, *stack.apart)},
        services={s.name: next_free(SERVICE_PORTS.get(s.kind, 10_000), taken) for s in stack.services},
    )


def is_free(port: int) -> bool:
    """Whether a server on loopback could take the port now."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
        except OSError:
            return False
    return True


def holder(port: int) -> Holder | None:
    """Who listens on the port; None where that cannot be seen (another user's process, no /proc)."""
    inodes = _listening_inodes(port)
    for link in Path("/proc").glob("[0-9]*/fd/*") if inodes else ():
        try:
            if str(link.readlink()) in inodes:
                process = link.parent.parent
                command = (process / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
                return Holder(int(process.name), command.strip())
        except OSError:
            continue
    return None


def next_free(port: int, taken: set[int]) -> int:
    """The first free port from `port` on, which is then taken. Raises StackError when there is none."""
    for candidate in range(port, _HIGHEST + 1):
        if candidate not in taken and is_free(candidate):
            taken.add(candidate)
            return candidate
    raise StackError(f"no free port from {port} on")


def _taken(port: int) -> StackError:
    found = holder(port)
    who = f" by pid {found.pid} ({found.command[:80]})" if found else " by another process"
    return StackError(
        f"port {port} is in use{who}",
        f"stop it, or choose another port for the API: shipway up --port {next_free(port + 1, set())}",
    )


def _listening_inodes(port: int) -> set[str]:
    """The sockets that listen on the port, as the links in /proc/PID/fd name them."""
    inodes = set()
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        try:
            rows = [line.split() for line in Path(table).read_text().splitlines()[1:]]
        except OSError:
            continue
        listening = [row for row in rows if row[3] == "0A" and int(row[1].rpartition(":")[2], 16) == port]
        inodes |= {f"socket:[{row[9]}]" for row in listening}
    return inodes
