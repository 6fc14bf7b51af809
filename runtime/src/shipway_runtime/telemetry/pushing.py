"""Lines on their way to control: to disk at once, then to the server as soon as it takes them.

In: lines of one `Freight` (outcomes; texts of turns), from any thread, which only puts them into a queue.
Out: on the control loop, lines in a spool, and `POST {control}/v1/…` with some of them, until all are taken;
contract.py says what both sides owe each other. While control is away they stay on disk, and attempts come at
growing intervals, different ones in each process. At the end there are FLUSH_S for what is left; the rest is
for the next process.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import stat
from collections import deque
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from .. import contract
from ..config import temporary
from ..errors import StartError
from . import log
from .posting import Posting, shown_token
from .spool import LIMIT, Spool

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterable, Mapping

    from prometheus_client import Metric

    from ..config import Deployment
    from ..secrets.declared import Secrets
    from .spool import Batch

STORE_S = 0.25  # between two looks into the queue
TIMEOUT_S = 10.0
FLUSH_S = 3.0
FIRST_PAUSE_S, LONGEST_PAUSE_S = 1.0, 60.0  # between attempts that failed, doubling
LONGEST_WAIT_S = 300.0  # however long control asks to be left alone
MOST_QUEUED = 10_000  # lines that a disk may be behind
MOST_LINES, MOST_BYTES = 500, 500_000  # of one request
DIVIDED = (413, 422)  # too much, or a line among them that it cannot read: smaller, down to one


@dataclass(frozen=True, slots=True)
class Freight:
    """One kind of lines: where they go, where they wait and how many bytes may, and how they are called."""

    path: str
    folder: str
    metric: str
    one: str
    many: str
    left: str
    """What is left of a line that control refused."""
    limit: int = LIMIT


OUTCOMES = Freight(
    contract.OUTCOMES_PATH,
    folder="outcomes",
    metric="shipway_outcomes",
    one="an outcome",
    many="outcomes",
    left="it is on stdout alone",
)
TEXTS = Freight(
    contract.TURNS_PATH,
    folder="turns",
    metric="shipway_turn_texts",
    one="a turn's text",
    many="texts of turns",
    left="it is lost",
    limit=16_000_000,
)


class Pushing:
    """One process's lines of one kind. `put` is for any thread, the rest belongs to the control loop."""

    def __init__(
        self,
        freight: Freight,
        url: str,
        token: Callable[[], str | None],
        spool: Spool,
        query: Mapping[str, str],
    ) -> None:
        self.freight = freight
        address = url.rstrip("/") + freight.path
        self._posting = Posting(address, query, token, contract.OUTCOMES_TYPE, TIMEOUT_S)
        self._spool = spool
        self._queue: deque[bytes] = deque()
        self._most = MOST_LINES
        self._failures = 0
        self._error: str | None = None
        self.pushed = self.refused = self._overrun = 0

    @property
    def buffered(self) -> int:
        """Lines that control does not have yet."""
        return len(self._queue) + len(self._spool)

    @property
    def dropped(self) -> int:
        """Lines that were given up for want of space."""
        return self._overrun + self._spool.dropped

    def collect(self) -> Iterable[Metric]:
        """A source of metrics."""
        from .families import of_pushing

        return of_pushing(self)

    def put(self, line: str) -> None:
        """One more."""
        if len(self._queue) < MOST_QUEUED:
            self._queue.append(line.encode())
        else:
            self._overrun += 1

    async def run(self) -> None:
        """Store and send, until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._keep_storing())
            group.create_task(self._keep_sending())

    async def flush(self) -> None:
        """Store what is left, and send what can be sent within FLUSH_S."""
        await self._store()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(FLUSH_S):
                while len(self._spool) and await self._send() == 0.0:
                    pass
        await self._posting.close()
        if self.buffered:
            many = self.freight.many
            log.warning("%d %s did not reach control, and wait on disk", self.buffered, many)

    async def _keep_storing(self) -> None:
        while True:
            await asyncio.sleep(STORE_S)
            await self._store()

    async def _store(self) -> None:
        lines = [self._queue.popleft() for _ in range(len(self._queue))]
        if not lines:
            return
        try:
            await asyncio.to_thread(self._spool.add, lines)
        except OSError as error:
            self._say(f"{self.freight.many} cannot be written to disk: {error.strerror or error}")
            self._queue.extendleft(reversed(lines))

    async def _keep_sending(self) -> None:
        while True:
            pause = await self._send() if len(self._spool) else STORE_S
            await asyncio.sleep(pause)

    async def _send(self) -> float:
        """Send one batch; returns for how many seconds to rest."""
        batch = await asyncio.to_thread(self._spool.read, self._most, MOST_BYTES)
        if batch is None:
            return STORE_S
        answer = await self._posting.post(batch.data)
        if answer.good:
            await self._taken(batch)
            return 0.0
        if answer.status in DIVIDED:
            await self._divide(batch, answer.status)
            return 0.0
        where = f"control at {self._posting.url}"
        self._say(f"{self.freight.many} do not reach {where}, and wait on disk: {answer.said}")
        self._failures += 1
        pause = min(LONGEST_PAUSE_S, FIRST_PAUSE_S * 2.0 ** min(self._failures - 1, 10))
        spread = random.uniform(0.6, 1.2)  # noqa: S311 - replicas must not come back in step
        return max(pause * spread, min(answer.retry_s, LONGEST_WAIT_S))

    async def _taken(self, batch: Batch) -> None:
        await asyncio.to_thread(self._spool.take, batch)
        self.pushed += batch.lines
        self._most = min(MOST_LINES, self._most * 2)
        if self._error:
            log.info("control takes %s again", self.freight.many)
        self._failures, self._error = 0, None

    async def _divide(self, batch: Batch, status: int) -> None:
        """Control does not take these lines together; a single one it never will."""
        if batch.lines > 1:
            self._most = batch.lines // 2
            return
        await asyncio.to_thread(self._spool.take, batch)
        self.refused += 1
        log.warning("control refused %s with %d; %s", self.freight.one, status, self.freight.left)

    def _say(self, error: str) -> None:
        if error != self._error:
            log.warning("%s", error)
        self._error = error


@contextlib.asynccontextmanager
async def pushing(
    freight: Freight, url: str, deployment: Deployment, secrets: Secrets, environ: Mapping[str, str]
) -> AsyncIterator[Pushing]:
    """Push what is put into it to control at `url` while the block runs. Raises StartError."""
    spool = await asyncio.to_thread(_open, freight, deployment)
    token = shown_token(deployment, secrets, environ)
    ours = Pushing(freight, url, token, spool, deployment.control_query)
    running = asyncio.create_task(_forever(ours))
    try:
        yield ours
    finally:
        running.cancel()
        await asyncio.wait([running])
        await ours.flush()
        spool.close()


async def _forever(ours: Pushing) -> None:
    while True:
        try:
            await ours.run()
        except Exception:  # noqa: BLE001 - what fails in a new way must not end the trying, nor the process
            log.error("%s: storing or sending them failed", ours.freight.many, exc_info=True)
            await asyncio.sleep(LONGEST_PAUSE_S)


def _open(freight: Freight, deployment: Deployment) -> Spool:
    """The spool on the agent's volume, else in /tmp. Raises StartError."""
    name, storage = Path(deployment.manifest.name, deployment.environment), deployment.places.storage
    roots = [storage / freight.folder / name] if storage else []
    roots.append(temporary() / f"shipway-{freight.folder}-{os.getuid()}" / name)
    problems = []
    for root in roots:
        spool = Spool(root, freight.limit)
        try:
            root.mkdir(parents=True, exist_ok=True, mode=0o700)
            _refuse_strangers(root.parent)
            spool.open()
        except OSError as error:
            problems.append(f"{root}: {error.strerror or error}")
            continue
        if problems:
            log.warning("%s wait in %s: %s", freight.many, root, "; ".join(problems))
        return spool
    raise StartError(
        f"{freight.many} have nowhere to wait while control is away: {'; '.join(problems)}. "
        f"Make one of them writable, or leave {contract.env.CONTROL_URL} out"
    )


def _refuse_strangers(folder: Path) -> None:
    """In /tmp anybody could have made it first."""
    found = folder.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid not in (os.getuid(), 0):
        raise PermissionError(f"{folder} belongs to somebody else")
