"""The way to an MCP server that speaks HTTP itself: a sidecar or a service.

In: a client's request. Out: the server's own answer, streamed as it comes; a JSON-RPC error with the
request's id where there is none: refused, timed out, broken off, redirected. Client and server settle the
protocol version between themselves.
"""

from __future__ import annotations

import asyncio
import contextlib
from contextlib import AsyncExitStack
from dataclasses import replace
from typing import TYPE_CHECKING

from .backend import ServerState, log_change
from .calls import Call, Calls
from .eras import era_of
from .exchange import Reply, Request, error_reply
from .framing import EventSplitter, TooLong, data_of, event, with_data
from .messages import (
    INVALID_REQUEST,
    MAX_MESSAGE,
    TIMED_OUT,
    Exhausted,
    Json,
    RpcError,
    Unavailable,
    decode,
    encode,
    is_request,
)
from .probe import Prober
from .sessions import HEADER
from .slots import Slots
from .tools import check_call, filter_result
from .trace import into_headers
from .upstream import Upstream

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable

    import httpx2

    from ..contract import McpServer

_PASSED_BACK = {"content-type", "cache-control", "retry-after", HEADER, "mcp-protocol-version"}
_COURTESY_TIMEOUT = 2.0


class Proxy:
    """A Backend: one HTTP server."""

    def __init__(self, server: McpServer, secret: Callable[[str], str | None]) -> None:
        self.state = ServerState(server.name, server.shape, optional=server.optional)
        self.calls = Calls(server)
        self._spec = server
        self._upstream = Upstream(server, secret)
        self._prober = Prober(self._upstream)
        self._slots = Slots(server.name, server.concurrency, server.timeout_s)
        self._courtesies: set[asyncio.Task[None]] = set()

    async def start(self) -> None:
        await self._upstream.open()

    async def close(self, grace: float) -> None:
        await self._upstream.close()

    async def probe(self) -> str | None:
        error = await self._prober.probe()
        self.state = replace(self.state, protocol=self._prober.protocol)
        self._note(error)
        return error

    def _note(self, error: str | None) -> None:
        before, self.state = self.state, self.state.become("down" if error else "up", error)
        log_change(before, self.state)

    # -- One request -------------------------------------------------------------------------------------

    async def handle(self, request: Request) -> Reply:
        if request.method not in ("POST", "GET", "DELETE"):
            return Reply(405, headers={"allow": "POST, GET, DELETE"})
        body = await request.body(MAX_MESSAGE)
        message = decode(body) if request.method == "POST" else {}
        try:
            return await self._forward(request, body, message)
        except RpcError as error:
            if isinstance(error, Unavailable) and not isinstance(error, Exhausted):
                self._note(str(error))
            if "method" in message and "id" not in message:
                return Reply(202)  # a notification is answered by nobody; mcp 1.x dies of any other status
            if error.code == TIMED_OUT and is_request(message):
                self._give_up(request, message)
            legacy = is_request(message) and era_of(request.headers, message["method"]) == "legacy"
            return error_reply(error, message.get("id"), modern=not legacy)

    async def _forward(self, request: Request, body: bytes, message: Json) -> Reply:
        call = self.calls.measure(message, request.headers)
        with call.door():
            check_call(self._spec, message.get("method", ""), message.get("params"))
        request.headers = into_headers(message.get("params"), request.headers)
        async with AsyncExitStack() as held:
            deadline = asyncio.get_running_loop().time() + self._spec.timeout_s
            is_call = is_request(message) and message["method"] != "subscriptions/listen"
            if is_call:
                held.enter_context(call)
                deadline = await self._slots.take()
                held.callback(self._slots.give_back)
            try:
                async with asyncio.timeout_at(deadline):
                    response = await self._upstream.exchange(request, body)
                    held.push_async_callback(response.aclose)
                    if response.headers.get("content-type", "").startswith("text/event-stream"):
                        self._note_answer(response, body, message)
                        headers = self._headers_back(response, message)
                        until = deadline if is_call else None
                        events = self._events(request, response, message, call, until, held.pop_all())
                        return Reply(response.status_code, events, headers)
                    content = await self._upstream.read(response)
            except TimeoutError:
                raise self._slots.late() from None
            self._note_answer(response, body, message)
            return self._plain(request, response, content, message, call)
        raise AssertionError("unreachable")

    def _note_answer(self, response: httpx2.Response, body: bytes, message: Json) -> None:
        self._note(None)
        if message.get("method") == "initialize" and (session_id := response.headers.get(HEADER)):
            self._upstream.remember(session_id, body)

    def _headers_back(self, response: httpx2.Response, sent: Json) -> dict[str, str]:
        headers = {k: v for k, v in response.headers.items() if k in _PASSED_BACK}
        if sent.get("method") != "initialize":
            headers.pop(HEADER, None)  # a reopened session has another id than the client knows
        return headers

    # -- An answer in one piece --------------------------------------------------------------------------

    def _plain(
        self, request: Request, response: httpx2.Response, content: bytes, message: Json, call: Call
    ) -> Reply:
        headers = self._headers_back(response, message)
        session_gone = response.status_code == 404 and HEADER in request.headers
        if session_gone:
            call.failed(RpcError(INVALID_REQUEST, "the session is gone"))
        if not is_request(message) or session_gone:
            return Reply(response.status_code, content, headers)
        try:
            answer = call.answered(decode(content))
        except RpcError:
            raise self._no_answer(response, content) from None
        if isinstance(result := answer.get("result"), dict):
            content = encode({**answer, "result": filter_result(self._spec, message["method"], result)})
        return Reply(response.status_code, content, headers)

    def _no_answer(self, response: httpx2.Response, content: bytes) -> RpcError:
        """What to tell a caller whose request got something that is not JSON-RPC."""
        seen, auth = f"HTTP {response.status_code}", self._spec.auth
        if response.is_redirect:
            target = response.headers.get("location")
            seen += f" to {target}; redirects are not followed, so set the final URL"
        elif response.status_code in (401, 403):
            key = f"mcp.{self._spec.name}.auth"
            seen += f"; check the secret {auth!r}" if auth else f"; name a secret in {key}"
        elif text := content[:200].decode(errors="replace").strip():
            seen += f": {text}"
        where = f"MCP server {self._spec.name!r} at {self._upstream.url}"
        return Unavailable(f"expected JSON-RPC from {where}, saw {seen}")

    # -- An answer in events -----------------------------------------------------------------------------

    async def _events(
        self,
        request: Request,
        response: httpx2.Response,
        message: Json,
        call: Call,
        deadline: float | None,
        held: AsyncExitStack,
    ) -> AsyncGenerator[bytes, None]:
        """The server's events; for a request that they leave open, an error at the end. Ends what is held."""
        splitter, chunks = EventSplitter(MAX_MESSAGE), aiter(response.aiter_raw())
        answered = not is_request(message)
        error: Unavailable | None = None
        async with held:
            try:
                while True:
                    async with asyncio.timeout_at(deadline):
                        chunk = await anext(chunks, None)
                    if chunk is None:
                        break
                    for raw in splitter.feed(chunk):
                        passed, is_answer = self._inspect(raw, message, call)
                        answered = answered or is_answer
                        yield passed
            except TimeoutError:
                error = self._slots.late()
                self._give_up(request, message)
            except TooLong:
                error = Unavailable(f"an answer of MCP server {self._spec.name!r} is too large")
            except self._upstream.connection_errors as broken:
                error = self._upstream.broken(broken)
                self._note(str(error))
            # A server that numbers its events may end a stream on purpose: the client fetches the rest.
            if not answered and (error or not splitter.numbered):
                ended = Unavailable(f"MCP server {self._spec.name!r} ended the stream without an answer")
                call.failed(error or ended)
                yield event(encode((error or ended).answer(message["id"])))

    def _inspect(self, raw: bytes, message: Json, call: Call) -> tuple[bytes, bool]:
        """An event as the client may see it, and whether it answers `message`."""
        if not (data := data_of(raw)) or not is_request(message):
            return raw, False
        try:
            answer = decode(data)
        except RpcError:
            return raw, False
        if "method" in answer or answer.get("id") != message["id"]:
            return raw, False
        call.answered(answer)
        if message["method"] == "tools/list" and isinstance(result := answer.get("result"), dict):
            kept = {**answer, "result": filter_result(self._spec, "tools/list", result)}
            return with_data(raw, encode(kept)), True
        return raw, True

    # -- Courtesy ----------------------------------------------------------------------------------------

    def _give_up(self, request: Request, message: Json) -> None:
        """Tell a legacy server that nobody waits any more; a modern one sees it by the closed connection."""
        if era_of(request.headers, message["method"]) == "legacy":
            task = asyncio.create_task(self._tell_cancelled(request, message))
            self._courtesies.add(task)
            task.add_done_callback(self._courtesies.discard)

    async def _tell_cancelled(self, request: Request, message: Json) -> None:
        params = {"requestId": message["id"], "reason": "the caller's time is over"}
        with contextlib.suppress(TimeoutError, RpcError):
            async with asyncio.timeout(_COURTESY_TIMEOUT):
                await self._upstream.tell("notifications/cancelled", params, request)
