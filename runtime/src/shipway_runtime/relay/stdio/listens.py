"""`subscriptions/listen`: the stream on which a modern client hears of changes.

In: the filter that a client sends. Out: an acknowledgement, then what passes the filter, each message with
the id of the client's request; when the relay closes, the request's result.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from ..eras import SUBSCRIPTION
from ..framing import PING, PING_INTERVAL, event
from ..messages import INVALID_PARAMS, Json, RpcError, answer_to, encode, meta_of, notification
from .audience import UPDATED, concerns

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

_BACKLOG = 256
_KINDS = {
    "toolsListChanged": ("tools", "notifications/tools/list_changed"),
    "promptsListChanged": ("prompts", "notifications/prompts/list_changed"),
    "resourcesListChanged": ("resources", "notifications/resources/list_changed"),
}


@dataclass(slots=True, eq=False)
class Listen:
    """One client's stream. An ear of the audience."""

    id: Any
    wanted: Json
    """The part of the filter that the server can satisfy."""
    uris: set[str] = field(default_factory=set)
    _outbox: asyncio.Queue[Json | None] = field(default_factory=lambda: asyncio.Queue(_BACKLOG + 1))

    @classmethod
    def parse(cls, message: Json, capabilities: Json) -> Listen:
        """Raises RpcError for a request without a filter."""
        asked = (message.get("params") or {}).get("notifications")
        if not isinstance(asked, dict):
            raise RpcError(INVALID_PARAMS, "expected params.notifications to say which changes to listen for")
        wanted: Json = {
            kind: True
            for kind, (of, _) in _KINDS.items()
            if asked.get(kind) is True and _can(capabilities, of, "listChanged")
        }
        uris = asked.get("resourceSubscriptions")
        if isinstance(uris, list) and uris and _can(capabilities, "resources", "subscribe"):
            wanted["resourceSubscriptions"] = [str(uri) for uri in uris]
        return cls(message["id"], wanted, set(wanted.get("resourceSubscriptions", ())))

    def hears(self, message: Json) -> bool:
        if message["method"] == UPDATED:
            return concerns(message, self.uris)
        return any(self.wanted.get(kind) and message["method"] == m for kind, (_, m) in _KINDS.items())

    def post(self, message: Json) -> None:
        """Put a message on the stream. A client that does not read is hung up on: it has to listen anew."""
        if self._outbox.qsize() < _BACKLOG:
            self._outbox.put_nowait(message)
        else:
            self.hang_up()

    def hang_up(self) -> None:
        if not self._outbox.full():
            self._outbox.put_nowait(None)

    async def events(self) -> AsyncGenerator[bytes, None]:
        acknowledged = notification(
            "notifications/subscriptions/acknowledged", {"notifications": self.wanted}
        )
        yield self._event(acknowledged)
        while True:
            try:
                async with asyncio.timeout(PING_INTERVAL):
                    message = await self._outbox.get()
            except TimeoutError:
                yield PING
                continue
            if message is None:
                break
            yield self._event(message)
        result = {"resultType": "complete", "_meta": {SUBSCRIPTION: self.id}}
        yield event(encode(answer_to(self.id, result)))

    def _event(self, message: Json) -> bytes:
        params = message.get("params") or {}
        meta = {**meta_of(params), SUBSCRIPTION: self.id}
        return event(encode({**message, "params": {**params, "_meta": meta}}))


def _can(capabilities: Json, of: str, what: str) -> bool:
    capability = capabilities.get(of)
    return isinstance(capability, dict) and bool(capability.get(what))
