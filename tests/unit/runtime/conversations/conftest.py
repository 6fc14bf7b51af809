"""Stores, and their calls, each run to its end. All stores of a test are on one loop."""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from shipway_runtime.conversations.schema import VERSIONS
from shipway_runtime.conversations.sql import Conversations
from shipway_runtime.conversations.sqlite import Sqlite
from shipway_runtime.conversations.store import Place, Turned

HERE = Place(None, "c")


def say(text: str) -> list[Any]:
    return [{"role": "user", "content": text}]


class Calls:
    def __init__(self, store: Conversations, run: Callable[..., Any]) -> None:
        self.store, self.run = store, run
        self.run(store.open())

    def add(self, turn, *, previous=None, messages=None, started=1.0, place=HERE, memory=None, response=None):
        turned = Turned(turn, previous, started, "ok", messages, memory, response)
        self.run(self._add(place, turned))

    async def _add(self, place, turned):
        async with self.store.hold(place):
            await self.store.add(place, turned)

    def before(self, previous=None, place=HERE):
        return self.run(self.store.before(place, previous))

    def history(self, turn, place=HERE):
        return [m["content"] for past in self.before(turn, place).past for m in past.messages]

    def check(self):
        """What the next look at the database finds."""

        async def look():
            await self.store.look()
            return await self.store.check()

        return self.run(look())

    def close(self):
        self.run(self.store.close())


OpenStore = Callable[..., Calls]


def opener(database: Callable[..., Any]) -> Iterator[OpenStore]:
    """Opens stores in one database, and closes them again. `versions` are those of its tables."""
    opened: list[Calls] = []
    with asyncio.Runner() as runner:

        def open_store(*, versions: Any = VERSIONS, **settings: Any) -> Calls:
            opened.append(Calls(Conversations(database(versions=versions), **settings), runner.run))
            return opened[-1]

        yield open_store
        for store in opened:
            store.close()


@pytest.fixture
def open_store(tmp_path: Path) -> Iterator[OpenStore]:
    yield from opener(functools.partial(Sqlite, tmp_path))


@pytest.fixture
def database(tmp_path: Path) -> tuple[str, str]:
    """For a process of its own."""
    return "sqlite", str(tmp_path)


@pytest.fixture
def store(open_store: OpenStore) -> Calls:
    return open_store()
