from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from shipway.errors import SpecError
from shipway.evals.case import Suite
from shipway.evals.checks import CHECKS
from shipway.evals.suite import read_suite

Read = Callable[..., Suite]


@pytest.fixture
def read(tmp_path: Path) -> Read:
    """Read a suite of these lines, objects or texts."""

    def reader(*lines: Any, scored: bool = False) -> Suite:
        (tmp_path / "evals").mkdir(exist_ok=True)
        written = [line if isinstance(line, str) else json.dumps(line, ensure_ascii=False) for line in lines]
        (tmp_path / "evals/a.jsonl").write_text("\n".join(written) + "\n")
        return read_suite(tmp_path, "evals/*.jsonl", scored=scored)

    return reader


def case(**keys: Any) -> dict[str, Any]:
    return {"id": "a", "input": "hi", "checks": ["no_error"]} | keys


def test_a_case_with_everything(read: Read) -> None:
    suite = read(
        case(
            expected="21:00", tags=["time"], data={"own": 1}, checks=["contains", {"latency": "2s"}, "judge"]
        ),
        {"id": "b", "turns": ["one", {"input": "two", "checks": [{"regex": "x"}]}], "checks": ["no_error"]},
        "",
        {"id": "l", "input": "q", "answer": "a", "judge": "r", "label": False},
    )
    first, second = suite.cases
    assert (first.id, first.inputs, first.expected, first.tags) == ("a", ("hi",), "21:00", ("time",))
    assert first.checks == (CHECKS["contains"].read("21:00"), CHECKS["latency"].read("2s"))
    assert first.rubrics == ("21:00",)
    assert (first.file, first.number, first.line["data"]) == ("evals/a.jsonl", 1, {"own": 1})
    assert second.inputs == ("one", "two")
    assert len(second.turns[1].checks) == 1
    assert [(label.id, label.rubric, label.good) for label in suite.labels] == [("l", "r", False)]
    assert suite.judged


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("{", "not JSON"),
        ("[1]", "a list, expected an object"),
        ({"input": "x"}, "`id` is missing"),
        (case(id=3), "`id` is 3, expected a name"),
        (case(inputs="x"), "unknown key `inputs`; did you mean `input`?"),
        (case(turns=["x"]), "both `input` and `turns`"),
        ({"id": "a", "checks": ["no_error"]}, "neither `input` nor `turns`"),
        ({"id": "a", "turns": [], "checks": ["no_error"]}, "`turns` is not a list of messages"),
        ({"id": "a", "turns": [3], "checks": ["no_error"]}, "turn 1 is neither a text nor an object"),
        ({"id": "a", "turns": [{"input": "x", "checks": [{"judge": "y"}]}]}, "turn 1 asks for the judge"),
        (case(tags="x"), '`tags` is "x", expected a list of texts'),
        (case(checks=[]), "nothing looks at the answer"),
        (case(checks="no_error"), '`checks` is "no_error", expected a list'),
        (case(checks=["contains"]), "`contains` alone looks for `expected`, which is missing"),
        (case(checks=["latency"]), "`latency` says nothing of what it looks for"),
        (case(checks=["containss"]), "no check `containss`; did you mean `contains`?"),
        (case(checks=[{"tool_calld": "x"}]), "no check `tool_calld`; did you mean `tool_called`?"),
        (case(checks=[{"regex": "("}]), "it cannot be read"),
        (case(checks=[{"regex": 3}]), "`regex` is 3, expected a regular expression"),
        (case(checks=[{"latency": 5}]), "`latency` is 5, expected a duration"),
        (case(checks=[{"latency": "5"}]), 'expected a duration such as "5s" or "500ms"'),
        (case(checks=[{"cost": True}]), "`cost` is true, expected US dollars"),
        (case(checks=[{"json_path": {"a": 1}}]), 'the pointer a does not begin with "/"'),
        (case(checks=[{"json_path": "/a"}]), "expected JSON pointers with their values"),
        (case(checks=[{"contains": []}]), "expected a text, or a list of texts"),
        (case(checks=[{"tool_called": {"tool": "x"}}]), "expected a tool's name, or"),
        (case(checks=[{"judge": ""}]), "`judge` is"),
        (case(checks=[3]), "a check is 3, expected an object"),
        ({"id": "a", "input": "q", "answer": "x", "label": True}, "`expected` is missing"),
        ({"id": "a", "input": "q", "answer": "x", "judge": "r", "label": "good"}, "`label` is neither true"),
    ],
)
def test_a_mistake_is_a_finding_with_its_line(read: Read, line: Any, message: str) -> None:
    with pytest.raises(SpecError) as caught:
        read(case(id="first"), line)
    (finding,) = caught.value.findings
    assert message in finding.message
    assert (finding.file, finding.line) == ("evals/a.jsonl", 2)
    assert finding.fix


def test_all_mistakes_are_told_at_once(read: Read) -> None:
    with pytest.raises(SpecError) as caught:
        read("{", case(), case(), case(id="b", checks=[{"x": 1}, {"regex": "("}]))
    assert [finding.line for finding in caught.value.findings] == [1, 3, 4, 4]
    assert "taken by evals/a.jsonl:2" in caught.value.findings[1].message


def test_a_scorer_makes_checks_unnecessary(read: Read) -> None:
    assert read(case(checks=[]), scored=True).cases


def test_no_file_is_a_finding(tmp_path: Path) -> None:
    with pytest.raises(SpecError, match=r"no file fits the suite evals/\*\.jsonl"):
        read_suite(tmp_path, "evals/*.jsonl")


def test_labels_alone_are_no_suite(read: Read) -> None:
    with pytest.raises(SpecError, match="no case is in the suite"):
        read({"id": "l", "input": "q", "answer": "a", "judge": "r", "label": False})


def test_a_line_may_hold_what_looks_like_line_ends(read: Read) -> None:
    (found,) = read(case(input="one\u2028two\x85three")).cases
    assert found.inputs == ("one\u2028two\x85three",)
