"""A run of a suite: the scorer started, the judge calibrated, every case asked and scored.

In: an `Evaluation`, which says all of it; who wants to know of each result. Out: a Run. Errors: StackError
for what no case could be judged with.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from shipway.evals import scorer
from shipway.evals.against import Measure, Pairs, scale, shuffled
from shipway.evals.asking import Asking, Place
from shipway.evals.calibration import Calibration, calibrate
from shipway.evals.case import Case, Label, Suite
from shipway.evals.checks.tools import ToolNotCalled
from shipway.evals.judge import JUDGE, Judge
from shipway.evals.mark import Mark, missing
from shipway.evals.model_api import Model, ModelApi
from shipway.evals.records import Before
from shipway.evals.results import Result, Run, of_revisions
from shipway.evals.runner import run
from shipway.evals.scoring import JudgementOf, ScoreOf, Scoring, together

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Sequence

    from shipway.evals.answer import Answer

AHEAD = 4
"""How many times as many cases as run at once may be asked past one that takes long: they are compared in
order, so all that is asked while one holds the rest up may have been asked for nothing."""

Pair = tuple[Result, float | None]
"""A case's result, and the score that it had before."""


@dataclass(frozen=True, slots=True)
class Evaluation:
    """What is to be run. `judge` is a model, or why there is none; `required` the share that has to pass."""

    name: str
    environment: str
    source: str
    suite: Suite
    place: Place
    root: Path
    python: Path | None = None
    scorer: str | None = None
    judge: Model | str = "no model"
    concurrency: int = 8
    repeats: int = 1
    """How often each case is asked."""
    required: float = 1.0
    remarks: tuple[str, ...] = ()
    """What has to be said of the run, whatever comes of it."""


@dataclass(slots=True)
class Done:
    """What a run has come to so far: also what is left of one that is interrupted."""

    started: float = field(default_factory=time.time)
    results: dict[str, Result] = field(default_factory=dict)
    calibration: Calibration | None = None
    pairs: Pairs | None = None


async def evaluate(wanted: Evaluation, done: Done, tell: Callable[[Result], None]) -> None:
    """Ask and score every case; each result goes into `done`, and to `tell`."""
    async with scoring(wanted, done) as by, Asking(wanted.place) as asking:

        async def one(case: Case) -> Result:
            return await _ask(case, asking, by, wanted.repeats)

        async with contextlib.aclosing(run(wanted.suite.cases, one, wanted.concurrency)) as results:
            async for result in results:
                done.results[result.id] = result
                tell(result)


async def compare(
    wanted: Evaluation, before: Before | Place, measure: Measure, done: Done, tell: Callable[[Result], None]
) -> None:
    """Ask case by case, and the agent `before` as well if it is one that runs; stop when it is known whether
    the answers have become worse."""
    cases = shuffled(wanted.suite.cases)
    async with contextlib.AsyncExitStack() as stack:
        by = await stack.enter_async_context(scoring(wanted, done))
        asking = await stack.enter_async_context(Asking(wanted.place))
        former = await stack.enter_async_context(Asking(before)) if isinstance(before, Place) else before
        name = before.url if isinstance(before, Place) else before.name
        judge = scale(wanted.suite, done.calibration)
        pairs = done.pairs = Pairs(name, measure, len(cases), judge)

        async def one(case: Case) -> Pair:
            asked = _ask(case, asking, by, wanted.repeats)
            if isinstance(former, Before):
                return await asked, former.scores.get(case.id)
            result, earlier = await asyncio.gather(asked, _ask(case, former, by, wanted.repeats))
            return result, earlier.score

        running = run(cases, one, wanted.concurrency, ahead=AHEAD * wanted.concurrency)
        results = await stack.enter_async_context(contextlib.aclosing(running))
        async for result, earlier in _in_order(cases, results, done, tell):
            pairs.see(result.id, earlier, result.score)
            if pairs.decided:
                return


async def _in_order(
    cases: Sequence[Case], results: AsyncIterator[Pair], done: Done, tell: Callable[[Result], None]
) -> AsyncIterator[Pair]:
    """Results in the order of the cases, each as soon as those before it are there."""
    found: dict[str, Pair] = {}
    following = 0
    async for pair in results:
        found[pair[0].id] = pair
        done.results[pair[0].id] = pair[0]
        tell(pair[0])
        while following < len(cases) and cases[following].id in found:
            yield found[cases[following].id]
            following += 1


async def _ask(case: Case, asking: Asking, by: Scoring, repeats: int) -> Result:
    """A case's result, asked `repeats` times, one after the other."""
    results = [await by.score(case, await asking.converse(case.inputs)) for _ in range(repeats)]
    return together(results)


@contextlib.asynccontextmanager
async def scoring(wanted: Evaluation, done: Done) -> AsyncIterator[Scoring]:
    """Who gives marks: the project's scorer, and a judge that is calibrated first."""
    async with contextlib.AsyncExitStack() as stack:
        scored: ScoreOf | None = None
        if wanted.scorer and wanted.python:
            scored = await stack.enter_async_context(
                scorer.started(wanted.python, wanted.scorer, wanted.root)
            )
        judged: JudgementOf | None = None
        if wanted.suite.judged:
            judged = await _judge(wanted, done, stack)
        yield Scoring(scored, judged)


async def _judge(wanted: Evaluation, done: Done, stack: contextlib.AsyncExitStack) -> JudgementOf:
    if isinstance(wanted.judge, str):
        reason = wanted.judge

        async def nobody(case: Case, answer: Answer, rubric: str) -> Mark:
            return missing(JUDGE, reason)

        return nobody
    api = await stack.enter_async_context(ModelApi(wanted.judge, wanted.concurrency))
    judge = Judge(api)
    done.calibration = await _calibrate(judge, wanted.judge.name, wanted.suite.labels)
    return judge


async def _calibrate(judge: Judge, model: str, labels: Sequence[Label]) -> Calibration:
    marks = await asyncio.gather(*(judge.label(label) for label in labels))
    known = [(label.id, label.good, mark.holds) for label, mark in zip(labels, marks, strict=True)]
    return calibrate(model, known)


def finish(wanted: Evaluation, done: Done) -> Run:
    """The run as far as it went, in the order of the suite. A case that was not asked is missing."""
    unasked = (missing("asked", "interrupted"),)
    stopped = done.pairs is not None and done.pairs.decided  # the others were not needed
    results = tuple(
        done.results.get(case.id)
        or Result(case.id, "missing", None, unasked, tags=case.tags, file=case.file, line=case.number)
        for case in wanted.suite.cases
        if case.id in done.results or not stopped
    )
    return Run(
        name=wanted.name,
        environment=wanted.environment,
        source=wanted.source,
        results=results,
        started=done.started,
        finished=time.time(),
        required=wanted.required,
        calibration=done.calibration,
        against=done.pairs.compare() if done.pairs else None,
        remarks=tuple(_remarks(wanted, results)),
    )


def _remarks(wanted: Evaluation, results: Sequence[Result]) -> list[str]:
    """What has to be said of the run beside its figures."""
    found = [*wanted.remarks, *of_revisions(results)]
    unseen = not any(result.tools for result in results)
    if unseen and any(
        isinstance(check, ToolNotCalled) for case in wanted.suite.cases for check in case.checks
    ):
        found.append(
            "no answer told of any tool: tool_not_called has nothing to go by where an agent does not tell"
        )
    return found
