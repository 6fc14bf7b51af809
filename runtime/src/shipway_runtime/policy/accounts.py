"""What each tenant uses of its bounds: turns that run, requests, tokens, dollars.

In: bounds, what a turn may need, what it came to. Out: `Refusal`, or nothing where there is room. The main
loop alone counts, and nothing here waits, so a look and what is taken after it are one step. Tenants that ask
nothing any more are forgotten, the one that was away longest first.
"""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from .merge import Rate
from .meters import SOON_S, Bucket, Window

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping

    from ..conversations.budgets import Spent
    from .merge import Bounds

Hold = list[tuple[Window, float]]
"""What a turn in flight holds of each window."""

MOST = 10_000  # tenants, at about half a kilobyte


@dataclass(frozen=True, slots=True)
class Amount:
    """What one turn needs, or has used. `cost` is in US dollars."""

    tokens: float = 0.0
    cost: float = 0.0


@dataclass(frozen=True, slots=True)
class Refusal:
    """Which limit has no room, and in how many seconds it may have some."""

    rule: str
    rate: Rate
    retry_s: float


class Account:
    """One tenant. Times: `now` is of a clock that never goes back, `at` is seconds since the epoch."""

    __slots__ = ("_buckets", "_spend", "_tokens", "loaded", "loading", "running")

    def __init__(self) -> None:
        self.running = 0
        self.loaded: float | None = None
        """When the store last told of this tenant, by time.monotonic()."""
        self.loading = asyncio.Lock()
        self._buckets: dict[int, Bucket] = {}
        self._tokens: dict[int, Window] = {}
        self._spend: dict[int, Window] = {}

    def stale(self, after_s: float) -> bool:
        """Whether the store should be asked: it never was, or not lately and nobody asks it now."""
        if self.loaded is None:
            return True
        return time.monotonic() > self.loaded + after_s and not self.loading.locked()

    def look(self, bounds: Bounds, need: Amount, now: float, at: float) -> Refusal | None:
        """The limit that would hold a turn up for longest; None when there is room for it."""
        refusals = [refusal for refusal in self._looks(bounds, need, now, at) if refusal.retry_s > 0]
        return max(refusals, key=lambda refusal: refusal.retry_s, default=None)

    def _looks(self, bounds: Bounds, need: Amount, now: float, at: float) -> Iterator[Refusal]:
        if bounds.concurrency is not None and self.running >= bounds.concurrency:
            yield Refusal("concurrency", (bounds.concurrency, 0), SOON_S)
        for rate in bounds.requests:
            if (bucket := self._buckets.get(int(rate[1]))) is None:
                bucket = self._buckets[int(rate[1])] = Bucket(now)
            yield Refusal("requests", rate, bucket.look(rate, now))
        for rate in bounds.tokens:
            yield Refusal("tokens", rate, _window(self._tokens, rate).look(rate, need.tokens, at))
        for rate in bounds.spend:
            yield Refusal("spend", rate, _window(self._spend, rate).look(rate, need.cost, at))

    def take(self, bounds: Bounds, need: Amount) -> Hold:
        """Count a turn that begins, and hold what it may need; after a look that found room for it."""
        self.running += 1
        for rate in bounds.requests:
            self._buckets[int(rate[1])].put()
        held = [(window, need.tokens) for window in self._tokens.values()]
        held += [(window, need.cost) for window in self._spend.values()]
        for window, amount in held:
            window.reserve(amount)
        return held

    def settle(self, bounds: Bounds, held: Hold, used: Amount, at: float) -> None:
        """A turn is over: what it has used counts instead of what was held for it."""
        self.running -= 1
        for window, amount in held:
            window.reserve(-amount)
        for rate in bounds.tokens:
            _window(self._tokens, rate).use(used.tokens, at)
        for rate in bounds.spend:
            _window(self._spend, rate).use(used.cost, at)

    def know(self, bounds: Bounds, spent: Mapping[int, Spent], at: float) -> None:
        """What the store knows of the current windows, by their length."""
        for rate in bounds.tokens:
            _window(self._tokens, rate).know(spent[int(rate[1])].tokens, at)
        for rate in bounds.spend:
            _window(self._spend, rate).know(spent[int(rate[1])].cost, at)

    def document(self) -> dict[str, Any]:
        """The counters, for GET /policy; of each by the length of its window in seconds."""
        return {
            "running": self.running,
            "requests": {str(s): round(bucket.used, 3) for s, bucket in tuple(self._buckets.items())},
            "tokens": {str(s): window.document() for s, window in tuple(self._tokens.items())},
            "spend": {str(s): window.document() for s, window in tuple(self._spend.items())},
        }


def _window(windows: dict[int, Window], rate: Rate) -> Window:
    if (window := windows.get(int(rate[1]))) is None:
        window = windows[int(rate[1])] = Window(int(rate[1]))
    return window


def lengths(bounds: Bounds) -> Collection[int]:
    """The windows whose sums have to outlive the process, in seconds."""
    return {int(seconds) for _, seconds in (*bounds.tokens, *bounds.spend)}


class Accounts:
    """Every tenant's account; None is everybody who is not told apart."""

    def __init__(self, most: int = MOST) -> None:
        self._accounts: OrderedDict[str | None, Account] = OrderedDict()
        self._most = most

    def of(self, tenant: str | None) -> Account:
        """A tenant's account, opened when there is none."""
        if account := self._accounts.get(tenant):
            self._accounts.move_to_end(tenant)
            return account
        account = self._accounts[tenant] = Account()
        if len(self._accounts) > self._most:
            self._forget()
        return account

    def _forget(self) -> None:
        """Forget the tenant that was away longest, of those that have nothing running."""
        for tenant, account in self._accounts.items():
            if not account.running:
                del self._accounts[tenant]
                return

    def documents(self, most: int) -> list[dict[str, Any]]:
        """Accounts of those who came last; from any thread."""
        newest = tuple(self._accounts.items())[: -most - 1 : -1]
        return [{"tenant": tenant, **account.document()} for tenant, account in newest]

    def __len__(self) -> int:
        return len(self._accounts)
