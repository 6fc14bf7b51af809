"""The admin port: one JSON document a path, for probes, operators and the tool; and a page of metrics.

In: GET requests. Out: health, readiness, revision, config, policy and metrics of this process. It lives on
the control thread, so a blocked agent cannot make it lie, and it is plain asyncio with h11, because a probe
must be answered before anything large is imported (uvicorn and its command line take 150 ms, h11 takes 20).
Every connection serves one request. Nothing here changes anything yet, so nothing needs a token.
"""

from __future__ import annotations

import asyncio
import dataclasses
import json
from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING, Any

import h11

from . import __version__, contract

if TYPE_CHECKING:
    from .config import Deployment
    from .health import Document, Heart, Readiness

REQUEST_TIMEOUT_S = 10.0
CHUNK = 65536

Routes = Mapping[str, Callable[[], "Document"]]
Pages = Mapping[str, Callable[[str], Awaitable[tuple[str, bytes]]]]
"""Paths that answer with something else than JSON: given an Accept header, a content type and a body."""


def routes(deployment: Deployment, heart: Heart, readiness: Readiness) -> Routes:
    """Every path of the admin port that answers with a document."""
    return {
        "/healthz": heart.document,
        "/readyz": readiness.document,
        "/revision": lambda: (200, _revision(deployment)),
        "/config": lambda: (200, deployment.public()),
        "/policy": lambda: (200, _policy(deployment)),
    }


def _revision(deployment: Deployment) -> dict[str, Any]:
    manifest = deployment.manifest
    return {
        "revision": deployment.revision,
        "name": manifest.name,
        "environment": deployment.environment,
        "entrypoint": manifest.entrypoint,
        "prompts": manifest.prompts,
        "runtime": __version__,
    }


def _policy(deployment: Deployment) -> dict[str, Any]:
    """What is enforced, which is nothing yet; `unenforced` is what was declared."""
    declared = dataclasses.asdict(deployment.settings.limits)
    unenforced = {name: limit for name, limit in declared.items() if limit is not None}
    return {"policy": dataclasses.asdict(contract.Policy()), "unenforced": unenforced}


class Admin:
    """Serves `routes` and `pages` on one bound socket, on the running loop."""

    def __init__(self, routes: Routes, pages: Pages | None = None) -> None:
        self._routes = routes
        self._pages = pages or {}

    async def serve(self, sock: Any) -> asyncio.Server:
        """Start listening. Closing the returned server ends it."""
        return await asyncio.start_server(self._connected, sock=sock)

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connection = h11.Connection(h11.SERVER)
        try:
            async with asyncio.timeout(REQUEST_TIMEOUT_S):
                writer.write(await self._answer(connection, reader))
                await writer.drain()
        except (TimeoutError, ConnectionError):
            pass  # a client that says nothing, or left: nobody to tell
        finally:
            writer.close()

    async def _answer(self, connection: h11.Connection, reader: asyncio.StreamReader) -> bytes:
        try:
            request = await _receive(connection, reader)
        except h11.RemoteProtocolError as error:
            return _encode(connection, 400, *_json({"error": f"not an HTTP request: {error}"}))
        path, head = request.target.partition(b"?")[0].decode("ascii", "replace"), request.method == b"HEAD"
        if (page := self._pages.get(path)) and request.method in (b"GET", b"HEAD"):
            accept = b",".join(value for name, value in request.headers if name == b"accept")
            return _encode(connection, 200, *await page(accept.decode("latin-1")), head=head)
        status, document = self._document(request.method, path)
        return _encode(connection, status, *_json(document), head=head)

    def _document(self, method: bytes, path: str) -> Document:
        found = self._routes.get(path)
        if found is None and path not in self._pages:
            return 404, {"error": f"nothing at {path}; there is {', '.join([*self._routes, *self._pages])}"}
        if found and method in (b"GET", b"HEAD"):
            return found()
        if path == "/policy":
            return 501, {"error": "changing the policy of a running process: not yet; deploy it"}
        return 405, {"error": f"{path} answers GET and HEAD"}


async def _receive(connection: h11.Connection, reader: asyncio.StreamReader) -> h11.Request:
    while True:
        event = connection.next_event()
        if isinstance(event, h11.Request):
            return event
        if event is h11.NEED_DATA:
            connection.receive_data(await reader.read(CHUNK))
        else:
            raise ConnectionError("closed before a request")


def _json(document: dict[str, Any]) -> tuple[str, bytes]:
    return "application/json", json.dumps(document, indent=2).encode() + b"\n"


def _encode(
    connection: h11.Connection, status: int, content_type: str, body: bytes, *, head: bool = False
) -> bytes:
    headers = [
        ("content-type", content_type),
        ("content-length", str(len(body))),
        ("cache-control", "no-store"),
        ("connection", "close"),
    ]
    parts = [connection.send(h11.Response(status_code=status, headers=headers))]
    parts += [] if head else [connection.send(h11.Data(data=body))]
    parts += [connection.send(h11.EndOfMessage())]
    return b"".join(part for part in parts if part)
