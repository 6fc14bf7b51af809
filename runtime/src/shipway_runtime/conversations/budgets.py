"""What tenants have used up: counters that hold across a restart, and across replicas that share a database.

In: tokens and cost of each turn. Out: sums over fixed windows. A window is named by its length in seconds and
begins at a multiple of it since the epoch, so a day is a day of UTC. Only the current window of each length
is kept, so counters never grow in number.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Collection


@dataclass(frozen=True, slots=True)
class Spent:
    """What went through one window so far. `cost` is in US dollars."""

    tokens: int = 0
    cost: float = 0.0


class Budgets(Protocol):
    """Calls raise StoreError when they cannot be done. Times are seconds since the epoch."""

    async def spent(self, tenant: str | None, windows: Collection[int], at: float) -> dict[int, Spent]:
        """What was spent in the window of each length that `at` lies in, by all replicas together."""

    async def spend(
        self, tenant: str | None, windows: Collection[int], tokens: int, cost: float, at: float
    ) -> None:
        """Count a turn in the window of each length; one statement, whatever their number."""


def begin(window: int, at: float) -> int:
    """When the window of this length began that `at` lies in."""
    return int(at // window * window)
