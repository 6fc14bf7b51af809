"""What an answer is worth: the marks of its checks, of the scorer and of the judge, made one result.

In: a case, its answer, and who scores. Out: a Result. A case passes when every mark holds, fails when one
does not, and is missing when one could not be given. Its score is the scorer's where there is one, else 1;
0 where a check or the judge says no.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace

from shipway.evals.answer import Answer
from shipway.evals.case import Case
from shipway.evals.mark import Mark, missing
from shipway.evals.results import Result, Status

ScoreOf = Callable[[Case, Answer], Awaitable[Mark]]
JudgementOf = Callable[[Case, Answer, str], Awaitable[Mark]]
SCORER = "scorer"
_WORST: tuple[Status, ...] = ("failed", "missing", "passed")


@dataclass(frozen=True, slots=True)
class Scoring:
    """Who gives marks beside the checks."""

    scorer: ScoreOf | None = None
    judge: JudgementOf | None = None

    async def score(self, case: Case, answer: Answer) -> Result:
        """The result of a case. Never raises for what a scorer or a judge does."""
        return result(case, answer, await self._marks(case, answer))

    async def _marks(self, case: Case, answer: Answer) -> list[Mark]:
        if answer.missing is not None:
            return [missing("asked", answer.missing)]
        if answer.error:
            return [Mark("answer", False, answer.error)]
        marks = [
            check.look(Answer((reply,)))
            for turn, reply in zip(case.turns, answer.replies, strict=True)
            for check in turn.checks
        ]
        marks += [check.look(answer) for check in case.checks]
        asked = [self.judge(case, answer, rubric) for rubric in case.rubrics] if self.judge else []
        asked += [self.scorer(case, answer)] if self.scorer else []
        return marks + list(await asyncio.gather(*asked))


def result(case: Case, answer: Answer, marks: list[Mark]) -> Result:
    """The marks of a case as its result."""
    return Result(
        id=case.id,
        status=_status(marks),
        score=_score(marks),
        marks=tuple(marks),
        inputs=case.inputs,
        text=answer.text,
        latency_s=answer.latency_s if answer.replies else None,
        cost=answer.cost if answer.replies else None,
        tokens=sum(reply.tokens for reply in answer.replies),
        revisions=answer.revisions,
        tools=tuple(call.name for call in answer.calls),
        tags=case.tags,
        file=case.file,
        line=case.number,
    )


def _status(marks: list[Mark]) -> Status:
    if any(mark.holds is False for mark in marks):
        return "failed"
    return "missing" if any(mark.holds is None for mark in marks) else "passed"


def _score(marks: list[Mark]) -> float | None:
    if any(mark.holds is False for mark in marks if mark.by != SCORER):
        return 0.0
    if any(mark.holds is None for mark in marks):
        return None
    return next((mark.score for mark in marks if mark.by == SCORER), 1.0)


def together(results: Sequence[Result]) -> Result:
    """Several answers to one case as one result: told by the worst of them, with the mean score and cost."""
    worst = min(results, key=lambda one: _WORST.index(one.status))
    count = len(results)
    if count == 1:
        return worst
    scores, costs = [one.score for one in results], [one.cost for one in results]
    return replace(
        worst,
        score=None if None in scores else sum(score or 0.0 for score in scores) / count,
        cost=None if None in costs else sum(cost or 0.0 for cost in costs) / count,
        latency_s=max((one.latency_s for one in results if one.latency_s is not None), default=None),
        tokens=sum(one.tokens for one in results),
        revisions=tuple(dict.fromkeys(name for one in results for name in one.revisions)),
        marks=(*worst.marks, *_how_often(results)),
        repeats=count,
    )


def _how_often(results: Sequence[Result]) -> tuple[Mark, ...]:
    passed = sum(one.status == "passed" for one in results)
    if passed == len(results):
        return ()
    failed = any(one.status == "failed" for one in results)
    return (Mark("repeats", False if failed else None, f"passed {passed} of {len(results)} times"),)
