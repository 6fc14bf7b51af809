"""The service: rounds until it is told to end.

In: a Host. Out: nothing; what happens is in the log on stderr, a line each. A round comes each second while
something goes on, else every five; and at once when a command has changed something.
"""

from __future__ import annotations

import signal
import sys
import threading
import time
from typing import TYPE_CHECKING

from shipway.errors import RolloutError
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
    rounds = Rounds(host, notices)
    _say(f"controller of {host.project}")
    said: tuple[str, ...] = ()
    while not ended.is_set():
        busy = rounds.round()
        beat.write(host.project, beat.Beat(time.time(), rounds.trouble))
        for line in rounds.trouble:
            if line not in said:
                _say(line)
        said = rounds.trouble
        _rest(host, BUSY_S if busy else IDLE_S, ended)
    notices.close()
    rounds.close()
    host.close()


def _rest(host: Host, rest_s: float, ended: threading.Event) -> None:
    """Until it is time, or a command has written something."""
    until, changed = time.monotonic() + rest_s, _changed(host)
    while time.monotonic() < until and not ended.wait(LOOK_S):
        if _changed(host) != changed:
            return


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
