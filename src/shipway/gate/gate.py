"""The gate: conversations of two revisions, one after the other -> a judgement, at any moment.

In: a plan; closed conversations in the order in which `Conversations` gives them, pairs of evals, changes
of the canary's share. Out: `judge(now)`, and the evidence over time. What is kept does not grow with what
was seen.

Fail when the weighted sum of all metrics' evidence of harm has ever reached 1/alpha, whatever depends on
what among them. Pass when each metric's evidence of its opposite stands at 1/alpha. Else inconclusive.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from shipway.gate.comparison import Comparison
from shipway.gate.history import History
from shipway.gate.judgement import Evidence, Judgement, Why
from shipway.gate.ratio import Ratio
from shipway.gate.words import evidence_words, judgement_words

if TYPE_CHECKING:
    from shipway.gate.conversations import Conversation
    from shipway.gate.judgement import Point, Verdict
    from shipway.gate.plan import GatePlan


class Gate:
    """Judges `plan.canary` against `plan.stable`."""

    def __init__(self, plan: GatePlan) -> None:
        self.plan = plan
        self.threshold = 1.0 / plan.alpha
        self._comparisons = {name: Comparison(name, plan.margin(name)) for name in plan.metrics}
        self._ratio = Ratio(plan.share)
        self._ratio_since = plan.since
        self._history = History()
        self._seen = {False: 0, True: 0}
        self._evidence = 1.0
        self._peak = 1.0
        self.other = 0
        """Conversations of other revisions, which say nothing here."""

    def see(self, conversation: Conversation) -> None:
        """One closed conversation, of any revision."""
        revision = conversation.revision
        if revision not in (self.plan.canary, self.plan.stable):
            self.other += 1
            return
        canary = revision == self.plan.canary
        history = conversation.start < self.plan.since
        if conversation.start >= self._ratio_since:
            self._ratio.see(canary)
        self._seen[canary] += not history
        for comparison in self._comparisons.values():
            comparison.see(canary, conversation.turns, history)
        if canary:
            self._weigh_evidence(conversation.closed)

    def see_pair(self, before: float, after: float, at: float) -> None:
        """One case of the evals that both revisions answered: stable's score and the canary's, in [0, 1].

        Nothing happens where the plan has no metric `evals`.
        """
        if comparison := self._comparisons.get("evals"):
            comparison.see_pair(before, after)
            self._weigh_evidence(at)

    def share(self, share: float | None, at: float) -> None:
        """The router sends another share of new conversations to the canary, from `at` on."""
        self._ratio = Ratio(share)
        self._ratio_since = at

    def judge(self, now: float) -> Judgement:
        """What is known now."""
        metrics = tuple(self._metric(name) for name in self._comparisons)
        verdict, why = self._verdict(metrics)
        judgement = Judgement(
            verdict=verdict,
            why=why,
            words="",
            pause=self._ratio.alarm or any(metric.degraded for metric in metrics),
            evidence=self._peak if verdict == "fail" else self._evidence,
            threshold=self.threshold,
            alpha=self.plan.alpha,
            canary=self._seen[True],
            stable=self._seen[False],
            ratio=self._ratio.evidence,
            metrics=metrics,
            at=now,
        )
        return replace(judgement, words=judgement_words(self.plan, judgement, self._ratio))

    @property
    def failed(self) -> bool:
        """Whether the verdict is `fail`, without the words: for whoever looks after every conversation."""
        return self._peak >= self.threshold

    @property
    def points(self) -> tuple[Point, ...]:
        """Evidence over time, a few hundred points at most, the last one the newest."""
        return self._history.points

    def _weigh_evidence(self, at: float) -> None:
        by_metric = {name: one.harm.evidence for name, one in self._comparisons.items()}
        self._evidence = sum(by_metric.values()) / len(by_metric)
        self._peak = max(self._peak, self._evidence)
        self._history.see(at, self._seen[True], self._evidence, by_metric)

    def _verdict(self, metrics: tuple[Evidence, ...]) -> tuple[Verdict, Why]:
        if self.failed:
            return "fail", "harm"
        if self._ratio.alarm:
            return "inconclusive", "ratio"
        if any(metric.degraded for metric in metrics):
            return "inconclusive", "incident"
        if all(metric.fine >= self.threshold for metric in metrics):
            return "pass", "fine"
        if any(not metric.canary.conversations or not metric.stable.conversations for metric in metrics):
            return "inconclusive", "too-little"
        return "inconclusive", "no-harm"

    def _metric(self, name: str) -> Evidence:
        comparison = self._comparisons[name]
        evidence = Evidence(
            metric=name,
            margin=comparison.margin,
            stable=comparison.stable,
            canary=comparison.canary,
            harm=comparison.harm.evidence,
            fine=comparison.fine.evidence,
            limit=comparison.limit if comparison.metric.limit else None,
            degraded=comparison.degraded,
            words="",
        )
        return replace(evidence, words=evidence_words(evidence, self.threshold))
