"""Sessions of legacy clients: what belongs to one client of a stdio server.

In: session ids. Out: the requests that a client may cancel by its own ids, the stream on which the server's
notifications and questions reach it, and its answers. A session outlives the server process; the relay
introduces itself to the next one on its own.
"""

from __future__ import annotations

import asyncio
import itertools
import os
from collections import OrderedDict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from ..framing import PING, PING_INTERVAL, event
from ..messages import INTERNAL_ERROR, Json, RpcError, encode, notification, request
from .audience import LOG, UPDATED, concerns, severe
from .delivery import Delivery
from .privates import Private

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator


_MOST = 10_000  # sessions kept; of the others, clients hear that they are gone and open a new one
_BACKLOG = 256  # messages kept for a client that does not read


@dataclass(slots=True, eq=False)
class Session:
    """`features`: what the server may ask of this client; then it has a process of its own, `private`."""

    id: str
    features: Json = field(default_factory=dict)
    deliveries: dict[Any, Delivery] = field(default_factory=dict)
    level: str | None = None
    uris: set[str] = field(default_factory=set)
    private: Private | None = None
    starting: asyncio.Lock = field(default_factory=asyncio.Lock)
    """Held while `private` is started."""
    _outbox: asyncio.Queue[Json | None] | None = None
    _numbers: itertools.count[int] = field(default_factory=lambda: itertools.count(1))
    _questions: dict[Any, asyncio.Future[Json]] = field(default_factory=dict)
    _unheard: dict[Any, Json] = field(default_factory=dict)
    """Questions that wait for the client to listen."""

    # -- The stream --------------------------------------------------------------------------------------

    @property
    def listening(self) -> bool:
        return self._outbox is not None

    async def listen(self) -> AsyncGenerator[bytes, None]:
        """Messages as server-sent events. A second listener takes over from the first."""
        self.hang_up()
        outbox = self._outbox = asyncio.Queue(_BACKLOG)
        try:
            yield PING  # so that headers leave at once
            while self._unheard:
                yield event(encode(self._unheard.pop(next(iter(self._unheard)))))
            while True:
                try:
                    async with asyncio.timeout(PING_INTERVAL):
                        message = await outbox.get()
                except TimeoutError:
                    yield PING
                    continue
                if message is None:
                    return
                yield event(encode(message))
        finally:
            if self._outbox is outbox:
                self._outbox = None

    def hears(self, message: Json) -> bool:
        if message["method"] == UPDATED:
            return concerns(message, self.uris)
        return message["method"] != LOG or severe(message, self.level)

    def post(self, message: Json | None) -> None:
        """Put a message on the stream, when somebody listens; the oldest gives way to the newest."""
        if self._outbox is None:
            return
        if self._outbox.full():
            self._outbox.get_nowait()
        self._outbox.put_nowait(message)

    def hang_up(self) -> None:
        self.post(None)

    # -- Questions of the server -------------------------------------------------------------------------

    async def ask(self, method: str, params: Json | None) -> Json:
        """The client's result: asked on a request under way, else on the stream, else once it listens.

        Raises RpcError with the client's error.
        """
        number = f"shipway-{next(self._numbers)}"
        answer = self._questions[number] = asyncio.get_running_loop().create_future()
        try:
            self._put(number, request(number, method, params))
            return _result_of(await answer)
        except asyncio.CancelledError:
            self._take_back(number)
            raise
        finally:
            del self._questions[number]
            self._unheard.pop(number, None)

    def _put(self, number: str, question: Json) -> None:
        if any(delivery.post(question) for delivery in reversed(self.deliveries.values())):
            return
        if self._outbox is not None and not self._outbox.full():
            self._outbox.put_nowait(question)
        else:
            self._unheard[number] = question

    def _take_back(self, number: str) -> None:
        if number not in self._unheard:
            reason = {"requestId": number, "reason": "the server needs no answer any more"}
            self.post(notification("notifications/cancelled", reason))

    def take_answer(self, message: Json) -> None:
        """A response of the client to one of the server's questions."""
        number = message.get("id")
        answer = self._questions.get(number) if isinstance(number, (int, str)) else None
        if answer and not answer.done():
            answer.set_result(message)

    def close(self) -> None:
        """The client is gone: nobody answers or listens any more."""
        for answer in self._questions.values():
            if not answer.done():
                answer.set_exception(RpcError(INTERNAL_ERROR, "the client closed its session"))
        self.hang_up()


def _result_of(message: Json) -> Json:
    if isinstance(result := message.get("result"), dict):
        return result
    error = message.get("error")
    error = error if isinstance(error, dict) else {}
    code, text = error.get("code"), str(error.get("message", "the client gave no result"))
    raise RpcError(code if isinstance(code, int) else INTERNAL_ERROR, text)


class Sessions:
    def __init__(self) -> None:
        self._sessions: OrderedDict[str, Session] = OrderedDict()

    def open(self, features: Json) -> Session:
        session = Session(os.urandom(16).hex(), features)
        self._sessions[session.id] = session
        return session

    def excess(self) -> Session | None:
        """The session that was not used for longest, when there are too many."""
        return next(iter(self._sessions.values())) if len(self._sessions) > _MOST else None

    def get(self, session_id: str) -> Session | None:
        """The session, which counts as used now; None when there is no such session (any more)."""
        if session := self._sessions.get(session_id):
            self._sessions.move_to_end(session_id)
        return session

    def forget(self, session: Session) -> None:
        self._sessions.pop(session.id, None)
        session.close()

    def hang_up(self) -> None:
        """End every stream."""
        for session in self._sessions.values():
            session.hang_up()
