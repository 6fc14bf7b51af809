"""The store, written once for every database that speaks SQL.

In and out: as store.py and budgets.py say, above a `Database`, which runs statements. It
watches it, too: `check` says what the last look found. Long histories come in
steps of some turns, so that the main loop goes on in between.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from typing import TYPE_CHECKING, Any

from ..dialogue import Memory, Past
from . import statements
from .budgets import Spent, begin
from .leases import LEASE_S, Leases
from .store import Before, Conversation, Place, StoreError, Turned

if TYPE_CHECKING:
    from collections.abc import Callable, Collection
    from contextlib import AbstractAsyncContextManager

    from .database import Database, Row

STEP = 16  # turns that are read at once
FIRST_LOOK_S = 1.0  # that a start waits for
TROUBLE_S = 1.0  # between two looks at a database that does not work
LAST = 2**31 - 1  # above every number of a turn


class Conversations:
    """The store in one database. A turn waits `wait_s` seconds for another one of its conversation: 0 does
    not wait, None waits without a bound. `deleted` is told of each deletion in a conversation."""

    def __init__(
        self,
        database: Database,
        *,
        wait_s: float | None = None,
        lease_s: float = LEASE_S,
        deleted: Callable[[Place], None] | None = None,
    ) -> None:
        self._database, self._deleted = database, deleted
        self._wait_s = wait_s
        self._leases = Leases(database, lease_s)
        self._watching: asyncio.Task[None] | None = None
        self._trouble: str | None = "no answer yet"
        self._looked = asyncio.Event()

    async def open(self) -> None:
        await self._database.open()
        self._watching = asyncio.create_task(self._watch())
        with contextlib.suppress(TimeoutError):  # what is away is seen later; what is there, at once
            async with asyncio.timeout(FIRST_LOOK_S):
                await self._looked.wait()

    async def close(self) -> None:
        if self._watching:
            self._watching.cancel()
            await asyncio.wait([self._watching])
        await self._database.close()

    async def check(self) -> str | None:
        return self._trouble

    async def _watch(self) -> None:
        """Look again and again, until cancelled."""
        while True:
            await self.look()
            self._looked.set()
            pause = self._leases.renew_s
            await asyncio.sleep(min(TROUBLE_S, pause) if self._trouble else pause)

    async def look(self) -> None:
        """See once that the database works, and renew what this process holds."""
        try:
            await self._database.probe()
            await self._leases.renew()
            self._trouble = None
        except StoreError as error:
            self._trouble = str(error)

    def hold(self, place: Place) -> AbstractAsyncContextManager[None]:
        return self._leases.hold(place, self._wait_s)

    async def before(self, place: Place, previous: int | None) -> Before | None:
        rows = await self._database.fetch(statements.BEFORE, _key(place) | {"upto": previous or LAST})
        last, started, continued = rows[0] if rows else (0, None, None)
        if previous not in (None, continued):
            return None
        past = await self._history(place, continued) if continued else ()
        return Before(last, continued, past, started or time.time())

    async def _history(self, place: Place, turn: int | None) -> tuple[Past, ...]:
        past: list[Past] = []
        while turn is not None:
            values = _key(place) | {"turn": turn, "depth": STEP}
            rows = await self._database.fetch(statements.HISTORY, values)
            past += [Past(json.loads(row[1]), _memory(row[2])) for row in rows if row[1] is not None]
            turn = rows[-1][0] if len(rows) == STEP else None
            await asyncio.sleep(0)
        return tuple(reversed(past))

    async def add(self, place: Place, turned: Turned, *, more: bool = False) -> None:
        values = self._leases.values(place) | {
            "turn": turned.turn,
            "previous": turned.previous,
            "started": turned.started,
            "status": turned.status,
            "messages": _dump(turned.messages),
            "memory": _dump(turned.memory and [turned.memory.kind, turned.memory.data]),
            "response": _dump(turned.response),
        }
        values["holder"] = values["me"] if more else None
        if not await self._database.change(values, *self._database.add) and not await self._added(values):
            raise StoreError(
                f"turn {turned.turn} was not kept: another process went on with the conversation, "
                f"or it was deleted"
            )
        if not more:
            self._leases.given_back(place)

    async def _added(self, values: dict[str, Any]) -> bool:
        """Whether it is there after all: it was stored, and the connection broke before it said so."""
        return bool(await self._database.fetch(statements.STORED, values))

    async def read(self, place: Place, turn: int) -> Turned | None:
        rows = await self._database.fetch(statements.READ, _key(place) | {"turn": turn})
        return _turned(rows[0]) if rows else None

    async def turns(
        self, place: Place, *, after: int | None = None, limit: int = 100, newest_first: bool = False
    ) -> list[Turned]:
        start = after if after is not None else LAST if newest_first else 0
        statement = statements.TURNS_BACK if newest_first else statements.TURNS
        values = _key(place) | {"after": start, "limit": limit}
        return [_turned(row) for row in await self._database.fetch(statement, values)]

    async def create(self, place: Place, metadata: dict[str, Any]) -> bool:
        values = _key(place) | {"started": time.time(), "metadata": _dump(metadata)}
        return bool(await self._database.change(values, statements.CREATE))

    async def find(self, place: Place) -> Conversation | None:
        rows = await self._database.fetch(statements.FIND, _key(place))
        return Conversation(rows[0][0], json.loads(rows[0][1]), rows[0][2]) if rows else None

    async def update(self, place: Place, metadata: dict[str, Any]) -> bool:
        values = _key(place) | {"metadata": _dump(metadata)}
        return bool(await self._database.change(values, statements.UPDATE))

    async def delete(self, place: Place) -> bool:
        return await self._delete(place, _key(place), statements.DELETE, statements.DELETE_TURNS)

    async def delete_turn(self, place: Place, turn: int) -> bool:
        return await self._delete(place, _key(place) | {"turn": turn}, statements.DELETE_TURN)

    async def _delete(self, place: Place, values: dict[str, Any], *wanted: str) -> bool:
        there = bool(await self._database.change(values, *wanted))
        if there and self._deleted:
            self._deleted(place)
        return there

    async def spent(self, tenant: str | None, windows: Collection[int], at: float) -> dict[int, Spent]:
        rows = await self._database.fetch(statements.SPENT, {"tenant": tenant or ""})
        known = {(seconds, began): Spent(tokens, cost) for seconds, began, tokens, cost in rows}
        return {window: known.get((window, begin(window, at)), Spent()) for window in windows}

    async def spend(
        self, tenant: str | None, windows: Collection[int], tokens: int, cost: float, at: float
    ) -> None:
        values: dict[str, Any] = {"tenant": tenant or "", "tokens": tokens, "cost": cost}
        values |= {f"began_{window}": begin(window, at) for window in windows}
        rows = ", ".join(f"(:tenant, {window:d}, :began_{window:d}, :tokens, :cost)" for window in windows)
        if rows:
            await self._database.change(values, statements.SPEND.format(rows=rows))


def _key(place: Place) -> dict[str, Any]:
    return {"tenant": place.tenant or "", "conversation": place.conversation}


def _turned(row: Row) -> Turned:
    turn, previous, started, status, messages, memory, response = row
    return Turned(turn, previous, started, status, _load(messages), _memory(memory), response=_load(response))


def _dump(value: Any) -> str | None:
    """JSON as UTF-8 can hold it: half of a surrogate pair, which clients do send, stays escaped."""
    if value is None:
        return None
    text = json.dumps(value, ensure_ascii=False)
    try:
        text.encode()
    except UnicodeEncodeError:
        return json.dumps(value)
    return text


def _load(text: str | None) -> Any:
    return None if text is None else json.loads(text)


def _memory(text: str | None) -> Memory | None:
    return Memory(*json.loads(text)) if text else None
