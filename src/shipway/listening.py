"""The socket that a server of shipway's listens on.

In: host and port. Out: a socket that is bound and listens. Errors: StackError, which says what is in the way.
"""

from __future__ import annotations

import errno
import socket

from shipway.errors import StackError


def bind(host: str, port: int) -> socket.socket:
    """Listen there; port 0 is a free one."""
    try:
        listener = socket.create_server(
            (host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET
        )
        # Connections inherit it. asyncio sets it on sockets that say their protocol, and this one does not:
        # the second part of an answer would wait 40 ms for the caller to acknowledge the first.
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return listener
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            raise StackError(
                f"port {port} on {host} is in use", "stop what listens there, or pass --port"
            ) from None
        reason = error.strerror or str(error)
        raise StackError(
            f"cannot listen on {host}:{port}: {reason}", "pass another --host or --port"
        ) from None
