"""What the story of two rollouts wants of the machine that it is played on: containers, or processes.

A revision is called by its name in the story (r1, r2, r3); the machine knows what it is really called.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterator

    from shipway.rollout_snapshot import Snapshot

AGENT = "orders"


class Machine(Protocol):
    """One deployment. It says itself what happens on it; it ends with the stack that it was given."""

    url: str
    """Where users come to."""

    def serve(self, first: str) -> str:
        """Have a revision before any rollout; returns what its router is. Raises ShipwayError where it does
        not get ready."""

    def roll_out(self, canary: str) -> Iterator[Snapshot]:
        """One rollout, from its begin to its end: how it stands, again and again."""

    def gate(self, canary: str) -> dict[str, Any]:
        """What control's gate says of it, and its evidence over time."""

    def revision(self, name: str) -> str:
        """What a revision is really called."""

    def page(self) -> tuple[str, str]:
        """Where control's page is, and the token that opens it."""
