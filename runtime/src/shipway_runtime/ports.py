"""Ports: bound before anything slow runs, so that a conflict is known at once and by name.

In: an address. Out: a bound socket that does not listen yet (clients are refused until somebody serves), or
StartError that says which port, what it is for, who has it where that can be known, and what to set.
"""

from __future__ import annotations

import errno
import socket
from pathlib import Path

from .errors import StartError

LISTENING = "0A"  # the state in /proc/net/tcp


def bind(host: str, port: int, *, purpose: str, variable: str) -> socket.socket:
    """A socket bound to host and port. `purpose` and `variable` are for the message of a StartError."""
    sock: socket.socket | None = None
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        sock = socket.socket(family, kind, protocol)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind(address)
    except OSError as error:
        if sock:
            sock.close()
        raise StartError(_explain(host, port, purpose, variable, error)) from None
    return sock


def _explain(host: str, port: int, purpose: str, variable: str, error: OSError) -> str:
    if error.errno == errno.EADDRINUSE:
        return (
            f"port {port} ({purpose}) is in use by {find_owner(port) or 'another process'}; "
            f"stop it, or set {variable} to another port"
        )
    return f"port {port} ({purpose}) on {host}: {error.strerror or error}; set {variable} or SHIPWAY_HOST"


def find_owner(port: int) -> str | None:
    """`nginx (pid 12)`: who listens on a port, where /proc shows it to this user; else None."""
    inodes = _listening_inodes(port)
    for descriptor in Path("/proc").glob("[0-9]*/fd/*") if inodes else ():
        try:
            target = str(descriptor.readlink())
        except OSError:  # another user's process, or one that ended meanwhile
            continue
        if target.removeprefix("socket:[").removesuffix("]") in inodes:
            process = descriptor.parents[1]
            return f"{(process / 'comm').read_text().strip()} (pid {process.name})"
    return None


def _listening_inodes(port: int) -> set[str]:
    inodes = set()
    for table in (Path("/proc/net/tcp"), Path("/proc/net/tcp6")):
        lines = table.read_text().splitlines()[1:] if table.exists() else []
        for fields in map(str.split, lines):
            if fields[3] == LISTENING and int(fields[1].rpartition(":")[2], 16) == port:
                inodes.add(fields[9])
    return inodes
