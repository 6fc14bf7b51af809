"""The database, SQLite and PostgreSQL by the same tests."""

from __future__ import annotations

import contextlib
import threading

import pytest
from tests.unit.control.conftest import AT, lines, outcome

from shipway.control import fleet, replicas
from shipway.control.deployments import Deployment
from shipway.control.gates.gates import Gates
from shipway.control.gates.watermarks import Watermarks
from shipway.control.http import tokens
from shipway.control.http.answers import Refused
from shipway.control.outcomes import minutes, rows
from shipway.control.store import schema
from shipway.control.store.database import StoreError
from shipway.control.store.postgres import Postgres
from shipway.control.store.sqlite import Sqlite
from shipway.control.upkeep import Upkeep
from shipway_runtime.contract import ReplicaReport

HERE = Deployment("support", "prod")
COUNT = "SELECT count(*) FROM main.outcome"


def keep(database, *sent, at=AT + 100) -> int:
    with database.write() as transaction:
        return rows.keep(transaction, rows.Taken(HERE, rows.read(lines(*sent)), at))


def count(database) -> int:
    with database.read() as transaction:
        return transaction.rows(COUNT)[0][0]


def test_what_raises_leaves_nothing(database):
    with contextlib.suppress(ZeroDivisionError), database.write() as transaction:
        rows.keep(transaction, rows.Taken(HERE, rows.read(lines(outcome())), AT + 100))
        raise ZeroDivisionError
    assert count(database) == 0
    assert keep(database, outcome()) == 1


def test_a_statement_that_is_wrong_is_an_error_of_the_store(database):
    with pytest.raises(StoreError), database.read() as transaction:
        transaction.rows("SELECT nothing FROM main.nowhere")
    assert count(database) == 0


def test_writers_wait_for_each_other(open_database):
    """Each reads a number and writes the next one."""
    databases = [open_database() for _ in range(2)]
    with databases[0].write() as transaction:
        transaction.change("INSERT INTO main.watermark (deployment, at) VALUES (1, 0)")

    def climb(database) -> None:
        for _ in range(25):
            with database.write() as transaction:
                [(at,)] = transaction.rows("SELECT at FROM main.watermark")
                transaction.change("UPDATE main.watermark SET at = :at", at=at + 1)

    threads = [threading.Thread(target=climb, args=(database,)) for database in databases * 2]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with databases[1].read() as transaction:
        assert transaction.rows("SELECT at FROM main.watermark") == [(100.0,)]


def test_a_reader_sees_one_moment(open_database):
    database, other = open_database(), open_database()
    with database.read() as transaction:
        before = transaction.rows(COUNT)
        keep(other, outcome())
        assert transaction.rows(COUNT) == before
    assert count(database) == 1


def test_a_newer_version_adds_and_one_that_is_too_new_is_refused(database, database_url, tmp_path):
    keep(database, outcome())
    newest = schema.VERSIONS[-1].number
    added = schema.Version(newest + 1, oldest=1, adds=("ALTER TABLE main.outcome ADD COLUMN mood TEXT",))
    broken = schema.Version(newest + 2, oldest=newest + 2, adds=())

    def opened(*more: schema.Version):
        versions = (*schema.VERSIONS, *more)
        found = (
            Postgres(lambda: database_url, versions) if database_url else Sqlite(tmp_path / "data", versions)
        )
        try:
            found.open()
            return count(found)
        finally:
            found.close()

    assert opened(added) == 1
    assert keep(database, outcome("d")) == 1  # an older control goes on beside it
    assert opened(added, broken) == 2
    with pytest.raises(StoreError, match="written by a newer shipway"):
        opened(added)


def test_outcomes_are_counted_as_they_come_in_any_order(database):
    sent = [outcome(f"c-{n}", turn, tenant=("acme", None)[n % 2]) for n in range(7) for turn in (1, 2)]
    assert keep(database, *sent[::-1]) == 14
    assert keep(database, *sent[:9], outcome("c-0", 3, tenant="acme", status="denied")) == 1
    assert keep(database, outcome("c-0", 1, tenant="other", status="cancelled")) == 1
    with database.read() as transaction:
        [found] = fleet.show(transaction, HERE, AT)["revisions"]
    assert {key: found[key] for key in ("conversations", "turns", "errors", "denied", "cancelled")} == {
        "conversations": 8, "turns": 16, "errors": 0, "denied": 1, "cancelled": 1,
    }  # fmt: skip


def shown(database, since: float | None, now: float) -> dict:
    with database.read() as transaction:
        return minutes.show(transaction, HERE, since, now)


def test_errors_are_told_over_time_in_as_many_points_as_fit(database):
    """A turn a minute for a day, of which each tenth fails; and some that come again, or later."""
    start = AT // 3600 * 3600
    sent = [
        outcome(f"c-{n}", started=start + 60 * n, finished=start + 60 * n, status="ok" if n % 10 else "error")
        for n in range(1440)
    ]
    end = start + 86_400
    for part in (sent[:900], sent[500:], [outcome("d", revision="r-2", finished=end - 30)]):
        keep(database, *part, at=end)
    fine = shown(database, end - 3600, end)
    assert fine["every"] == 60
    assert fine["revisions"][0]["points"][:11] == [
        [end - 3600 + 60 * n, 1, int(n % 10 == 0)] for n in range(11)
    ]
    assert fine["revisions"][1] == {"revision": "r-2", "points": [[end - 60, 1, 0]]}
    coarse = shown(database, None, end)
    assert (coarse["every"], len(coarse["revisions"][0]["points"])) == (900, 96)
    assert sum(turns for _, turns, _ in coarse["revisions"][0]["points"]) == 1440
    assert sum(errors for *_, errors in coarse["revisions"][0]["points"]) == 144
    assert shown(database, 0.0, end)["every"] == 3600
    assert shown(database, end + 99, end)["revisions"] == []
    Upkeep(database, Gates(database), Watermarks(), 1e9).prune(end + 2 * 86_400 - 3600)
    assert len(shown(database, 0.0, end + 2 * 86_400 - 3600)["revisions"][0]["points"]) == 1


def test_what_is_old_goes_and_its_sums_stay(database):
    upkeep = Upkeep(database, Gates(database), Watermarks(), keep_s=1000)
    keep(database, *(outcome(f"c-{n}", 1, finished=AT + n) for n in range(100)))
    assert upkeep.prune(AT + 1050) == 50
    assert count(database) == 50
    assert upkeep.prune(AT + 1050) == 0
    with database.read() as transaction:
        [found] = fleet.show(transaction, HERE, AT)["revisions"]
    assert (found["conversations"], found["turns"]) == (100, 100)


def test_a_replica_that_is_silent_is_away_and_forgotten_later(database):
    with database.write() as transaction:
        replicas.keep(transaction, HERE, ReplicaReport("a", "r-1", AT, ready=True), AT)
        replicas.keep(transaction, HERE, ReplicaReport("b", "r-1", AT, ready=True), AT + 25)
    for after, away in ((29, [False, False]), (31, [True, False]), (56, [True, True])):
        with database.read() as transaction:
            [found] = fleet.show(transaction, HERE, AT + after)["revisions"]
            [brief] = fleet.all_of(transaction, AT + after)
        assert [replica["away"] for replica in found["replicas"]] == away
        assert brief["ready"] == away.count(False)
    Upkeep(database, Gates(database), Watermarks(), 1e9).prune(AT + 3610)
    with database.read() as transaction:
        [found] = fleet.show(transaction, HERE, AT + 3610)["revisions"]
    assert [replica["replica"] for replica in found["replicas"]] == ["b"]


@pytest.mark.parametrize(
    "wrong",
    [
        {"cost": -1}, {"latency_s": 1e300}, {"turn": 2**70}, {"turn": -1}, {"score": 2}, {"conversation": ""},
        {"conversation": "a\x00b"}, {"conversation": "x" * 300}, {"revision": "a\nb"},
        {"tenant": "\ud800"},
        {"tokens": {"input": 2**40, "output": 0}}, {"tool_calls": True}, {"finished": None},
        {"status": "good"}, {"mood": 1}, {"format": 2},
    ],
    ids=str,
)  # fmt: skip
def test_what_is_no_outcome(wrong):
    with pytest.raises(Refused) as refused:
        rows.read(lines(outcome() | wrong))
    assert refused.value.status == 422


def test_tokens_that_change_in_their_file(tmp_path):
    file = tmp_path / "tokens"
    file.write_text(f"read ann {'a' * 20}\n")
    found = tokens.Tokens(file.read_text(), file)
    assert found.find("a" * 20) == tokens.Holder("read", "ann", tokens.digest("a" * 20))
    file.write_text(f"# rotated\nread ann {'b' * 21}\noperate ci {'c' * 20}\n")
    assert found.find("a" * 20) is None
    holder = found.find("c" * 20)
    assert holder
    assert (holder.role, holder.name) == ("operate", "ci")
    assert "digest" not in repr(holder)
    file.write_text("nonsense\n")
    assert found.find("b" * 21)
    assert "the tokens that were there before count on" in (found.problem or "")


def test_tokens_that_are_made_here_are_made_once(tmp_path):
    text, new = tokens.make(tmp_path / "data")
    assert new
    assert tokens.make(tmp_path / "data") == (text, False)
    assert [holder.role for holder in tokens.parse(text, "here")] == ["report", "read", "operate"]
    assert (tmp_path / "data" / tokens.FILE).stat().st_mode & 0o777 == 0o600
