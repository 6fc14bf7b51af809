"""How many calls one server takes at a time, how long each may take, how much their requests may weigh."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from .messages import TIMED_OUT, Exhausted

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from ..contract import McpServer

_LARGEST_AT_ONCE = 2  # requests of the size limit, under way to one server
_WAITING = 16  # callers that may wait for each slot


class Slots:
    """Bounds the calls to one server: `concurrency` at once, each `timeout_s` in all, waiting included."""

    def __init__(self, name: str, concurrency: int, timeout_s: float) -> None:
        self._name = name
        self._timeout_s = timeout_s
        self._free = asyncio.Semaphore(concurrency)
        self._most = concurrency * (1 + _WAITING)
        self._callers = 0

    async def take(self) -> float:
        """Take a slot, to be given back. Returns the call's deadline in the loop's time.

        Raises Exhausted when too many wait already, or none is free in time.
        """
        if self._callers >= self._most:
            raise Exhausted(f"MCP server {self._name!r} is busy: {self._callers} calls run or wait already")
        deadline = asyncio.get_running_loop().time() + self._timeout_s
        self._callers += 1
        try:
            async with asyncio.timeout_at(deadline):
                await self._free.acquire()
        except BaseException as error:
            self._callers -= 1
            if isinstance(error, TimeoutError):
                raise self.late() from None
            raise
        return deadline

    def give_back(self) -> None:
        self._callers -= 1
        self._free.release()

    @asynccontextmanager
    async def one(self) -> AsyncIterator[None]:
        """Hold a slot and keep its deadline. Raises Exhausted."""
        deadline = await self.take()
        try:
            async with asyncio.timeout_at(deadline):
                yield
        except TimeoutError:
            raise self.late() from None
        finally:
            self.give_back()

    def late(self) -> Exhausted:
        """What to tell a caller whose time is over."""
        message = f"MCP server {self._name!r} did not answer within {self._timeout_s:g} s"
        return Exhausted(message, code=TIMED_OUT)


class Room:
    """Bounds the bytes of large requests that are under way to one server: read, waiting or being answered.

    A body without room is not read, and its sender's connection stands still: what does not fit waits there
    and not in this process.
    """

    def __init__(self, server: McpServer) -> None:
        self.limit = server.message_limit
        self.timeout_s = server.timeout_s
        self._name = server.name
        self._size = _LARGEST_AT_ONCE * server.message_limit
        self._used = 0
        self._turn = (
            asyncio.Lock()
        )  # in the order they came: a large one is not passed by small ones for ever
        self._freed = asyncio.Event()

    async def take(self, size: int) -> None:
        """Take room for `size` bytes, to be given back. Raises Exhausted when there is none in time."""
        try:
            async with asyncio.timeout(self.timeout_s), self._turn:
                while self._used and self._used + size > self._size:
                    self._freed.clear()
                    await self._freed.wait()
                self._used += size
        except TimeoutError:
            raise Exhausted(
                f"MCP server {self._name!r} is busy: {self._used} bytes of requests are under way, and no "
                f"room for {size} more came within {self.timeout_s:g} s",
                code=TIMED_OUT,
            ) from None

    def give_back(self, size: int) -> None:
        self._used -= size
        self._freed.set()
