"""The scorer's process, kept running.

In: samples, on the control loop. Out: their scores. Errors: ScoreError; a process that ends takes the turns
it had with it, and is started again, after a pause that grows. One whose function cannot be had is not: the
image would have to change. `problem` says what is wrong, for readiness.

It is run as an MCP server inside is: a session of its own, within its memory, stderr on the log, never left
behind.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import os
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..contract import McpServer
from ..relay.messages import Unavailable
from ..relay.stdio.child import Child
from ..telemetry import log
from .calling import SCORE_S, ScoreError

if TYPE_CHECKING:
    from .sample import Sample

NAME = "evals.live"
MARGIN_S = 2.0  # for a process that keeps to SCORE_S itself
FIRST_PAUSE_S, LONGEST_PAUSE_S = 1.0, 60.0  # before it is started again
MEMORY = 512 * 2**20  # where no cgroup says what there is
CGROUP = Path("/sys/fs/cgroup/memory.max")
_LINE = 1_000_000  # bytes of one reply


class Scorer:
    """`run` it, and `score` with it, on one loop."""

    def __init__(self) -> None:
        self._child: Child | None = None
        self._up, self._stuck = asyncio.Event(), asyncio.Event()
        self._asked: dict[int, asyncio.Future[float | None]] = {}
        self._ids = itertools.count(1)
        self._said = ""
        self.broken = False
        """Whether the function cannot be had, now or later."""
        self.problem: str | None = None
        """Why there is no process to ask; None where there is one, or the first one starts."""

    async def ready(self) -> None:
        """Returns when there is a process to ask, or when there will be none."""
        await self._up.wait()

    async def score(self, sample: Sample) -> float | None:
        """What the function says of a turn. Raises ScoreError; lets a cancellation through."""
        if self._child is None:
            raise ScoreError(self.problem or "its process has just ended")
        identity = next(self._ids)
        answer: asyncio.Future[float | None] = asyncio.get_running_loop().create_future()
        self._asked[identity] = answer
        try:
            self._child.write(b'{"id": %d, "sample": %s}' % (identity, sample.encode()))
            async with asyncio.timeout(SCORE_S + MARGIN_S):
                return await answer
        except Unavailable:
            raise ScoreError("its process does not read what it is to score") from None
        except TimeoutError:
            self._stuck.set()
            slow = f"it took longer than {SCORE_S:g} s, and its process was ended"
            self._tell(slow)
            raise ScoreError(slow) from None
        finally:
            self._asked.pop(identity, None)

    async def run(self) -> None:
        """Keep a process running, until cancelled; returns when there can be none."""
        pause = FIRST_PAUSE_S
        while True:
            began = time.monotonic()
            how = await self._one()
            if self.broken:
                return
            self.problem = f"its process {how}"
            self._tell(self.problem)
            pause = FIRST_PAUSE_S if time.monotonic() - began > LONGEST_PAUSE_S else pause
            await asyncio.sleep(pause)
            pause = min(LONGEST_PAUSE_S, pause * 2)

    def give_up(self, problem: str) -> None:
        """There is no scorer, and there will be none."""
        self.broken, self.problem = True, problem
        self._up.set()

    async def _one(self) -> str:
        """One process, from its start to its end; returns how it ended."""
        command = (sys.executable, "-m", "shipway_runtime.live")
        described = McpServer(NAME, "inside", command, message_limit=_LINE, memory=memory())
        try:
            child = await Child.spawn(described, dict(os.environ))
        except OSError as error:
            return f"could not be started: {error.strerror or error}"
        self._stuck.clear()
        over = [asyncio.create_task(self._listen(child)), asyncio.create_task(self._stuck.wait())]
        try:
            await asyncio.wait(over, return_when=asyncio.FIRST_COMPLETED)
        finally:
            self._child = None
            if not self.broken:
                self._up.clear()
            for task in over:
                task.cancel()
            how = await child.end(0.0)
            self._fail(how)
        return how

    async def _listen(self, child: Child) -> None:
        async for line in child.lines():
            self._hear(json.loads(line.text), child)

    def _hear(self, reply: dict[str, Any], child: Child) -> None:
        if "broken" in reply:
            self._tell(reply["broken"], reply["trace"])
            self.give_up(reply["broken"])
        elif "ready" in reply:
            self._child, self.problem = child, None
            self._up.set()
        elif (answer := self._asked.get(reply["id"])) is not None and not answer.done():
            if "score" in reply:
                answer.set_result(reply["score"])
            else:
                self._tell(reply["error"], reply["trace"])
                answer.set_exception(ScoreError(reply["error"]))

    def _fail(self, how: str) -> None:
        for answer in self._asked.values():
            if not answer.done():
                answer.set_exception(ScoreError(f"its process {how}"))

    def _tell(self, problem: str, trace: str = "") -> None:
        """Once, however many turns it is true of."""
        if problem != self._said:
            log.error("evals.live gives no score: %s%s", problem, f"\n{trace.rstrip()}" if trace else "")
        self._said = problem


def memory(cgroup: Path = CGROUP) -> int:
    """What the process may allocate, in bytes: half of what the container has."""
    with contextlib.suppress(OSError, ValueError):
        return int(cgroup.read_text("ascii")) // 2
    return MEMORY
