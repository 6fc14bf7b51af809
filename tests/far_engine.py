"""This machine's engine by TCP, as one of another machine would be reached."""

from __future__ import annotations

import contextlib
import socket
import socketserver
import threading
from collections.abc import Iterator

from shipway.plan.deployment import SOCKET


@contextlib.contextmanager
def far_engine() -> Iterator[str]:
    """A DOCKER_HOST that leads there, until the end of the block."""

    class Connection(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            with socket.socket(socket.AF_UNIX) as engine:
                engine.connect(SOCKET)
                up = threading.Thread(target=_pump, args=(self.request, engine))
                up.start()
                _pump(engine, self.request)
                up.join()

    class Server(socketserver.ThreadingTCPServer):
        daemon_threads = True
        block_on_close = False

    with Server(("127.0.0.1", 0), Connection) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"tcp://127.0.0.1:{server.server_address[1]}"
        server.shutdown()
        thread.join()


def _pump(source: socket.socket, target: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while data := source.recv(65536):
            target.sendall(data)
        target.shutdown(socket.SHUT_WR)
