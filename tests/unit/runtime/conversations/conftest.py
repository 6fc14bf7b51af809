"""A store's calls, each run to its end."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from shipway_runtime.conversations.sql import Conversations
from shipway_runtime.conversations.sqlite import Sqlite
from shipway_runtime.conversations.store import Place, Turned

HERE = Place(None, "c")


def say(text: str) -> list[Any]:
    return [{"role": "user", "content": text}]


class Calls:
    def __init__(self, store: Conversations) -> None:
        self.store = store
        self._runner = asyncio.Runner()
        self.run = self._runner.run

    def add(self, turn, *, previous=None, messages=None, started=1.0, place=HERE, memory=None, response=None):
        turned = Turned(turn, previous, started, "ok", messages, memory, response)
        self.run(self.store.add(place, turned))

    def before(self, previous=None, place=HERE):
        return self.run(self.store.before(place, previous))

    def history(self, turn, place=HERE):
        return [m["content"] for past in self.before(turn, place).past for m in past.messages]

    def close(self):
        self.run(self.store.close())
        self._runner.close()


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Calls]:
    store = Calls(Conversations(Sqlite(tmp_path)))
    yield store
    store.close()
