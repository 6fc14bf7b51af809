"""A model API that stands in for a provider: a real server on loopback that says what a test tells it to."""

from __future__ import annotations

import contextlib
import json
import ssl
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

CUT = "cut"
"""A chunk that is none: the connection breaks."""
SSE = "text/event-stream; charset=utf-8"


@dataclass(frozen=True)
class Asked:
    """A request as it arrived; names of headers in lower case."""

    method: str
    target: str
    headers: dict[str, str]
    content: bytes

    @property
    def body(self) -> Any:
        return json.loads(self.content)


@dataclass
class Says:
    """An answer: `chunks` are sent as they come; what waits in between, waits."""

    chunks: Iterator[bytes | str] | list[bytes | str]
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=lambda: {"content-type": SSE})


def says_json(value: Any, status: int = 200, **headers: str) -> Says:
    content = json.dumps(value).encode()
    given = {"content-type": "application/json", "content-length": str(len(content)), **headers}
    return Says([content], status, {name.replace("_", "-"): text for name, text in given.items()})


class ModelApi:
    """`answer` is called in a thread for each request; `left` is set when a client went before the end."""

    def __init__(self, answer: Callable[[Asked], Says], tls: ssl.SSLContext | None = None) -> None:
        self.asked: list[Asked] = []
        self.left = threading.Event()
        api = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                api._handle(self, answer)

            do_GET = do_POST

            def log_message(self, *_: Any) -> None:
                pass

        self._server = _Quiet(("127.0.0.1", 0), Handler)
        if tls:
            self._server.socket = tls.wrap_socket(self._server.socket, server_side=True)
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05})
        self.url = f"{'https' if tls else 'http'}://localhost:{self._server.server_address[1]}"

    def __enter__(self) -> ModelApi:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def _handle(self, handler: BaseHTTPRequestHandler, answer: Callable[[Asked], Says]) -> None:
        content = handler.rfile.read(int(handler.headers.get("content-length", 0)))
        headers = {name.lower(): value for name, value in handler.headers.items()}
        asked = Asked(handler.command, handler.path, headers, content)
        self.asked.append(asked)
        try:
            _send(handler, answer(asked))
        except (BrokenPipeError, ConnectionResetError):
            self.left.set()
            handler.close_connection = True


class _Quiet(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, *_: Any) -> None:
        pass


def _send(handler: BaseHTTPRequestHandler, says: Says) -> None:
    handler.send_response(says.status)
    for name, value in says.headers.items():
        handler.send_header(name, value)
    chunked = "content-length" not in says.headers
    if chunked:
        handler.send_header("transfer-encoding", "chunked")
    handler.end_headers()
    for chunk in says.chunks:
        if isinstance(chunk, str):
            handler.close_connection = True
            with contextlib.suppress(OSError):
                handler.connection.shutdown(2)
            return
        handler.wfile.write(b"%x\r\n%s\r\n" % (len(chunk), chunk) if chunked else chunk)
        handler.wfile.flush()
    if chunked:
        handler.wfile.write(b"0\r\n\r\n")
