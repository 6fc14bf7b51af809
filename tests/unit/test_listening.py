"""The socket that servers listen on."""

from __future__ import annotations

import socket

from shipway.listening import bind


def test_a_connection_sends_what_is_there_at_once() -> None:
    """Else the second part of each answer waits for the caller to acknowledge the first: 40 ms."""
    with bind("127.0.0.1", 0) as listener, socket.create_connection(listener.getsockname()):
        connection, _ = listener.accept()
        with connection:
            assert connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
