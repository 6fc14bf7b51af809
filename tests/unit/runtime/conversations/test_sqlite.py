from __future__ import annotations

import asyncio
import sqlite3

import pytest
from tests.unit.runtime.conversations.conftest import Calls, say

from shipway_runtime.conversations.sql import Conversations
from shipway_runtime.conversations.sqlite import FILE, Sqlite
from shipway_runtime.conversations.store import StoreError
from shipway_runtime.errors import StartError


def test_it_survives_a_restart(store, tmp_path):
    store.add(1, messages=say("één"))
    again = Calls(Conversations(Sqlite(tmp_path)))
    assert again.history(1) == ["één"]
    again.close()


def test_memory_where_there_is_no_volume():
    store = Calls(Conversations(Sqlite(None)))
    store.add(1, messages=say("one"))
    assert store.history(1) == ["one"]
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
