"""What this process says of itself to control: which revision it is, and whether it is ready.

In: readiness, the policy that stands. Out: `POST {control}/v1/replicas` with a ReplicaReport, on the control
loop: at the start, when a check or readiness changes, and each REPORT_EVERY_S besides; at the end once more,
where control has not heard yet that this replica drains. A control that is away costs a line in the log.
"""

from __future__ import annotations

import asyncio
import contextlib
import importlib
import os
import random
import socket
import time
from typing import TYPE_CHECKING, Any

from .. import __version__, contract
from ..contract import CheckReport, ReplicaReport
from ..policy.remote import control_token
from . import log

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Mapping

    import httpx2

    from ..config import Deployment
    from ..drain import Drain
    from ..health.readiness import Readiness
    from ..secrets.declared import Secrets

LOOK_S = 0.2  # between two looks at readiness
TIMEOUT_S = 3.0
LAST_S = 1.0  # for the last report, while the process ends
HINTS = {
    401: f": {contract.env.CONTROL_TOKEN} is missing or wrong",
    403: f": {contract.env.CONTROL_TOKEN} may not do this",
    404: ": this is no control server, or an older one",
}


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
        self._url, self._query = url.rstrip("/") + contract.REPLICAS_PATH, query
        self._token, self._replica = token, replica
        self._client: httpx2.AsyncClient | None = None
        self._said: object = None
        """What the last report said, whether control took it or not."""
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
        await self._drop_client()

    async def _send(self, report: ReplicaReport) -> None:
        self._said = _news(report)
        error = await self._post(contract.encode(report).encode())
        if error is None and self._error:
            log.info("control hears of this replica again")
        elif error and error != self._error:
            log.warning("control at %s does not hear of this replica: %s", self._url, error)
        self._error = error
        if error:
            await self._drop_client()

    async def _post(self, body: bytes) -> str | None:
        """What went wrong, or None."""
        httpx: Any = await asyncio.to_thread(importlib.import_module, "httpx2")
        try:
            if self._client is None:
                self._client = await asyncio.to_thread(httpx.AsyncClient, timeout=TIMEOUT_S)
            client: httpx2.AsyncClient = self._client  # type: ignore[assignment]
            async with asyncio.timeout(TIMEOUT_S):
                answer = await client.post(
                    self._url, params=self._query, headers=self._headers(), content=body
                )
        except TimeoutError:
            return f"no answer within {TIMEOUT_S:g} s"
        except (httpx.TransportError, OSError) as error:
            return f"{type(error).__name__}: {error}"
        if answer.is_success:
            return None
        return f"it answered {answer.status_code}{HINTS.get(answer.status_code, '')}"

    def _headers(self) -> dict[str, str]:
        headers = {"user-agent": f"shipway-runtime/{__version__}", "content-type": "application/json"}
        token = self._token()
        return headers | ({"authorization": f"Bearer {token}"} if token else {})

    async def _drop_client(self) -> None:
        if self._client:
            client, self._client = self._client, None
            await client.aclose()


def _news(report: ReplicaReport) -> object:
    """What of a report is worth one before its time."""
    states = {name: check.state for name, check in report.checks.items()}
    return report.ready, states, report.policy


@contextlib.asynccontextmanager
async def reporting(
    url: str, replica: Replica, deployment: Deployment, secrets: Secrets, environ: Mapping[str, str]
) -> AsyncIterator[None]:
    """Report to control at `url` while the block runs."""
    known = control_token(deployment, environ)

    def token() -> str | None:
        if value := known.get():
            secrets.learn(value)
        return value

    query = deployment.control_query
    ours = Reporting(url, query, token, replica)
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
