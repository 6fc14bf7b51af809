"""How many calls one server takes at a time, and how long each may take."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from .messages import TIMED_OUT, Exhausted

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

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
