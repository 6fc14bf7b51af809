"""The HTTP client's side of the proxy: one MCP server at one URL.

In: a method, headers, a body. Out: the server's response, its body still to be read; Unavailable when there
is none. Credentials go to this URL and nowhere else: redirects are not followed, and what a client sent as
its own is not passed on.

A legacy server that was restarted has forgotten its sessions. They are opened again here, with what the
client said when it opened its own, and the client goes on with the id it knows. Cookies are not kept: they
would mix one client's session with another's.
"""

from __future__ import annotations

import asyncio
import contextlib
import http.cookiejar
import importlib
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from ..endpoint import LOOPBACK
from ..eras import SESSION_HEADER
from ..messages import Json, Unavailable, encode, notification
from .resumption import Opened, Resumption

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import httpx2

    from ...contract import McpServer
    from ..exchange import Request
    from .credentials import Credentials

_PASSED_ON = {"accept", "content-type", "last-event-id", "traceparent", "tracestate", "baggage"}
_HEADERS = {"accept": "application/json, text/event-stream", "content-type": "application/json"}
_RESUME = "last-event-id"
_CONNECT_TIMEOUT = 5.0


class Upstream:
    """`credentials` are asked at each request, so that rotated ones are used."""

    def __init__(self, server: McpServer, credentials: Credentials) -> None:
        self.url = server.url or ""
        self.limit = server.message_limit
        self._name = server.name
        self._auth = server.auth
        self._credentials = credentials
        self.sessions = Resumption()
        self._http: Any = None
        self._target: Any = None  # the URL, parsed once
        self._absent = "the relay is starting"  # why there is no client
        self._client: httpx2.AsyncClient | None = None

    async def open(self) -> None:
        await asyncio.to_thread(self._make_client)

    def _make_client(self) -> None:
        """Only now, and beside the loop: httpx2 and certificates take longer to load than the relay."""
        self._http = importlib.import_module("httpx2")
        try:
            url, self._target = urlsplit(self.url), self._http.URL(self.url)
        except (ValueError, self._http.InvalidURL) as error:
            self._absent = f"expected a URL, saw {self.url!r}: {error}"
            return
        plain = url.scheme == "http" and url.hostname in LOOPBACK
        wire = importlib.import_module(f"{__package__}.wire") if plain else None
        self._client = self._http.AsyncClient(
            transport=wire.PlainTransport(_CONNECT_TIMEOUT) if wire else None,
            follow_redirects=False,
            timeout=self._http.Timeout(None, connect=_CONNECT_TIMEOUT),
            # Their number is bounded by what the proxy admits: a pool that is full would be one more queue.
            limits=self._http.Limits(max_connections=None, max_keepalive_connections=20),
            cookies=http.cookiejar.CookieJar(http.cookiejar.DefaultCookiePolicy(allowed_domains=[])),
            trust_env=url.hostname not in LOOPBACK,  # proxies; never for a sidecar
            verify=url.scheme == "https",
        )

    async def close(self) -> None:
        if client := self._client:
            self._client, self._absent = None, "the relay is closing"
            await client.aclose()

    async def exchange(self, request: Request, body: bytes, sent: Sequence[Json]) -> httpx2.Response:
        """A client's request, in the session it names. `sent`: the messages in its body."""
        headers = _headers(request)
        session = self.sessions.get(headers.get(SESSION_HEADER))
        if session is None:
            return await self.send(request.method, headers, body)
        if request.method == "DELETE":
            self.sessions.forget(headers[SESSION_HEADER])
            return await self.send("DELETE", headers | {SESSION_HEADER: session.id})
        session.note(sent)
        return await self._in_session(session, request.method, headers, body)

    def session_of(self, request: Request) -> str | None:
        """The server's own id of the client's session, as long as it can be opened again."""
        session = self.sessions.get(request.headers.get(SESSION_HEADER))
        return session.id if session else None

    async def listen(self, request: Request, last: tuple[str, str] | None) -> httpx2.Response:
        """The stream of a session. `last`: an event's id, and the server's id of the session it came in."""
        headers = _headers(request)
        session = self.sessions.get(headers.get(SESSION_HEADER))
        if session is None:
            raise Unavailable(f"MCP server {self._name!r}: the session is closed")
        if last and last[0] == session.id:
            headers[_RESUME] = last[1]
        return await self._in_session(session, "GET", headers, b"")

    async def _in_session(
        self, session: Opened, method: str, headers: dict[str, str], body: bytes
    ) -> httpx2.Response:
        used = session.id
        response = await self.send(method, headers | {SESSION_HEADER: used}, body)
        if not await self._is_forgotten(response):
            return response
        await self._reopen(session, used, headers)
        headers.pop(_RESUME, None)  # events of the old session mean nothing in the new one
        return await self.send(method, headers | {SESSION_HEADER: session.id}, body)

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
            raise Unavailable(f"MCP server {self._name!r}: {self._absent}")
        headers = {**headers, "accept-encoding": "identity", **self._credentials.headers(values)}
        raw = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in headers.items()]
        request = self._http.Request(method, self._target, headers=raw, content=body or None)
        try:
            return await self._client.send(request, stream=True)
        except self._http.RequestError as error:
            raise self.broken(error) from None

    async def read(self, response: httpx2.Response) -> bytes:
        """The whole body. Raises Unavailable when it breaks off, or is above the limit."""
        chunks, size = [], 0
        try:
            async for chunk in response.aiter_bytes():
                chunks.append(chunk)
                size += len(chunk)
                if size > self.limit:
                    raise Unavailable(f"an answer of MCP server {self._name!r} is too large")
            return b"".join(chunks)
        except self._http.RequestError as error:
            raise self.broken(error) from None
        finally:
            await response.aclose()

    @property
    def connection_errors(self) -> type[Exception]:
        """What reading a response raises when the connection is lost."""
        error: type[Exception] = self._http.RequestError
        return error

    def broken(self, error: Exception) -> Unavailable:
        detail = str(error) or type(error).__name__
        return Unavailable(f"MCP server {self._name!r} at {self.url} cannot be reached: {detail}")

    def no_answer(self, response: httpx2.Response, content: bytes) -> Unavailable:
        """What to tell a caller whose request got something that is not its answer in JSON-RPC."""
        seen = f"HTTP {response.status_code}"
        if response.is_redirect:
            target = response.headers.get("location")
            seen += f" to {target}; redirects are not followed, so set the final URL"
        elif response.status_code in (401, 403):
            key = f"mcp.{self._name}.auth"
            seen += f"; check the secret {self._auth!r}" if self._auth else f"; name a secret in {key}"
        elif text := content[:200].decode(errors="replace").strip():
            seen += f": {text}"
        return Unavailable(f"expected JSON-RPC from MCP server {self._name!r} at {self.url}, saw {seen}")

    # -- Legacy sessions ---------------------------------------------------------------------------------

    async def _is_forgotten(self, response: httpx2.Response) -> bool:
        """404 says that a session is gone; some servers say it with 400 and words."""
        if response.status_code == 404:
            await self.read(response)
            return True
        return response.status_code == 400 and b"session" in (await self.read(response)).lower()

    async def _reopen(self, session: Opened, used: str, headers: Mapping[str, str]) -> None:
        async with session.reopening:
            if session.id != used:
                return  # another request has done it meanwhile
            response = await self.send("POST", _HEADERS, session.opening)
            await self.read(response)
            if not (new := response.headers.get(SESSION_HEADER)) or response.status_code != 200:
                raise Unavailable(f"MCP server {self._name!r} lost a session and did not open it again")
            for message in session.replay():  # what the server says to it changes nothing
                inside = _HEADERS | _mcp(headers) | {SESSION_HEADER: new}
                await self.read(await self.send("POST", inside, encode(message)))
            session.id = new

    async def tell(self, method: str, params: Json, request: Request) -> None:
        """Send a notification in a client's session."""
        headers = _mcp(_headers(request))
        if session := self.sessions.get(headers.get(SESSION_HEADER)):
            headers[SESSION_HEADER] = session.id
        await self.read(await self.send("POST", _HEADERS | headers, encode(notification(method, params))))


def _headers(request: Request) -> dict[str, str]:
    return {k: v for k, v in request.headers.items() if k in _PASSED_ON or k.startswith("mcp-")}


def _mcp(headers: Mapping[str, str]) -> dict[str, str]:
    return {k: v for k, v in headers.items() if k.startswith("mcp-")}
