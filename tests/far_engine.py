"""This machine's engine, as one of another machine would be reached: by TCP, and by SSH."""

from __future__ import annotations

import contextlib
import getpass
import os
import shutil
import socket
import socketserver
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

from tests.ports import free_port

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


@contextlib.contextmanager
def ssh_engine(sshd: str, place: Path) -> Iterator[dict[str, str]]:
    """The variables by which docker gets there through a real sshd on loopback; keys and all are in `place`.
    It has to be a short path."""
    port = free_port()
    for key in ("host", "user"):
        subprocess.run(
            ("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", place / key), check=True, timeout=30
        )
    if os.getuid() == 0:
        Path("/run/sshd").mkdir(exist_ok=True)  # where its child of no rights is at home
    server = {"Port": port, "ListenAddress": "127.0.0.1", "HostKey": place / "host", "PidFile": "none"}
    server |= {"AuthorizedKeysFile": place / "user.pub", "StrictModes": "no", "UsePAM": "no"}
    (place / "server").write_text("".join(f"{name} {value}\n" for name, value in server.items()))
    client = {"HostName": "127.0.0.1", "Port": port, "User": getpass.getuser()}
    client |= {"IdentityFile": place / "user", "StrictHostKeyChecking": "no"}
    client |= {"UserKnownHostsFile": "/dev/null", "LogLevel": "ERROR", "ConnectionAttempts": 10}
    (place / "client").write_text("".join(f"{name} {value}\n" for name, value in client.items()))
    (place / "bin").mkdir()
    (place / "bin/ssh").write_text(f'#!/bin/sh\nexec {shutil.which("ssh")} -F {place}/client "$@"\n')
    (place / "bin/ssh").chmod(0o755)
    with subprocess.Popen((sshd, "-D", "-f", place / "server"), stderr=subprocess.DEVNULL) as process:
        try:
            yield {"DOCKER_HOST": "ssh://machine", "PATH": f"{place}/bin:{os.environ['PATH']}"}
        finally:
            process.terminate()


def _pump(source: socket.socket, target: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while data := source.recv(65536):
            target.sendall(data)
        target.shutdown(socket.SHUT_WR)
