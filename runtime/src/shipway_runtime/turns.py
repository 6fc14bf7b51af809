"""Turns: what happens between a question and its answer, whatever the API it came by.

In: `Ask`. Out: a `Turn` whose `pieces` are the agent's answer; when it ends, its messages are in the store
and its outcome on the log, once, whatever the end was: ok, error or cancelled. Errors: TurnError, with a
message that is safe to show to a client; what the agent raised goes to the log.

Turns of one conversation run one after another; those of different conversations side by side.
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import sqlite3
import time
import uuid
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from . import contract, outcomes
from .context import Context
from .conversations import Conversations, Message
from .telemetry import log

if TYPE_CHECKING:
    from .drain import Drain

Agent = Callable[[list[Message], Context], AsyncGenerator[str, None]]
"""Every agent, once its adapter is done with it: messages and context in, pieces of text out."""


@dataclass(frozen=True, slots=True)
class Ask:
    """New messages, and what they continue: a turn by number, else the last one, else nothing."""

    messages: list[Message]
    conversation: str | None = None
    previous: int | None = None
    instructions: str | None = None  # for this turn alone
    store: bool = True


class TurnError(Exception):
    """A turn that gives no answer; the message is for the client."""

    code = "server_error"


class AgentError(TurnError):
    """The agent raised, or gave something that is not text."""


class UnknownTurnError(TurnError):
    """The turn to continue is not known, or cannot be continued."""

    code = "previous_response_not_found"


class DrainingError(TurnError):
    """This process is on its way out; another one answers."""

    code = "shutting_down"


class Turns:
    """Runs turns of one agent. `context` is the template of every turn's."""

    def __init__(
        self, agent: Agent, store: Conversations, context: Context, drain: Drain, revision: str
    ) -> None:
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
        conversation = ask.conversation or uuid.uuid4().hex
        async with self._store.lock(conversation):
            if self._drain.closing:
                raise DrainingError("this instance is shutting down; try again")
            turn = self._open(ask, conversation)
            self._track(turn, self._running.add)
            try:
                yield turn
            finally:
                self._track(turn, self._running.discard)
                turn.finish("cancelled")

    def _open(self, ask: Ask, conversation: str) -> Turn:
        if ask.previous and not self._store.continuable(conversation, ask.previous):
            raise UnknownTurnError(f"turn {ask.previous} of conversation {conversation} is not known here")
        last, continuable, first_seen = self._store.last(conversation)
        previous = ask.previous or continuable
        context = dataclasses.replace(self._context, conversation=conversation, turn=last + 1)
        system: list[Message] = [{"role": "system", "content": ask.instructions}] if ask.instructions else []
        history = self._store.history(conversation, previous) if previous else []
        answer = self._agent([*system, *history, *ask.messages], context)
        return Turn(ask, context, previous, first_seen, answer, self._store, self._revision)

    def _track(self, turn: Turn, change: Callable[[Turn], None]) -> None:
        before = bool(self._running)
        change(turn)
        if bool(self._running) != before:
            self.changed = time.time()

    def close(self) -> None:
        """Close the store; no turn is in flight any more."""
        self._store.close()

    async def tell_draining(self) -> None:
        """Let every open stream know that this process is going away."""
        await asyncio.gather(*(t.tell() for t in self._running if t.tell), return_exceptions=True)

    def stop_all(self) -> None:
        """End every turn in flight; each gets a DrainingError."""
        for turn in list(self._running):
            turn.stop()


class Turn:
    """One turn in flight. `pieces` may be consumed once."""

    def __init__(
        self,
        ask: Ask,
        context: Context,
        previous: int | None,
        first_seen: float,
        answer: AsyncGenerator[str, None],
        store: Conversations,
        revision: str,
    ) -> None:
        self.ask, self.context, self.previous = ask, context, previous
        self.id = contract.response_id(context.conversation, context.turn)
        self.started = time.time()
        self.tell: Callable[[], Awaitable[None]] | None = None  # set by a stream, to be told of a drain
        self._answer, self._store, self._revision, self._first_seen = answer, store, revision, first_seen
        self._clock = time.perf_counter()
        self._first_token_s: float | None = None
        self._text: list[str] = []
        self._task = asyncio.current_task()
        self._stopped = self._finished = False

    @property
    def text(self) -> str:
        """The answer so far."""
        return "".join(self._text)

    def stop(self) -> None:
        """End this turn: its `pieces` raise DrainingError."""
        if self._task and not self._finished:
            self._stopped = True
            self._task.cancel()

    async def pieces(self) -> AsyncGenerator[str, None]:
        """The agent's answer as it comes; stored and recorded when the last piece was taken."""
        async with contextlib.aclosing(self._answer) as answer:
            try:
                async for piece in answer:
                    self._first_token_s = self._first_token_s or time.perf_counter() - self._clock
                    self._text.append(piece)
                    yield piece
            except asyncio.CancelledError as error:
                if self._stopped and self._task:
                    self._task.uncancel()
                    raise DrainingError("this instance shut down before the turn had finished") from None
                if self._task and self._task.cancelling():
                    raise
                raise self._failed(error) from None  # nobody cancelled this turn: the agent's own doing
            except (Exception, SystemExit) as error:  # noqa: BLE001 - whatever the agent raises
                raise self._failed(error) from None
        try:
            self.finish("ok")
        except sqlite3.Error as error:
            log.error("turn %s: the answer could not be kept", self.id, exc_info=error)
            raise TurnError("the conversation could not be stored") from None

    def _failed(self, error: BaseException) -> AgentError:
        log.error("turn %s: the agent failed", self.id, exc_info=error)
        self.finish("error")
        return AgentError("the agent failed to answer; the log of this instance says why")

    def finish(self, status: Literal["ok", "error", "cancelled"]) -> None:
        """Keep the turn and record its outcome; the first call counts."""
        if self._finished:
            return
        self._finished = True
        answer: Message = {"role": "assistant", "content": self.text}
        keep = status == "ok" and self.ask.store
        try:
            self._store.add(
                self.context.conversation,
                self.context.turn,
                previous=self.previous,
                started=self.started,
                status=status,
                messages=[*self.ask.messages, answer] if keep else None,
            )
        finally:
            outcomes.record(self._outcome(status))

    def _outcome(self, status: Literal["ok", "error", "cancelled"]) -> contract.Outcome:
        latency = time.perf_counter() - self._clock
        return contract.Outcome(
            conversation=self.context.conversation,
            turn=self.context.turn,
            revision=self._revision,
            tenant=self.context.tenant,
            first_seen=self._first_seen,
            started=self.started,
            finished=self.started + latency,
            status=status,
            latency_s=round(latency, 6),
            first_token_s=self._first_token_s,
        )
