"""The real APIs, as a recorder asks them.

In: a request as it came, and where each provider is. Out: the answer as it comes, byte for byte;
UpstreamError, in words for a person, when there is none. Proxies and certificates are those of the
environment.
"""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import httpx2

from shipway.replay.traffic import BrokenError
from shipway_runtime import contract

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable, Mapping

    from shipway.replay.traffic import Incoming

_MARKS = (
    ("anthropic", "anthropic-version", "/v1/messages"),
    ("gemini", "x-goog-api-key", "/v1beta/"),
)
"""A provider, the header that its SDKs always send, and how its paths begin. Everything else is OpenAI's."""
_DEFAULT = "openai"

_HOP_BY_HOP = frozenset(
    {"connection", "keep-alive", "proxy-authenticate", "proxy-authorization", "proxy-connection"}
    | {"te", "trailer", "transfer-encoding", "upgrade"}
)
_NOT_SENT = _HOP_BY_HOP | {"host", "content-length", "accept-encoding", "expect"}
_NOT_GIVEN = _HOP_BY_HOP | {"date", "server", "set-cookie", "content-encoding", "content-length"}
"""Without a length an answer ends when its end is sent: after it was stored."""
_CONNECT_TIMEOUT_S = 30.0


class UpstreamError(Exception):
    """No answer came. With `final`, asking again at once would end the same way."""

    def __init__(self, message: str, *, final: bool) -> None:
        super().__init__(message)
        self.final = final


class Upstream:
    """Where requests go. `urls` are the base URLs of providers, as their SDKs take them."""

    def __init__(self, urls: Mapping[str, str]) -> None:
        self._urls = {**contract.PROVIDER_URLS, **urls}
        self._client = httpx2.AsyncClient(
            timeout=httpx2.Timeout(None, connect=_CONNECT_TIMEOUT_S),  # the client has its own
            limits=httpx2.Limits(max_connections=None),
            verify=httpx2.create_ssl_context(),  # SSL_CERT_FILE included
            follow_redirects=False,
        )

    def url(self, incoming: Incoming) -> str:
        """The URL of the real API for a request to the replay."""
        name = provider(incoming)
        here = urlsplit(contract.PROVIDER_URLS[name]).path  # the path of the base URL that agents are given
        below = incoming.target[len(here) :] if incoming.target.startswith(f"{here}/") else incoming.target
        return self._urls[name].rstrip("/") + below

    async def ask(self, incoming: Incoming) -> Coming:
        """The answer, when its status and headers are there. Raises UpstreamError."""
        url = self.url(incoming)
        try:
            request = httpx2.Request(
                incoming.request.method, url, headers=_sent(incoming), content=incoming.content
            )
            return Coming(await self._client.send(request, stream=True))
        except (httpx2.TransportError, httpx2.InvalidURL) as error:
            place, why = url.partition("?")[0], str(error) or type(error).__name__
            final = isinstance(error, httpx2.ConnectError | httpx2.InvalidURL | httpx2.UnsupportedProtocol)
            raise UpstreamError(f"{place} cannot be reached: {why}", final=final) from None


class Coming:
    """An answer on its way: its status, the headers that go on to the client, its bytes as they come."""

    def __init__(self, response: httpx2.Response) -> None:
        self._response = response
        self.status: int = response.status_code
        coding = response.headers.get("content-encoding", "identity").strip().lower()
        self._decoded = coding in ("gzip", "deflate")
        self.coding = "" if self._decoded or coding == "identity" else coding
        """What it is compressed with and the standard library cannot undo: passed on as it is."""
        self.headers = _given(response.headers.raw)
        if self.coding:
            self.headers["content-encoding"] = self.coding

    async def chunks(self) -> AsyncIterator[bytes]:
        """Raises BrokenError where the connection breaks."""
        try:
            async for chunk in self._response.aiter_bytes() if self._decoded else self._response.aiter_raw():
                if chunk:
                    yield chunk
        except httpx2.RequestError as error:
            raise BrokenError(str(error) or type(error).__name__) from None

    async def close(self) -> None:
        await self._response.aclose()


def provider(incoming: Incoming) -> str:
    """Whose API is asked: its headers say, else its path."""
    for name, header, _ in _MARKS:
        if header in incoming.headers:
            return name
    return next((name for name, _, start in _MARKS if incoming.request.path.startswith(start)), _DEFAULT)


def _given(raw: Iterable[tuple[bytes, bytes]]) -> dict[str, str]:
    """What goes on of the answer's headers, byte for byte; one that comes twice is a list."""
    found: dict[str, str] = {}
    for name, value in ((name.decode("latin-1").lower(), value.decode("latin-1")) for name, value in raw):
        if name not in _NOT_GIVEN:
            found[name] = f"{found[name]}, {value}" if name in found else value
    return found


def _sent(incoming: Incoming) -> list[tuple[bytes, bytes]]:
    """What goes on of the request's headers. Uncompressed answers are what is streamed and stored."""
    named = {name.strip().lower() for name in incoming.headers.get("connection", "").split(",")}
    kept = [(k, v) for k, v in incoming.headers.items() if k not in _NOT_SENT and k not in named]
    pairs = [*kept, ("accept-encoding", "identity")]
    return [(name.encode("latin-1"), value.encode("latin-1")) for name, value in pairs]
