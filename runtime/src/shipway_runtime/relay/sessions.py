"""Sessions of legacy clients: what belongs to one client of a server that all of them share.

In: session ids. Out: the calls a client may cancel by its own ids, and the stream on which the server's
notifications reach it. A session outlives the server process; the relay introduces itself to the next one
on its own.
"""

from __future__ import annotations

import asyncio
import os
from collections import OrderedDict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from .framing import PING, PING_INTERVAL, event
from .messages import Json, encode

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

HEADER = "mcp-session-id"

_MOST = 10_000  # sessions kept; of the others, clients hear that they are gone and open a new one
_BACKLOG = 256  # notifications kept for a client that does not read


@dataclass(slots=True)
class Session:
    id: str
    calls: dict[Any, asyncio.Task[Json]] = field(default_factory=dict)
    outbox: asyncio.Queue[bytes | None] | None = None

    async def listen(self) -> AsyncGenerator[bytes, None]:
        """Notifications as server-sent events. A second listener takes over from the first."""
        self.hang_up()
        outbox = self.outbox = asyncio.Queue(_BACKLOG)
        try:
            yield PING  # so that headers leave at once
            while True:
                try:
                    async with asyncio.timeout(PING_INTERVAL):
                        message = await outbox.get()
                except TimeoutError:
                    yield PING
                    continue
                if message is None:
                    return
                yield event(message)
        finally:
            if self.outbox is outbox:
                self.outbox = None

    def post(self, message: bytes | None) -> None:
        """Put a message on the stream, when somebody listens; the oldest gives way to the newest."""
        if self.outbox is None:
            return
        if self.outbox.full():
            self.outbox.get_nowait()
        self.outbox.put_nowait(message)

    def hang_up(self) -> None:
        self.post(None)


class Sessions:
    def __init__(self) -> None:
        self._sessions: OrderedDict[str, Session] = OrderedDict()

    def open(self) -> Session:
        session = Session(os.urandom(16).hex())
        self._sessions[session.id] = session
        if len(self._sessions) > _MOST:
            self._sessions.popitem(last=False)[1].hang_up()
        return session

    def get(self, session_id: str) -> Session | None:
        """The session, which counts as used now; None when there is no such session (any more)."""
        if session := self._sessions.get(session_id):
            self._sessions.move_to_end(session_id)
        return session

    def close(self, session: Session) -> None:
        self._sessions.pop(session.id, None)
        session.hang_up()

    def broadcast(self, message: Json) -> None:
        """Give a notification to everybody who listens."""
        data = encode(message)
        for session in self._sessions.values():
            session.post(data)

    def hang_up(self) -> None:
        """End every stream."""
        for session in self._sessions.values():
            session.hang_up()
