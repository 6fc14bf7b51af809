"""The exchanges of this process with its model, as they are on the wire.

In: requests that the clients of `clients` are about to send, and what comes of each. Out: how many there
were and how they ended, the time to the first piece of a stream; whoever listens is told of each. `Exchange`
says what a client has to raise: a stream ended without its last event, a replay gave the answer.

Requests end on any thread, so what is counted is counted under a lock.
"""

from __future__ import annotations

import functools
import threading
import time
from collections import Counter
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from ..context import running
from ..health.faults import Fault, known, marked, of_connection, of_status, retry_after
from ..telemetry.histogram import Histogram
from . import hosts

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from prometheus_client import Metric

    from ..contract import Model

BUCKETS = (0.05, 0.1, 0.25, 0.5, 1, 2, 3, 5, 7.5, 10, 15, 20, 30, 60, 120)
"""Seconds to the first piece."""
STREAM = "text/event-stream"
OTHER, MOST = "other", 16  # hosts that are counted by name


class Watch:
    """What one process knows of its model's API. `environ` is asked at the first request: an agent may set a
    base URL itself. `real` names the environment where answers must be a model's own; None in development."""

    def __init__(self, model: Model | None, environ: Mapping[str, str], real: str | None) -> None:
        self._model, self._environ, self.real = model, environ, real
        self._lock = threading.Lock()
        self._hosts: set[str] = set()
        self.requests: Counter[tuple[str, str]] = Counter()  # (host, outcome)
        self.first_piece = Histogram(BUCKETS)
        self._listeners: list[Callable[[Fault | None], None]] = []

    def listen(self, listener: Callable[[Fault | None], None]) -> None:
        """Call `listener` at the end of each exchange, on its thread: with what was wrong, or None."""
        self._listeners.append(listener)

    @functools.cached_property
    def _addresses(self) -> frozenset[hosts.Address]:
        return hosts.redirected(self._model, self._environ)

    def open(self, url: str) -> Exchange | None:
        """An exchange that begins; None when `url` is not a model's."""
        address = hosts.address(url)
        if address and (address in self._addresses or hosts.is_provider(address[0])):
            return Exchange(self, address[0], urlsplit(url).path)
        return None

    def count(self, host: str, outcome: str, first_s: float | None) -> None:
        """One more exchange is over; its first piece came after `first_s` seconds."""
        with self._lock:
            if host not in self._hosts and len(self._hosts) >= MOST:
                host = OTHER
            self._hosts.add(host)
            self.requests[host, outcome] += 1
            if first_s is not None:
                self.first_piece.observe(first_s)

    def tell(self, fault: Fault | None) -> None:
        """What an exchange says of the model."""
        for listener in self._listeners:
            listener(fault)

    def collect(self) -> Iterable[Metric]:
        """A source of metrics."""
        from ..telemetry.families import of_models

        return of_models(self)


class Exchange:
    """One request and its answer. Call `answered`, then `read` with each piece of a stream, and one of
    `ended`, `broke` and `left` when it is over; the first of them counts."""

    def __init__(self, watch: Watch, host: str, path: str) -> None:
        from .endings import Endings  # by the first request: its expressions take a moment to compile

        self._watch, self._host = watch, host
        self._turn = running()
        self._began = time.perf_counter()
        self._endings = Endings(path)
        self._first_s: float | None = None
        self._failed: Fault | None = None
        self._over = False

    def answered(self, status: int, headers: Mapping[str, str]) -> bool:
        """The head of the answer is here; whether its body is a stream, to be given to `read`."""
        if status < 400 and self._turn:
            self._turn.tally.answered = True
        if status == 200 and headers.get("content-type", "").startswith(STREAM):
            return True
        self._close("ok" if status < 400 else str(status), of_status(status, retry_s=retry_after(headers)))
        return False

    def refusal(self, replay: str | None) -> Fault | None:
        """Why an answer with this value of x-shipway-replay must not be used; None when it may."""
        real = self._watch.real
        if replay is None or real is None:
            return None
        fault = Fault(f'{self._host} replays a model, and this is "{real}"', certain=True)
        self._close("replay", fault)
        return fault

    def read(self, piece: bytes) -> None:
        """The next bytes of a stream. With its last event an exchange is over, whoever reads on."""
        if self._first_s is None:
            self._first_s = time.perf_counter() - self._began
        self._endings.read(piece)
        if self._endings.end is not None and not self._over:
            if error := self._endings.failed:
                self._failed = Fault(f"ended a stream with {error}")
            self._close("failed" if self._failed else "ok", self._failed)

    def ended(self) -> Fault | None:
        """The body was read to its end; what is to be raised there. An SDK that hands an error on as an event
        like any other, and a reader who does not look, would make a whole answer of half of one."""
        if not self._over and (missing := self._endings.missing()):
            self._failed = Fault(f"ended a stream without {missing}")
            self._close("unfinished", self._failed)
        self._close("ok", None)
        return self._failed

    def broke(self, error: Exception) -> None:
        """Sending or reading failed, with a client's error."""
        fault = known(error) or of_connection(error)
        self._close("timeout" if fault.late else "broken", fault)
        marked(error, fault)

    def left(self) -> None:
        """Nobody reads on, and nothing is known of the rest."""
        if not self._over:
            self._over = True
            self._watch.count(self._host, "left", self._first_s)

    def _close(self, outcome: str, fault: Fault | None) -> None:
        if not self._over:
            self._over = True
            if self._turn:
                self._turn.tally.fault = fault
            self._watch.count(self._host, outcome, self._first_s)
            self._watch.tell(fault)
