"""A judgement in words that somebody understands who was woken by it.

In: what the gate has found. Out: sentences: what is so, by which figures, how sure that is.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from shipway.gate.comparison import Comparison
    from shipway.gate.judgement import Arm, Evidence, Why
    from shipway.gate.plan import GatePlan
    from shipway.gate.ratio import Ratio


def judgement_words(
    plan: GatePlan, why: Why, metrics: Sequence[Evidence], evidence: float, ratio: Ratio
) -> str:
    """The whole, in one to three sentences."""
    threshold = 1.0 / plan.alpha
    stands = f"evidence {amount(evidence)}, of {threshold:.4g} that it takes"
    match why:
        case "harm":
            worst = max(metrics, key=lambda one: one.harm)
            also = (
                " Both revisions are worse than before, so going back will not mend all of it."
                * worst.degraded
            )
            return (
                f"{plan.canary} is worse than {plan.stable}: {worst.words} "
                f"All metrics together: {stands}. Of a revision that is no worse, this is said in "
                f"{plan.alpha:.1%} of rollouts at most.{also}"
            )
        case "fine":
            return (
                f"{plan.canary} is no worse than {plan.stable} by more than the margins, by every metric: "
                + " ".join(one.words for one in metrics)
            )
        case "ratio":
            total = ratio.canary + ratio.stable
            return (
                f"{plan.canary} got {ratio.canary} of {total} new conversations, where {ratio.share or 0:.1%} was "
                "asked for. That is no chance: conversations get lost, or are not split by chance, and no "
                "comparison can be trusted until it is known why."
            )
        case "incident":
            names = " and ".join(one.metric for one in metrics if one.degraded)
            return (
                f"Both revisions are worse than {plan.stable} was at first, by {names}: something that they "
                "share. Wait, and find it; neither going on nor going back would mend it."
            )
        case "too-little":
            lacking = [one for one in metrics if not (one.stable.conversations and one.canary.conversations)]
            return "Too little is known: " + " ".join(one.words for one in lacking)
        case "no-harm":
            return (
                f"No evidence of harm so far ({stands}), and not enough to be certain of its absence. "
                + " ".join(one.words for one in metrics)
            )


def evidence_words(name: str, comparison: Comparison, threshold: float) -> str:
    """One metric, in one sentence."""
    stable, canary = comparison.stable, comparison.canary
    if not stable.conversations or not canary.conversations:
        return f"{name}: {_lacking(comparison, stable, canary)}."
    means = f"{_mean(canary)} against stable's {_mean(stable)}"
    return f"{name}: {means}, {points(comparison.margin)} less allowed; {_standing(comparison, threshold)}."


def _standing(comparison: Comparison, threshold: float) -> str:
    if comparison.harm.evidence >= threshold:
        return "worse beyond chance"
    if comparison.fine.evidence >= threshold:
        return "certainly not worse than that"
    return f"evidence {amount(comparison.harm.evidence)} of harm, {amount(comparison.fine.evidence)} of none"


def _lacking(comparison: Comparison, stable: Arm, canary: Arm) -> str:
    who = "neither revision" if not stable.conversations + canary.conversations else "one revision only"
    return f"measured for {who} so far; outcomes need {comparison.metric.needs}"


def _mean(arm: Arm) -> str:
    return f"{arm.mean or 0:.1%} ({arm.conversations})"


def points(margin: float) -> str:
    """A margin as people say it: 2 points."""
    value = f"{100 * margin:.3g}"
    return f"{value} point" if value == "1" else f"{value} points"


def amount(evidence: float) -> str:
    """An e-value: 0.02, 1.3, 25, more than a million."""
    return (
        "more than a million" if evidence > 1e6 else f"{evidence:.2g}" if evidence < 10 else f"{evidence:.0f}"
    )
