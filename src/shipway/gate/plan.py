"""What a gate judges: two revisions, the metrics with their margins, and how often it may be wrong.

In: values as `[rollout]` or a request to control has them. Out: a frozen plan; ValueError says what is
wrong with it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from shipway.gate.conversations import IDLE_S, LONGEST_S
from shipway.gate.metrics import METRICS

LEAST_IDLE_S = 1.0


@dataclass(frozen=True, slots=True)
class Calibration:
    """How well a judge agrees with people on labelled cases: what it finds of the good, and of the bad."""

    sensitivity: float
    specificity: float

    @property
    def j(self) -> float:
        """Youden's J: what is left of a difference when this judge measures it. 1 is perfect, 0 is a coin."""
        return self.sensitivity + self.specificity - 1.0


@dataclass(frozen=True, slots=True)
class GatePlan:
    """One gate. A metric whose margin is None has its own (`metrics.METRICS`)."""

    canary: str
    stable: str
    share: float | None
    """Of new conversations, what the router sends to the canary, from 0 to 1; None where nobody knows."""
    metrics: Mapping[str, float | None]
    alpha: float = 0.05
    """How often it may say `fail` of a canary that is not worse, over all metrics and all the time."""
    judges: Mapping[str, Calibration] = field(default_factory=dict)
    """Of the metrics whose scores are a judge's (`evals`, `live`): margins are scaled by J."""
    since: float = 0.0
    """When the canary began, in seconds since the epoch. Conversations of before make references alone."""
    idle_s: float = IDLE_S
    """A conversation has closed when no turn of it has ended for so long: five minutes suit people. Seconds
    suit a simulation."""

    def __post_init__(self) -> None:
        if problem := _problem(self):
            raise ValueError(problem)

    def margin(self, metric: str) -> float:
        """How much worse the canary may be by a metric, as scores show it."""
        given = self.metrics[metric]
        margin = METRICS[metric].margin if given is None else given
        judge = self.judges.get(metric)
        return margin * judge.j if judge else margin


def _problem(plan: GatePlan) -> str:
    """What is wrong, as a sentence; empty where nothing is."""
    if plan.canary == plan.stable:
        return f"canary and stable are the same revision, {plan.canary!r}"
    if not 0 < plan.alpha < 1:
        return f"alpha is {plan.alpha:g}, expected more than 0 and less than 1"
    if plan.share is not None and not 0 <= plan.share <= 1:
        return f"share is {plan.share:g}, expected 0 to 1"
    if not LEAST_IDLE_S <= plan.idle_s <= LONGEST_S:
        return f"idle_s is {plan.idle_s:g}, expected {LEAST_IDLE_S:g} to {LONGEST_S:g} seconds"
    if not plan.metrics:
        return f"a gate needs a metric: {', '.join(METRICS)}"
    for name, margin in plan.metrics.items():
        if name not in METRICS:
            return f"there is no metric {name!r}; there are {', '.join(METRICS)}"
        if margin is not None and not 0 <= margin < 1:
            return f"the margin of {name} is {margin:g}, expected 0 or more and less than 1"
    for name, judge in plan.judges.items():
        if judge.j <= 0:
            return (
                f"the judge of {name} finds {judge.sensitivity:.0%} of the good and {judge.specificity:.0%} "
                "of the bad: no better than a coin, so its scores say nothing"
            )
    return ""
