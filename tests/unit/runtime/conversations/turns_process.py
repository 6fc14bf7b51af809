"""A process that runs turns of one conversation beside others.

In: a database (`sqlite DIRECTORY` or `postgres URL`), how many turns, of how many tasks, and the length of a
lease. Out: a line a turn: its number, when it had the conversation, and until when. With 0 turns it takes the
conversation, says so, and never gives it back.
"""

from __future__ import annotations

import asyncio
import sys
import time
from pathlib import Path

from shipway_runtime.conversations.postgres import Postgres
from shipway_runtime.conversations.sql import Conversations
from shipway_runtime.conversations.sqlite import Sqlite
from shipway_runtime.conversations.store import Place, Turned

HERE = Place(None, "shared")


async def turn(store: Conversations) -> None:
    async with store.hold(HERE):
        had = time.time()
        before = await store.before(HERE, None)
        assert before
        await asyncio.sleep(0.002)
        said = [{"role": "user", "content": "x"}]
        until = time.time()
        await store.add(HERE, Turned(before.last + 1, before.previous, until, "ok", said))
    print(before.last + 1, had, until)


async def hang(store: Conversations) -> None:
    async with store.hold(HERE):
        print("held", flush=True)
        await asyncio.Event().wait()


async def main(kind: str, where: str, turns: int, tasks: int, lease_s: float) -> None:
    database = Sqlite(Path(where)) if kind == "sqlite" else Postgres(lambda: where, "shared")
    store = Conversations(database, lease_s=lease_s)
    await store.open()
    left = iter(range(turns))

    async def work() -> None:
        for _ in left:
            await turn(store)

    await asyncio.gather(*([work() for _ in range(tasks)] if turns else [hang(store)]))
    await store.close()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:3], int(sys.argv[3]), int(sys.argv[4]), float(sys.argv[5])))
