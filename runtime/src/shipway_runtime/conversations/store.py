"""What every store of conversations does, whatever it keeps them in.

In: turns as they finish. Out: what leads up to a turn. Turns are a tree, not a list: each knows the turn it
continues, so a client may go back to an earlier response and ask something else. A conversation belongs to a
tenant: nobody else can continue it, or take its name away.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from ..dialogue import Memory, Message, Past

if TYPE_CHECKING:
    from contextlib import AbstractAsyncContextManager


class StoreError(Exception):
    """The store does not do what it is asked now; the message is for the log."""


@dataclass(frozen=True, slots=True)
class Place:
    """One conversation of one tenant; tenant None where callers are not told apart."""

    tenant: str | None
    conversation: str


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
    """A turn that is over. Without `messages` its number is taken, and nothing else is kept."""

    turn: int
    previous: int | None
    started: float
    status: str
    messages: list[Message] | None
    memory: Memory | None = None


class Store(Protocol):
    """Every call raises StoreError when it cannot be done."""

    def hold(self, place: Place) -> AbstractAsyncContextManager[None]:
        """Held for the length of a turn: turns of one conversation run one after another."""

    async def before(self, place: Place, previous: int | None) -> Before | None:
        """What a turn finds that continues `previous`, else the last one; None for a turn to continue that
        is not known, or has no messages to go on from."""

    async def add(self, place: Place, turned: Turned) -> None:
        """Keep a finished turn."""

    async def close(self) -> None: ...
