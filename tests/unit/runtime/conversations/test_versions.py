"""Versions of the tables, side by side."""

from __future__ import annotations

import pytest
from tests.unit.runtime.conversations.conftest import HERE, say

from shipway_runtime.conversations.schema import VERSIONS, Version, missing
from shipway_runtime.conversations.store import StoreError
from shipway_runtime.errors import StartError

NUMBER = VERSIONS[-1].number
ADDS = (
    "ALTER TABLE main.turn ADD COLUMN mood TEXT",
    "ALTER TABLE main.conversation ADD COLUMN colour TEXT NOT NULL DEFAULT 'blue'",
    "CREATE TABLE main.extra (x INTEGER NOT NULL)",
)
NEWER = (*VERSIONS, Version(NUMBER + 1, oldest=1, adds=ADDS))
BREAKING = (*NEWER, Version(NUMBER + 2, oldest=NUMBER + 2, adds=()))


@pytest.mark.parametrize("order", [(VERSIONS, NEWER), (NEWER, VERSIONS)], ids=["older first", "newer first"])
def test_an_older_and_a_newer_runtime_share_a_database(open_store, order):
    first, second = (open_store(versions=versions) for versions in order)
    first.add(1, messages=say("one"), response={"id": 1})
    second.add(2, previous=1, messages=say("two"))
    first.add(3, previous=2, messages=say("three"))
    assert first.history(3) == second.history(3) == ["one", "two", "three"]
    assert second.run(second.store.read(HERE, 1)).response == {"id": 1}
    assert (first.check(), second.check()) == (None, None)
    assert first.run(first.store.create(HERE, {})) is False
    assert first.run(first.store.delete(HERE)) is True


def test_a_version_is_added_once(open_store):
    for versions in (NEWER, NEWER, VERSIONS, NEWER):
        assert open_store(versions=versions).check() is None


def test_a_database_that_needs_a_newer_runtime_is_refused(open_store):
    open_store(versions=BREAKING).add(1, messages=say("one"))
    assert f"needs a runtime that knows version {NUMBER + 2}, and this one knows {NUMBER}" in _refusal(
        open_store
    )


def test_a_database_that_is_taken_over_is_noticed(open_store):
    running = open_store()
    assert running.check() is None
    assert open_store(versions=BREAKING).check() is None
    assert "taken over by a newer" in running.check()


def test_a_later_version_follows_all_before_it():
    assert missing((0, 0), BREAKING) == BREAKING
    assert missing((NUMBER, 1), BREAKING) == BREAKING[-2:]
    assert missing((NUMBER + 1, 1), VERSIONS) == ()
    with pytest.raises(StoreError):
        missing((NUMBER + 2, NUMBER + 2), NEWER)


def test_versions_count_up_and_an_older_reader_never_comes_back():
    assert [version.number for version in VERSIONS] == list(range(1, len(VERSIONS) + 1))
    oldest = [version.oldest for version in VERSIONS]
    assert oldest == sorted(oldest)


def _refusal(open_store):
    """SQLite refuses at start; PostgreSQL may be away then, and is found out by readiness."""
    try:
        return open_store().check()
    except StartError as error:
        return str(error)
