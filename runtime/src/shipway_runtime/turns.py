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

from .context import entered
from .conversations.store import Before, BusyError, Place, StoreError
from .dialogue import Agent, Dialogue
from .policy.admission import DeniedError
from .telemetry import log, outcomes
from .telemetry.current import Running
from .telemetry.tally import Tally
from .turn import (
    Ask,
    ConversationBusyError,
    CutOffError,
    DrainingError,
    StorageError,
    Turn,
    TurnCancelledError,
    TurnTimeoutError,
    UnknownTurnError,
    denied,
)

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Mapping

    from .context import Context
    from .conversations.store import Store
    from .drain import Drain
    from .live.sampling import Sampling
    from .policy.admission import Admission, Passage


class Turns:
    """Runs turns of one agent. `context` is the template of every turn's, but for `tenants` with one of their
    own; a turn that takes longer than `timeout_s` is stopped. `sampling` says which are read."""

    def __init__(
        self,
        agent: Agent,
        store: Store,
        context: Context,
        drain: Drain,
        revision: str,
        admission: Admission,
        timeout_s: float = 600.0,
        tenants: Mapping[str, Context] | None = None,
        sampling: Sampling | None = None,
    ) -> None:
        self._agent, self._store, self._context = agent, store, context
        self._tenants, self._sampling = tenants or {}, sampling
        self._drain, self._revision, self._admission, self._timeout_s = drain, revision, admission, timeout_s
        self._running: set[Turn] = set()
        self._waiting: set[asyncio.Timeout] = set()  # for another turn of their conversation
        self._begun = 0
        self.changed = time.time()
        """When the process last became busy or idle; seconds since the epoch."""

    def __len__(self) -> int:
        return len(self._running)

    @property
    def waiting(self) -> int:
        """How many turns wait for another one of their conversation."""
        return max(0, self._begun - len(self._running))

    @contextlib.asynccontextmanager
    async def begin(self, ask: Ask) -> AsyncIterator[Turn]:
        """A turn, once it is its conversation's turn. Raises DeniedError, UnknownTurnError,
        ConversationBusyError and DrainingError."""
        place = Place(ask.tenant, ask.conversation or uuid.uuid4().hex)
        self._begun += 1
        try:
            async with self._let_in(ask, place) as passage, self._held(place):
                if self._drain.closing:
                    raise DrainingError("this instance is shutting down; try again")
                turn = passage.turn = await self._open(ask, place, passage)
                async with self._in_flight(turn):
                    yield turn
        finally:
            self._begun -= 1

    @contextlib.asynccontextmanager
    async def _in_flight(self, turn: Turn) -> AsyncIterator[Turn]:
        """`turn` while it runs: known, bounded in time, and finished whatever becomes of it."""
        timer = asyncio.get_running_loop().call_later(self._timeout_s, self._time_out, turn)
        self._track(turn, self._running.add)
        with entered(turn.context), Running(turn.context):
            try:
                yield turn
            except asyncio.CancelledError:
                if turn.stopped:  # while it waited for its client to read
                    raise await turn.ended(turn.stopped) from None
                raise
            finally:
                timer.cancel()
                self._track(turn, self._running.discard)
                await turn.finish("cancelled")

    @contextlib.asynccontextmanager
    async def _held(self, place: Place) -> AsyncIterator[None]:
        waiting = asyncio.timeout(None)
        async with contextlib.AsyncExitStack() as stack:
            self._waiting.add(waiting)
            try:
                async with waiting:
                    await stack.enter_async_context(self._store.hold(place))
            except TimeoutError:
                raise DrainingError("this instance is shutting down; try again") from None
            except BusyError:
                raise ConversationBusyError(
                    f"another turn of conversation {place.conversation} is running; ask again when it is over"
                ) from None
            except StoreError as error:
                log.error("conversation %s cannot be had: %s", place.conversation, error)
                raise StorageError("the conversation could not be read") from None
            finally:
                self._waiting.discard(waiting)
            yield

    @contextlib.asynccontextmanager
    async def _let_in(self, ask: Ask, place: Place) -> AsyncIterator[Passage]:
        """The policy's leave to run a turn. A turn that is denied has an outcome, too."""
        try:
            passage = await self._admission.enter(ask.tenant, self._template(ask).model)
            try:
                yield passage
            finally:
                await passage.leave()
        except DeniedError:
            outcomes.record(denied(ask, place, self._revision))
            raise

    def _template(self, ask: Ask) -> Context:
        return self._tenants.get(ask.tenant or "", self._context)

    async def _open(self, ask: Ask, place: Place, passage: Passage) -> Turn:
        before = await self._before(ask, place)
        if before is None:
            raise UnknownTurnError(
                f"turn {ask.previous} of conversation {place.conversation} is not known here"
            )
        template = self._template(ask)
        context = dataclasses.replace(
            template,
            model=passage.check(template.model),
            conversation=place.conversation,
            turn=before.last + 1,
            tenant=ask.tenant,
            tally=Tally(),
        )
        dialogue = Dialogue(ask.messages, before.past, ask.instructions)
        notes = self._sampling.begin(ask, dialogue, context) if self._sampling else None
        answer = self._agent(dialogue, context)
        return Turn(
            *(ask, context, place, before.previous, before.first_seen, answer),
            *(self._store, self._revision, notes),
        )

    async def _before(self, ask: Ask, place: Place) -> Before | None:
        if ask.conversation is None:  # its name is new: there is nothing to look for
            return Before(0, None, (), time.time())
        try:
            return await self._store.before(place, ask.previous)
        except StoreError as error:
            log.error("conversation %s cannot be read: %s", place.conversation, error)
            raise StorageError("the conversation could not be read") from None

    def _track(self, turn: Turn, change: Callable[[Turn], None]) -> None:
        before = bool(self._running)
        change(turn)
        if bool(self._running) != before:
            self.changed = time.time()

    async def tell_draining(self) -> None:
        """Let every open stream know that this process is going away."""
        await asyncio.gather(*(t.tell() for t in self._running if t.tell), return_exceptions=True)

    def stop_all(self) -> None:
        """End every turn in flight, with a CutOffError, and those that wait for one, with a DrainingError."""
        for waiting in self._waiting:
            waiting.reschedule(0)
        for turn in list(self._running):
            turn.stop(CutOffError("this instance shut down before the turn had finished"))

    def running(self, response: str, tenant: str | None) -> Turn | None:
        """The turn in flight whose response has this id, if it is this tenant's."""
        return next((t for t in self._running if t.id == response and t.ask.tenant == tenant), None)

    def cancel(self, turn: Turn) -> None:
        """End a turn; whoever waits for it gets a TurnCancelledError."""
        turn.stop(TurnCancelledError("the response was cancelled"))

    def _time_out(self, turn: Turn) -> None:
        log.error("turn %s: stopped, it took longer than the %g s of api.timeout", turn.id, self._timeout_s)
        turn.stop(TurnTimeoutError(f"the agent did not answer within {self._timeout_s:g} s"))
