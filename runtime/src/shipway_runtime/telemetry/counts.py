"""Turns in numbers: how many, how long, what they used; for the page of metrics.

In: each outcome, with its tally and the exception that ended it. Out: plain numbers on the main loop, some
additions a turn; families of them are made when somebody asks for the page. Names of models, tools and
exceptions come from outside, so only so many of each are counted by name.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from .histogram import Histogram

if TYPE_CHECKING:
    from collections.abc import Iterable

    from prometheus_client import Metric

    from ..turns import Turns
    from .outcomes import Ended

BUCKETS = (0.1, 0.25, 0.5, 1, 2, 3, 5, 7.5, 10, 15, 20, 30, 45, 60, 120, 300, 600)
"""Seconds: what agents take, from a cached answer to a long errand."""
OTHER, UNKNOWN = "other", "unknown"

_MOST = {"model": 32, "tool": 256, "type": 64}
_LONGEST_NAME = 128


class Counts:
    """The numbers of one process."""

    def __init__(self) -> None:
        self.turns: Counter[str] = Counter({"ok": 0, "error": 0, "denied": 0, "cancelled": 0})
        self.durations: dict[str, Histogram] = {}
        self.first_token = Histogram(BUCKETS)
        self.tokens: Counter[tuple[str, str]] = Counter()  # (model, type)
        self.tools: Counter[tuple[str, str]] = Counter()  # (tool, outcome)
        self.errors: Counter[str] = Counter()  # exception's type
        self.cost_usd = 0.0
        self._named: dict[str, set[str]] = {kind: set() for kind in _MOST}

    def collect(self, turns: Turns) -> Iterable[Metric]:
        """A source of metrics."""
        from .families import of_turns

        return of_turns(turns, self)

    def take(self, ended: Ended) -> None:
        """Count a turn that is over."""
        outcome, tally, error = ended.outcome, ended.tally, ended.error
        self.turns[outcome.status] += 1
        if outcome.status != "denied":  # it took no time of the agent's
            histogram = self.durations.get(outcome.status)
            if histogram is None:
                histogram = self.durations[outcome.status] = Histogram(BUCKETS)
            histogram.observe(outcome.latency_s)
        if outcome.first_token_s is not None:
            self.first_token.observe(outcome.first_token_s)
        if outcome.cost:
            self.cost_usd += outcome.cost
        for usage in tally.usages:
            model = self._name("model", usage.model or (ended.model.name if ended.model else UNKNOWN))
            for kind in ("input", "output", "cached", "reasoning"):
                self.tokens[model, kind] += getattr(usage, kind)
        for use in tally.tools:
            self.tools[self._name("tool", use.call.name), use.outcome] += 1
        if error is not None:
            self.errors[self._name("type", type_of(error))] += 1

    def _name(self, kind: str, name: str) -> str:
        named = self._named[kind]
        if name not in named:
            if len(named) >= _MOST[kind] or len(name) > _LONGEST_NAME:
                return OTHER
            named.add(name)
        return name


def type_of(error: BaseException) -> str:
    """An exception's type: `ValueError`, `anthropic.RateLimitError`."""
    kind = type(error)
    package = kind.__module__.partition(".")[0]
    return kind.__qualname__ if package == "builtins" else f"{package}.{kind.__qualname__}"
