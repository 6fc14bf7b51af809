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

from .. import posted as posts
from ..backend import ServerState, log_change
from ..calls import Calls
from ..eras import SESSION_HEADER, era_of
from ..exchange import STREAM_HEADERS, Reply, Request, error_reply, json_reply
from ..framing import EventSplitter, TooLong
from ..messages import INVALID_REQUEST, TIMED_OUT, Exhausted, Json, RpcError, Unavailable
from ..posted import Posted
from ..slots import Room
from ..tools import Tools
from ..trace import into_headers
from .admission import Admission
from .answers import Answers
from .probe import Prober
from .standing import Streams, is_stream
from .upstream import Upstream

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    import httpx2

    from ...contract import McpServer
    from ..tools import Switches
    from .credentials import Credentials

_PASSED_BACK = {"content-type", "cache-control", "retry-after", SESSION_HEADER, "mcp-protocol-version"}
_LISTEN = "subscriptions/listen"
_COURTESY_TIMEOUT = 2.0


class Proxy:
    """A Backend: one HTTP server."""

    def __init__(self, server: McpServer, credentials: Credentials, switches: Switches | None = None) -> None:
        self.state = ServerState(server.name, server.shape, optional=server.optional)
        self.calls = Calls(server)
        self._spec = server
        self._tools = Tools(server, switches)
        self._upstream = Upstream(server, credentials)
        self._prober = Prober(self._upstream)
        self._room = Room(server)
        self._admission = Admission(server)
        self._streams = Streams(self._upstream)
        self._courtesies: set[asyncio.Task[None]] = set()

    async def start(self) -> None:
        await self._upstream.open()

    async def close(self, grace: float) -> None:
        await self._streams.end()
        for courtesy in self._courtesies:
            courtesy.cancel()
        if self._courtesies:
            await asyncio.wait(self._courtesies)
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
        body = await request.body(self._room)
        posted = posts.parse(body) if request.method == "POST" else Posted()
        answers = Answers(self._tools, *posted.without(self._check))
        if posted.messages and not answers.posted.messages:
            return self._refuse(request, answers)
        if not posted.messages:
            body = b""
        elif self._tools.filters:
            body = answers.posted.encode()  # as it was looked at; no second "name" in it
        try:
            return await self._forward(request, body, answers)
        except RpcError as error:
            return self._fail(request, answers, error)

    def _check(self, message: Json) -> None:
        if self._tools.filters:
            posts.check_spelling(message)
        with self.calls.measure(message, {}).door():
            self._tools.check(message.get("method", ""), message.get("params"))

    def _refuse(self, request: Request, answers: Answers) -> Reply:
        """The reply when nothing is left to forward."""
        if not answers.own:
            return Reply(202)
        return json_reply(answers.own) if answers.posted.batch else self._error(request, *answers.refused[0])

    def _fail(self, request: Request, answers: Answers, error: RpcError) -> Reply:
        """The reply when the server gave none."""
        if isinstance(error, Unavailable) and not isinstance(error, Exhausted):
            self._note(str(error))
        if request.method != "POST":
            return error_reply(error, None, modern=True)
        if error.code == TIMED_OUT:
            self._give_up(request, answers)
        if answers.open and not answers.posted.batch:
            return self._error(request, answers.posted.messages[0], error)
        if all_answers := [*answers.own, *answers.failed(error)]:
            return json_reply(all_answers)
        return Reply(202)  # a notification is answered by nobody; mcp 1.x dies of any other status

    def _error(self, request: Request, message: Json, error: RpcError) -> Reply:
        modern = era_of(request.headers, message["method"]) == "modern"
        return error_reply(error, message["id"], modern=modern)

    # -- There and back ----------------------------------------------------------------------------------

    async def _forward(self, request: Request, body: bytes, answers: Answers) -> Reply:
        first = next(iter(answers.posted.messages), {})
        request.headers = into_headers(first.get("params"), request.headers)
        async with AsyncExitStack() as held:
            if not self._stays_open(request, answers.posted):
                for message in answers.posted.requests:
                    call = held.enter_context(self.calls.measure(message, request.headers))
                    answers.calls[message["id"]] = call
            deadline = await self._admit(request, answers.posted, held)
            try:
                async with asyncio.timeout_at(deadline):
                    if request.method == "GET" and self._can_stand(request):
                        return await self._stand(request, answers, held)
                    response = await self._upstream.exchange(request, body, answers.posted.messages)
                    return await self._back(request, response, answers, deadline, held)
            except TimeoutError:
                raise self._admission.late() from None
        raise AssertionError("unreachable")

    async def _stand(self, request: Request, answers: Answers, held: AsyncExitStack) -> Reply:
        """The reply to a GET: a stream that is kept up, unless the server says that it has none."""
        response = await self._streams.connect(request, self._spec.timeout_s / 2)
        if response is not None and not is_stream(response):
            return await self._back(request, response, answers, None, held)
        events = self._streams.keep(request, response, answers.event)
        return Reply(200, self._holding(events, held.pop_all()), STREAM_HEADERS)

    async def _back(
        self,
        request: Request,
        response: httpx2.Response,
        answers: Answers,
        deadline: float | None,
        held: AsyncExitStack,
    ) -> Reply:
        """The server's response as a reply, which is closed with it."""
        held.push_async_callback(response.aclose)
        self._note(None)
        headers = self._headers_back(response, answers)
        if not is_stream(response):
            return self._plain(request, response, await self._upstream.read(response), headers, answers)
        until = None if self._stays_open(request, answers.posted) else deadline
        events = self._events(request, response, answers, until)
        return Reply(200, self._holding(events, held.pop_all()), headers)

    def _can_stand(self, request: Request) -> bool:
        """Whether the client's stream can outlive the server: in a session that can be opened again."""
        return "last-event-id" not in request.headers and self._upstream.session_of(request) is not None

    def _stays_open(self, request: Request, posted: Posted) -> bool:
        return request.method == "GET" or posted.method == _LISTEN

    async def _admit(self, request: Request, posted: Posted, held: AsyncExitStack) -> float:
        if self._stays_open(request, posted):
            return self._admission.stream(held)
        return await self._admission.one(held, calls=len(posted.requests))

    def _headers_back(self, response: httpx2.Response, answers: Answers) -> dict[str, str]:
        headers = {k: v for k, v in response.headers.items() if k in _PASSED_BACK}
        if answers.posted.method != "initialize":
            headers.pop(SESSION_HEADER, None)  # a reopened session has another id than the client knows
        elif (session_id := headers.get(SESSION_HEADER)) and response.status_code == 200:
            self._upstream.sessions.remember(session_id, answers.posted.encode())
        return headers

    # -- An answer in one piece --------------------------------------------------------------------------

    def _plain(
        self,
        request: Request,
        response: httpx2.Response,
        content: bytes,
        headers: dict[str, str],
        answers: Answers,
    ) -> Reply:
        status = response.status_code
        if status == 404 and SESSION_HEADER in request.headers:
            answers.failed(RpcError(INVALID_REQUEST, "the session is gone"))
            return Reply(status, content, headers)  # the session is gone for the client, too
        if not answers.posted.requests:
            return self._acknowledgement(response, content, headers, answers)
        try:
            body = answers.body(content)
        except RpcError:
            raise self._upstream.no_answer(response, content) from None
        failed = status in (401, 403) or status >= 500
        if answers.open and (failed or status < 400):  # else an error without id: to an unreadable request
            raise self._upstream.no_answer(response, content)
        if failed and era_of(request.headers, answers.posted.method) == "legacy":
            status = 200  # mcp 1.x dies of any other
        return Reply(status, body, headers)

    def _acknowledgement(
        self, response: httpx2.Response, content: bytes, headers: dict[str, str], answers: Answers
    ) -> Reply:
        """The reply to what has no answer. A client hears of its own mistakes, not of the server's."""
        status = response.status_code
        if not (status < 300 or (400 <= status < 500 and status not in (401, 403))):
            raise self._upstream.no_answer(response, content)
        return json_reply(answers.own) if answers.own else Reply(status, content, headers)

    # -- An answer in events -----------------------------------------------------------------------------

    async def _holding(
        self, events: AsyncGenerator[bytes, None], held: AsyncExitStack
    ) -> AsyncGenerator[bytes, None]:
        """The same events; at their end, what is held is given back."""
        async with held, contextlib.aclosing(events):
            async for event in events:
                yield event

    async def _events(
        self,
        request: Request,
        response: httpx2.Response,
        answers: Answers,
        deadline: float | None,
    ) -> AsyncGenerator[bytes, None]:
        """The server's events; for requests that they leave open, an error at the end."""
        splitter, chunks = EventSplitter(self._spec.message_limit), aiter(response.aiter_bytes())
        error: Unavailable | None = None
        for own in answers.own_events():
            yield own
        try:
            while True:
                async with asyncio.timeout_at(deadline):
                    chunk = await anext(chunks, None)
                if chunk is None:
                    break
                for raw in splitter.feed(chunk):
                    yield answers.event(raw)
        except TimeoutError:
            error = self._admission.late()
            self._give_up(request, answers)
        except TooLong:
            error = Unavailable(f"an answer of MCP server {self._spec.name!r} is too large")
        except self._upstream.connection_errors as broken:
            error = self._upstream.broken(broken)
            self._note(str(error))
        # A server that numbers its events may end a stream on purpose: the client fetches the rest.
        if answers.open and (error or not splitter.numbered):
            ended = Unavailable(f"MCP server {self._spec.name!r} ended the stream without an answer")
            for event in answers.own_events(error or ended):
                yield event

    # -- Courtesy ----------------------------------------------------------------------------------------

    def _give_up(self, request: Request, answers: Answers) -> None:
        """Tell a legacy server that nobody waits any more; a modern one sees it by the closed connection."""
        if era_of(request.headers, answers.posted.method) == "legacy":
            for number in answers.open:
                task = asyncio.create_task(self._tell_cancelled(request, number))
                self._courtesies.add(task)
                task.add_done_callback(self._courtesies.discard)

    async def _tell_cancelled(self, request: Request, number: object) -> None:
        params = {"requestId": number, "reason": "the caller's time is over"}
        with contextlib.suppress(TimeoutError, RpcError):
            async with asyncio.timeout(_COURTESY_TIMEOUT):
                await self._upstream.tell("notifications/cancelled", params, request)
