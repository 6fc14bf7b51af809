"""How much of one HTTP server's clients is on its way at the same time.

Calls are bounded by the server's slots. What is small (notifications, answers of the client) and what stays
open (streams) have bounds of their own, so that neither waits for a call, nor a call for them. Together these
bound the connections to the server.

In: what is to be sent. Out: its deadline in the loop's time, or Exhausted.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from ..messages import Exhausted
from ..slots import Slots

if TYPE_CHECKING:
    from contextlib import AsyncExitStack

    from ...contract import McpServer

_MOST_NOTES = 64  # notifications and answers on their way at once
_MOST_STREAMS = 1024


class Admission:
    """What is taken is given back when `held` is closed."""

    def __init__(self, server: McpServer) -> None:
        self._server = server
        self._calls = Slots(server.name, server.concurrency, server.timeout_s)
        self._notes = Slots(server.name, _MOST_NOTES, server.timeout_s)
        self._batching = asyncio.Lock()
        self._streams = 0

    async def one(self, held: AsyncExitStack, *, calls: int) -> float:
        """For an exchange that ends: a message, or a batch with so many calls in it."""
        if calls > 1:
            return await self._batch(calls, held)
        slots = self._calls if calls else self._notes
        deadline = await slots.take()
        held.callback(slots.give_back)
        return deadline

    async def _batch(self, calls: int, held: AsyncExitStack) -> float:
        """A slot for each call, as far as there are so many; one batch at a time, or two could lock."""
        deadline = self._deadline()
        try:
            async with asyncio.timeout_at(deadline), self._batching:
                for _ in range(min(calls, self._server.concurrency)):
                    await self._calls.take()
                    held.callback(self._calls.give_back)
        except TimeoutError:
            raise self.late() from None
        return deadline

    def stream(self, held: AsyncExitStack) -> float:
        """For an exchange that stays open. The deadline is that of its beginning."""
        if self._streams >= _MOST_STREAMS:
            raise Exhausted(f"MCP server {self._server.name!r} has {_MOST_STREAMS} open streams already")
        self._streams += 1
        held.callback(self._close_stream)
        return self._deadline()

    def _close_stream(self) -> None:
        self._streams -= 1

    def _deadline(self) -> float:
        return asyncio.get_running_loop().time() + self._server.timeout_s

    def late(self) -> Exhausted:
        """What to tell a caller whose time is over."""
        return self._calls.late()
