"""Connections of a server that closes: none is cut while something is on its way through it.

In: listening sockets and the connections that uvicorn holds, HTTP and WebSocket. Out: nobody in the queue of
a port is reset when it closes; an answer that is made says that its connection ends; a connection is closed
once nothing is under way, looked for in the parser and in the kernel, because uvicorn closes under a request
that has begun to arrive.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import socket
import termios
import time
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Container, Iterable, Sequence

GREETING_S = 1.0  # for the request of a client that connected just before
SETTLE_S = 0.01  # for connections that asyncio has taken from a port and not yet given to their protocol


async def stop_listening(
    servers: Sequence[asyncio.Server], sockets: Iterable[socket.socket], protocol: Callable[[], Any]
) -> None:
    """Close ports; who is in their queues by then is served all the same: the kernel would reset them."""
    loop = asyncio.get_running_loop()
    sockets = list(sockets)
    for sock in sockets:
        loop.remove_reader(sock)
    await asyncio.sleep(SETTLE_S)
    waiting = [accepted for sock in sockets for accepted in _queued(sock)]
    for server in servers:
        server.close()
    for sock in sockets:
        sock.close()
    for accepted in waiting:
        accepted.setblocking(False)
        with contextlib.suppress(OSError):  # gone already
            await loop.connect_accepted_socket(protocol, accepted)


def _queued(sock: socket.socket) -> Iterable[socket.socket]:
    with contextlib.suppress(OSError):  # BlockingIOError: nobody is left
        while True:
            yield sock.accept()[0]


class Farewell:
    """The way out of every connection. `release` is called again and again until `done`."""

    def __init__(self) -> None:
        self._began = time.monotonic()
        self._leaving: dict[Any, socket.socket] = {}  # connection -> a second handle on it

    def release(self, connections: Iterable[Any]) -> None:
        """Close the connections that are idle; let others end with the answer that they are at."""
        for connection in connections:
            self._release(connection)

    def _release(self, connection: Any) -> None:
        if not hasattr(connection, "cycle"):
            connection.shutdown()  # a WebSocket is told 1012, service restart
            return
        cycle = connection.cycle
        if cycle is not None and not cycle.response_complete:
            cycle.keep_alive = False  # and its answer, unless it has begun, says so
        elif not (connection.transport.is_closing() or self._may_ask(connection)):
            connection.shutdown()
        if connection not in self._leaving:
            with contextlib.suppress(OSError):
                self._leaving[connection] = _handle(connection)

    def _may_ask(self, connection: Any) -> bool:
        """Whether a request is on its way: a part of it is here, or the client has only just come."""
        new = connection.cycle is None and time.monotonic() < self._began + GREETING_S
        return new or _has_begun(connection)

    def done(self, connections: Container[Any]) -> bool:
        """Whether all are closed, and what they were sent has arrived: a container's end would discard it."""
        for connection, sock in list(self._leaving.items()):
            if connection not in connections and _is_sent(sock):
                sock.close()
                del self._leaving[connection]
        return not self._leaving

    def close(self) -> None:
        for sock in self._leaving.values():
            sock.close()


def _is_sent(sock: socket.socket) -> bool:
    with contextlib.suppress(OSError):
        sock.shutdown(socket.SHUT_WR)  # the second handle would keep the connection open
        unsent = bytearray(4)
        fcntl.ioctl(sock, termios.TIOCOUTQ, unsent)
        return not any(unsent)
    return True


def _has_begun(connection: Any) -> bool:
    """Whether a part of a request is here already, with the parser or still with the kernel."""
    if getattr(connection, "begun", 0):  # protocol.py; of others it cannot be seen
        return True
    try:
        with _handle(connection) as sock:
            return bool(sock.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT))
    except OSError:
        return False


def _handle(connection: Any) -> socket.socket:
    """A second handle on a connection: asyncio's own neither receives nor tells."""
    sock: socket.socket = connection.transport.get_extra_info("socket").dup()
    return sock
