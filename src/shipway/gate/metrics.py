"""What a conversation is judged by: one table. Every score is in [0, 1], and more is better.

In: a closed conversation, and for latency and cost a limit that was frozen from the stable revision's first
conversations. Out: its score, or None where it says nothing of that metric.

A turn that policy has denied says nothing of a revision. One that its caller has cancelled is neither a
success nor a failure; it was slow when it had already taken longer than an answer may.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from shipway_runtime.contract import Outcome

    Turns = Sequence[Outcome]

REFERENCE = 100
"""Stable conversations from which a limit is frozen; they are not compared by that metric."""

COST_LIMIT = 4.0
"""What costs this many times stable's mean, or more, scores 0."""


def percent(share: float) -> str:
    """A share as people say it: 5 %, 92.1 %."""
    return f"{100 * share:.3g} %"


def _percent(mean: float, limit: float) -> str:
    return percent(mean)


def _points(margin: float, limit: float) -> str:
    value = f"{100 * margin:.3g}"
    return f"{value} point less" if value == "1" else f"{value} points less"


@dataclass(frozen=True, slots=True)
class Metric:
    """One way to judge. `margin` is how much worse the canary may be where nobody says."""

    margin: float
    needs: str
    """What outcomes must have for it."""
    score: Callable[[Turns, float], float | None]
    """The turns of a conversation, and the limit (0 where the metric has none)."""
    what: Callable[[float], str]
    """What a mean is of, in words; takes the limit."""
    reads: Callable[[float, float], str] = _percent
    """A mean score, and the limit, in words."""
    allows: Callable[[float, float], str] = _points
    """A margin, and the limit, in words."""
    amounts: Callable[[Turns], list[float]] | None = None
    """What the limit is made of, for a metric that has one."""
    limit: Callable[[Sequence[float]], float] | None = None
    """Such amounts of stable's conversations, sorted -> the limit, in seconds or US dollars."""


def _errors(turns: Turns, limit: float) -> float | None:
    ended = [turn.status == "ok" for turn in turns if turn.status in ("ok", "error")]
    return sum(ended) / len(ended) if ended else None


def _live(turns: Turns, limit: float) -> float | None:
    scores = [turn.score for turn in turns if turn.score is not None]
    return sum(scores) / len(scores) if scores else None


def _latency(turns: Turns, limit: float) -> float | None:
    told = [t.latency_s <= limit for t in turns if t.status == "ok" or _slow(t, limit)]
    return sum(told) / len(told) if told else None


def _slow(turn: Outcome, limit: float) -> bool:
    return turn.status in ("error", "cancelled") and turn.latency_s > limit


def _cost(turns: Turns, limit: float) -> float | None:
    costs = _costs(turns)
    return 1.0 - min(sum(costs) / len(costs), limit) / limit if costs and limit else None


def _tools(turns: Turns, limit: float) -> float | None:
    calls = sum(turn.tool_calls for turn in turns)
    return 1.0 - min(sum(turn.tool_errors for turn in turns), calls) / calls if calls else None


def _nothing(turns: Turns, limit: float) -> float | None:
    return None


def _latencies(turns: Turns) -> list[float]:
    return [turn.latency_s for turn in turns if turn.status == "ok"]


def _costs(turns: Turns) -> list[float]:
    return [turn.cost for turn in turns if turn.cost is not None]


def _p95(amounts: Sequence[float]) -> float:
    return amounts[min(int(0.95 * len(amounts)), len(amounts) - 1)]


def _most(amounts: Sequence[float]) -> float:
    return COST_LIMIT * sum(amounts) / len(amounts)


METRICS = {
    "evals": Metric(
        0.02,
        needs="a suite that was put to both revisions",
        score=_nothing,
        what=lambda limit: "of the score",
    ),
    "live": Metric(0.02, needs="`score`", score=_live, what=lambda limit: "of the live score"),
    "errors": Metric(0.01, needs="`status`", score=_errors, what=lambda limit: "of turns without an error"),
    "latency": Metric(
        0.05,
        needs="`latency_s`",
        score=_latency,
        what=lambda limit: f"of turns within {limit:.3g} s",
        amounts=_latencies,
        limit=_p95,
    ),
    "cost": Metric(
        0.05,
        needs="`cost`",
        score=_cost,
        what=lambda limit: "a turn",
        reads=lambda mean, limit: f"{limit * (1 - mean):.3g} USD",
        allows=lambda margin, limit: f"{limit * margin:.2g} USD more",
        amounts=_costs,
        limit=_most,
    ),
    "tools": Metric(
        0.02,
        needs="`tool_calls` and `tool_errors`",
        score=_tools,
        what=lambda limit: "of the calls of tools without an error",
    ),
}
"""What `[rollout.gates]` may name. The evals' score comes case by case, of one suite put to both."""
