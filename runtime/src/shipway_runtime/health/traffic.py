"""What turns tell about the model: the part of its health that a connection does not show.

In: how turns ended, from the main loop (watched.py). Out: `problem`, for the check `model` on the control
loop. Nothing is asked of the model for it.

Turns that fail in a row, over some seconds, are evidence; one that succeeds takes it all away, whoever's it
was. An instance that is not ready gets no turns, so evidence lapses after a while, twice as long each time up
to LONGEST_S: a few turns are let through, and the first of them that fails is evidence enough.
"""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .faults import Fault

ENOUGH = 3  # turns in a row
SPAN_S = 5.0  # from the first of them to the last: clients that come back at once are one piece of evidence
LAPSE_S, LONGEST_S = 30.0, 300.0


class Traffic:
    """The turns of one process. Written by the main loop, read by the control loop."""

    def __init__(self) -> None:
        self.what = "turns"
        self._lock = threading.Lock()
        self._failures, self._lapses = 0, 0
        self._first = self._last = 0.0
        self._fault: Fault | None = None

    def note(self, fault: Fault | None) -> None:
        """What one of them came to."""
        if fault is None:
            self.succeeded()
        else:
            self.failed(fault)

    def succeeded(self) -> None:
        with self._lock:
            if self._fault is None or not self._fault.certain:
                self._failures = self._lapses = 0

    def failed(self, fault: Fault) -> None:
        with self._lock:
            now = time.monotonic()
            self._first = self._first if self._failures else now
            self._failures, self._fault, self._last = self._failures + 1, fault, now
            if fault.certain:
                self._failures, self._first = max(self._failures, ENOUGH), now - SPAN_S

    def problem(self) -> str | None:
        """What turns say against the model; None when nothing, or when it is time to try again."""
        with self._lock:
            if self._fault is None or self._failures < ENOUGH or self._last - self._first < SPAN_S:
                return None
            if time.monotonic() - self._last > min(LAPSE_S * 2**self._lapses, LONGEST_S):
                self._failures, self._lapses = ENOUGH - 1, min(self._lapses + 1, 10)
                self._fault = None if self._fault.certain else self._fault
                return None
            if self._fault.certain:
                return self._fault.reason
            return (
                f"{self._failures} {self.what} in a row got no answer from it; "
                f"the last one: {self._fault.reason}"
            )
