"""Processes that serve one client alone, because it lets the server ask it something.

Over stdio a question names no request, so a server that may ask (for sampling, for the user's input, for
roots) has to have one client. Clients that offer nothing share one process; most agents are such clients.

In: what a client offers, and the way to ask it. Out: a server of its own, started for it. Their number is
bounded: one that has nothing to do gives way, and is started again when its client comes back.
"""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from ..messages import Exhausted, Json
from .audience import Audience
from .server import StdioServer

if TYPE_CHECKING:
    from collections.abc import Callable

_IDLE = 600.0  # seconds without a request and without a stream, after which a process is ended
_LOOK = 30.0
_GRACE = 2.0


@dataclass(slots=True, eq=False)
class Private:
    """One process and its only client. `closed` when it had to give way."""

    server: StdioServer
    audience: Audience
    features: Json
    used: float = field(default_factory=time.monotonic)
    closed: bool = False

    @property
    def busy(self) -> bool:
        return bool(self.audience.deliveries)

    @property
    def listening(self) -> bool:
        return any(getattr(ear, "listening", True) for ear in self.audience.ears)


class Privates:
    """`make` creates a server that is not started yet; `most` is how many there may be."""

    def __init__(self, name: str, make: Callable[[Audience, Json], StdioServer], most: int) -> None:
        self._name, self._make, self._most = name, make, most
        self._open: dict[Private, None] = {}
        self._janitor: asyncio.Task[None] | None = None
        self._ending: set[asyncio.Task[None]] = set()

    async def open(self, features: Json, audience: Audience) -> Private:
        """Start a process. Raises Exhausted when all of them are at work."""
        if len(self._open) >= self._most:
            self._close_one()
        private = Private(self._make(audience, features), audience, features)
        self._open[private] = None
        if self._janitor is None:
            self._janitor = asyncio.create_task(self._close_idle())
        await private.server.start()
        return private

    def _close_one(self) -> None:
        idle = sorted((p for p in self._open if not p.busy), key=lambda p: (p.listening, p.used))
        if not idle:
            raise Exhausted(
                f"MCP server {self._name!r} is busy: {len(self._open)} clients that it may ask something "
                "have calls under way, each in a process of its own"
            )
        self.close(idle[0])

    def close(self, private: Private) -> None:
        """End a process, beside everything else."""
        if self._open.pop(private, private) is None:
            private.closed = True
            ending = asyncio.create_task(private.server.close(_GRACE))
            self._ending.add(ending)
            ending.add_done_callback(self._ending.discard)

    async def close_all(self, grace: float) -> None:
        if self._janitor:
            self._janitor.cancel()
        privates, self._open = list(self._open), {}
        for private in privates:
            private.closed = True
        await asyncio.gather(*(private.server.close(grace) for private in privates), *self._ending)

    async def _close_idle(self) -> None:
        while True:
            await asyncio.sleep(_LOOK)
            before = time.monotonic() - _IDLE
            for private in [p for p in self._open if not p.busy and not p.listening and p.used < before]:
                self.close(private)
