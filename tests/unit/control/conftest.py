"""A control for a test, a database for a test, and outcomes for both."""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from tests.controlling import ControlProcess
from tests.ports import free_port
from tests.postgres import PostgresServer

from shipway.control.store.database import Database
from shipway.control.store.postgres import Postgres
from shipway.control.store.sqlite import Sqlite

AT = float(int(time.time()) - 3600)
Make = Callable[..., ControlProcess]


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[list[PostgresServer]]:
    """The server of the whole session, once somebody has started it."""
    started: list[PostgresServer] = []
    yield started
    for server in started:
        server.close()


@pytest.fixture
def postgres_url(postgres_server: list[PostgresServer], engine: Callable[[str], str]) -> str:
    """The URL of a database of this test's own."""
    program = engine("postgres")
    if not postgres_server:
        postgres_server.append(PostgresServer(program, free_port()))
    name = f"control_{uuid.uuid4().hex[:12]}"
    with psycopg.connect(postgres_server[0].url, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}")  # type: ignore[arg-type]
    return postgres_server[0].url.rpartition("/")[0] + f"/{name}"


@pytest.fixture(params=["sqlite", "postgres"])
def database_url(request: pytest.FixtureRequest) -> str | None:
    """Both databases, one after the other: None is SQLite in the test's own directory."""
    url: str | None = request.getfixturevalue("postgres_url") if request.param == "postgres" else None
    return url


@pytest.fixture
def open_database(database_url: str | None, tmp_path: Path) -> Iterator[Callable[[], Database]]:
    """`open_database()` opens the test's database, as one more process would."""
    opened: list[Database] = []

    def make() -> Database:
        made: Database = Postgres(lambda: database_url) if database_url else Sqlite(tmp_path / "data")
        made.open()
        opened.append(made)
        return made

    yield make
    for one in opened:
        one.close()


@pytest.fixture
def database(open_database: Callable[[], Database]) -> Database:
    return open_database()


@pytest.fixture
def start_control(tmp_path: Path) -> Iterator[Make]:
    """`start_control()` starts one in this test's directory; all are closed at the end."""
    started: list[ControlProcess] = []

    def start(**more: Any) -> ControlProcess:
        started.append(ControlProcess(tmp_path, **more))
        return started[-1]

    yield start
    for control in started:
        control.close()


@pytest.fixture
def control(start_control: Make) -> ControlProcess:
    return start_control()


def outcome(conversation: str = "c", turn: int = 1, **more: Any) -> dict[str, Any]:
    """An outcome as a document."""
    return {
        "conversation": conversation,
        "turn": turn,
        "revision": "r-1",
        "tenant": None,
        "first_seen": AT,
        "started": AT + turn,
        "finished": AT + turn + 0.5,
        "status": "ok",
        "latency_s": 0.5,
    } | more


def lines(*outcomes: dict[str, Any]) -> bytes:
    """They, as a request has them."""
    return b"".join(json.dumps(one).encode() + b"\n" for one in outcomes)
