"""The store in a real PostgreSQL: what every store does, and what only a server can do to it."""

from __future__ import annotations

import functools
from collections.abc import Iterator

import psycopg
import pytest
from tests.unit.runtime.conversations.conftest import Calls, OpenStore, opener
from tests.unit.runtime.conversations.test_shared import *  # noqa: F403
from tests.unit.runtime.conversations.test_store import *  # noqa: F403 - the same of every store
from tests.unit.runtime.conversations.test_versions import *  # noqa: F403

from shipway_runtime.conversations.postgres import Postgres


@pytest.fixture
def open_store(postgres, agent) -> Iterator[OpenStore]:
    yield from opener(functools.partial(Postgres, lambda: postgres.url, agent))


@pytest.fixture
def database(postgres) -> Iterator[tuple[str, str]]:
    yield "postgres", postgres.url
    with psycopg.connect(postgres.url) as connection:
        connection.execute("DROP SCHEMA shipway_shared CASCADE")


@pytest.fixture
def store(open_store) -> Calls:
    return open_store()
