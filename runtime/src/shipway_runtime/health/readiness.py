"""May the process get traffic?

Checks run in the background on the control loop and fill a cache; a probe reads the cache and costs nothing.
A check goes down after three failures in a row and up after two successes, so one lost packet moves no
traffic; its very first success counts at once, so a start is quick. Whether the process lives is another
question, and must not be mixed up with this one: heart.py.

In: checks. Out: the document of /readyz, with what is wrong, since when, and the last error.
"""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from ..telemetry import log

if TYPE_CHECKING:
    from .heart import Document

FAILURES_TO_DOWN = 3
SUCCESSES_TO_UP = 2
START_INTERVAL_S = 0.5
TIMEOUT_S = 3.0


@dataclass(frozen=True, slots=True)
class Check:
    """One thing readiness depends on. `probe` returns None when all is well, else the reason."""

    name: str
    probe: Callable[[], Awaitable[str | None]]
    required: bool = True
    detail: Callable[[], Mapping[str, Any]] = dict


@dataclass(slots=True)
class CheckState:
    """What is known of a check: `starting` until its first success or third failure. Times: epoch, s."""

    state: Literal["starting", "up", "down"] = "starting"
    since: float = field(default_factory=time.time)
    last_error: str | None = None
    _failures: int = 0
    _successes: int = 0

    def record(self, error: str | None) -> None:
        """Take the result of one probe into account."""
        if error is None:
            self._failures, self._successes = 0, self._successes + 1
            if self.state == "starting":
                self.last_error = None  # it was not there yet: no error of a thing that works
                self._become("up")
            elif self._successes >= SUCCESSES_TO_UP:
                self._become("up")
        else:
            self._failures, self._successes, self.last_error = self._failures + 1, 0, error
            if self._failures >= FAILURES_TO_DOWN:
                self._become("down")

    def _become(self, state: Literal["up", "down"]) -> None:
        if state != self.state:
            self.state, self.since = state, time.time()


class Readiness:
    """All checks, their states, and the two facts that need no probe: agent imported, draining."""

    def __init__(self, interval_s: float, *, draining: Callable[[], bool]) -> None:
        self._checks: list[Check] = []
        self._states: dict[str, CheckState] = {}
        self._added: asyncio.Queue[Check] = asyncio.Queue()
        self._agent = CheckState()
        self._interval_s = interval_s
        self._draining = draining

    def agent_imported(self) -> None:
        """The agent is there and the API port is about to be served."""
        self._agent.record(None)

    async def run(self, checks: list[Check]) -> None:
        """Probe every check until cancelled, each at its own pace, and those that are added later."""
        self._states |= {check.name: CheckState() for check in checks}
        self._checks = [*checks, *self._checks]
        async with asyncio.TaskGroup() as group:
            for check in checks:
                group.create_task(self._repeat(check))
            while True:
                group.create_task(self._repeat(await self._added.get()))

    def add(self, check: Check, loop: asyncio.AbstractEventLoop) -> None:
        """One more check, from any thread; readiness depends on it at once. `loop` is where `run` runs."""
        self._states[check.name] = CheckState()
        self._checks = [*self._checks, check]
        loop.call_soon_threadsafe(self._added.put_nowait, check)

    async def _repeat(self, check: Check) -> None:
        state = self._states[check.name]
        while True:
            before = state.state
            state.record(await _result(check))
            if state.state != before:
                why = f": {state.last_error}" if state.state == "down" else ""
                log.log(logging.WARNING if why else logging.INFO, "%s is %s%s", check.name, state.state, why)
            pace = self._interval_s if state.state != "starting" else min(self._interval_s, START_INTERVAL_S)
            await asyncio.sleep(pace * random.uniform(0.8, 1.2))  # noqa: S311 - replicas must not probe in step

    def document(self) -> Document:
        """The answer of /readyz: 200 for ready and degraded, 503 for unready, and every check."""
        draining = self._draining()
        required = [self._agent, *(self._states[c.name] for c in self._checks if c.required)]
        if draining or any(state.state != "up" for state in required):
            status = "unready"
        elif any(state.state != "up" for state in self._states.values()):
            status = "degraded"
        else:
            status = "ready"
        checks = {"agent": _show(self._agent), "draining": {"state": "yes" if draining else "no"}}
        for check in self._checks:
            checks[check.name] = _show(self._states[check.name]) | dict(check.detail())
            if not check.required:
                checks[check.name]["required"] = False
        return (503 if status == "unready" else 200), {"status": status, "checks": checks}


async def _result(check: Check) -> str | None:
    try:
        async with asyncio.timeout(TIMEOUT_S):
            return await check.probe()
    except TimeoutError:
        return f"no answer within {TIMEOUT_S:g} s"
    except Exception as error:  # noqa: BLE001 - a check that breaks is a check that fails
        return f"{type(error).__name__}: {error}"


def _show(state: CheckState) -> dict[str, Any]:
    return {"state": state.state, "since": round(state.since, 3), "last_error": state.last_error}
