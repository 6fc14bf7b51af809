"""What this process says of itself to control: which revision it is, and whether it is ready.

In: readiness, the policy that stands. Out: `POST {control}/v1/replicas` with a ReplicaReport, on the control
loop: at the start, when a check or readiness changes, and each REPORT_EVERY_S besides; at the end once more,
where control has not heard yet that this replica drains. A control that is away costs a line in the log.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import socket
import time
from typing import TYPE_CHECKING

from .. import contract
from ..contract import CheckReport, ReplicaReport
from . import log
from .posting import Posting, shown_token

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Mapping

    from ..config import Deployment
    from ..drain import Drain
    from ..health.readiness import Readiness
    from ..secrets.declared import Secrets

LOOK_S = 0.2  # between two looks at readiness
TIMEOUT_S = 3.0
LAST_S = 1.0  # for the last report, while the process ends


class Replica:
    """This process, as a report has it; its name is its own for life."""

    def __init__(
        self, revision: str, readiness: Readiness, drain: Drain, policy: Callable[[], str | None]
    ) -> None:
        self._revision, self._readiness, self._drain, self._policy = revision, readiness, drain, policy
        self._name = f"{socket.gethostname()}-{os.urandom(3).hex()}"
        self._started = time.time()

    def report(self) -> ReplicaReport:
        """What is true now."""
        status, document = self._readiness.document()
        checks = {
            name: CheckReport(check["state"], check["since"], check["last_error"])
            for name, check in document["checks"].items()
            if "since" in check
        }
        if (began := self._drain.began) is not None:
            since = time.time() - (time.monotonic() - began)
            checks["draining"] = CheckReport("yes", round(since, 3), "it was told to end")
        return ReplicaReport(
            replica=self._name,
            revision=self._revision,
            started=self._started,
            ready=status == 200,
            checks=checks,
            policy=self._policy(),
        )


class Reporting:
    """The way of reports to control. Everything here belongs to the control loop."""

    def __init__(
        self, url: str, query: dict[str, str], token: Callable[[], str | None], replica: Replica
    ) -> None:
        address = url.rstrip("/") + contract.REPLICAS_PATH
        self._posting = Posting(address, query, token, "application/json", TIMEOUT_S)
        self._replica = replica
        self._said: object = None
        """What the last report said that came to an end, whether control took it or not."""
        self._error: str | None = None

    async def run(self) -> None:
        """Report until cancelled."""
        due = 0.0
        while True:
            report = self._replica.report()
            if _news(report) != self._said or time.monotonic() >= due:
                await self._send(report)
                spread = random.uniform(0.8, 1.0)  # noqa: S311 - what started together must not report together
                due = time.monotonic() + contract.REPORT_EVERY_S * spread
            await asyncio.sleep(LOOK_S)

    async def finish(self) -> None:
        """The last report, unless control has it."""
        report = self._replica.report()
        if self._error or _news(report) != self._said:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(LAST_S):
                    await self._send(report)
        await self._posting.close()

    async def _send(self, report: ReplicaReport) -> None:
        self._said = None  # for as long as it is under way: who is cancelled here has said nothing
        answer = await self._posting.post(contract.encode(report).encode())
        self._said = _news(report)
        error = None if answer.good else answer.said
        if error is None and self._error:
            log.info("control hears of this replica again")
        elif error and error != self._error:
            log.warning("control at %s does not hear of this replica: %s", self._posting.url, error)
        self._error = error


def _news(report: ReplicaReport) -> object:
    """What of a report is worth one before its time."""
    states = {name: check.state for name, check in report.checks.items()}
    return report.ready, states, report.policy


@contextlib.asynccontextmanager
async def reporting(
    url: str, replica: Replica, deployment: Deployment, secrets: Secrets, environ: Mapping[str, str]
) -> AsyncIterator[None]:
    """Report to control at `url` while the block runs."""
    token = shown_token(deployment, secrets, environ)
    ours = Reporting(url, deployment.control_query, token, replica)
    running = asyncio.create_task(_forever(ours))
    try:
        yield
    finally:
        running.cancel()
        await asyncio.wait([running])
        await ours.finish()


async def _forever(ours: Reporting) -> None:
    while True:
        try:
            await ours.run()
        except Exception:  # noqa: BLE001 - what fails in a new way must not end the process
            log.error("reporting this replica to control failed", exc_info=True)
            await asyncio.sleep(contract.REPORT_EVERY_S)
