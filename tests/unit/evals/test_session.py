"""Whole runs against agents on loopback that are servers of the test's own."""

from __future__ import annotations

import asyncio
import itertools
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.model_api import Asked, ModelApi, Says, says_json

from shipway.errors import StackError
from shipway.evals.against import Measure, shuffled
from shipway.evals.asking import Place
from shipway.evals.case import Case, Suite, Turn
from shipway.evals.checks import CHECKS
from shipway.evals.records import Before
from shipway.evals.results import Result, Run
from shipway.evals.session import AHEAD, Done, Evaluation, compare, evaluate, finish

pytestmark = pytest.mark.slow

Agent = Callable[[str], str]


def serve(agent: Agent, *revisions: str) -> ModelApi:
    """An agent that says what `agent` makes of what it is asked, as these revisions in turn."""
    names = itertools.cycle(revisions or ("r1",))

    def answer(asked: Asked) -> Says:
        item = {"type": "message", "content": [{"type": "output_text", "text": agent(asked.body["input"])}]}
        found = {"id": "resp_c_1", "model": "m", "output": [item], "usage": None, "error": None}
        return says_json(found, x_shipway_revision=next(names))

    return ModelApi(answer)


def suite(count: int, name: str = "contains", value: str = "good") -> Suite:
    check = CHECKS[name].read(value)
    return Suite(tuple(Case(f"c{number}", (Turn(f"q{number}"),), (check,)) for number in range(count)))


def evaluation(url: str, cases: Suite, repeats: int = 1) -> Evaluation:
    return Evaluation("a", "development", "s", cases, Place(url), Path(), repeats=repeats)


def run(wanted: Evaluation, before: Before | Place | None = None) -> Run:
    done, told = Done(), list[Result]()
    if before:
        asyncio.run(compare(wanted, before, Measure(), done, told.append))
    else:
        asyncio.run(evaluate(wanted, done, told.append))
    assert {result.id for result in told} == set(done.results)
    return finish(wanted, done)


def test_results_are_in_the_suites_order() -> None:
    with serve(lambda said: "good") as server:
        found = run(evaluation(server.url, suite(30)))
    assert [result.id for result in found.results] == [f"c{number}" for number in range(30)]
    assert (found.verdict, found.revisions, found.remarks) == ("pass", ("r1",), ())


def test_a_run_that_met_two_revisions_says_so() -> None:
    with serve(lambda said: "good", "r1", "r2") as server:
        found = run(evaluation(server.url, suite(8)))
    assert set(found.revisions) == {"r1", "r2"}
    assert found.remarks[0].startswith("answers came from 2 revisions: r")


def test_tools_that_nobody_told_of_are_no_proof() -> None:
    with serve(lambda said: "good") as server:
        found = run(evaluation(server.url, suite(2, "tool_not_called", "x")))
    assert "tool_not_called has nothing to go by" in found.remarks[0]


def test_a_worse_agent_is_known_before_all_cases_were_asked() -> None:
    with serve(lambda said: "good") as before, serve(lambda said: "bad") as after:
        found = run(evaluation(after.url, suite(400)), Place(before.url))
        assert len(after.asked) < 100
    assert found.against
    assert (found.verdict, found.against.before) == ("fail", before.url)
    assert found.against.stopped
    assert len(found.results) < 100
    assert {result.status for result in found.results} == {"failed"}


def test_one_that_takes_long_does_not_have_all_others_asked_for_nothing() -> None:
    """What is asked past it is bounded: its answer may be what decides."""
    slow = shuffled(suite(400).cases)[0].inputs[0]
    others = threading.Event()

    def answer(said: str) -> str:
        if said == slow:
            others.wait(0.5)
        return "bad"

    wanted = suite(400)
    with serve(answer) as server:
        found = run(evaluation(server.url, wanted), Before("r0", {case.id: 1.0 for case in wanted.cases}))
        assert found.against
        assert len(server.asked) <= found.against.cases + (AHEAD + 1) * 8


def test_cases_are_compared_in_an_order_that_answers_do_not_change() -> None:
    """However fast an answer is, the same cases have been compared when it is known."""
    wanted = suite(200)
    known = Before("r0", {case.id: 1.0 for case in wanted.cases})
    with serve(lambda said: "bad") as server:
        first, second = (run(evaluation(server.url, wanted), known).against for _ in range(2))
    assert first
    assert second
    assert first.worse == second.worse == tuple(case.id for case in shuffled(wanted.cases))[: first.cases]


def test_a_case_that_the_other_run_did_not_have_is_missing() -> None:
    with serve(lambda said: "good") as server:
        found = run(evaluation(server.url, suite(3)), Before("r0", {"c0": 1.0, "c1": None, "other": 1.0}))
    assert found.against
    assert (found.against.cases, found.against.missing, found.verdict) == (1, 2, "inconclusive")


def test_repeats_are_one_result() -> None:
    answers = itertools.cycle(("good", "bad", "good", "good"))
    with serve(lambda said: next(answers)) as server:
        (result,) = run(evaluation(server.url, suite(1), repeats=4)).results
        assert len(server.asked) == 4
    assert (result.status, result.score, result.repeats) == ("failed", 0.75, 4)
    assert result.reasons[-1] == "repeats: passed 3 of 4 times"


def test_what_is_wrong_with_every_case_ends_the_run_at_once() -> None:
    with ModelApi(lambda asked: says_json({"error": {"message": "who?"}}, 401)) as server:
        with pytest.raises(StackError, match="answers 401"):
            run(evaluation(server.url, suite(50)))
        assert len(server.asked) <= 16
