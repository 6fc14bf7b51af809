"""Outcomes on their way into the database: who sent them is answered when they are committed, and not before.

In: what requests brought. Out: their return, when it is kept; Refused 429 where too many wait already;
StoreError where the database does not answer. One writer takes all that wait and commits them together, so
that many senders cost as much as one.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from shipway.control.http.answers import RETRY_S, Refused
from shipway.control.outcomes.rows import join, keep

if TYPE_CHECKING:
    from collections.abc import Sequence
    from concurrent.futures import Executor

    from shipway.control.gates.watermarks import Watermarks
    from shipway.control.outcomes.rows import Taken
    from shipway.control.store.database import Database

MOST_WAITING = 50_000  # lines that the database may be behind
MOST_COMMITTED = 5_000  # lines of one transaction


class Intake:
    """The queue, and its one writer. Belongs to the event loop."""

    def __init__(
        self,
        database: Database,
        threads: Executor,
        watermarks: Watermarks,
        keep_s: float,
        most_waiting: int = MOST_WAITING,
    ) -> None:
        self._database, self._threads = database, threads
        self._watermarks, self._keep_s, self._most_waiting = watermarks, keep_s, most_waiting
        self._waiting: list[tuple[Taken, asyncio.Future[int]]] = []
        self._lines = 0
        self._came = asyncio.Event()
        self.new = self.again = self.refused = 0

    @property
    def waiting(self) -> int:
        """Lines that are not committed yet."""
        return self._lines

    async def take(self, taken: Taken) -> None:
        """Return when it is committed. Raises Refused and StoreError; then nothing is kept."""
        if self._lines + len(taken.outcomes) > self._most_waiting:
            self.refused += len(taken.outcomes)
            raise Refused(429, "behind", "the database is behind; send this again", retry_after=str(RETRY_S))
        done: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self._waiting.append((taken, done))
        self._lines += len(taken.outcomes)
        self._came.set()
        await done

    async def run(self) -> None:
        """Commit what comes, until cancelled."""
        loop = asyncio.get_running_loop()
        while True:
            await self._came.wait()
            batch = self._next()
            try:
                new = await loop.run_in_executor(self._threads, self._commit, [taken for taken, _ in batch])
                self._answer(batch, new)
            except Exception as error:  # noqa: BLE001 - whoever waits raises it
                self._answer(batch, error)

    def _next(self) -> list[tuple[Taken, asyncio.Future[int]]]:
        size = count = 0
        for count, (taken, _) in enumerate(self._waiting, 1):  # noqa: B007
            size += len(taken.outcomes)
            if size >= MOST_COMMITTED:
                break
        batch, self._waiting = self._waiting[:count], self._waiting[count:]
        if not self._waiting:
            self._came.clear()
        return batch

    def _answer(self, batch: Sequence[tuple[Taken, asyncio.Future[int]]], said: int | Exception) -> None:
        lines = sum(len(taken.outcomes) for taken, _ in batch)
        self._lines -= lines
        if isinstance(said, int):
            self.new, self.again = self.new + said, self.again + lines - said
        for _, done in batch:
            if done.done():  # who waited is gone
                continue
            if isinstance(said, Exception):
                done.set_exception(said)
            else:
                done.set_result(said)

    def _commit(self, batch: Sequence[Taken]) -> int:
        """Keep them in one transaction, those of a deployment together: statements cost more than rows.
        Returns how many were new."""
        with self._database.write() as transaction:
            return sum(keep(transaction, taken, self._watermarks, self._keep_s) for taken in join(batch))
