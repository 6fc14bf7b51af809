"""Turns: what happens between a question and its answer, whatever the API it came by.

In: `Ask`. Out: a `Turn` in flight, with its context and what it continues. Turns of one conversation run one
after another; those of different conversations side by side. Errors: TurnError.
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import time
import uuid
from typing import TYPE_CHECKING

from .conversations.store import Place, StoreError
from .dialogue import Agent, Dialogue
from .telemetry import log
from .telemetry.tally import Tally
from .turn import Ask, DrainingError, Turn, TurnError, UnknownTurnError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from .context import Context
    from .conversations.store import Store
    from .drain import Drain


class Turns:
    """Runs turns of one agent. `context` is the template of every turn's."""

    def __init__(self, agent: Agent, store: Store, context: Context, drain: Drain, revision: str) -> None:
        self._agent, self._store, self._context = agent, store, context
        self._drain, self._revision = drain, revision
        self._running: set[Turn] = set()
        self.changed = time.time()
        """When the process last became busy or idle; seconds since the epoch."""

    def __len__(self) -> int:
        return len(self._running)

    @contextlib.asynccontextmanager
    async def begin(self, ask: Ask) -> AsyncIterator[Turn]:
        """A turn, once it is its conversation's turn. Raises UnknownTurnError and DrainingError."""
        place = Place(ask.tenant, ask.conversation or uuid.uuid4().hex)
        async with self._store.hold(place):
            if self._drain.closing:
                raise DrainingError("this instance is shutting down; try again")
            turn = await self._open(ask, place)
            self._track(turn, self._running.add)
            try:
                yield turn
            finally:
                self._track(turn, self._running.discard)
                await turn.finish("cancelled")

    async def _open(self, ask: Ask, place: Place) -> Turn:
        try:
            before = await self._store.before(place, ask.previous)
        except StoreError as error:
            log.error("conversation %s cannot be read: %s", place.conversation, error)
            raise TurnError("the conversation could not be read") from None
        if before is None:
            raise UnknownTurnError(
                f"turn {ask.previous} of conversation {place.conversation} is not known here"
            )
        context = dataclasses.replace(
            self._context,
            conversation=place.conversation,
            turn=before.last + 1,
            tenant=ask.tenant,
            tally=Tally(),
        )
        answer = self._agent(Dialogue(ask.messages, before.past, ask.instructions), context)
        return Turn(
            ask, context, place, before.previous, before.first_seen, answer, self._store, self._revision
        )

    def _track(self, turn: Turn, change: Callable[[Turn], None]) -> None:
        before = bool(self._running)
        change(turn)
        if bool(self._running) != before:
            self.changed = time.time()

    async def tell_draining(self) -> None:
        """Let every open stream know that this process is going away."""
        await asyncio.gather(*(t.tell() for t in self._running if t.tell), return_exceptions=True)

    def stop_all(self) -> None:
        """End every turn in flight; each gets a DrainingError."""
        for turn in list(self._running):
            turn.stop()
