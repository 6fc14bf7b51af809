"""The HTTP client's side of the proxy: one MCP server at one URL.

In: a method, headers, a body. Out: the server's response, its body still to be read; Unavailable when there
is none. Credentials go to this URL and nowhere else: redirects are not followed, and what a client sent as
its own is not passed on.

A legacy server that was restarted has forgotten its sessions. They are opened again here, with what the
client said when it opened its own, and the client goes on with the id it knows.
"""

from __future__ import annotations

import asyncio
import contextlib
import importlib
from collections import OrderedDict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from .endpoint import LOOPBACK
from .messages import Json, Unavailable, encode, notification
from .sessions import HEADER

if TYPE_CHECKING:
    from collections.abc import Mapping

    import httpx2

    from ..contract import McpServer
    from .credentials import Credentials
    from .exchange import Request

_PASSED_ON = {"accept", "content-type", "last-event-id", "traceparent", "tracestate", "baggage"}
_HEADERS = {"accept": "application/json, text/event-stream", "content-type": "application/json"}
_CONNECT_TIMEOUT = 5.0
_MOST_SESSIONS = 10_000


@dataclass(slots=True)
class _Session:
    """A legacy session. `id` is the server's own; the client goes by the first it had."""

    id: str
    opening: bytes  # the client's initialize request
    reopening: asyncio.Lock = field(default_factory=asyncio.Lock)


class Upstream:
    """`credentials` are asked at each request, so that rotated ones are used."""

    def __init__(self, server: McpServer, credentials: Credentials) -> None:
        self.url = server.url or ""
        self._name = server.name
        self._credentials = credentials
        self._sessions: OrderedDict[str, _Session] = OrderedDict()
        self._http: Any = None
        self._client: httpx2.AsyncClient | None = None

    async def open(self) -> None:
        await asyncio.to_thread(self._make_client)

    def _make_client(self) -> None:
        """Only now, and beside the loop: httpx2 and certificates take longer to load than the relay."""
        self._http = importlib.import_module("httpx2")
        url = urlsplit(self.url)
        self._client = self._http.AsyncClient(
            follow_redirects=False,
            timeout=self._http.Timeout(None, connect=_CONNECT_TIMEOUT),
            limits=self._http.Limits(max_connections=None, max_keepalive_connections=20),
            trust_env=url.hostname not in LOOPBACK,  # proxies; never for a sidecar
            verify=url.scheme == "https",
        )

    async def close(self) -> None:
        if self._client:
            await self._client.aclose()

    async def exchange(self, request: Request, body: bytes) -> httpx2.Response:
        """A client's request, in the session it names."""
        headers = _headers(request)
        session = self._sessions.get(headers.get(HEADER, ""))
        if session is None:
            return await self.send(request.method, headers, body)
        self._sessions.move_to_end(headers[HEADER])
        used = session.id
        response = await self.send(request.method, headers | {HEADER: used}, body)
        if request.method == "DELETE":
            self._sessions.pop(headers[HEADER], None)
        elif await self._is_forgotten(response):
            await self._reopen(session, used, headers)
            response = await self.send(request.method, headers | {HEADER: session.id}, body)
        return response

    async def send(self, method: str, headers: Mapping[str, str], body: bytes = b"") -> httpx2.Response:
        """Raises Unavailable when the server cannot be reached, or a credential is not there.

        A request that was refused for its credentials (401) was not acted on: it is sent once more when
        there are others by now.
        """
        used = self._credentials.values()
        async with contextlib.AsyncExitStack() as held:
            response = await self._send_with(used, method, headers, body)
            held.push_async_callback(response.aclose)
            if response.status_code != 401 or not await self._credentials.renew(used):
                held.pop_all()
                return response
        return await self._send_with(self._credentials.values(), method, headers, body)

    async def _send_with(
        self, values: Mapping[str, str], method: str, headers: Mapping[str, str], body: bytes
    ) -> httpx2.Response:
        if self._client is None:
            raise Unavailable(f"MCP server {self._name!r}: the relay is starting")
        headers = {**headers, "accept-encoding": "identity", **self._credentials.headers(values)}
        request = self._client.build_request(method, self.url, headers=headers, content=body or None)
        try:
            return await self._client.send(request, stream=True)
        except self._http.TransportError as error:
            raise self.broken(error) from None

    async def read(self, response: httpx2.Response) -> bytes:
        """The whole body. Raises Unavailable when it breaks off."""
        try:
            return await response.aread()
        except self._http.TransportError as error:
            raise self.broken(error) from None
        finally:
            await response.aclose()

    @property
    def connection_errors(self) -> type[Exception]:
        """What reading a response raises when the connection is lost."""
        error: type[Exception] = self._http.TransportError
        return error

    def broken(self, error: Exception) -> Unavailable:
        detail = str(error) or type(error).__name__
        return Unavailable(f"MCP server {self._name!r} at {self.url} cannot be reached: {detail}")

    # -- Legacy sessions ---------------------------------------------------------------------------------

    def remember(self, session_id: str, opening: bytes) -> None:
        """Keep what opened a session, to open it again."""
        self._sessions[session_id] = _Session(session_id, opening)
        if len(self._sessions) > _MOST_SESSIONS:
            self._sessions.popitem(last=False)

    async def _is_forgotten(self, response: httpx2.Response) -> bool:
        """404 says that a session is gone; some servers say it with 400 and words."""
        if response.status_code == 404:
            await self.read(response)
            return True
        return response.status_code == 400 and b"session" in (await self.read(response)).lower()

    async def _reopen(self, session: _Session, used: str, headers: Mapping[str, str]) -> None:
        async with session.reopening:
            if session.id != used:
                return  # another request has done it meanwhile
            response = await self.send("POST", _HEADERS, session.opening)
            await self.read(response)
            if not (new := response.headers.get(HEADER)) or response.status_code != 200:
                raise Unavailable(f"MCP server {self._name!r} lost a session and did not open it again")
            session.id = new
            opened = encode(notification("notifications/initialized", None))
            await self.read(await self.send("POST", _HEADERS | _mcp(headers) | {HEADER: new}, opened))

    async def tell(self, method: str, params: Json, request: Request) -> None:
        """Send a notification in a client's session."""
        headers = _mcp(_headers(request))
        if session := self._sessions.get(headers.get(HEADER, "")):
            headers[HEADER] = session.id
        await self.read(await self.send("POST", _HEADERS | headers, encode(notification(method, params))))


def _headers(request: Request) -> dict[str, str]:
    return {k: v for k, v in request.headers.items() if k in _PASSED_ON or k.startswith("mcp-")}


def _mcp(headers: Mapping[str, str]) -> dict[str, str]:
    return {k: v for k, v in headers.items() if k.startswith("mcp-")}
