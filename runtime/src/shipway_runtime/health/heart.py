"""Does the process live? The main loop beats, the control thread looks.

In: beats. Out: the document of /healthz, and a line in the log for each time that the loop was blocked, with
the line of the agent's code that did it. Nothing downstream is ever asked: a restart would not help it.
"""

from __future__ import annotations

import asyncio
import sys
import threading
import time
import traceback
from typing import TYPE_CHECKING, Any

from ..telemetry import log
from ..telemetry.histogram import Histogram

if TYPE_CHECKING:
    from pathlib import Path

BEAT_S = 0.5
LAG_BUCKETS = (0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)  # seconds
STALL_S = 2.0  # logged
DEAD_S = 30.0  # /healthz fails: a blocking call of some seconds is no reason for a restart
START_S = 300.0  # a heavy import, on a throttled CPU, with a cold disk

Document = tuple[int, dict[str, Any]]


class Heart:
    """The main loop's heartbeat. `beat` runs on the main loop, the rest may be called from any thread.

    `source` is where the agent's code is: the line that blocks is looked for there.
    """

    def __init__(
        self,
        source: Path | None = None,
        *,
        dead_s: float = DEAD_S,
        start_s: float = START_S,
        stall_s: float = STALL_S,
    ) -> None:
        self._source = source
        self._dead_s, self._start_s, self._stall_s = dead_s, start_s, stall_s
        self._last = time.monotonic()
        self.lag = Histogram(LAG_BUCKETS)
        """How late each beat came."""
        self._beating = False
        self._stalled_since: float | None = None
        self._gap = 0.0  # the last one that was a stall

    async def beat(self) -> None:
        """Beat until cancelled."""
        while True:
            now = time.monotonic()
            if self._beating and now - self._last > self._stall_s:
                self._gap = now - self._last
            self._last, self._beating = now, True
            await asyncio.sleep(BEAT_S)
            self.lag.observe(max(0.0, time.monotonic() - now - BEAT_S))

    def age(self) -> float:
        """Seconds since the last beat; before the first one, since the process started."""
        return time.monotonic() - self._last

    def document(self) -> Document:
        """The answer of /healthz: 200 while the main loop turns, or may still be importing the agent."""
        age, limit = self.age(), self._dead_s if self._beating else self._start_s
        if age > limit:
            return 503, {"status": "stalled", "for_s": round(age, 1), "at": self.line()}
        if not self._beating:
            return 200, {"status": "starting", "for_s": round(age, 1), "at": self.line()}
        if age > self._stall_s:
            return 200, {"status": "blocked", "for_s": round(age, 1), "at": self.line()}
        return 200, {"status": "ok"}

    def watch(self) -> None:
        """Log the beginning and the end of a stall, once each. The control loop calls this regularly."""
        last, age = self._last, self.age()
        if self._stalled_since is None and self._beating and age > self._stall_s:
            self._stalled_since = last
            log.warning(
                "the main loop has been blocked for %.1f s at %s; "
                "other turns wait: await there, or move the call to a thread",
                *(age, self.line()),
            )
        elif self._stalled_since is not None and last > self._stalled_since:
            self._stalled_since = None
            log.warning("the main loop turns again; it was blocked for %.1f s", self._gap)

    def line(self) -> str:
        """Where the main thread is: `file:line in function` of the agent's code, and of what it called.

        The agent's line is what its author can change; a blocking call itself sits in some library.
        """
        frame = sys._current_frames().get(threading.main_thread().ident or 0)
        if frame is None:
            return "unknown"
        stack = traceback.StackSummary.extract(traceback.walk_stack(frame), lookup_lines=False)
        within = str(self._source) if self._source else None
        theirs = next((f for f in stack if within and f.filename.startswith(within)), stack[0])
        called = "" if theirs is stack[0] else f", in {_place(stack[0])}"
        return f"{_place(theirs)}{called}"


def _place(frame: traceback.FrameSummary) -> str:
    return f"{frame.filename}:{frame.lineno} in {frame.name}"
