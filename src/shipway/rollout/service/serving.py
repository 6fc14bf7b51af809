"""The service: rounds until it is told to end.

In: a Host. Out: nothing; what happens is in the log on stderr, a line each. A round comes each second while
something goes on, else every five; and at once when a command, or the engine, has changed something.
"""

from __future__ import annotations

import contextlib
import json
import signal
import sys
import threading
import time
from typing import TYPE_CHECKING

from shipway.errors import RolloutError
from shipway.plan.deployment import LABEL
from shipway.rollout.docker.api import Engine
from shipway.rollout.service import beat
from shipway.rollout.service.host import PROJECT
from shipway.rollout.service.notices import Notices
from shipway.rollout.service.rounds import Rounds

if TYPE_CHECKING:
    from types import FrameType

    from shipway.rollout.service.host import Host

BUSY_S, IDLE_S = 1.0, 5.0
LOOK_S = 0.2
"""How soon a change of a command is seen."""


def serve(host: Host) -> None:
    """Until SIGTERM or SIGINT."""
    ended = threading.Event()

    def end(_number: int, _frame: FrameType | None) -> None:
        ended.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, end)
    notices = Notices(host.file, lambda: _webhook(host))
    threading.Thread(target=notices.run, name="notices", daemon=True).start()
    news = _News(host)
    threading.Thread(target=news.listen, name="events", daemon=True).start()
    rounds = Rounds(host, notices)
    _say(f"controller of {host.project}")
    said: tuple[str, ...] = ()
    while not ended.is_set():
        news.forget()
        busy = rounds.round()
        beat.write(host.project, beat.Beat(time.time(), rounds.trouble))
        for line in rounds.trouble:
            if line not in said:
                _say(line)
        said = rounds.trouble
        until = time.monotonic() + (BUSY_S if busy else IDLE_S)
        while time.monotonic() < until and not news.came and not ended.wait(LOOK_S):
            pass
    notices.close()
    rounds.close()
    host.close()


class _News:
    """Whether a round should come before its time: a command has written, or a container ended or started."""

    def __init__(self, host: Host) -> None:
        self._host = host
        self._happened = threading.Event()
        self._written = 0

    def forget(self) -> None:
        """A round begins, and looks at all that came before."""
        self._happened.clear()
        self._written = self._stamp()

    @property
    def came(self) -> bool:
        return self._happened.is_set() or self._stamp() != self._written

    def listen(self) -> None:
        """To the engine, for good. In a thread of its own."""
        engine = Engine(self._host.socket)
        events = ["start", "die", "destroy"]
        what = {"type": ["container"], "event": events, "label": [f"{LABEL}={self._host.project}"]}
        while True:
            with contextlib.suppress(RolloutError):
                for _ in engine.wait_for_events(json.dumps(what)):
                    self._happened.set()
            time.sleep(BUSY_S)

    def _stamp(self) -> int:
        """Another one after each command that has written something."""
        try:
            return (self._host.state / PROJECT).stat().st_mtime_ns
        except OSError:
            return 0


def _webhook(host: Host) -> str | None:
    """The URL for notices, which is a secret of the deployment."""
    try:
        deployment = host.records.newest
        name = deployment.rollout.notify if deployment else None
        return host.values.read().get(name) if name else None
    except RolloutError:
        return None


def _say(words: str) -> None:
    sys.stderr.write(f"{time.strftime('%Y-%m-%dT%H:%M:%SZ', time.gmtime())} {words}\n")
    sys.stderr.flush()
