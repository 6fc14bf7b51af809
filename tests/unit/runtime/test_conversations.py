from __future__ import annotations

import sqlite3

import pytest

from shipway_runtime.conversations import FILE, Conversations
from shipway_runtime.errors import StartError


def say(text):
    return [{"role": "user", "content": text}]


@pytest.fixture
def store(tmp_path):
    store = Conversations(tmp_path)
    yield store
    store.close()


def add(store, turn, *, previous=None, messages=None, started=1.0):
    store.add("c", turn, previous=previous, started=started, status="ok", messages=messages)


def test_history_follows_the_branch(store):
    add(store, 1, messages=say("one"))
    add(store, 2, previous=1, messages=say("two"))
    add(store, 3, previous=1, messages=say("three"))
    add(store, 4, previous=3, messages=say("four"))
    assert [m["content"] for m in store.history("c", 4)] == ["one", "three", "four"]
    assert [m["content"] for m in store.history("c", 2)] == ["one", "two"]


def test_a_turn_without_messages_takes_a_number_and_is_skipped(store):
    add(store, 1, messages=say("one"), started=5.0)
    add(store, 2, previous=1, started=6.0)
    assert store.last("c") == (2, 1, 5.0)
    assert store.continuable("c", 1)
    assert not store.continuable("c", 2)
    assert not store.continuable("c", 3)


def test_a_new_conversation_begins_now(store):
    number, continuable, first_seen = store.last("new")
    assert (number, continuable) == (0, None)
    assert first_seen > 1e9


def test_it_survives_a_restart(store, tmp_path):
    add(store, 1, messages=say("één"))
    store.close()
    again = Conversations(tmp_path)
    assert again.history("c", 1) == say("één")
    again.close()


def test_memory_where_there_is_no_volume():
    store = Conversations(None)
    add(store, 1, messages=say("one"))
    assert store.history("c", 1) == say("one")
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


def test_one_lock_a_conversation(store):
    lock = store.lock("c")
    assert store.lock("c") is lock
    assert store.lock("d") is not lock
