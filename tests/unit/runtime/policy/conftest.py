"""Changes through the admin port, a control server on loopback, and deployments as values."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from shipway_runtime import config
from shipway_runtime.config import Deployment

TOKEN = "a-token-that-nobody-guesses"
ADMIN = {"authorization": f"Bearer {TOKEN}"}


class ControlServer:
    """The policy's part of control: what docs/reference/policy.md says, and faults on request."""

    def __init__(self) -> None:
        self.policy: dict[str, Any] = {}
        self.status = 200
        self.seen: list[tuple[dict[str, list[str]], dict[str, str], int]] = []  # (query, headers, status)
        server = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                content = json.dumps(server.policy).encode()
                etag = f'"{hash(content)}"'
                known = self.headers.get("if-none-match") == etag
                status = 304 if known and server.status == 200 else server.status
                url = urlsplit(self.path)
                status = status if url.path == "/v1/policy" else 404
                headers = {name.lower(): value for name, value in self.headers.items()}
                server.seen.append((parse_qs(url.query), headers, status))
                self.send_response(status)
                self.send_header("etag", etag)
                if status != 304:
                    self.send_header("content-length", str(len(content)))
                self.end_headers()
                self.wfile.write(b"" if status == 304 else content)

            def log_message(self, *_: object) -> None:
                pass

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.http.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.http.server_port}"
        self._thread = threading.Thread(target=self.http.serve_forever, args=(0.01,))
        self._thread.start()

    def close(self) -> None:
        self.http.shutdown()
        self._thread.join()
        self.http.server_close()


@pytest.fixture
def control() -> Iterator[ControlServer]:
    server = ControlServer()
    yield server
    server.close()


Deploy = Callable[..., Deployment]


@pytest.fixture
def deploy(tmp_path: Path) -> Deploy:
    """A deployment, from a manifest's settings and variables."""

    def make(environ: dict[str, str] | None = None, **manifest: Any) -> Deployment:
        path = tmp_path / "shipway.json"
        path.write_text(json.dumps({"name": "test", "entrypoint": "a:b"} | manifest))
        given = {"SHIPWAY_MANIFEST": str(path), "SHIPWAY_STORAGE": str(tmp_path / "data")}
        given |= {"SHIPWAY_POLICY": str(tmp_path / "policy.json"), "SHIPWAY_ENV": "development"}
        return config.read(given | (environ or {}))

    return make
