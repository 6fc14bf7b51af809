"""An Answerer whose tape follows its directory: what is edited, added or deleted while it plays is noticed.

In: another Answerer, the tape that it plays, and whom to tell of a new one. Out: the other's answers. A
directory that became wrong changes nothing: the last good tape stays, and the findings are on stderr.
"""

from __future__ import annotations

import asyncio
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

from shipway.errors import SpecError
from shipway.replay.apis import providers
from shipway.replay.player import miss
from shipway.replay.tape import ChangedError, load, scan

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from shipway.replay.tape import Stamp, Tape
    from shipway.replay.traffic import Answer, Answerer, Incoming

_FREE_S = 0.005  # a look that costs no more than this of a processor is taken for every request
_SLOW_S = 0.2
_SHARE = 20  # and one that costs more takes at most this part of the time


class Following:
    """Asked from one event loop; the looking is done in a thread. `quiet` says only what is wrong."""

    def __init__(
        self, answerer: Answerer, tape: Tape, *tell: Callable[[Tape], None], quiet: bool = False
    ) -> None:
        self._answerer, self._tape, self._tell, self._quiet = answerer, tape, tell, quiet
        self._seen: Mapping[str, Stamp] = tape.stamps
        self._looked_at = self._again_at = 0.0
        self._looking = asyncio.Lock()

    async def answer(self, incoming: Incoming) -> Answer:
        await self._follow()
        try:
            return await self._answerer.answer(incoming)
        except ChangedError:  # after the last look
            await self._follow(now=True)
        try:
            return await self._answerer.answer(incoming)
        except ChangedError as error:
            fix = "The log says what is wrong with it: correct it, or put it back."
            return miss(f"{error}.\n{fix}", providers.find(incoming.request.path))

    async def _follow(self, *, now: bool = False) -> None:
        asked_at = time.monotonic()
        if not now and asked_at < self._again_at:
            return
        async with self._looking:
            before = self._tape
            if self._looked_at < asked_at:  # else another request has looked for this one, too
                self._looked_at = time.monotonic()
                await asyncio.to_thread(self._look)
            if self._tape is not before:
                for tell in self._tell:
                    tell(self._tape)

    def _look(self) -> None:
        directory = Path(self._tape.directory)
        began, started = time.monotonic(), time.thread_time()
        seen = scan(directory)
        cost, took = time.thread_time() - started, time.monotonic() - began
        if took > _SLOW_S:  # a file system that is far away
            cost = took
        self._again_at = time.monotonic() + (_SHARE * cost if cost > _FREE_S else 0.0)
        if seen != self._seen:
            self._seen = seen
            self._read(directory)

    def _read(self, directory: Path) -> None:
        try:
            self._tape = load(directory, self._tape)
        except SpecError as error:
            _say(f"{directory} has changed and cannot be used: what was read before still answers\n{error}")
            return
        if not self._quiet:
            counts = f"{len(self._tape.recordings)} recordings, {len(self._tape.replies)} scripted replies"
            _say(f"{directory} has changed: {counts} now")


def _say(message: str) -> None:
    print(f"replay: {message}", file=sys.stderr, flush=True)
