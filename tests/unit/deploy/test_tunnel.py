"""A port that leads through a command's stdin and stdout."""

from __future__ import annotations

import http.server
import sys
import threading
from collections.abc import Iterator

import httpx2
import pytest

from shipway.deploy.tunnel import tunnel

CONNECT = """
import os, socket, sys, threading
there = socket.create_connection((sys.argv[1], int(sys.argv[2])))
def up():
    while data := os.read(0, 65536):
        there.sendall(data)
    there.shutdown(socket.SHUT_WR)
threading.Thread(target=up, daemon=True).start()
while data := there.recv(65536):
    os.write(1, data)
"""
"""What the controller's `connect` does."""


class _Echo(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        self.send_response(200)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def port() -> Iterator[int]:
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Echo) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server.server_address[1]
        server.shutdown()
        thread.join()


@pytest.mark.slow
def test_requests_of_any_size_go_through_side_by_side(port: int) -> None:
    command = (sys.executable, "-c", CONNECT, "127.0.0.1", str(port))
    with tunnel(command) as url, httpx2.Client(trust_env=False, timeout=60) as client:
        for size in (0, 1, 3_000_000):
            assert client.post(url, content=b"x" * size).content == b"x" * size
        with httpx2.Client(trust_env=False, timeout=60) as other:
            assert other.post(url, content=b"other").content == b"other"
            assert client.post(url, content=b"one").content == b"one"


def test_nobody_there_is_a_connection_that_ends() -> None:
    with tunnel((sys.executable, "-c", "raise SystemExit(1)")) as url, pytest.raises(httpx2.HTTPError):
        httpx2.get(url, trust_env=False, timeout=60)
