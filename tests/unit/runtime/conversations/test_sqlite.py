from __future__ import annotations

import asyncio
import sqlite3

import pytest

from shipway_runtime.conversations.sqlite import FILE, Conversations
from shipway_runtime.conversations.store import Place, StoreError, Turned
from shipway_runtime.dialogue import Memory
from shipway_runtime.errors import StartError

HERE = Place(None, "c")


def say(text):
    return [{"role": "user", "content": text}]


class Calls:
    """A store's calls, each run to its end."""

    def __init__(self, store):
        self.store = store

    def add(self, turn, *, previous=None, messages=None, started=1.0, place=HERE, memory=None):
        asyncio.run(self.store.add(place, Turned(turn, previous, started, "ok", messages, memory)))

    def before(self, previous=None, place=HERE):
        return asyncio.run(self.store.before(place, previous))

    def history(self, turn, place=HERE):
        return [m["content"] for past in self.before(turn, place).past for m in past.messages]

    def close(self):
        asyncio.run(self.store.close())


@pytest.fixture
def store(tmp_path):
    store = Calls(Conversations(tmp_path))
    yield store
    store.close()


def test_history_follows_the_branch(store):
    store.add(1, messages=say("one"))
    store.add(2, previous=1, messages=say("two"))
    store.add(3, previous=1, messages=say("three"))
    store.add(4, previous=3, messages=say("four"))
    assert store.history(4) == ["one", "three", "four"]
    assert store.history(2) == ["one", "two"]


def test_a_turn_without_messages_takes_a_number_and_is_skipped(store):
    store.add(1, messages=say("one"), started=5.0)
    store.add(2, previous=1, started=6.0)
    before = store.before()
    assert (before.last, before.previous, before.first_seen) == (2, 1, 5.0)
    assert store.before(1) is not None
    assert store.before(2) is None
    assert store.before(3) is None


def test_a_new_conversation_begins_now(store):
    before = store.before()
    assert (before.last, before.previous, before.past) == (0, None, ())
    assert before.first_seen > 1e9


def test_what_a_framework_remembers_comes_back(store):
    store.add(1, messages=say("one"), memory=Memory("toy", {"calls": [1]}))
    store.add(2, previous=1, messages=say("two"))
    assert [past.memory for past in store.before().past] == [Memory("toy", {"calls": [1]}), None]


def test_a_conversation_belongs_to_its_tenant(store):
    store.add(1, messages=say("of acme"), place=Place("acme", "c"))
    assert store.before(1, Place("globex", "c")) is None
    assert store.before(place=Place("globex", "c")).last == 0
    assert store.before(1) is None
    store.add(1, messages=say("of globex"), place=Place("globex", "c"))
    assert store.history(1, Place("acme", "c")) == ["of acme"]


def test_it_survives_a_restart(store, tmp_path):
    store.add(1, messages=say("één"))
    store.close()
    again = Calls(Conversations(tmp_path))
    assert again.history(1) == ["één"]
    again.close()


def test_memory_where_there_is_no_volume():
    store = Calls(Conversations(None))
    store.add(1, messages=say("one"))
    assert store.history(1) == ["one"]
    store.close()


def test_a_newer_schema_is_refused(store, tmp_path):
    store.close()
    with sqlite3.connect(tmp_path / FILE) as db:
        db.execute("UPDATE schema SET version = 99")
    db.close()
    with pytest.raises(StartError, match="newer version"):
        Conversations(tmp_path)


def test_a_place_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(StartError, match="cannot be kept in"):
        Conversations(tmp_path / "file" / "below")


def test_a_database_that_fails_is_an_error_of_the_store(store, tmp_path):
    with sqlite3.connect(tmp_path / FILE) as db:
        db.execute("DROP TABLE turn")
    db.close()
    with pytest.raises(StoreError, match="no such table"):
        store.before()


def test_one_lock_a_conversation(store):
    lock = store.store.hold(HERE)
    assert store.store.hold(Place(None, "c")) is lock
    assert store.store.hold(Place("acme", "c")) is not lock
