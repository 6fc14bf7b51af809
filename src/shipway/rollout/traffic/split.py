"""How traffic is split: what is wanted, and what a router must be able to do.

A conversation is pinned when it is first seen: its turns go where the first one went, whatever the weights
become. It is known by the header `x-conversation-id`, by `previous_response_id` or `conversation` in the
body, or by the header of the answer where the server made up its id.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal, Protocol

Slot = Literal["a", "b"]
"""A router has two places; a revision keeps its own as long as it runs."""

SLOTS: tuple[Slot, Slot] = ("a", "b")

CONVERSATION = re.compile(r"[A-Za-z0-9_-]{1,64}")
"""What a pin is made of; anything else is nobody's conversation."""

CHECK_S = 5
"""Seconds for an answer to a check. One that is merely busy keeps its conversations: three checks have to
fail, so it takes a quarter of a minute of silence, but only three seconds where nothing listens any more."""

BODY_LIMIT = 64_000
"""Bytes of a request in which a conversation is looked for; a larger one has to name it in the header."""


@dataclass(frozen=True, slots=True)
class Backend:
    """Where a revision's API is: its slot, and host and port."""

    slot: Slot
    host: str
    port: int


@dataclass(frozen=True, slots=True)
class Split:
    """What is wanted: `canary_weight` percent of new conversations go to the canary, the others to stable.

    With `stay` False nobody is left with the one that has no weight: its conversations move now.
    """

    stable: Backend
    canary: Backend | None = None
    canary_weight: int = 0
    stay: bool = True

    @property
    def weights(self) -> dict[Slot, int]:
        """New conversations of a hundred, for each slot; nobody is sent to an empty one."""
        canary = {self.canary.slot: self.canary_weight} if self.canary else {}
        share = self.canary_weight if self.canary else 0
        return dict.fromkeys(SLOTS, 0) | {self.stable.slot: 100 - share} | canary


@dataclass(frozen=True, slots=True)
class Served:
    """What a slot has had: requests since the router's start, those in flight, and whether it answers."""

    total: int
    active: int
    ready: bool


class Traffic(Protocol):
    """A router. Each call is idempotent; RolloutError says what is wrong with the router."""

    def apply(self, split: Split) -> None:
        """Make it so, also after the router has forgotten everything."""

    def served(self) -> dict[Slot, Served]:
        """What each slot has had so far."""

    def pins(self) -> dict[str, Slot]:
        """Where each conversation is pinned."""

    def pin(self, pins: dict[str, Slot]) -> None:
        """Pin conversations that the router has forgotten; those it knows stay where they are."""
