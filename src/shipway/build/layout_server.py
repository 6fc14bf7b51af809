"""An OCI layout as a read-only registry on loopback, for an engine that pulls from it.

In: a layout directory. Out: an address, and what has been asked for. GET and HEAD of manifests and blobs by
digest; the repository's name is random, so that nobody else on this machine finds it while it is open.
"""

from __future__ import annotations

import json
import re
import secrets
import shutil
import threading
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

_ROUTE = re.compile(r"/v2/([^/]+)/(manifests|blobs)/(sha256:[0-9a-f]{64})")


@dataclass(slots=True)
class Serving:
    """The open endpoint. `sent` holds the size of each blob that the engine took, by digest."""

    layout: Path
    name: str
    port: int = 0
    sent: dict[str, int] = field(default_factory=dict)

    def reference(self, digest: str) -> str:
        """What the engine pulls an image of the layout by."""
        return f"127.0.0.1:{self.port}/{self.name}@{digest}"


@contextmanager
def serve(layout: Path) -> Iterator[Serving]:
    """Serve the layout until the end of the block."""
    serving = Serving(layout, f"shipway-{secrets.token_hex(8)}")
    handler = type("Handler", (_Handler,), {"serving": serving})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        serving.port = server.server_address[1]
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        thread.start()
        try:
            yield serving
        finally:
            server.shutdown()
            thread.join()


class _Handler(BaseHTTPRequestHandler):
    serving: Serving
    protocol_version = "HTTP/1.1"
    timeout = 60

    def do_GET(self) -> None:
        self._answer()

    def do_HEAD(self) -> None:
        self._answer()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class's name
        """Quiet: the engine itself says what goes wrong."""

    def _answer(self) -> None:
        if self.path in ("/v2", "/v2/"):
            self._head(200, "application/json", 0)
            return
        match = _ROUTE.fullmatch(self.path)
        file = self._file(match[3]) if match and match[1] == self.serving.name else None
        if match is None or file is None or not file.is_file():
            self._head(404, "application/json", 0)
            return
        self._send(file, match[3], is_manifest=match[2] == "manifests")

    def _file(self, digest: str) -> Path:
        return self.serving.layout / "blobs" / digest.replace(":", "/")

    def _send(self, file: Path, digest: str, *, is_manifest: bool) -> None:
        kind = json.loads(file.read_bytes())["mediaType"] if is_manifest else "application/octet-stream"
        size = file.stat().st_size
        self._head(200, kind, size, {"Docker-Content-Digest": digest})
        if self.command == "HEAD":
            return
        if not is_manifest:
            self.serving.sent[digest] = size
        with file.open("rb") as source:
            shutil.copyfileobj(source, self.wfile, 1 << 20)

    def _head(self, status: int, kind: str, size: int, headers: dict[str, str] | None = None) -> None:
        self.send_response(status)
        self.send_header("Docker-Distribution-Api-Version", "registry/2.0")
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(size))
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.end_headers()
