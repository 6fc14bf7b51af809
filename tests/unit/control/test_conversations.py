"""Which conversations control lists as failed, and what a look at them costs."""

from __future__ import annotations

from tests.controlling import ControlProcess

from shipway.control import conversations
from shipway.control.store.sqlite import Sqlite

from .conftest import AT, lines, outcome


def listed(control: ControlProcess, **params: str) -> list[str]:
    params |= {"name": "test", "environment": "development"}
    found = control.ask("read", "GET", "/v1/conversations", params=params).json()
    return [one["conversation"] for one in found]


def test_those_that_failed_and_those_that_scored_poorly(start_control, database_url):
    control = start_control(database=database_url)
    sent = [
        outcome("fine", score=0.5),
        outcome("unscored", score=None),
        outcome("poor", score=0.49),
        outcome("poor", 2, score=1.0),
        outcome("error", status="error"),
        outcome("other", status="error", revision="r-2"),
    ]
    assert control.ask("report", "POST", "/v1/outcomes", content=lines(*sent)).status_code == 204
    assert listed(control) == ["other", "error", "poor"]
    assert listed(control, revision="r-1") == ["error", "poor"]
    assert listed(control, revision="r-2") == ["other"]


def test_they_are_found_by_an_index(tmp_path):
    database = Sqlite(tmp_path)
    database.open()
    try:
        with database.read() as transaction:
            values = {"deployment": 1, "revision": "", "limit": 10, "before": 2**53}
            plan = transaction.rows(f"EXPLAIN QUERY PLAN {conversations._FAILED}", **values)
    finally:
        database.close()
    assert "outcome_failure" in " ".join(row[3] for row in plan)


def text(started: float, **more: object) -> dict[str, object]:
    said = {"conversation": "c", "turn": 1, "revision": "r-1", "tenant": None, "started": started}
    return said | {"status": "error", "messages": [], "answer": str(started)} | more


def test_deletions_may_come_in_any_order(start_control, database_url):
    control = start_control(database=database_url)
    failures = [outcome("c", turn, started=AT + turn, status="error") for turn in (1, 2, 3)]
    control.ask("report", "POST", "/v1/outcomes", content=lines(*failures))
    late, early = ({"conversation": "c", "tenant": None, "deleted": AT + at} for at in (2.5, 1.5))
    sent = [late, early, *(text(AT + turn, turn=turn) for turn in (1, 2, 3))]
    assert control.ask("report", "POST", "/v1/turns", content=lines(*sent)).status_code == 204
    (found,) = control.ask("read", "GET", "/v1/conversations").json()
    assert [bool(turn["text"]) for turn in found["turns"]] == [False, False, True]
