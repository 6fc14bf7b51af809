"""What a gate says: a verdict, the evidence for it, and both in words.

Everything here is a frozen value that `dataclasses.asdict` turns into JSON.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Verdict = Literal["pass", "fail", "inconclusive"]

Why = Literal["harm", "fine", "no-harm", "too-little", "incident", "ratio"]
"""harm: the canary is worse. fine: it is not, by every metric. no-harm: no evidence of harm, and no proof of
its absence. too-little: an arm, or a metric, has no data. incident: both arms have degraded. ratio: the split
is not what the router was told, so that nothing that is compared can be trusted."""


@dataclass(frozen=True, slots=True)
class Arm:
    """What one revision has come to by one metric: conversations, and their mean score (None without any)."""

    conversations: int = 0
    mean: float | None = None
    recent: float | None = None
    """The mean over about the last fifty bets, those of both arms being of the same time."""
    missing: int = 0
    """Conversations that say nothing of this metric."""


@dataclass(frozen=True, slots=True)
class Evidence:
    """One metric: how the arms compare. E-values, 1 where nothing is known; none is a probability."""

    metric: str
    margin: float
    """How much worse the canary may be; scaled where the score is a judge's."""
    stable: Arm
    canary: Arm
    harm: float
    """Evidence that the canary is worse than the margin allows."""
    fine: float
    """Evidence that it is not."""
    limit: float | None
    """What latency or cost is measured by, once it is frozen: seconds, US dollars."""
    degraded: bool
    """Both arms are worse than stable was at first."""
    words: str


@dataclass(frozen=True, slots=True)
class Judgement:
    """What is known at a moment. `fail` says it for good; `pass` and `inconclusive` may still change."""

    verdict: Verdict
    why: Why
    words: str
    pause: bool
    """Neither go on nor back without a person's look: an incident, or a split that is wrong."""
    evidence: float
    """That the canary is worse, over all metrics; the highest it ever was where the verdict is `fail`."""
    threshold: float
    """1 / alpha: what the evidence must reach."""
    alpha: float
    canary: int
    """Conversations of the canary so far."""
    stable: int
    ratio: float
    """Evidence that the split is not what the router was told; an alarm from 1000 on."""
    metrics: tuple[Evidence, ...]
    at: float
    """When, as the caller said: seconds since the epoch."""


@dataclass(frozen=True, slots=True)
class Point:
    """Evidence at one moment, for a plot."""

    at: float
    canary: int
    evidence: float
    metrics: dict[str, float]
