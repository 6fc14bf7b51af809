"""The HTTP face of a stdio server: streamable HTTP of every version, in front of one shared process.

In: POST (a message, or a batch), GET (the stream of a session), DELETE. Out: JSON, or server-sent events when
there is something to say before the answer. Legacy clients get a session; modern ones need none. A client
that lets the server ask it something gets a process of its own.
"""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING

from .. import posted
from ..calls import Calls
from ..eras import (
    METHODS_OF_SESSIONS,
    SESSION_HEADER,
    Era,
    check_envelope,
    discover_result,
    era_of,
    features_of,
    initialize_result,
)
from ..exchange import STREAM_HEADERS, Reply, Request, error_reply, json_reply, parse_accept
from ..messages import INVALID_REQUEST, METHOD_NOT_FOUND, Json, RpcError, Unavailable, answer_to, is_request
from ..slots import Room
from ..tools import Tools
from ..trace import into_meta
from .delivery import Delivery
from .listens import Listen
from .processes import Processes
from .sessions import Session, Sessions

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Mapping

    from ...contract import McpServer
    from ..backend import ServerState
    from ..calls import Call
    from ..tools import Switches
    from .watcher import Watcher

_OURS = {"notifications/initialized", "notifications/progress"}
"""Notifications between the client and the relay alone."""


class Inside:
    """A Backend: one stdio server."""

    def __init__(
        self,
        server: McpServer,
        environment: Callable[[], Mapping[str, str]],
        watcher: Watcher | None = None,
        switches: Switches | None = None,
    ) -> None:
        self._spec = server
        self._tools = Tools(server, switches)
        self._room = Room(server)
        self._sessions = Sessions()
        self._processes = Processes(server, environment, watcher)
        self.calls = Calls(server)

    @property
    def state(self) -> ServerState:
        return self._processes.shared.state

    async def start(self) -> None:
        await self._processes.shared.start()

    async def close(self, grace: float) -> None:
        self._sessions.hang_up()
        await self._processes.close(grace)

    async def probe(self) -> str | None:
        return await self._processes.shared.probe()

    # -- One HTTP request --------------------------------------------------------------------------------

    async def handle(self, request: Request) -> Reply:
        if request.method == "POST":
            return await self._post(request)
        session = self._session(request)
        if request.method == "GET" and session:
            return Reply(200, session.listen(), STREAM_HEADERS)
        if request.method == "DELETE" and session:
            self._end(session)
            return Reply(204)
        return Reply(405, headers={"allow": "POST"})

    async def _post(self, request: Request) -> Reply:
        sent = posted.parse(await request.body(self._room))
        if sent.batch and era_of(request.headers, "") == "legacy":
            return await self._batch(request, sent.messages)
        if sent.batch:
            raise RpcError(INVALID_REQUEST, "expected one message: MCP 2026-07-28 has no batches")
        (message,) = sent.messages
        era = era_of(request.headers, message.get("method", ""))
        if not is_request(message):
            self._take(request, message, era)
            return Reply(202)
        try:
            return await self._answer(request, message, era)
        except SessionGone as error:
            return json_reply(error.answer(message["id"]), error.status)
        except RpcError as error:
            return error_reply(error, message["id"], modern=era == "modern")

    async def _batch(self, request: Request, messages: tuple[Json, ...]) -> Reply:
        """The answers in one piece. Of the versions that are spoken here, only 2025-03-26 has batches."""
        answers = await asyncio.gather(*(self._one_of_many(request, message) for message in messages))
        bodies = [answer for answer in answers if answer is not None]
        return json_reply(bodies) if bodies else Reply(202)

    async def _one_of_many(self, request: Request, message: Json) -> Json | None:
        if not is_request(message):
            self._take(request, message, "legacy")
            return None
        if message["method"] == "initialize":
            return RpcError(INVALID_REQUEST, "initialize cannot be part of a batch").answer(message["id"])
        try:
            delivery = Delivery(message, "legacy", json=True, events=False)
            self._begin(delivery, request, self._session(request))
            return await delivery.whole()
        except RpcError as error:
            return error.answer(message["id"])

    async def _answer(self, request: Request, message: Json, era: Era) -> Reply:
        if era == "modern":
            check_envelope(message, request.headers)
            if message["method"] in METHODS_OF_SESSIONS:
                raise RpcError(METHOD_NOT_FOUND, f"{message['method']} is not part of MCP 2026-07-28")
        match message["method"]:
            case "initialize":
                return await self._initialize(message)
            case "server/discover":
                return await self._discover(message, era)
            case "subscriptions/listen":
                return await self._listen(message, era)
        takes_json, takes_events = parse_accept(request)
        session = self._session(request) if era == "legacy" else None
        delivery = Delivery(message, era, json=takes_json, events=takes_events)
        self._begin(delivery, request, session)
        return await delivery.reply(request)

    # -- Introductions -----------------------------------------------------------------------------------

    async def _initialize(self, message: Json) -> Reply:
        params = message.get("params") or {}
        session = self._sessions.open(features_of(params.get("capabilities")))
        if (excess := self._sessions.excess()) is not None:
            self._end(excess)
        try:
            peer = await self._processes.join(session)
        except RpcError:
            self._end(session)
            raise
        result = initialize_result(peer, self._spec.name, params.get("protocolVersion"))
        return json_reply(answer_to(message["id"], result), headers={SESSION_HEADER: session.id})

    async def _discover(self, message: Json, era: Era) -> Reply:
        if era == "legacy":
            raise RpcError(METHOD_NOT_FOUND, "server/discover needs MCP-Protocol-Version: 2026-07-28")
        peer = await self._processes.shared.introduce()
        if reason := await self._processes.shared.probe():  # a relay in front takes this for a sign of life
            raise Unavailable(f"MCP server {self._spec.name!r} {reason}")
        return json_reply(answer_to(message["id"], discover_result(peer, self._spec.name)))

    async def _listen(self, message: Json, era: Era) -> Reply:
        if era == "legacy":
            raise RpcError(METHOD_NOT_FOUND, "subscriptions/listen needs MCP-Protocol-Version: 2026-07-28")
        peer = await self._processes.shared.introduce()
        listen = Listen.parse(message, peer.capabilities)
        await self._processes.attach(listen)
        return Reply(200, self._until_left(listen), STREAM_HEADERS)

    async def _until_left(self, listen: Listen) -> AsyncGenerator[bytes, None]:
        try:
            async with contextlib.aclosing(listen.events()) as events:
                async for chunk in events:
                    yield chunk
        finally:
            self._processes.detach(listen)

    # -- Sessions ----------------------------------------------------------------------------------------

    def _session(self, request: Request) -> Session | None:
        """The caller's session; None when it names none. Raises RpcError for one that is gone."""
        if (session_id := request.headers.get(SESSION_HEADER)) is None:
            return None
        if session := self._sessions.get(session_id):
            return session
        raise SessionGone

    def _end(self, session: Session) -> None:
        self._sessions.forget(session)
        self._processes.leave(session)

    def _take(self, request: Request, message: Json, era: Era) -> None:
        """A notification, or a client's answer to a question of the server."""
        if era == "modern":
            return  # a modern client cancels by hanging up, and answers with its next request
        session, method = self._session(request), message.get("method")
        if method is None:
            if session:
                session.take_answer(message)
        elif method == "notifications/cancelled":
            number = (message.get("params") or {}).get("requestId")
            if session and isinstance(number, (int, str)) and (delivery := session.deliveries.get(number)):
                delivery.cancel()
        elif method not in _OURS and method.startswith("notifications/"):  # and no call without an id
            self._processes.notify(session, message)

    # -- Calls -------------------------------------------------------------------------------------------

    def _begin(self, delivery: Delivery, request: Request, session: Session | None) -> None:
        """Start to work on a request. Raises RpcError for the call of a tool that is denied."""
        message = delivery.message
        method, params = message["method"], message.get("params")
        measured = self.calls.measure(message, request.headers)
        with measured.door():
            self._tools.check(method, params)
        delivery.message = message | ({"params": p} if (p := into_meta(params, request.headers)) else {})
        work = delivery.begin(self._work(delivery, session, measured))
        if session:
            session.deliveries[message["id"]] = delivery
            work.add_done_callback(lambda _: session.deliveries.pop(message["id"], None))

    async def _work(self, delivery: Delivery, session: Session | None, measured: Call) -> Json:
        with measured:
            answer = measured.answered(await self._processes.answer(delivery, session))
        if isinstance(result := answer.get("result"), dict):
            return {"result": self._tools.show(delivery.message["method"], result)}
        return answer


class SessionGone(RpcError):
    """Answered with 404, which tells a client to open a new session."""

    def __init__(self) -> None:
        super().__init__(INVALID_REQUEST, "Session not found", status=404)
