"""What a rollout will be able to tell, before it starts.

In: the gate's plan, the steps, stable's traffic, and what its conversations come to. Out: when a drop would
show, in figures and in words. About half of such rollouts know it earlier, half later: sizes, no promises.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import log, log1p
from typing import TYPE_CHECKING

from shipway.gate.betting import FRACTIONS
from shipway.gate.conversations import patience_s
from shipway.gate.metrics import percent

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from shipway.gate.plan import GatePlan

DROPS = (0.05, 0.1, 0.2, 0.5)
MEAN = 0.95
"""Stable's mean score by a metric of which nothing is known."""

_HARM, _FINE = 1.0, 0.2
"""What not knowing the best bet costs, and for harm its beginning: logarithms of evidence, by simulation."""


@dataclass(frozen=True, slots=True)
class Step:
    """`share` of new conversations, from 0 to 1, for `hold_s`; None: until the gate has decided."""

    share: float
    hold_s: float | None = None


@dataclass(frozen=True, slots=True)
class Drop:
    """A loss in points of a score (0.05: five), and what it takes to see it."""

    metric: str
    drop: float
    canary: float
    """Conversations of the canary; infinite where the margin allows that loss."""
    seconds: float | None
    """From the start; None where the steps are over before."""


@dataclass(frozen=True, slots=True)
class Forecast:
    drops: tuple[Drop, ...]
    canary: float | None
    """Conversations that the canary will get; None where the last step has no end."""
    passes: float | None
    """Seconds from the start until a revision that is as good as stable passes; None where it will not."""
    words: str

    @property
    def blind(self) -> bool:
        """Not even a revision that fails half the time would show."""
        return all(drop.seconds is None for drop in self.drops)


def forecast(
    plan: GatePlan, steps: Sequence[Step], per_hour: float, means: Mapping[str, float] | None = None
) -> Forecast:
    """`per_hour`: new conversations of both arms. `means`: stable's mean scores, where they are known.

    A last step of everything, without a hold, is the promotion: nothing is judged then.
    """
    known = means or {}
    steps = [step for step in steps if step.share < 1 or step.hold_s]
    drops = tuple(
        _drop(plan, steps, per_hour, metric, known.get(metric, MEAN), drop)
        for metric in plan.metrics
        if metric != "evals"  # a suite waits for nobody
        for drop in DROPS
    )
    canary = _canary(steps, per_hour)
    proofs = [_proof(plan, steps, per_hour, metric, known.get(metric, MEAN)) for metric in plan.metrics]
    passes = None if None in proofs else max(proof or 0.0 for proof in proofs)
    return Forecast(drops, canary, passes, _words(drops, canary, passes, steps, per_hour))


def _drop(
    plan: GatePlan, steps: Sequence[Step], per_hour: float, metric: str, mean: float, drop: float
) -> Drop:
    growth = _growth(mean, max(mean - drop, 0.0), plan.margin(metric), steps[0].share)
    needed = log(len(plan.metrics) / plan.alpha) + _HARM
    canary = needed / growth if growth > 0 else float("inf")
    return Drop(metric, drop, canary, _seconds(plan, steps, per_hour, canary))


def _proof(plan: GatePlan, steps: Sequence[Step], per_hour: float, metric: str, mean: float) -> float | None:
    """Seconds until a loss beyond the margin is ruled out by a metric, where there is none at all."""
    if metric == "evals":
        return 0.0
    growth = _growth(mean, mean, plan.margin(metric), steps[0].share, harm=False)
    needed = (log(1 / plan.alpha) + _FINE) / growth if growth > 0 else float("inf")
    return _seconds(plan, steps, per_hour, needed)


def _growth(stable: float, canary: float, margin: float, share: float, harm: bool = True) -> float:
    """The growth of the best bet's capital with a conversation of the canary, in logarithms.

    Scores are 0 or 1 with these means. A bet takes one of the smaller arm, mostly, and some of the larger:
    the fewer they are, the less certain is their mean.
    """
    share = min(max(share, 0.001), 0.999)
    sign, least = (1.0, 1.0 + margin) if harm else (-1.0, 1.0)
    if share <= 0.5:
        rate, good, bad = canary, stable - 1.0 - margin, stable - margin
        noise = stable * (1.0 - stable) * _one_over(share)
    else:
        rate, good, bad = stable, 1.0 - canary - margin, -canary - margin
        noise = canary * (1.0 - canary) * _one_over(1.0 - share)
    bets = 1.0 - share  # for each of the canary's: it takes one of stable's, then one of the canary's
    return bets * max(
        rate * log1p(bet * sign * good) + (1.0 - rate) * log1p(bet * sign * bad) - bet * bet * noise / 2.0
        for bet in (fraction / least for fraction in FRACTIONS)
    )


def _one_over(share: float) -> float:
    """The mean of 1/n, where n of the other arm come before one of the arm with this share."""
    return -share * log(share) / (1.0 - share)


def _seconds(plan: GatePlan, steps: Sequence[Step], per_hour: float, canary: float) -> float | None:
    """Until so many conversations of the canary have closed; None where the steps are over before."""
    passed, left = 0.0, canary
    for step in steps:
        rate = per_hour / 3600.0 * step.share
        hold = float("inf") if step.hold_s is None else step.hold_s
        if rate > 0 and left / rate <= hold and left != float("inf"):
            return passed + left / rate + plan.idle_s + patience_s(plan.idle_s)
        left -= rate * hold if rate > 0 else 0.0
        passed += hold
        if passed == float("inf"):
            return None
    return None


def _canary(steps: Sequence[Step], per_hour: float) -> float | None:
    if any(step.hold_s is None for step in steps):
        return None
    return sum(per_hour / 3600.0 * step.share * (step.hold_s or 0.0) for step in steps)


def _words(
    drops: Sequence[Drop],
    canary: float | None,
    passes: float | None,
    steps: Sequence[Step],
    per_hour: float,
) -> str:
    seen = [drop for drop in drops if drop.seconds is not None]
    if not seen:
        return (
            f"At {_rate(per_hour)} the canary gets about {canary or 0:.0f} conversations in all: too few to "
            "show even that half of them fail. Use the paired suite (`shipway eval --against`) before the "
            "rollout, and give its steps more time or more weight."
        )
    told = []
    for metric in dict.fromkeys(drop.metric for drop in drops):
        own = [drop for drop in seen if drop.metric == metric]
        told.append(_metric_words(metric, own) if own else f"{metric} will show nothing")
    proof = (
        "The steps are too short to prove that nothing is lost: of a good one they find no evidence of harm."
        if passes is None
        else f"One that is as good as stable is proved to be after about {_time(passes)}."
    )
    return f"At {_rate(per_hour)}, {percent(steps[0].share)} first: {'; '.join(told)}. {proof}"


def _metric_words(metric: str, seen: Sequence[Drop]) -> str:
    """The smallest drop that shows, and the next larger one."""
    told = f"a {100 * seen[0].drop:.0f}-point drop in {metric} shows in about {_time(seen[0].seconds)}"
    if len(seen) == 1:
        return told
    return f"{told}, a {100 * seen[1].drop:.0f}-point one in {_time(seen[1].seconds)}"


def _rate(per_hour: float) -> str:
    return f"{per_hour:,.0f} conversations an hour" if per_hour >= 10 else f"{24 * per_hour:,.0f} a day"


def _time(seconds: float | None) -> str:
    seconds = seconds or 0.0
    for least, unit, name in ((172_800, 86_400, "days"), (7200, 3600, "hours")):
        if seconds >= least:
            return f"{seconds / unit:.0f} {name}"
    return f"{max(seconds / 60.0, 1.0):.0f} minutes"
