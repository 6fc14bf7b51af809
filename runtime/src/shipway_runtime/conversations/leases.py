"""One turn at a time: who may run a conversation's turn, among tasks of this process and among processes.

In: a conversation. Out: the right to run its turn, until it is given back.
Errors: BusyError, StoreError.

Within the process a lock, first come, first served. Among processes a lease: the conversation's row names its
holder and until when. It is renewed while the turn runs, so it needs no connection, and whoever is killed
loses it by the clock. A process that waits writes itself down as the next one, so that a busy holder cannot
take the conversation again and again. A lease that was lost shows when the turn is stored: the statement
that stores it demands it.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import random
import time
import uuid
import weakref
from typing import TYPE_CHECKING, Any

from ..telemetry import log
from . import statements
from .store import BusyError, Place, StoreError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from .database import Database

LEASE_S = 15.0  # longer than any sound turn blocks the main loop
RENEWALS = 3  # in the length of a lease
SOON_S, LATE_S = 0.02, 0.25  # between two looks at a conversation that another process holds
NEXT_S = 1.0  # for the next process to come and look
AT_ONCE = 50  # leases that one statement renews


class Leases:
    """The leases of one process in one database."""

    def __init__(self, database: Database, lease_s: float) -> None:
        self._database, self._lease_s = database, lease_s
        self._me = uuid.uuid4().hex
        self._locks: weakref.WeakValueDictionary[Place, asyncio.Lock] = weakref.WeakValueDictionary()
        self._held: set[Place] = set()

    @property
    def renew_s(self) -> float:
        """Seconds between two renewals."""
        return self._lease_s / RENEWALS

    def values(self, place: Place) -> dict[str, Any]:
        """What statements about a conversation need."""
        return {"tenant": place.tenant or "", "conversation": place.conversation, "me": self._me}

    @contextlib.asynccontextmanager
    async def hold(self, place: Place, wait_s: float | None) -> AsyncIterator[None]:
        """`wait_s` seconds at most until it is held; None without a bound, 0 at once or not at all."""
        end = None if wait_s is None else time.monotonic() + wait_s
        lock = await self._lock(place, wait_s)
        try:
            await self._take(place, end)
            try:
                yield
            finally:
                await self._give_back(place)
        finally:
            lock.release()

    def given_back(self, place: Place) -> None:
        """The lease has gone back with the turn that was stored."""
        self._held.discard(place)

    async def renew(self) -> None:
        """Renew every lease of this process."""
        held = iter(tuple(self._held))
        while places := tuple(itertools.islice(held, AT_ONCE)):
            rows = ", ".join(f"(:tenant{n}, :conversation{n})" for n in range(len(places)))
            values: dict[str, Any] = {"me": self._me, "lease_s": self._lease_s}
            for n, place in enumerate(places):
                values |= {f"tenant{n}": place.tenant or "", f"conversation{n}": place.conversation}
            await self._database.change(values, statements.RENEW.format(rows=rows))

    async def _lock(self, place: Place, wait_s: float | None) -> asyncio.Lock:
        lock = self._locks.get(place)
        if lock is None:
            lock = self._locks[place] = asyncio.Lock()
        if wait_s == 0 and lock.locked():
            raise BusyError
        try:
            async with asyncio.timeout(wait_s or None):
                await lock.acquire()
        except TimeoutError:
            raise BusyError from None
        return lock

    async def _take(self, place: Place, end: float | None) -> None:
        values = self.values(place) | {"lease_s": self._lease_s, "next_s": NEXT_S}
        pause = SOON_S
        while not await self._database.change(values, statements.TAKE):
            left = LATE_S if end is None else end - time.monotonic()
            if left <= 0:
                raise BusyError
            await self._database.change(values, statements.BE_NEXT)
            await asyncio.sleep(min(left, pause * random.uniform(0.5, 1.5)))  # noqa: S311 - not in step
            pause = min(2 * pause, LATE_S)
        self._held.add(place)

    async def _give_back(self, place: Place) -> None:
        if place not in self._held:
            return
        self._held.discard(place)
        try:
            await self._database.change(self.values(place), statements.GIVE_BACK, statements.SWEEP)
        except StoreError as error:
            log.warning("conversation %s stays taken for %g s: %s", place.conversation, self._lease_s, error)
