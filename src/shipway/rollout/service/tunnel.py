"""Stdin and stdout as one end of a TCP connection: for who can reach the engine, and nothing behind it.

In: bytes, a host and a port. Out: what comes back. Errors: RolloutError, where nobody listens.
"""

from __future__ import annotations

import contextlib
import os
import socket
import sys
import threading

from shipway.errors import RolloutError

CHUNK = 65_536
TIMEOUT_S = 10.0


def connect(host: str, port: int) -> None:
    """Carry bytes both ways until the other side has ended."""
    try:
        connection = socket.create_connection((host, port), timeout=TIMEOUT_S)
    except OSError as error:
        raise RolloutError(f"{host}:{port} is not reached: {error.strerror or error}") from None
    connection.settimeout(None)
    with connection:
        threading.Thread(target=_send, args=(connection,), daemon=True).start()
        with contextlib.suppress(OSError):
            while data := connection.recv(CHUNK):
                sys.stdout.buffer.write(data)
                sys.stdout.buffer.flush()


def _send(connection: socket.socket) -> None:
    """The end of stdin ends this direction alone: an answer may still come."""
    with contextlib.suppress(OSError):
        while data := os.read(sys.stdin.fileno(), CHUNK):
            connection.sendall(data)
        connection.shutdown(socket.SHUT_WR)
