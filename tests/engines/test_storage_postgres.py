"""The store in a real PostgreSQL: what every store does, and what only a server can do to it."""

from __future__ import annotations

import functools
from collections.abc import Iterator

import pytest
from tests.unit.runtime.conversations.conftest import Calls, OpenStore, opener
from tests.unit.runtime.conversations.test_store import *  # noqa: F403 - the same of every store

from shipway_runtime.conversations.postgres import Postgres


@pytest.fixture
def open_store(postgres, agent) -> Iterator[OpenStore]:
    yield from opener(functools.partial(Postgres, lambda: postgres.url, agent))


@pytest.fixture
def store(open_store) -> Calls:
    return open_store()
