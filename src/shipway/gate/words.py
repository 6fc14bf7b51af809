"""A judgement in words that somebody understands who was woken by it.

In: what the gate has found. Out: sentences: what is so, by which figures, and how sure that is.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from shipway.gate.metrics import METRICS, percent

if TYPE_CHECKING:
    from collections.abc import Iterable

    from shipway.gate.judgement import Evidence, Judgement
    from shipway.gate.plan import GatePlan
    from shipway.gate.ratio import Ratio


def judgement_words(plan: GatePlan, judgement: Judgement, ratio: Ratio) -> str:
    """The whole, in two or three sentences; its metrics say more."""
    match judgement.why:
        case "harm":
            return _harm(plan, judgement)
        case "fine":
            return (
                f"{plan.canary} is no worse than {plan.stable}: a loss beyond the margin is ruled out by "
                f"{_list(one.metric for one in judgement.metrics)}, each at alpha {plan.alpha:g}."
            )
        case "ratio":
            return (
                f"{plan.canary} got {ratio.canary} of {ratio.canary + ratio.stable} new conversations, where "
                f"{percent(ratio.share or 0)} was asked for. That is no accident: outcomes get lost, or "
                "conversations are not split at random. No comparison can be trusted until it is known why."
            )
        case "incident":
            return (
                f"{plan.canary} and {plan.stable} are both worse than {plan.stable} was at first, by "
                f"{_list(one.metric for one in judgement.metrics if one.degraded)}: the cause is something "
                "that they share. Find it; going back would not mend it, and going on is not safe."
            )
        case "too-little":
            lacking = (one.words for one in judgement.metrics if not _both(one))
            return f"Too little is known to judge {plan.canary}. {' '.join(lacking)}"
        case "no-harm":
            return _no_harm(plan, judgement)


def _harm(plan: GatePlan, judgement: Judgement) -> str:
    worst = max(judgement.metrics, key=lambda one: one.harm)
    degraded = any(one.degraded for one in judgement.metrics)
    shared = " Both are worse than before, so going back will not mend all of it." if degraded else ""
    return (
        f"{plan.canary} is worse than {plan.stable}. {worst.words} The evidence reached "
        f"{amount(judgement.evidence)}, and {judgement.threshold:.4g} is enough: a revision that is no worse "
        f"gets there in {percent(plan.alpha)} of rollouts at most.{shared}"
    )


def _no_harm(plan: GatePlan, judgement: Judgement) -> str:
    open_ = _list(one.metric for one in judgement.metrics if one.fine < judgement.threshold)
    seen = max(judgement.canary, *(one.canary.conversations for one in judgement.metrics))
    return (
        f"No evidence of harm in {seen} {_unit(judgement)} of {plan.canary}: {amount(judgement.evidence)}, "
        f"where {judgement.threshold:.4g} would be enough. That is no proof: a loss beyond the margin is not "
        f"ruled out yet by {open_}."
    )


def _unit(judgement: Judgement) -> str:
    return "cases" if all(one.metric == "evals" for one in judgement.metrics) else "conversations"


def evidence_words(one: Evidence, threshold: float) -> str:
    """One metric, in a sentence."""
    metric = METRICS[one.metric]
    if not _both(one):
        who = "one revision" if one.canary.conversations + one.stable.conversations else "neither revision"
        return f"{one.metric}: known of {who} so far; it takes {metric.needs}."
    limit = one.limit or 0.0
    canary, stable = (metric.reads(arm.mean or 0.0, limit) for arm in (one.canary, one.stable))
    return (
        f"{one.metric}: {canary} {metric.what(limit)} ({one.canary.conversations}), stable {stable} "
        f"({one.stable.conversations}), {metric.allows(one.margin, limit)} allowed; "
        f"{_stands(one, threshold)}{_lately(one)}{_missing(one)}."
    )


def _stands(one: Evidence, threshold: float) -> str:
    if one.harm >= threshold:
        return "worse by more than that"
    if one.fine >= threshold:
        return "a loss beyond that is ruled out"
    return f"evidence of harm {amount(one.harm)}, of its absence {amount(one.fine)}"


def _lately(one: Evidence) -> str:
    """What a mean over the whole time hides: that it got worse in the middle."""
    canary, stable = one.canary.recent, one.stable.recent
    if canary is None or stable is None:
        return ""
    whole = (one.stable.mean or 0.0) - (one.canary.mean or 0.0)
    if stable - canary - whole <= max(one.margin, 0.05):
        return ""
    reads, limit = METRICS[one.metric].reads, one.limit or 0.0
    return f"; lately {reads(canary, limit)}, stable {reads(stable, limit)}"


def _missing(one: Evidence) -> str:
    """That the canary is measured less often than stable: what is missing may be the bad part."""
    shares = [
        arm.missing / (arm.missing + arm.conversations) if arm.missing else 0.0
        for arm in (one.canary, one.stable)
    ]
    if shares[0] < 2 * shares[1] + 0.1:
        return ""
    return (
        f"; missing in {percent(shares[0])} of the canary's conversations, {percent(shares[1])} of stable's"
    )


def _both(one: Evidence) -> bool:
    return bool(one.stable.conversations and one.canary.conversations)


def _list(names: Iterable[str]) -> str:
    *others, last = names
    return f"{', '.join(others)} and {last}" if others else last


def amount(evidence: float) -> str:
    """An e-value: 0.02, 1.3, 25, more than a million."""
    if evidence > 1e6:
        return "more than a million"
    return f"{evidence:.2g}" if evidence < 10 else f"{evidence:.0f}"
