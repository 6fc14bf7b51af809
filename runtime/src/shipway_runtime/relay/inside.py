"""The HTTP face of a stdio server: streamable HTTP of every version, in front of one shared process.

In: POST (a message), GET (the stream of a session), DELETE. Out: JSON for plain calls; server-sent events
when the caller asked for progress. Legacy clients get a session; modern ones need none.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from .calls import Call, Calls
from .eras import Era, check_envelope, discover_result, era_of, initialize_result
from .exchange import (
    STREAM_HEADERS,
    Reply,
    Request,
    error_reply,
    first,
    json_reply,
    parse_accept,
)
from .framing import PING, PING_INTERVAL, event
from .messages import (
    CANCELLED,
    INVALID_REQUEST,
    METHOD_NOT_FOUND,
    Json,
    RpcError,
    Unavailable,
    decode,
    encode,
    is_request,
    meta_of,
    status_of,
)
from .sessions import HEADER, Session, Sessions
from .slots import Room
from .stdio import StdioServer
from .tools import check_call, filter_result
from .trace import into_meta

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping

    from ..contract import McpServer
    from .backend import ServerState
    from .watcher import Watcher

_OURS = {"notifications/initialized", "notifications/roots/list_changed", "notifications/progress"}
"""Notifications between the client and the relay alone: the relay is the server's only client."""
_BACKLOG = 1000  # progress notifications kept for a caller that does not read


class Inside:
    """A Backend: one stdio server, shared by all clients."""

    def __init__(
        self,
        server: McpServer,
        environment: Callable[[], Mapping[str, str]],
        watcher: Watcher | None = None,
    ) -> None:
        self._spec = server
        self._room = Room(server)
        self._sessions = Sessions()
        self._server = StdioServer(server, environment, self._sessions.broadcast, watcher)
        self._calls: set[asyncio.Task[Json]] = set()
        self.calls = Calls(server)

    @property
    def state(self) -> ServerState:
        return self._server.state

    async def start(self) -> None:
        await self._server.start()

    async def close(self, grace: float) -> None:
        self._sessions.hang_up()
        await self._server.close(grace)

    async def probe(self) -> str | None:
        return await self._server.probe()

    async def handle(self, request: Request) -> Reply:
        if request.method == "POST":
            return await self._post(request)
        session = self._session(request)
        if request.method == "GET" and session:
            return Reply(200, session.listen(), STREAM_HEADERS)
        if request.method == "DELETE" and session:
            self._sessions.close(session)
            return Reply(204)
        return Reply(405, headers={"allow": "POST"})

    async def _post(self, request: Request) -> Reply:
        message = decode(await request.body(self._room))
        era = era_of(request.headers, message.get("method", ""))
        if not is_request(message):
            self._take_notification(request, message, era)
            return Reply(202)
        try:
            if era == "modern":
                check_envelope(message, request.headers)
            return await self._answer(request, message, era)
        except SessionGone as error:
            return json_reply(error.answer(message["id"]), error.status)
        except RpcError as error:
            return error_reply(error, message["id"], modern=era == "modern")

    async def _answer(self, request: Request, message: Json, era: Era) -> Reply:
        match message["method"]:
            case "initialize":
                return await self._initialize(message)
            case "server/discover":
                return await self._discover(message, era)
            case "subscriptions/listen":
                raise RpcError(METHOD_NOT_FOUND, "subscriptions/listen in front of a stdio server: not yet")
        session = self._session(request) if era == "legacy" else None
        return await self._call(request, message, era, session)

    # -- Introductions -----------------------------------------------------------------------------------

    async def _initialize(self, message: Json) -> Reply:
        peer = await self._server.introduce()
        asked = (message.get("params") or {}).get("protocolVersion")
        result = initialize_result(peer, self._spec.name, asked)
        return json_reply(_answer(message, result), headers={HEADER: self._sessions.open().id})

    async def _discover(self, message: Json, era: Era) -> Reply:
        if era == "legacy":
            raise RpcError(METHOD_NOT_FOUND, "server/discover needs MCP-Protocol-Version: 2026-07-28")
        peer = await self._server.introduce()
        if reason := await self._server.probe():  # a relay in front takes this for a sign of life
            raise Unavailable(f"MCP server {self._spec.name!r} {reason}")
        return json_reply(_answer(message, discover_result(peer, self._spec.name)))

    def _session(self, request: Request) -> Session | None:
        """The caller's session; None when it names none. Raises RpcError for one that is gone."""
        if (session_id := request.headers.get(HEADER)) is None:
            return None
        if session := self._sessions.get(session_id):
            return session
        raise SessionGone

    def _take_notification(self, request: Request, message: Json, era: Era) -> None:
        method, params = message.get("method"), message.get("params") or {}
        if era == "modern" or method is None or method in _OURS:
            return  # a modern client cancels by hanging up, and answers nothing: the relay asks nothing
        session, cancelled = self._session(request), params.get("requestId")
        if method == "notifications/cancelled":
            if session and isinstance(cancelled, (int, str)) and (call := session.calls.get(cancelled)):
                call.cancel()
        elif method.startswith("notifications/"):  # and no call that wants no answer
            self._server.notify(method, message.get("params"))

    # -- Calls -------------------------------------------------------------------------------------------

    async def _call(self, request: Request, message: Json, era: Era, session: Session | None) -> Reply:
        method, params = message["method"], message.get("params")
        measured = self.calls.measure(message, request.headers)
        with measured.door():
            check_call(self._spec, method, params)
        params = into_meta(params, request.headers)
        takes_json, takes_events = parse_accept(request)
        stream = takes_events and ("progressToken" in meta_of(params) or not takes_json)
        inbox: asyncio.Queue[Json | None] = asyncio.Queue()

        def report(progress: Json) -> None:
            if inbox.qsize() < _BACKLOG:
                inbox.put_nowait(progress)

        work = self._server.call(method, params, era, report if stream else None)
        call = asyncio.create_task(_measured(measured, work))
        self._track(call, message, session)
        if stream:
            call.add_done_callback(lambda _: inbox.put_nowait(None))
            return Reply(200, self._events(call, inbox, message, era), STREAM_HEADERS)
        if era == "modern":  # hanging up is how a modern client cancels
            await first(asyncio.wait({call}), request.disconnected())
            call.cancel()
        body = await self._finish(call, message)
        modern_error = era == "modern" and "error" in body
        return json_reply(body, status_of(_code(body)) if modern_error else 200)

    def _track(self, call: asyncio.Task[Json], message: Json, session: Session | None) -> None:
        self._calls.add(call)
        call.add_done_callback(self._forget)
        if session:
            session.calls[message["id"]] = call
            call.add_done_callback(lambda _: session.calls.pop(message["id"], None))

    def _forget(self, call: asyncio.Task[Json]) -> None:
        self._calls.discard(call)
        if not call.cancelled():
            call.exception()  # seen, also when a legacy client hung up before its answer came

    async def _events(
        self, call: asyncio.Task[Json], inbox: asyncio.Queue[Json | None], message: Json, era: Era
    ) -> AsyncGenerator[bytes, None]:
        try:
            while True:
                try:
                    async with asyncio.timeout(PING_INTERVAL):
                        progress = await inbox.get()
                except TimeoutError:
                    yield PING
                    continue
                if progress is None:
                    break
                yield event(encode(progress))
            try:
                yield event(encode(await self._finish(call, message)))
            except RpcError as error:
                yield event(encode(error.answer(message["id"])))
        finally:
            if era == "modern":
                call.cancel()

    async def _finish(self, call: asyncio.Task[Json], message: Json) -> Json:
        """The message that answers `message`. Raises RpcError when the relay has to answer itself."""
        await asyncio.wait({call})
        if call.cancelled():
            raise RpcError(CANCELLED, "cancelled by the caller")
        answer = call.result()
        if "error" in answer:
            return {"jsonrpc": "2.0", "id": message["id"], "error": answer["error"]}
        return _answer(message, filter_result(self._spec, message["method"], answer["result"]))


async def _measured(call: Call, work: Awaitable[Json]) -> Json:
    with call:
        return call.answered(await work)


class SessionGone(RpcError):
    """Answered with 404, which tells a client to open a new session."""

    def __init__(self) -> None:
        super().__init__(INVALID_REQUEST, "Session not found", status=404)


def _answer(message: Json, result: Json) -> Json:
    return {"jsonrpc": "2.0", "id": message["id"], "result": result}


def _code(body: Json) -> int:
    error = body.get("error")
    return error.get("code", 0) if isinstance(error, dict) else 0
