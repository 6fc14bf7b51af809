"""Notices by webhook: at least once, in their order, over failures and restarts; their URL is in no words."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from shipway.plan.rollout import RolloutPlan, Step
from shipway.rollout.machine import begin
from shipway.rollout.service import notices
from shipway.rollout.service.notices import Notices
from shipway.rollout.state import Notice
from shipway.rollout.store import Rollout

pytestmark = pytest.mark.slow

PLAN = RolloutPlan("desk", "prod", (Step(100),), notify="HOOK")
BOUND_S = 30.0


class Webhook:
    """Somebody's; it refuses the first `refusals`."""

    def __init__(self, refusals: int = 0) -> None:
        self.taken: list[dict[str, Any]] = []
        self.asked = 0
        webhook = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                webhook.asked += 1
                body = json.loads(self.rfile.read(int(self.headers["content-length"])))
                refused = webhook.asked <= refusals
                if not refused:
                    webhook.taken.append(body)
                self.send_response(500 if refused else 204)
                self.end_headers()

            def log_message(self, *_: object) -> None: ...

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}/secret-path"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture
def webhook() -> Iterator[Webhook]:
    made = Webhook(refusals=2)
    yield made
    made.close()


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(notices, "FIRST_S", 0.01)


def rollout() -> Rollout:
    return Rollout(1, PLAN, begin("new", "old", 5.0), 5.0)


def until(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + BOUND_S
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.01)


def running(made: Notices) -> threading.Thread:
    thread = threading.Thread(target=made.run)
    thread.start()
    return thread


def test_each_is_posted_in_its_order_until_it_is_taken(tmp_path: Path, webhook: Webhook) -> None:
    made = Notices(tmp_path / "db", lambda: webhook.url)
    thread = running(made)
    now = time.time()
    made.keep(rollout(), [Notice(1, now, "paused"), Notice(2, now, "aborted")])
    until(lambda: len(webhook.taken) == 2)
    made.close()
    thread.join(BOUND_S)
    assert webhook.taken[0] == {
        "text": "desk (prod), rollout of new: paused",
        "deployment": "desk",
        "environment": "prod",
        "revision": "new",
        "at": now,
        "number": 1,
        "begun": 5.0,
    }
    assert [body["number"] for body in webhook.taken] == [1, 2]


def test_what_was_not_taken_is_told_by_the_next_process_and_its_url_by_none(
    tmp_path: Path, webhook: Webhook
) -> None:
    nowhere = "http://127.0.0.1:1/secret-path"
    first = Notices(tmp_path / "db", lambda: nowhere)
    thread = running(first)
    first.keep(rollout(), [Notice(1, time.time(), "paused")])
    until(lambda: first.trouble != "")
    assert "secret-path" not in first.trouble
    first.close()
    thread.join(BOUND_S)
    second = Notices(tmp_path / "db", lambda: webhook.url)
    thread = running(second)
    until(lambda: len(webhook.taken) == 1)
    until(lambda: second.trouble == "")
    second.close()
    thread.join(BOUND_S)


def test_the_same_notice_is_kept_once(tmp_path: Path, webhook: Webhook) -> None:
    made = Notices(tmp_path / "db", lambda: webhook.url)
    for _ in range(2):
        made.keep(rollout(), [Notice(1, time.time(), "paused")])
    thread = running(made)
    until(lambda: len(webhook.taken) == 1)
    made.close()
    thread.join(BOUND_S)
    assert len(webhook.taken) == 1


def test_news_of_yesterday_are_none(tmp_path: Path, webhook: Webhook) -> None:
    made = Notices(tmp_path / "db", lambda: webhook.url)
    made.keep(rollout(), [Notice(1, 0.0, "long ago"), Notice(2, time.time(), "now")])
    thread = running(made)
    until(lambda: len(webhook.taken) == 1)
    made.close()
    thread.join(BOUND_S)
    assert webhook.taken[0]["number"] == 2
