"""Whether an HTTP server answers, asked as a well-behaved client of its world would.

In: an Upstream. Out: None, or the reason in words. A modern server is asked `server/discover`. A legacy one
is pinged in one session that is kept: a POST without a session would leave a new one behind in some servers
each time.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from ..eras import (
    LEGACY_VERSIONS,
    METHOD_HEADER,
    MODERN_VERSIONS,
    SESSION_HEADER,
    VERSION_HEADER,
    envelope,
    initialize_params,
)
from ..framing import EventSplitter, TooLong, data_of
from ..messages import Json, RpcError, Unavailable, decode, encode, request
from .standing import is_stream

if TYPE_CHECKING:
    import httpx2

    from .upstream import Upstream

_TIMEOUT = 2.0
_HEADERS = {"accept": "application/json, text/event-stream", "content-type": "application/json"}
_MODERN = {VERSION_HEADER: MODERN_VERSIONS[-1], METHOD_HEADER: "server/discover"}


class Prober:
    """`protocol` is the newest version that the server was seen to speak."""

    def __init__(self, upstream: Upstream) -> None:
        self.protocol: str | None = None
        self._upstream = upstream
        self._session: dict[str, str] | None = None  # headers of the legacy session, once there is one

    async def probe(self) -> str | None:
        try:
            async with asyncio.timeout(_TIMEOUT):
                if self._session is None and await self._discover():
                    return None
                return await self._ping()
        except TimeoutError:
            return f"did not answer within {_TIMEOUT:g} s"
        except RpcError as error:
            return str(error)

    async def _discover(self) -> bool:
        answer, _ = await self._post("server/discover", {"_meta": envelope()}, _MODERN)
        versions = _object(answer, "result").get("supportedVersions")
        if not isinstance(versions, list) or not any(version in MODERN_VERSIONS for version in versions):
            return False
        self.protocol = MODERN_VERSIONS[-1]
        return True

    async def _ping(self) -> str | None:
        if self._session is not None:
            answer, _ = await self._post("ping", None, self._session)
            if "result" in answer:
                return None
            self._session = None  # gone with a restart
        answer, headers = await self._post("initialize", initialize_params(), {})
        if not isinstance(result := answer.get("result"), dict):
            return f"refused initialize: {_object(answer, 'error').get('message', 'no reason given')}"
        self.protocol = str(result.get("protocolVersion", LEGACY_VERSIONS[0]))
        self._session = {VERSION_HEADER: self.protocol, **headers}
        return None

    async def _post(
        self, method: str, params: Json | None, headers: dict[str, str]
    ) -> tuple[Json, dict[str, str]]:
        """The answer, and the session's header. Raises Unavailable when there is neither result nor error."""
        body = encode(request(1, method, params))
        response = await self._upstream.send("POST", _HEADERS | headers, body)
        try:
            content = await self._content(response)
        finally:
            await response.aclose()
        if response.status_code in (401, 403) or response.status_code >= 500:
            raise Unavailable(f"answered HTTP {response.status_code}")
        try:
            answer = decode(content)
        except RpcError:
            if response.status_code in (400, 404, 405, 406):  # a legacy server that knows no such request
                return {}, {}
            raise Unavailable(f"answered HTTP {response.status_code} and no JSON-RPC") from None
        session = response.headers.get(SESSION_HEADER)
        return answer, {SESSION_HEADER: session} if session else {}

    async def _content(self, response: httpx2.Response) -> bytes:
        """The body; of a stream only the event that answers, because some servers leave it open."""
        if not is_stream(response):
            return await self._upstream.read(response)
        splitter = EventSplitter(self._upstream.limit)
        try:
            async for chunk in response.aiter_bytes():
                for raw in splitter.feed(chunk):
                    if b'"id"' in (data := data_of(raw)):
                        return data
        except TooLong:
            raise Unavailable("answered with an event that is too large") from None
        except self._upstream.connection_errors as error:
            raise self._upstream.broken(error) from None
        return b""


def _object(answer: Json, name: str) -> Json:
    value = answer.get(name)
    return value if isinstance(value, dict) else {}
