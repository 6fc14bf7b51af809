"""The beginning of a conversation with a stdio server: in which of the two worlds it is held.

SDK servers that speak both decide by the first request and stay with it. Asked in the modern way first, they
serve modern clients as they do without a relay, and legacy ones by translation. A legacy server answers that
it does not know `server/discover`, and is initialized then; one that ends instead is started again and
initialized at once. A client that the server may ask something gets a process of its own, which is opened in
the legacy way: in the middle of a call only a legacy server can ask.

In: a link to a new process. Out: the server's introduction.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from ..eras import (
    MODERN_VERSIONS,
    Era,
    Peer,
    envelope,
    initialize_params,
    peer_of_discover,
    peer_of_initialize,
)
from ..messages import Json, RpcError

if TYPE_CHECKING:
    from .link import Link

_PATIENCE = 10.0  # seconds for an answer to `server/discover`; servers take long to start


class Refused(RpcError):
    """The server takes neither way, or not the one that its client needs."""


class Opening:
    """How to open the conversation with each process of one server. `first`: the world to try first."""

    def __init__(self, first: Era, features: Json) -> None:
        self._first, self._features = first, features

    def failed(self) -> bool:
        """The process ended before it had answered. Whether it may have been for the way it was asked."""
        was, self._first = self._first, "legacy"
        return was == "modern"

    async def open(self, link: Link) -> Peer:
        """Raises Refused; NotSent or Unavailable when the process ends."""
        if self._first == "modern" and (peer := await _discover(link)):
            return peer
        answer = await link.request("initialize", initialize_params(self._features))
        if isinstance(result := answer.get("result"), dict):
            self._first = "legacy"  # the next time too, without the noise some make about the other
            link.notify("notifications/initialized")
            return peer_of_initialize(result)
        if not self._features and (peer := await _discover(link)):
            return peer
        error = answer.get("error")
        message = error.get("message") if isinstance(error, dict) else error
        raise Refused(0, f"refused initialize and server/discover: {message}")


async def _discover(link: Link) -> Peer | None:
    try:
        async with asyncio.timeout(_PATIENCE):
            answer = await link.request("server/discover", {"_meta": envelope()})
    except TimeoutError:
        return None
    result = answer.get("result")
    if not isinstance(result, dict) or not set(result.get("supportedVersions") or ()) & {*MODERN_VERSIONS}:
        return None
    return peer_of_discover(result)
