"""The admin port: one JSON document a path, for probes, operators and the tool; and a page of metrics.

In: GET requests, and changes that show the admin token. Out: health, readiness, revision, config, policy
and metrics of this process. It lives on the control thread, so a blocked agent cannot make it lie, and it is
plain asyncio with h11, because a probe must be answered before anything large is imported (uvicorn and its
command line take 150 ms, h11 takes 20). Every connection serves one request.

Health, readiness, metrics and the revision are for everybody who reaches the port. What names tenants is
`private` outside development: reading it takes the token, too.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import h11

from .. import __version__, contract
from ..telemetry import log

if TYPE_CHECKING:
    from ..config import Deployment
    from ..health.heart import Document, Heart
    from ..health.readiness import Readiness
    from .token import AdminToken

REQUEST_TIMEOUT_S = 10.0
CHUNK = 65536
BODY_LIMIT = 1_000_000  # bytes of a change
PRIVATE = frozenset({"/config", "/policy"})

Routes = Mapping[str, Callable[[], "Document"]]
Pages = Mapping[str, Callable[[str], Awaitable[tuple[str, bytes]]]]
"""Paths that answer with something else than JSON: given an Accept header, a content type and a body."""


@dataclass(frozen=True, slots=True)
class Change:
    """A request that showed the admin token. Names of `headers` are in lower case, `peer` is an address."""

    body: bytes
    headers: Mapping[str, str]
    peer: str


Changes = Mapping[tuple[str, str], Callable[[Change], Awaitable["Document"]]]
"""What can be changed: method and path, such as ("PUT", "/policy"). Nothing is called without the token."""


def routes(
    deployment: Deployment, heart: Heart, readiness: Readiness, policy: Callable[[], Document]
) -> Routes:
    """Every path of the admin port that answers with a document."""
    return {
        "/healthz": heart.document,
        "/readyz": readiness.document,
        "/revision": lambda: (200, _revision(deployment)),
        "/config": lambda: (200, deployment.public()),
        "/policy": policy,
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


class Admin:
    """Serves `routes`, `pages` and `changes` on one bound socket, on the running loop.

    Without a token there are no changes, and nothing private is shown.
    """

    def __init__(
        self,
        routes: Routes,
        pages: Pages | None = None,
        changes: Changes | None = None,
        token: AdminToken | None = None,
        private: frozenset[str] = frozenset(),
        revision: str = contract.UNRELEASED,
    ) -> None:
        self._routes, self._pages, self._changes = routes, pages or {}, changes or {}
        self._token, self._private, self._revision = token, private, revision

    async def serve(self, sock: Any) -> asyncio.Server:
        """Start listening. Closing the returned server ends it."""
        return await asyncio.start_server(self._connected, sock=sock)

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connection = h11.Connection(h11.SERVER)
        try:
            async with asyncio.timeout(REQUEST_TIMEOUT_S):
                writer.write(await self._answer(connection, reader, writer))
                await writer.drain()
        except (TimeoutError, ConnectionError):
            pass  # a client that says nothing, or left: nobody to tell
        finally:
            writer.close()

    async def _answer(
        self, connection: h11.Connection, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> bytes:
        try:
            request = await _receive(connection, reader)
            method, headers = request.method.decode("ascii"), _headers(request)
            path = request.target.partition(b"?")[0].decode("ascii", "replace")
            shown = self._token is not None and self._token.shown(headers.get("authorization", ""))
            if change := self._changes.get((method, path)):
                body = await _body(connection, reader, writer, keep=shown)
                asked = Change(body or b"", headers, _peer(writer))
                return self._encode(connection, *await self._change(change, asked, shown, body is None))
        except h11.RemoteProtocolError as error:
            return self._encode(connection, 400, {"error": f"not an HTTP request: {error}"})
        return await self._read(connection, method, path, headers, shown)

    async def _change(
        self, change: Callable[[Change], Awaitable[Document]], asked: Change, shown: bool, too_large: bool
    ) -> Document:
        if not shown:
            return self._unknown("changes take")
        if too_large:
            return 413, {"error": f"the body is larger than the {BODY_LIMIT} bytes allowed"}
        try:
            return await change(asked)
        except Exception:  # noqa: BLE001 - whatever a change does not expect; the port goes on
            log.error("a change through the admin port failed", exc_info=True)
            return 500, {"error": "the change failed; the log of this instance says why"}

    async def _read(
        self, connection: h11.Connection, method: str, path: str, headers: Mapping[str, str], shown: bool
    ) -> bytes:
        if path in self._private and not shown:
            return self._encode(connection, *self._unknown(f"{path} takes"), head=method == "HEAD")
        if (page := self._pages.get(path)) and method in ("GET", "HEAD"):
            content_type, body = await page(headers.get("accept", ""))
            return self._encode(connection, 200, body, content_type, head=method == "HEAD")
        return self._encode(connection, *self._document(method, path), head=method == "HEAD")

    def _document(self, method: str, path: str) -> Document:
        found = self._routes.get(path)
        if found is None and path not in self._pages:
            return 404, {"error": f"nothing at {path}; there is {', '.join([*self._routes, *self._pages])}"}
        if found and method in ("GET", "HEAD"):
            return found()
        changes = [method for method, changed in self._changes if changed == path]
        return 405, {"error": f"{path} answers {', '.join(['GET', *changes])} and HEAD"}

    def _unknown(self, what: str) -> Document:
        where = self._token.where() if self._token else "not there"
        return 401, {"error": f"{what} the admin token, as `Authorization: Bearer TOKEN`; it is {where}"}

    def _encode(
        self,
        connection: h11.Connection,
        status: int,
        content: Mapping[str, Any] | bytes,
        content_type: str = "application/json",
        *,
        head: bool = False,
    ) -> bytes:
        body = content if isinstance(content, bytes) else json.dumps(content, indent=2).encode() + b"\n"
        headers = [
            ("content-type", content_type),
            ("content-length", str(len(body))),
            ("cache-control", "no-store"),
            ("connection", "close"),
            (contract.REVISION_HEADER, self._revision),
        ]
        headers += [("www-authenticate", 'Bearer realm="shipway admin"')] if status == 401 else []
        parts = [connection.send(h11.Response(status_code=status, headers=headers))]
        parts += [] if head else [connection.send(h11.Data(data=body))]
        parts += [connection.send(h11.EndOfMessage())]
        return b"".join(part for part in parts if part)


async def _receive(connection: h11.Connection, reader: asyncio.StreamReader) -> h11.Request:
    while True:
        event = connection.next_event()
        if isinstance(event, h11.Request):
            return event
        if event is h11.NEED_DATA:
            connection.receive_data(await reader.read(CHUNK))
        else:
            raise ConnectionError("closed before a request")


async def _body(
    connection: h11.Connection, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, keep: bool
) -> bytes | None:
    """The request's body; None when it is too large. What is not kept is read all the same: closing in the
    midst of it would take the answer away from a client that still sends."""
    if connection.they_are_waiting_for_100_continue:
        if not keep:
            return b""
        writer.write(connection.send(h11.InformationalResponse(status_code=100, headers=[])) or b"")
    parts, size = [], 0
    while not isinstance(event := connection.next_event(), h11.EndOfMessage):
        if event is h11.NEED_DATA:
            connection.receive_data(await reader.read(CHUNK))
        elif isinstance(event, h11.Data):
            size += len(event.data)
            if size > BODY_LIMIT:
                return None
            parts += [bytes(event.data)] if keep else []
    return b"".join(parts)


def _headers(request: h11.Request) -> dict[str, str]:
    """Names in lower case; a header that comes several times is one list, as HTTP has it."""
    found: dict[str, str] = {}
    for name, value in request.headers:
        key, text = name.decode("ascii"), value.decode("latin-1")
        found[key] = f"{found[key]},{text}" if key in found else text
    return found


def _peer(writer: asyncio.StreamWriter) -> str:
    address = writer.get_extra_info("peername")
    return str(address[0]) if address else "unknown"
