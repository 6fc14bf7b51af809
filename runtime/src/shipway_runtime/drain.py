"""The way out: from SIGTERM to exit 0 without losing a turn.

    serving ──SIGTERM──► draining ──delay──► closing ──turns done, or grace──► closed
              /readyz fails,        the port no longer    what still runs is stopped; its
              turns still start     accepts               stream ends with response.failed

In: signals. Out: `Drain`, flags that only ever go forward and that both threads read; api/server.py follows
them. A second signal skips every wait. Handlers set flags and nothing else: a signal may come while the
main thread holds any lock, the log's included.
"""

from __future__ import annotations

import signal
import time


class Leave(KeyboardInterrupt):
    """A signal came before anything was served: there is nothing to drain."""


class Drain:
    """How far the way out has gone. All times are of time.monotonic()."""

    def __init__(self, *, delay_s: float, grace_s: float) -> None:
        self.delay_s, self.grace_s = min(delay_s, grace_s), grace_s
        self.began: float | None = None
        self.hastened: float | None = None
        self.closing = False
        self._serving = self._owed = False

    def on_signal(self, number: int, frame: object) -> None:
        """SIGTERM or SIGINT. Raises Leave as long as nothing is served."""
        now, owed = time.monotonic(), self._owed
        self._owed = False
        if not self._serving:
            if self.began is None or owed:  # raised once: a second one would come in the midst of the way out
                # Code that is being imported may catch whatever is raised here: it is remembered as well.
                self.began = self.hastened = now
                raise Leave
            return
        if self.began is None:
            self.began = now
        elif not owed:
            self.hastened = self.hastened or now

    def heard(self) -> None:
        """A signal came, and the main thread has not come to its handler: it is in native code."""
        if self.began is None:
            self._owed, self.began = True, time.monotonic()
            self.hastened = None if self._serving else self.began

    def serving(self) -> None:
        """From here on a signal drains instead of leaving. Raises Leave if one was caught on the way."""
        if self.began is not None:
            raise Leave
        self._serving = True

    @property
    def early(self) -> bool:
        """Whether the signal came before anything was served, so that there is nothing to wait for."""
        return self.began is not None and not self._serving

    @property
    def draining(self) -> bool:
        return self.began is not None

    def accepting(self) -> bool:
        """Whether the API port takes new connections."""
        if self.began is None:
            return True
        return not self.hastened and time.monotonic() < self.began + self.delay_s

    def remaining(self) -> float:
        """Seconds of grace left for turns in flight."""
        if self.began is None:
            return self.grace_s
        return 0.0 if self.hastened else max(0.0, self.began + self.grace_s - time.monotonic())

    def overdue(self, margin_s: float) -> bool:
        """Whether the process should have ended `margin_s` ago: something holds the main thread."""
        return self.began is not None and self.left(margin_s) <= 0

    def left(self, margin_s: float) -> float:
        """Seconds until the process should have ended, `margin_s` beyond the grace included."""
        if self.began is None:
            return margin_s
        end = self.hastened or self.began + self.grace_s
        return end + margin_s - time.monotonic()


def handle_signals(drain: Drain) -> None:
    """Install the handlers; main thread only."""
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, drain.on_signal)
