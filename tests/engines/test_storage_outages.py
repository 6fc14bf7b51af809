"""A PostgreSQL that goes away, hangs, comes back, or changes its password."""

from __future__ import annotations

import asyncio
import signal
import sys
import time

import psycopg
import pytest
from tests.conftest import _engine
from tests.ports import free_port
from tests.postgres import PostgresServer
from tests.unit.runtime.conversations.conftest import HERE, opener, say

from shipway_runtime.conversations.postgres import Postgres, schema_name, translate
from shipway_runtime.conversations.store import StoreError
from shipway_runtime.errors import StartError

OURS = "FROM pg_stat_activity WHERE application_name = 'shipway'"


class Url:
    """A secret that may change."""

    def __init__(self, value):
        self.value = value
        self.asked = 0

    def __call__(self):
        self.asked += 1
        return self.value


@pytest.fixture
def url(postgres):
    return Url(postgres.url)


@pytest.fixture
def store(url, agent):
    def database(versions):
        return Postgres(url, agent, versions=versions, answer_s=2.0)

    for open_store in opener(database):
        yield open_store()


def wait_for_it(store):
    end = time.monotonic() + 20
    while store.check():
        assert time.monotonic() < end, store.check()


def test_a_server_that_restarted_is_noticed_by_nobody(store, postgres):
    store.add(1, messages=say("one"))

    async def several():
        await asyncio.gather(*(store.store.find(HERE) for _ in range(8)))

    store.run(several())
    postgres.stop()
    postgres.start()
    store.add(2, previous=1, messages=say("two"))
    assert store.history(2) == ["one", "two"]
    assert store.check() is None


def test_a_server_that_is_away_is_named_until_it_is_back(store, postgres):
    store.add(1, messages=say("one"))
    postgres.stop()
    try:
        assert "refused" in store.check()
        with pytest.raises(StoreError, match="refused"):
            store.before()
    finally:
        postgres.start()
    wait_for_it(store)
    assert store.history(1) == ["one"]


def test_a_server_that_hangs_is_not_waited_for(store, postgres):
    store.add(1, messages=say("one"))
    try:
        postgres.freeze()
        with pytest.raises(StoreError, match="no answer within 2 s"):
            store.before()
    finally:
        postgres.freeze(signal.SIGCONT)
    assert store.history(1) == ["one"]


def test_a_statement_that_waits_for_a_lock_is_cancelled_in_the_server(store, postgres, agent):
    store.add(1, messages=say("one"))
    with psycopg.connect(postgres.url) as other:
        other.execute(f"LOCK TABLE {schema_name(agent)}.turn")
        with pytest.raises(StoreError, match="no answer within 2 s"):
            store.before()
        store.run(asyncio.sleep(0.5))
        waiting = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'"
        assert other.execute(waiting).fetchone() == (0,)
    assert store.history(1) == ["one"]


def test_connections_stay_few(store, postgres):
    async def many():
        await asyncio.gather(*(store.store.find(HERE) for _ in range(200)))

    store.run(many())
    with psycopg.connect(postgres.url) as other:
        assert other.execute(f"SELECT count(*) {OURS}").fetchone()[0] <= 4


def test_a_password_that_was_rotated_is_used_for_the_next_connection(store, postgres, url):
    store.add(1, messages=say("one"))
    with psycopg.connect(postgres.url, autocommit=True) as other:
        other.execute("CREATE ROLE rotated SUPERUSER LOGIN")
        url.value = postgres.url.replace("postgres@", "rotated@")
        other.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'shipway'"
        )
        assert store.history(1) == ["one"]
        assert other.execute(f"SELECT DISTINCT usename {OURS}").fetchall() == [("rotated",)]


def test_a_server_that_became_read_only_is_left(store, postgres):
    """As after a failover, when the address leads to the new primary."""
    store.add(1, messages=say("one"))
    with psycopg.connect(postgres.url, autocommit=True) as other:
        other.execute("ALTER SYSTEM SET default_transaction_read_only = on")
        other.execute("SELECT pg_reload_conf()")
        try:
            store.run(asyncio.sleep(0.2))
            assert "read-only" in store.check()
            assert store.history(1) == ["one"]
        finally:
            other.execute("SET default_transaction_read_only = off")
            other.execute("ALTER SYSTEM RESET default_transaction_read_only")
            other.execute("SELECT pg_reload_conf()")
    store.run(asyncio.sleep(0.2))
    assert store.check() is None


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (None, "the secret of storage.url has no value"),
        ("postgresql+psycopg://u:hunter2@h/d", "is no URL of PostgreSQL"),
        ("mysql://u:hunter2@h/d", "is no URL of PostgreSQL"),
        ("postgresql://u:hunter2@127.0.0.1:1/d", "refused"),
        ("postgresql://u:hunter2@nowhere.invalid/d", "nowhere.invalid"),
    ],
)
def test_a_url_that_leads_nowhere_is_named_without_its_password(value, message):
    for open_store in opener(lambda versions: Postgres(lambda: value, "lost", answer_s=2.0)):
        trouble = open_store().check()
    assert message in trouble
    assert "hunter2" not in trouble


def test_passwords_are_learned_for_the_redaction(postgres, agent):
    learned = []
    url = postgres.url.replace("postgres@", "postgres:hunter2@")
    for open_store in opener(lambda versions: Postgres(lambda: url, agent, learn=learned.append)):
        assert open_store().check() is None
    assert set(learned) == {"hunter2"}


def test_a_user_without_rights_is_told_what_is_missing(postgres, agent):
    with psycopg.connect(postgres.url, autocommit=True) as other:
        other.execute("CREATE ROLE poor LOGIN")
    url = postgres.url.replace("postgres@", "poor@")
    for open_store in opener(lambda versions: Postgres(lambda: url, agent)):
        trouble = open_store().check()
    assert "permission denied" in trouble
    assert f"CREATE SCHEMA {schema_name(agent)} AUTHORIZATION" in trouble


def test_an_owner_of_its_schema_needs_no_other_right(postgres, agent):
    with psycopg.connect(postgres.url, autocommit=True) as other:
        other.execute("CREATE ROLE owner LOGIN")
        other.execute(f"CREATE SCHEMA {schema_name(agent)} AUTHORIZATION owner")
    url = postgres.url.replace("postgres@", "owner@")
    for open_store in opener(lambda versions: Postgres(lambda: url, agent)):
        assert open_store().check() is None


def test_agents_of_one_database_do_not_meet(postgres, agent):
    for one in opener(lambda versions: Postgres(lambda: postgres.url, agent)):
        one().add(1, messages=say("one"))
    for other in opener(lambda versions: Postgres(lambda: postgres.url, f"{agent}-too")):
        assert other().before().last == 0


def test_without_psycopg_the_message_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "psycopg", None)
    with pytest.raises(StartError, match=r"shipway-runtime\[postgres\]"):
        Postgres(lambda: None, "agent")


def test_a_server_that_comes_up_later_is_found():
    port = free_port()
    url = f"postgresql://postgres@127.0.0.1:{port}/postgres"
    for open_store in opener(lambda versions: Postgres(lambda: url, "late", answer_s=2.0)):
        store = open_store()
        assert "refused" in store.check()
        server = PostgresServer(_engine("postgres"), port)
        wait_for_it(store)
        store.add(1, messages=say("one"))
        server.close()


def test_names_of_schemas():
    assert schema_name("support-agent") == "shipway_support_agent"
    long = {schema_name(f"{'a' * 60}{n}") for n in range(3)}
    assert len(long) == 3
    assert {len(name) for name in long} == {63}
    assert translate("UPDATE main.turn SET at = :now + :x", "s") == (
        b"UPDATE s.turn SET at = extract(epoch FROM clock_timestamp())::float8 + %(x)s"
    )
