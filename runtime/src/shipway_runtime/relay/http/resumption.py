"""What it takes to open a legacy session again, when the server was restarted and has forgotten it.

In: what the client of the session posts. Out: the messages that bring a new session to the same state: the
client's own `initialize`, then its log level and its subscriptions to resources.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from ..messages import Json, notification, request

if TYPE_CHECKING:
    from collections.abc import Iterable

_MOST_SESSIONS = 10_000
_MOST_SUBSCRIPTIONS = 256  # of one session; of more, the oldest are not made again
_LONGEST_OPENING = 16 * 1024
_LONGEST_URI = 4096


@dataclass(slots=True)
class Opened:
    """A session at the server. `id` is the server's own, now; the client goes by the first it had."""

    id: str
    opening: bytes
    level: object = None
    subscriptions: OrderedDict[str, None] = field(default_factory=OrderedDict)
    reopening: asyncio.Lock = field(default_factory=asyncio.Lock)

    def note(self, messages: Iterable[Json]) -> None:
        """Keep what would be lost with the session."""
        for message in messages:
            method, params = message.get("method"), message.get("params") or {}
            if method == "logging/setLevel" and len(str(params.get("level"))) < 20:
                self.level = params.get("level")
            elif isinstance(uri := params.get("uri"), str) and len(uri) <= _LONGEST_URI:
                self._note_resource(str(method), uri)

    def _note_resource(self, method: str, uri: str) -> None:
        if method == "resources/unsubscribe":
            self.subscriptions.pop(uri, None)
        elif method == "resources/subscribe":
            self.subscriptions[uri] = None
            if len(self.subscriptions) > _MOST_SUBSCRIPTIONS:
                self.subscriptions.popitem(last=False)

    def replay(self) -> list[Json]:
        """What to send in the new session, after `initialize`."""
        messages = [notification("notifications/initialized", None)]
        if self.level is not None:
            messages.append(request("relay-level", "logging/setLevel", {"level": self.level}))
        for number, uri in enumerate(self.subscriptions):
            messages.append(request(f"relay-resource-{number}", "resources/subscribe", {"uri": uri}))
        return messages


class Resumption:
    """The sessions of one server, by the ids that their clients know. Bounded; the idle ones go first."""

    def __init__(self) -> None:
        self._sessions: OrderedDict[str, Opened] = OrderedDict()

    def remember(self, session_id: str, opening: bytes) -> None:
        if len(opening) > _LONGEST_OPENING:
            return
        self._sessions[session_id] = Opened(session_id, opening)
        if len(self._sessions) > _MOST_SESSIONS:
            self._sessions.popitem(last=False)

    def get(self, session_id: str | None) -> Opened | None:
        """The session, which counts as used now."""
        if session_id is None or (session := self._sessions.get(session_id)) is None:
            return None
        self._sessions.move_to_end(session_id)
        return session

    def forget(self, session_id: str) -> None:
        self._sessions.pop(session_id, None)
