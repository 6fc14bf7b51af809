"""Notices to people by webhook: each at least once, and no rollout waits for them.

In: a rollout's notices. Out: POSTs of JSON. They are on the disk before the rollout forgets them, and are
posted beside the rounds, one after the other, until somebody has taken each with a 2xx.
"""

from __future__ import annotations

import json
import threading
import time
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

import httpx2

from shipway.rollout.database import Database

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

    from shipway.rollout.state import Notice
    from shipway.rollout.store import Rollout

TIMEOUT_S = 10.0
FIRST_S, LONGEST_S = 1.0, 60.0
"""How long it rests after a POST that failed: twice as long each time, a minute at most."""

KEEP_S = 24 * 3600.0
"""A notice that nobody has taken for this long is news no more."""

_SCHEMA = """
CREATE TABLE IF NOT EXISTS notice (
    rollout INTEGER, number INTEGER, at REAL NOT NULL, body TEXT NOT NULL, PRIMARY KEY (rollout, number)
);
"""


@dataclass(frozen=True, slots=True)
class Message:
    """The body of a POST. `text` is all of it in one line, as Slack and those like it show it.

    `number` counts a rollout's notices: with `revision` and `begun` it tells a second one of the same.
    """

    text: str
    deployment: str
    environment: str
    revision: str
    at: float
    number: int
    begun: float


def message(rollout: Rollout, notice: Notice) -> Message:
    """What people are told."""
    name, environment, canary = rollout.plan.name, rollout.plan.environment, rollout.state.canary
    text = f"{name} ({environment}), rollout of {canary}: {notice.words}"
    return Message(text, name, environment, canary, notice.at, notice.number, rollout.begun)


class Notices:
    """Those of one deployment. `find_url` is asked before each POST: a URL is a secret, which may rotate."""

    def __init__(self, path: Path, find_url: Callable[[], str | None]) -> None:
        self._database, self._find_url = Database(path, _SCHEMA), find_url
        self._more, self._ended = threading.Event(), threading.Event()
        self.trouble = ""

    def keep(self, rollout: Rollout, notices: Iterable[Notice]) -> None:
        """They are going to be posted. Raises RolloutError where that cannot be written down."""
        rows = [(rollout.id, n.number, n.at, json.dumps(asdict(message(rollout, n)))) for n in notices]
        with self._database.transaction() as database:
            database.executemany("INSERT OR IGNORE INTO notice VALUES (?, ?, ?, ?)", rows)
        self._more.set()

    def run(self) -> None:
        """Post what there is, until `close`. In a thread of its own."""
        rest_s = FIRST_S
        while not self._ended.is_set():
            self._more.clear()
            try:
                self._post_all()
                self.trouble, rest_s = "", FIRST_S
                self._more.wait()
            except Exception as error:  # noqa: BLE001 - whatever it is, the next try may do
                self.trouble = f"people are not told: {_words(error)}"
                self._ended.wait(rest_s)
                rest_s = min(2 * rest_s, LONGEST_S)

    def close(self) -> None:
        """End `run`; what was not posted is by the next one."""
        self._ended.set()
        self._more.set()

    def _post_all(self) -> None:
        with httpx2.Client(timeout=TIMEOUT_S) as client:
            while row := self._oldest():
                rollout, number, at, body = row
                if (url := self._find_url()) and time.time() - at < KEEP_S:
                    headers = {"content-type": "application/json"}
                    client.post(url, content=body, headers=headers).raise_for_status()
                with self._database.transaction() as database:
                    sent = (rollout, number)
                    database.execute("DELETE FROM notice WHERE rollout = ? AND number = ?", sent)

    def _oldest(self) -> tuple[int, int, float, str] | None:
        with self._database.transaction() as database:
            query = "SELECT rollout, number, at, body FROM notice ORDER BY rollout, number LIMIT 1"
            row: tuple[int, int, float, str] | None = database.execute(query).fetchone()
        return row


def _words(error: Exception) -> str:
    """Without the webhook's URL, which is a secret."""
    if isinstance(error, httpx2.HTTPStatusError):
        return f"the webhook answers {error.response.status_code}"
    if isinstance(error, (httpx2.HTTPError, httpx2.InvalidURL)):
        return f"the webhook is not reached ({type(error).__name__})"
    return str(error) or type(error).__name__
