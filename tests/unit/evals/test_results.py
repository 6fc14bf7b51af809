from __future__ import annotations

import json
from xml.etree import ElementTree

import pytest

from shipway.evals.answer import Answer, Reply
from shipway.evals.calibration import calibrate
from shipway.evals.case import Case, Turn
from shipway.evals.interval import wilson
from shipway.evals.junit import to_xml
from shipway.evals.mark import Mark, missing
from shipway.evals.results import Result, Run, Status, document
from shipway.evals.scoring import SCORER, result

CASE = Case("a", (Turn("hi"),))
REPLY = Answer((Reply("hello", revision="r1", latency_s=1.5),))


def run(*statuses: Status, required: float = 1.0) -> Run:
    results = tuple(
        Result(f"c{i}", status, None if status == "missing" else float(status == "passed"))
        for i, status in enumerate(statuses)
    )
    return Run("a", "development", "evals/*.jsonl", results, 1.0, 3.0, required)


@pytest.mark.parametrize(
    ("marks", "status", "score"),
    [
        ([Mark("contains", True)], "passed", 1.0),
        ([Mark("contains", True), Mark("regex", False)], "failed", 0.0),
        ([Mark("contains", True), missing("cost", "?")], "missing", None),
        ([Mark("contains", False), missing("judge", "?")], "failed", 0.0),
        ([Mark("contains", True), Mark(SCORER, True, score=0.7)], "passed", 0.7),
        ([Mark("contains", True), Mark(SCORER, False, score=0.3)], "failed", 0.3),
        ([Mark("contains", False), Mark(SCORER, True, score=0.9)], "failed", 0.0),
        ([Mark("judge", True), missing(SCORER, "?")], "missing", None),
        ([missing("judge", "?"), Mark(SCORER, False, score=0.1)], "failed", None),
    ],
)
def test_marks_make_a_result(marks: list[Mark], status: str, score: float | None) -> None:
    found = result(CASE, REPLY, marks)
    assert (found.status, found.score) == (status, score)


@pytest.mark.parametrize(
    ("statuses", "required", "verdict"),
    [
        ("ppp", 1.0, "pass"),
        ("ppf", 1.0, "fail"),
        ("ppf", 0.6, "pass"),
        ("ppm", 1.0, "inconclusive"),
        ("ppm", 0.6, "pass"),
        ("pffm", 0.75, "fail"),
        ("ppfm", 0.75, "inconclusive"),
        ("mmm", 0.1, "inconclusive"),
        ("", 1.0, "inconclusive"),
    ],
)
def test_missing_data_counts_neither_way(statuses: str, required: float, verdict: str) -> None:
    names: dict[str, Status] = {"p": "passed", "f": "failed", "m": "missing"}
    assert run(*(names[letter] for letter in statuses), required=required).verdict == verdict


def test_intervals_are_wilsons() -> None:
    assert wilson(8, 10) == pytest.approx((0.4902, 0.9433), abs=1e-4)  # Wilson's own, by R's binom.wilson
    assert wilson(0, 0) == (0.0, 1.0)
    assert wilson(5, 5)[1] == 1.0
    assert wilson(0, 5)[0] == 0.0


def test_the_document_is_json_and_says_the_revision() -> None:
    answered = result(CASE, REPLY, [Mark("contains", True)])
    found = json.loads(json.dumps(document(Run("a", "prod", "x", (answered,), 1.0, 2.0))))
    assert (found["revision"], found["verdict"], found["passed"], found["score"]) == ("r1", "pass", 1, 1.0)
    assert found["results"][0]["marks"] == [{"by": "contains", "holds": True, "reason": "", "score": None}]


def test_junit_says_failed_and_missing_apart() -> None:
    answers = [
        result(CASE, REPLY, [Mark("contains", True)]),
        result(CASE, Answer((Reply("bad \x00 & <text>"),)), [Mark("contains", False, "does not say it")]),
        result(CASE, Answer((), "429: later"), [missing("asked", "429: later\nsecond line")]),
    ]
    suites = ElementTree.fromstring(to_xml(Run("a", "prod", "evals/*.jsonl", tuple(answers), 1.0, 2.0)))
    assert (suites.get("tests"), suites.get("failures"), suites.get("errors")) == ("3", "1", "1")
    passed, failed, lost = suites.iter("testcase")
    assert [child.tag for child in passed] == ["system-out"]
    assert failed[0].tag == "failure"
    assert failed[0].get("message") == "contains: does not say it"
    assert failed[1].text == "bad \ufffd & <text>"
    assert lost[0].tag == "error"
    assert lost[0].text == "asked: 429: later\nsecond line"


def test_a_judge_is_measured_by_labels() -> None:
    labelled = [(f"g{i}", True, i < 19) for i in range(20)] + [(f"b{i}", False, i < 4) for i in range(20)]
    found = calibrate("m", [*labelled, ("lost", True, None)])
    assert (found.sensitivity, found.specificity, found.missing) == (0.95, 0.8, 1)
    assert found.j == pytest.approx(0.75)
    assert found.sensitivity_interval == wilson(19, 20)
    assert found.j_interval[0] < 0.75 < found.j_interval[1] < 1
    assert found.wrong == ("g19", "b0", "b1", "b2", "b3")
    assert "J 0.75" in found.words


@pytest.mark.parametrize("labelled", [[], [("g", True, True)], [("g", True, True), ("b", False, None)]])
def test_a_judge_without_labels_of_both_kinds_was_never_calibrated(
    labelled: list[tuple[str, bool, bool | None]],
) -> None:
    found = calibrate("m", labelled)
    assert found.j is None
    assert "never calibrated" in found.words
