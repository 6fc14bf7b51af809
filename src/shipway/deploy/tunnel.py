"""A port of loopback that leads to an address of a deployment's network, through the engine.

In: the command that is a connection: what is written to its stdin arrives there, what comes back is its
stdout. Out: a URL while the block lasts. It needs no network but the one on which the engine is reached.
"""

from __future__ import annotations

import socketserver
import subprocess
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence


class _Server(socketserver.ThreadingTCPServer):
    daemon_threads = True
    block_on_close = False

    def __init__(self, command: Sequence[str]) -> None:
        super().__init__(("127.0.0.1", 0), _Connection)
        self.command = tuple(command)
        self.open: set[subprocess.Popen[bytes]] = set()


class _Connection(socketserver.BaseRequestHandler):
    server: _Server

    def handle(self) -> None:
        """The connection itself is the command's stdin and stdout: nothing is copied here."""
        with subprocess.Popen(
            self.server.command, stdin=self.request, stdout=self.request, stderr=subprocess.DEVNULL
        ) as process:
            self.server.open.add(process)
            self.request.close()
            process.wait()
            self.server.open.discard(process)

    def finish(self) -> None:
        self.request.close()


@contextmanager
def tunnel(command: Sequence[str]) -> Iterator[str]:
    """The URL that leads there. Connections that are still open at the end are closed."""
    with _Server(command) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}"
        finally:
            server.shutdown()
            thread.join()
            for process in tuple(server.open):
                process.terminate()
