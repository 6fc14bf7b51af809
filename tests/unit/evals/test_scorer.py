"""The project's scorer, in a process of a bare Python."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from typing import Any

import pytest

from shipway.errors import StackError
from shipway.evals.answer import Answer, Call, Reply
from shipway.evals.case import Case, Turn
from shipway.evals.environment import find_python
from shipway.evals.mark import Mark
from shipway.evals.scorer import mark_of, started

ANSWER = Answer((Reply("first"), Reply("last", (Call("find", {"x": 1}),), 1.5, 0.2)))


def score(root: Path, source: str, *cases: dict[str, Any]) -> list[Mark]:
    """The marks that evals/score.py, with this source, gives the cases."""
    (root / "evals").mkdir(exist_ok=True)
    (root / "evals/score.py").write_text(source)
    return asyncio.run(_score(root, cases))


async def _score(root: Path, lines: tuple[dict[str, Any], ...]) -> list[Mark]:
    async with started(Path(sys.executable), "evals.score:score", root) as scorer:
        cases = (Case(str(line["id"]), (Turn("hi"),), line=line) for line in lines)
        return list(await asyncio.gather(*(scorer(case, ANSWER) for case in cases)))


def test_it_sees_the_case_and_the_answer(tmp_path: Path) -> None:
    source = """
def score(case, answer):
    print("not between the lines")
    assert answer["text"] == "last" and answer["tools"] == ["find"], answer
    assert [turn["text"] for turn in answer["turns"]] == ["first", "last"]
    assert answer["calls"][0]["arguments"] == {"x": 1}
    return {"score": case["data"]["is"], "reason": "because"}
"""
    (mark,) = score(tmp_path, source, {"id": "a", "data": {"is": 0.75}})
    assert mark == Mark("scorer", True, "because", 0.75)


def test_async_scorers_run_side_by_side(tmp_path: Path) -> None:
    source = """
import asyncio

met = asyncio.Event()

async def score(case, answer):
    if case["id"] == "b":
        met.set()
    await asyncio.wait_for(met.wait(), 60)
    return True
"""
    assert [mark.holds for mark in score(tmp_path, source, {"id": "a"}, {"id": "b"})] == [True, True]


def test_an_exception_is_missing_data_with_the_projects_traceback(tmp_path: Path) -> None:
    source = "def score(case, answer):\n    return answer['nothing']\n"
    (mark,) = score(tmp_path, source, {"id": "a"})
    assert mark.holds is None
    lines = mark.reason.splitlines()
    assert lines[-1] == "KeyError: 'nothing'"
    assert str(tmp_path / "evals/score.py") in lines[1]
    assert "scorer_process" not in mark.reason


def test_a_process_that_ends_leaves_the_rest_missing(tmp_path: Path) -> None:
    source = "import os\ndef score(case, answer):\n    os._exit(7)\n"
    marks = score(tmp_path, source, {"id": "a"}, {"id": "b"})
    assert [mark.holds for mark in marks] == [None, None]
    assert "ended with code 7" in marks[0].reason


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("import nothing_of_this_name\n", "No module named 'nothing_of_this_name'"),
        ("score = 3\n", "is a int, expected a function"),
        ("import shipway.evals\ndef score(c, a): return True\n", "No module named 'shipway'"),
        ("import os\nos._exit(3)\n", "ended before it was ready"),
    ],
)
def test_what_cannot_be_imported_ends_the_run(tmp_path: Path, source: str, message: str) -> None:
    (tmp_path / "evals").mkdir()
    (tmp_path / "evals/score.py").write_text(source)
    bare, _ = find_python(tmp_path)

    async def begin() -> None:
        async with started(bare, "evals.score:score", tmp_path):
            raise AssertionError("it began")

    with pytest.raises(StackError, match=message):
        asyncio.run(begin())


def test_modules_of_shipway_are_not_in_the_way_of_the_projects(tmp_path: Path) -> None:
    (tmp_path / "results.py").write_text("MINE = 0.25\n")
    source = "import results\ndef score(case, answer):\n    return results.MINE\n"
    (mark,) = score(tmp_path, source, {"id": "a"})
    assert mark.score == 0.25


@pytest.mark.parametrize(
    ("value", "holds", "score"),
    [
        (True, True, 1.0),
        (False, False, 0.0),
        (1, True, 1.0),
        (0.5, True, 0.5),
        (0.49, False, 0.49),
        ({"score": 0.9, "passed": False}, False, 0.9),
        ({"passed": True}, True, 1.0),
        (None, None, None),
        ("good", None, None),
        (1.5, None, None),
        (float("nan"), None, None),
        ({"accuracy": 1}, None, None),
    ],
)
def test_what_a_scorer_may_give(value: Any, holds: bool | None, score: float | None) -> None:
    mark = mark_of(value)
    assert (mark.holds, mark.score) == (holds, score)


def test_the_projects_environment_comes_first(tmp_path: Path) -> None:
    python, remark = find_python(tmp_path)
    assert python.exists()
    assert "standard library alone" in remark
    for place in (".shipway/venv", ".venv"):
        (tmp_path / place / "bin").mkdir(parents=True)
        (tmp_path / place / "bin/python").symlink_to(sys.executable)
        assert find_python(tmp_path) == (tmp_path / place / "bin/python", "")
