"""Outcomes that wait for their score.

In: sampled turns that are over, on the main loop. Out, on the control loop: their outcomes, with a score or
without one; their text, for whoever reads it. A turn is never held up, only the line that tells of it, and
not for longer than WAIT_S and the scorer's own bound. When too many wait, one more goes without a score.
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
from collections import Counter, deque
from typing import TYPE_CHECKING, Literal

from ..telemetry import log, outcomes
from ..telemetry.histogram import Histogram
from .calling import AT_ONCE, ScoreError
from .scorer import Scorer

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterable

    from prometheus_client import Metric

    from ..telemetry.outcomes import Ended
    from .reading import Reading
    from .sample import Sample

LOOK_S = 0.05  # between two looks for turns that are over: waking the control loop would cost the main one
WAIT_S = 30.0  # for a turn's turn
LAST_S = 3.0  # for what still waits when the process ends
MOST = 64  # that wait
BUCKETS = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0)

Result = Literal["scored", "none", "failed", "dropped"]


class Scoring:
    """`take` belongs to the main loop, the rest to the control loop. `reading` is None without control."""

    def __init__(self, scorer: Scorer, redact: Callable[[str], str], reading: Reading | None = None) -> None:
        self._scorer, self._redact, self._reading = scorer, redact, reading
        self._loop = asyncio.get_running_loop()
        self._slots = asyncio.Semaphore(AT_ONCE)
        self._over: deque[Ended] = deque()
        self._kept: dict[int, Ended] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._wanted, self._closing = asyncio.Event(), False
        self._results: Counter[Result] = Counter({"scored": 0, "none": 0, "failed": 0, "dropped": 0})
        self._overrun = 0
        self.scores = Histogram(BUCKETS)

    @property
    def results(self) -> dict[Result, int]:
        """Sampled turns, by what became of their score."""
        return {**self._results, "dropped": self._results["dropped"] + self._overrun}

    @property
    def waiting(self) -> int:
        """Outcomes that are kept back."""
        return len(self._kept)

    def collect(self) -> Iterable[Metric]:
        """A source of metrics."""
        from .families import of_scoring

        return of_scoring(self)

    def take(self, ended: Ended) -> bool:
        """A sampled turn is over. Whether its outcome is written later, by this."""
        status = ended.outcome.status
        if status == "cancelled" or len(self._over) >= MOST:  # nobody reads it; the control loop is behind
            self._overrun += status == "ok"
            return False
        room = len(self._kept) < MOST and not self._closing and not self._scorer.broken
        keeps = status == "ok" and room
        if keeps:
            self._kept[id(ended)] = ended
        self._over.append(ended)
        return keeps

    async def _follow(self) -> None:
        while True:
            self._begin()
            await asyncio.sleep(LOOK_S)

    def _begin(self) -> None:
        """Look after the turns that have ended since the last look."""
        while self._over:
            ended = self._over.popleft()
            if ended.outcome.status == "ok" and id(ended) not in self._kept:
                self._results["failed" if self._scorer.broken else "dropped"] += 1
                continue
            task = self._loop.create_task(self._look_after(ended))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _look_after(self, ended: Ended) -> None:
        score: float | None = None
        result: Result = "failed"
        try:
            sample = ended.notes.sample(self._redact)  # type: ignore[union-attr]
            if id(ended) in self._kept:
                result, score = await self._ask(sample)
            if self._reading:
                self._reading.tell(ended, sample, score)
        except Exception:  # noqa: BLE001 - there is an outcome all the same
            log.error("turn %d: it could not be scored", ended.outcome.turn, exc_info=True)
        except asyncio.CancelledError:
            result = "dropped"
            raise
        finally:
            self._write(ended, result, score)

    async def _ask(self, sample: Sample) -> tuple[Result, float | None]:
        try:
            async with asyncio.timeout(WAIT_S):
                await self._scorer.ready()
                await self._slots.acquire()
        except TimeoutError:
            return "dropped", None
        try:
            score = await self._scorer.score(sample)
        except ScoreError:
            return "failed", None
        finally:
            self._slots.release()
        return ("none", None) if score is None else ("scored", round(score, 6))

    def _write(self, ended: Ended, result: Result, score: float | None) -> None:
        if self._kept.pop(id(ended), None):
            self._results[result] += 1
            if score is not None:
                self.scores.observe(score)
            outcomes.write(dataclasses.replace(ended.outcome, score=score))

    async def finish(self) -> None:
        """Wait a little for the scores that are still to come, and write every outcome that is kept."""
        self._closing = True
        self._begin()
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=LAST_S)
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)
        for ended in list(self._kept.values()):  # cancelled before they had begun
            self._write(ended, "dropped", None)

    async def check(self) -> str | None:
        """For readiness: why turns are not scored now; None when they are, or the first process starts."""
        return self._scorer.problem

    def begin(self) -> None:
        """The agent is there, and its variables: the scorer may start. From any thread."""
        self._loop.call_soon_threadsafe(self._wanted.set)

    async def run(self) -> None:
        """Keep the scorer running once it may start, and look after turns, until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._follow())
            group.create_task(self._keep_running())

    async def _keep_running(self) -> None:
        await self._wanted.wait()
        try:
            await self._scorer.run()
        except Exception as error:  # noqa: BLE001 - what fails in a new way must not end the process
            log.error("evals.live: its process could not be kept running", exc_info=True)
            self._scorer.give_up(f"{type(error).__name__}: {error}")


@contextlib.asynccontextmanager
async def scoring(redact: Callable[[str], str], reading: Reading | None) -> AsyncIterator[Scoring]:
    """Keep outcomes of sampled turns back while the block runs, until they have a score."""
    ours = Scoring(Scorer(), redact, reading)
    release = outcomes.keep(ours.take)
    running = asyncio.create_task(ours.run())
    try:
        yield ours
    finally:
        await ours.finish()
        release()
        running.cancel()
        await asyncio.wait([running])
