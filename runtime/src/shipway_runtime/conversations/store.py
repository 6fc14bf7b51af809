"""What every store of conversations does, whatever it keeps them in.

In: turns as they finish. Out: what leads up to a turn, and turns as they were. Turns are a tree, not a list:
each knows the turn it continues, so a client may go back to an earlier response and ask something else. A
conversation belongs to a tenant: nobody else can continue it, or take its name away.

Numbers of turns are never used twice, even where a turn or the whole conversation was deleted: a response id
means one response, for ever.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from ..dialogue import Memory, Message, Past

if TYPE_CHECKING:
    from contextlib import AbstractAsyncContextManager


class StoreError(Exception):
    """The store does not do what it is asked now; the message is for the log."""


class BusyError(Exception):
    """Another turn of the conversation runs, and went on for as long as one could wait."""


@dataclass(frozen=True, slots=True)
class Place:
    """One conversation of one tenant; tenant None where callers are not told apart."""

    tenant: str | None
    conversation: str


@dataclass(frozen=True, slots=True)
class Conversation:
    """A conversation as a whole: when it began, in seconds since the epoch, and what clients noted on it."""

    started: float
    metadata: dict[str, Any] = field(default_factory=dict)
    last: int = 0
    """The number of its last turn; 0 before the first."""


@dataclass(frozen=True, slots=True)
class Before:
    """What a new turn finds: the number of the last one (0: none), the one it continues and what led up to
    that, and when the conversation began, in seconds since the epoch."""

    last: int
    previous: int | None
    past: tuple[Past, ...]
    first_seen: float


@dataclass(frozen=True, slots=True)
class Turned:
    """A turn that is over. Without `messages` nothing continues it; its number is taken all the same."""

    turn: int
    previous: int | None
    started: float
    status: str
    messages: list[Message] | None
    memory: Memory | None = None
    response: dict[str, Any] | None = None
    """What the API gives back when somebody asks for this response later: JSON, the store never looks in."""


class Store(Protocol):
    """Every call raises StoreError when it cannot be done. They belong to the main loop; `check` does not."""

    def hold(self, place: Place) -> AbstractAsyncContextManager[None]:
        """Held for the length of a turn: turns of one conversation run one after another, first come, first
        served. Raises BusyError when another one runs for longer than a turn is to wait."""

    async def before(self, place: Place, previous: int | None) -> Before | None:
        """What a turn finds that continues `previous`, else the last one; None for a turn to continue that
        is not known, or has no messages to go on from."""

    async def add(self, place: Place, turned: Turned, *, more: bool = False) -> None:
        """Keep a finished turn while its conversation is held; `hold` protects no other after it, unless
        `more` are to come."""

    async def read(self, place: Place, turn: int) -> Turned | None:
        """One turn as it was added; None when it is not known, or was deleted."""

    async def turns(
        self, place: Place, *, after: int | None = None, limit: int = 100, newest_first: bool = False
    ) -> list[Turned]:
        """Up to `limit` turns that were not deleted, by number, from the one after `after` on."""

    async def create(self, place: Place, metadata: dict[str, Any]) -> bool:
        """Begin a conversation before its first turn; False when there is one of this name."""

    async def find(self, place: Place) -> Conversation | None:
        """The conversation, once it was created or has a turn."""

    async def update(self, place: Place, metadata: dict[str, Any]) -> bool:
        """Replace what is noted on a conversation; False when there is none."""

    async def delete(self, place: Place) -> bool:
        """Delete a conversation with everything in it; False when there is none."""

    async def delete_turn(self, place: Place, turn: int) -> bool:
        """Delete what was said in a turn; later ones stay, and no longer see it. False when there is none."""

    async def check(self) -> str | None:
        """Why turns cannot be kept now; None when they can. Costs nothing, and any thread may ask."""

    async def open(self) -> None:
        """Begin. Raises StartError for what cannot be used; what is away now is for `check` to say."""

    async def close(self) -> None: ...
