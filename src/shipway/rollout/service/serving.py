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
    happened = threading.Event()
    threading.Thread(target=_listen, args=(host, happened), name="events", daemon=True).start()
    rounds = Rounds(host, notices)
    _say(f"controller of {host.project}")
    said: tuple[str, ...] = ()
    while not ended.is_set():
        happened.clear()
        busy = rounds.round()
        beat.write(host.project, beat.Beat(time.time(), rounds.trouble))
        for line in rounds.trouble:
            if line not in said:
                _say(line)
        said = rounds.trouble
        _rest(host, BUSY_S if busy else IDLE_S, ended, happened)
    notices.close()
    rounds.close()
    host.close()


def _rest(host: Host, rest_s: float, ended: threading.Event, happened: threading.Event) -> None:
    """Until it is time, a command has written something, or something has ended."""
    until, changed = time.monotonic() + rest_s, _changed(host)
    while time.monotonic() < until and not ended.wait(LOOK_S):
        if happened.is_set() or _changed(host) != changed:
            return


def _listen(host: Host, happened: threading.Event) -> None:
    """A container of this deployment that ends, or starts by itself, is looked after at once."""
    engine = Engine(host.socket)
    what = {"type": ["container"], "event": ["start", "die", "destroy"], "label": [f"{LABEL}={host.project}"]}
    while True:
        with contextlib.suppress(RolloutError):
            for _ in engine.wait_for_events(json.dumps(what)):
                happened.set()
        time.sleep(BUSY_S)


def _changed(host: Host) -> int:
    try:
        return host.file.stat().st_mtime_ns
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
