"""Whether a process that runs still answers.

In: probes, and calls that took too long. Out: the reason why it cannot be used, and `hung` when it is to be
ended. A server that works in its only thread is busy, not down: its calls have their own timeouts, and as
long as it says anything within the time of one, it lives.
"""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

from ..eras import envelope
from ..messages import RpcError

if TYPE_CHECKING:
    from ..eras import Era
    from .link import Link

_TIMEOUT = 2.0
_MUTE = 3  # probes in a row without an answer, and no call under way


class Liveness:
    """Of one process, which speaks as `era` says. `hung` gets the reason, in words that follow "it"."""

    def __init__(self, link: Link, era: Era, timeout_s: float) -> None:
        self.hung: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self._link, self._era, self._timeout_s = link, era, timeout_s
        self._mute = 0

    async def probe(self) -> str | None:
        """None when the server answers or works, else the reason in words; within two seconds."""
        error = await self._ask()
        if error is None:
            self._mute = 0
        elif self._link.busy and self._silence() < self._timeout_s:
            return None
        else:
            self._mute += 1
            if self._mute >= _MUTE:
                self._give_up(f"{error}, {self._mute} times in a row")
        return error

    async def examine(self) -> None:
        """After a call that took too long: whether the server hangs."""
        if self._silence() < self._timeout_s:
            return
        if error := await self._ask():
            self._give_up(f"said nothing for {self._timeout_s:g} s and {error}")

    def _silence(self) -> float:
        return time.monotonic() - self._link.heard

    async def _ask(self) -> str | None:
        modern = self._era == "modern"
        method, params = ("server/discover", {"_meta": envelope()}) if modern else ("ping", None)
        try:
            async with asyncio.timeout(_TIMEOUT):
                await self._link.request(method, params)
        except TimeoutError:
            return f"did not answer {method} within {_TIMEOUT:g} s"
        except RpcError as error:
            return str(error)
        return None

    def _give_up(self, reason: str) -> None:
        if not self.hung.done():
            self.hung.set_result(reason)
