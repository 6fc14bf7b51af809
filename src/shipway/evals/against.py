"""Two revisions by the same cases: whether the second is worse, told as soon as it is known.

In: a case's score before and after, case by case. Out: a Comparison. Cases are taken in an order that depends
on neither revision; a case without both scores is missing data. Errors: none; a judge that is no better than
a coin makes every comparison inconclusive.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from shipway.gate import plan as gate
from shipway.gate.paired import Paired

if TYPE_CHECKING:
    from collections.abc import Sequence

    from shipway.evals.calibration import Calibration
    from shipway.evals.case import Case, Suite
    from shipway.evals.records import Before
    from shipway.evals.results import Result

Verdict = Literal["pass", "fail", "inconclusive"]


@dataclass(frozen=True, slots=True)
class Comparison:
    """What came of it. `worse` and `better` are ids of cases whose score fell or rose; `stopped` says that
    the verdict was known before every case had been asked."""

    before: str
    verdict: Verdict
    words: str
    evidence: float
    threshold: float
    margin: float
    alpha: float
    cases: int
    missing: int
    before_score: float | None
    after_score: float | None
    worse: tuple[str, ...] = ()
    better: tuple[str, ...] = ()
    stopped: bool = False


@dataclass(frozen=True, slots=True)
class Measure:
    """How two revisions are compared: how much worse the second may be (None: the gate's own margin), and how
    often that may be said wrongly."""

    margin: float | None = None
    alpha: float = 0.05


class Pairs:
    """Scores of `total` cases before and after, as they come in; `judge` is who gave them, if one did."""

    def __init__(
        self, name: str, measure: Measure, total: int, judge: gate.Calibration | None = None
    ) -> None:
        self._name, self._measure, self._total = name, measure, total
        self._scores: dict[str, tuple[float, float]] = {}
        self._lost = 0
        self._gate: Paired | str
        """The gate with every pair so far; or why there can be none."""
        try:
            self._gate = Paired(measure.margin, measure.alpha, judge)
        except ValueError as error:
            self._gate = str(error)

    def see(self, case: str, before: float | None, after: float | None) -> None:
        if before is None or after is None:
            self._lost += 1
            return
        self._scores[case] = (before, after)
        if isinstance(self._gate, Paired):
            self._gate.see(before, after)

    @property
    def decided(self) -> bool:
        """Further cases would change nothing that matters."""
        return isinstance(self._gate, Paired) and bool(self._scores) and self._gate.decided

    def compare(self) -> Comparison:
        """What is known now."""
        if isinstance(self._gate, str):
            return self._comparison("inconclusive", self._gate, 1.0, 1 / self._measure.alpha, 0.0)
        judged = self._gate.judge()
        verdict, words = judged.verdict, judged.words
        margin = judged.metrics[0].margin
        asked_all = len(self._scores) == self._total
        if verdict == "inconclusive" and asked_all and self._loss() <= margin:
            verdict = "pass"
            words = (
                f"no loss beyond the margin on this suite, all {len(self._scores)} cases of which were "
                f"compared; too few to be certain of other questions. {words}"
            )
        return self._comparison(verdict, words, judged.evidence, judged.threshold, margin)

    def _loss(self) -> float:
        return sum(before - after for before, after in self._scores.values()) / len(self._scores)

    def _moved(self, sign: int) -> tuple[str, ...]:
        moves = ((case, (after - before) * sign) for case, (before, after) in self._scores.items())
        return tuple(case for case, move in moves if move > 0)

    def _comparison(
        self, verdict: Verdict, words: str, evidence: float, threshold: float, margin: float
    ) -> Comparison:
        count = len(self._scores)
        means = [sum(pair[i] for pair in self._scores.values()) / count if count else None for i in (0, 1)]
        return Comparison(
            before=self._name,
            verdict=verdict,
            words=words,
            evidence=evidence,
            threshold=threshold,
            margin=margin,
            alpha=self._measure.alpha,
            cases=count,
            missing=self._lost,
            before_score=means[0],
            after_score=means[1],
            worse=self._moved(-1),
            better=self._moved(1),
            stopped=count + self._lost < self._total,
        )


def scale(suite: Suite, calibration: Calibration | None) -> gate.Calibration | None:
    """The judge's calibration as far as the suite is judged: the other cases are measured without error."""
    if calibration is None or calibration.sensitivity is None or calibration.specificity is None:
        return None
    share = sum(bool(case.rubrics) for case in suite.cases) / len(suite.cases)
    sure = 1 - share
    return gate.Calibration(share * calibration.sensitivity + sure, share * calibration.specificity + sure)


def shuffled(cases: Sequence[Case]) -> tuple[Case, ...]:
    """The cases in an order that has nothing to do with what they ask, and is the same each time."""
    return tuple(sorted(cases, key=lambda case: _digest(case.id)))


def _digest(identity: str) -> bytes:
    return hashlib.sha256(identity.encode()).digest()


def match(before: Before, results: Sequence[Result], measure: Measure) -> Comparison:
    """The comparison of a run that is over with an earlier one."""
    pairs = Pairs(before.name, measure, len(results))
    for result in sorted(results, key=lambda one: _digest(one.id)):
        pairs.see(result.id, before.scores.get(result.id), result.score)
    return pairs.compare()
