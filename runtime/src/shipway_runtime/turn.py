"""One turn in flight: the agent's pieces as they come, and what is kept of them at the end.

In: an answer that is being made. Out: its pieces, once; when it ends, its messages are in the store and its
outcome is recorded, once, whatever the end was: ok, error or cancelled. Errors: TurnError, with a message
that is safe to show to a client; what the agent raised goes to the log.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from . import contract
from .conversations.store import StoreError, Turned
from .dialogue import Memory, Message, Piece, ToolCall, ToolResult, Usage
from .policy.prices import cost_of
from .telemetry import log, outcomes

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable

    from .context import Context
    from .conversations.store import Place, Store
    from .live.sample import Notes
    from .telemetry.tally import Tally


@dataclass(frozen=True, slots=True)
class Ask:
    """New messages, who asks, and what they continue: a turn by number, else the last one, else nothing."""

    messages: list[Message]
    conversation: str | None = None
    previous: int | None = None
    instructions: str | None = None  # for this turn alone
    store: bool = True
    tenant: str | None = None


class TurnError(Exception):
    """A turn that gives no answer; the message is for the client, `status` and `code` for its program.

    `retry_s` says when to come back, in seconds; None where that would not help. `began` says that the agent
    had begun: it may have acted already, and would act again for the same request. `outcome` is the turn's.
    """

    status = 500
    code = "server_error"
    retry_s: float | None = None
    began = False
    outcome: Literal["error", "cancelled"] = "error"


class AgentError(TurnError):
    """The agent raised, or gave something that is not text."""

    began = True


class UnkeptError(TurnError):
    """The agent has answered, and the answer could not be stored."""

    began = True


class UnknownTurnError(TurnError):
    """The turn to continue is not known, or cannot be continued."""

    status = 404
    code = "previous_response_not_found"


class ConversationBusyError(TurnError):
    """Another turn of the conversation runs, and this one does not wait for it, or not any longer."""

    status = 409
    code = "conversation_busy"
    retry_s = 1.0


class StorageError(TurnError):
    """What was said before cannot be read now; the agent has not been asked."""

    status = 503
    code = "storage_unavailable"
    retry_s = 1.0


class DrainingError(TurnError):
    """This process is on its way out; another one answers."""

    status = 503
    code = "shutting_down"
    retry_s = 1.0


class CutOffError(TurnError):
    """This process is on its way out, and the turn did not finish in time."""

    status = 503
    code = "shutting_down"
    began = True
    outcome = "cancelled"


class TurnTimeoutError(TurnError):
    """The turn took longer than `api.timeout`."""

    status = 504
    code = "turn_timeout"
    began = True


class TurnCancelledError(TurnError):
    """Somebody asked for the turn to end."""

    status = 409
    code = "response_cancelled"
    began = True
    outcome = "cancelled"


class Turn:
    """`pieces` may be consumed once. `place` is its conversation, `previous` the turn it continues."""

    def __init__(
        self,
        ask: Ask,
        context: Context,
        place: Place,
        previous: int | None,
        first_seen: float,
        answer: AsyncGenerator[Piece, None],
        store: Store,
        revision: str,
        notes: Notes | None = None,
    ) -> None:
        self.ask, self.context, self.place, self.previous = ask, context, place, previous
        self.id = contract.response_id(context.conversation, context.turn)
        self.started = time.time()
        self.status: Literal["ok", "error", "cancelled"] | None = None  # None while it runs
        self.tell: Callable[[], Awaitable[None]] | None = None  # set by a stream, to be told of a drain
        self.keep: Callable[[str], dict[str, Any]] | None = None  # set by an API: what it keeps of the turn
        self._answer, self._store, self._revision, self._first_seen = answer, store, revision, first_seen
        self._notes = notes
        self._clock = time.perf_counter()
        self._first_token_s: float | None = None
        self._text: list[str] = []
        self._memory: Memory | None = None
        self._error: BaseException | None = None
        self._task = asyncio.current_task()
        self.stopped: TurnError | None = None  # why it is to end early
        self._finished = False

    @property
    def text(self) -> str:
        """The answer so far."""
        return "".join(self._text)

    @property
    def tally(self) -> Tally:
        """What the turn has cost so far."""
        return self.context.tally

    def stop(self, error: TurnError) -> None:
        """End this turn: its `pieces` raise `error`."""
        if self._task and not self._finished and not self.stopped:
            self.stopped = error
            self._task.cancel()

    async def pieces(self) -> AsyncGenerator[str | ToolCall | ToolResult, None]:
        """The agent's answer as it comes; stored and recorded when the last piece was taken."""
        async with contextlib.aclosing(self._answer) as answer:
            try:
                async for piece in answer:
                    if isinstance(piece, Usage):
                        self.tally.use(piece)
                    elif isinstance(piece, Memory):
                        self._memory = piece
                    else:
                        self._note(piece)
                        yield piece
            except asyncio.CancelledError as error:
                if self.stopped:
                    raise await self.ended(self.stopped) from None
                if self._task and self._task.cancelling():
                    raise
                raise await self._failed(error) from None  # nobody cancelled this turn: the agent's own doing
            except TurnError as error:
                self._error = error.__context__ or error
                await self.finish("error")
                raise
            except (Exception, SystemExit) as error:  # noqa: BLE001 - whatever the agent raises
                if self.stopped:  # it made something else of its cancellation
                    raise await self.ended(self.stopped) from None
                raise await self._failed(error) from None
        await self.finish("ok")

    def _note(self, piece: str | ToolCall | ToolResult) -> None:
        if isinstance(piece, str):
            self._first_token_s = self._first_token_s or time.perf_counter() - self._clock
            self._text.append(piece)
        else:
            self.tally.note(piece)
            if self._notes:
                self._notes.note(piece)

    async def ended(self, error: TurnError) -> TurnError:
        """The error to raise instead of the cancellation by which this turn was stopped."""
        if self._task:
            self._task.uncancel()
        self._error = error
        await self.finish(error.outcome)
        return error

    async def _failed(self, error: BaseException) -> AgentError:
        self._error = error
        log.error("turn %s: the agent failed", self.id, exc_info=error)
        await self.finish("error")
        return AgentError("the agent failed to answer; the log of this instance says why")

    async def finish(self, status: Literal["ok", "error", "cancelled"]) -> None:
        """Keep the turn and record its outcome; the first call counts. Raises TurnError."""
        if self._finished:
            return
        self._finished, self.status = True, status
        answer: Message = {"role": "assistant", "content": self.text}
        keep = status == "ok" and self.ask.store
        turned = Turned(
            turn=self.context.turn,
            previous=self.previous,
            started=self.started,
            status=status,
            messages=[*self.ask.messages, answer] if keep else None,
            memory=self._memory if keep else None,
            response=self.keep(status) if self.keep else None,
        )
        try:
            await self._store.add(self.place, turned)
        except StoreError as error:
            log.error("turn %s: the answer could not be kept: %s", self.id, error)
            raise UnkeptError("the conversation could not be stored") from None
        finally:
            if self._notes:
                self._notes.answer = self.text
            outcomes.record(self._outcome(status), self.tally, self.context.model, self._error, self._notes)

    def _outcome(self, status: Literal["ok", "error", "cancelled"]) -> contract.Outcome:
        latency, tally = time.perf_counter() - self._clock, self.tally
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
            first_token_s=self._first_token_s and round(self._first_token_s, 6),
            tokens=contract.TokenCounts(tally.input, tally.output),
            cost=cost_of(tally, self.context.model),
            tool_calls=tally.tool_calls,
            tool_errors=tally.tool_errors,
        )


def denied(ask: Ask, place: Place, revision: str) -> contract.Outcome:
    """The outcome of a turn that the policy did not let begin: it has no number."""
    now = time.time()
    return contract.Outcome(
        conversation=place.conversation,
        turn=0,
        revision=revision,
        tenant=ask.tenant,
        first_seen=now,
        started=now,
        finished=now,
        status="denied",
        latency_s=0.0,
    )
