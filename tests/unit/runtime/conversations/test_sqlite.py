from __future__ import annotations

import asyncio
import contextlib
import sqlite3

import pytest
from tests.unit.runtime.conversations.conftest import HERE, Calls, say

from shipway_runtime.conversations import sqlite
from shipway_runtime.conversations.sql import Conversations
from shipway_runtime.conversations.sqlite import FILE, Sqlite
from shipway_runtime.conversations.store import StoreError, Turned
from shipway_runtime.errors import StartError


def test_it_survives_a_restart(open_store):
    open_store().add(1, messages=say("één"))
    assert open_store().history(1) == ["één"]


def test_memory_where_there_is_no_volume():
    with asyncio.Runner() as runner:
        store = Calls(Conversations(Sqlite(None)), runner.run)
        store.add(1, messages=say("one"))
        assert store.history(1) == ["one"]
        assert store.check() is None
        store.close()


def test_a_place_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(StartError, match="cannot be kept in"):
        asyncio.run(Sqlite(tmp_path / "file" / "below").open())


def test_a_database_that_fails_is_an_error_of_the_store(store, tmp_path):
    with sqlite3.connect(tmp_path / FILE) as db:
        db.execute("DROP TABLE conversation")
    db.close()
    with pytest.raises(StoreError, match="no such table"):
        store.before()


def test_what_is_no_database_is_refused_at_start(open_store, tmp_path):
    (tmp_path / FILE).write_bytes(b"not a database" * 1000)
    with pytest.raises(StartError, match="something else is there; move it away"):
        open_store()


def test_a_damaged_file_is_named_and_is_not_ready_any_more(open_store, tmp_path):
    store = open_store()
    for turn in range(1, 40):
        store.add(turn, previous=turn - 1 or None, messages=say("x" * 4000))
    store.store._database._move()
    file = bytearray((tmp_path / FILE).read_bytes())
    file[4096 * 4 :] = b"\xff" * (len(file) - 4096 * 4)
    (tmp_path / FILE).write_bytes(file)
    with sqlite3.connect(tmp_path / FILE) as db:
        db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    db.close()
    with pytest.raises(StoreError, match="the file is damaged; put a backup in its place"):
        store.history(39)
    assert "the file is damaged" in store.check()


def test_a_log_that_was_removed_is_noticed(store, tmp_path):
    store.add(1, messages=say("one"))
    assert store.check() is None
    (tmp_path / f"{FILE}-wal").unlink()
    assert "was removed" in store.check()


def test_while_another_process_writes_a_turn_waits_and_the_loop_goes_on(store, tmp_path):
    with contextlib.closing(sqlite3.connect(tmp_path / FILE, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")

        async def turns():
            created = asyncio.create_task(store.store.create(HERE, {}))
            await asyncio.sleep(0.05)
            assert not created.done()
            other.execute("COMMIT")
            assert await created

        store.run(turns())


def test_a_writer_that_never_ends_is_an_error(store, tmp_path, monkeypatch):
    monkeypatch.setattr(sqlite, "BUSY_S", 0.05)
    with contextlib.closing(sqlite3.connect(tmp_path / FILE, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(StoreError, match="another process holds the file"):
            store.run(store.store.create(HERE, {}))


def test_the_log_does_not_grow_without_end(store, tmp_path, monkeypatch):
    monkeypatch.setattr(sqlite, "MOVE_AFTER", 50)

    async def many():
        for turn in range(1, 1001):
            async with store.store.hold(HERE):
                await store.store.add(HERE, Turned(turn, None, float(turn), "ok", say("x" * 1000)))
            await asyncio.sleep(0)

    store.run(many())
    assert (tmp_path / f"{FILE}-wal").stat().st_size < 10_000_000  # of twenty
