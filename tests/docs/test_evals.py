"""docs/reference/evals.md: its suites are read, its mistakes are told, its scorer runs, and every check, key
and framework is on it."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path

import pytest

from shipway.cli.eval import CODES
from shipway.errors import SpecError
from shipway.evals.against import Comparison
from shipway.evals.answer import Answer, Call, Reply
from shipway.evals.calibration import Calibration
from shipway.evals.checks import BY_EXPECTED, CHECKS
from shipway.evals.commands import FRAMEWORKS
from shipway.evals.commands.pydantic_evals import VARIABLE
from shipway.evals.commands.running import PROGRAMS, URL
from shipway.evals.mark import Mark
from shipway.evals.results import Result, Run, document
from shipway.evals.scorer import described, mark_of
from shipway.evals.suite import CASE, LABEL, read_suite
from shipway.spec.load import load

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/reference/evals.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```(\w*)\n(.*?)^```\n", PAGE, re.DOTALL | re.MULTILINE)
SUITES = [block for language, block in BLOCKS if language == "jsonl"]
EXAMPLES = sorted(path.parent for path in ROOT.glob("examples/*/evals"))


def rows(heading: str) -> list[str]:
    """The first cells of the tables of a section."""
    section = PAGE.split(f"\n## {heading}\n", 1)[1].split("\n## ")[0]
    return [line.split("|")[1] for line in section.splitlines() if line.startswith("| ")]


def words(text: str) -> set[str]:
    return {word for code in re.findall(r"`([^`]+)`", text) for word in re.findall(r"\w+", code)}


def write(root: Path, block: str) -> Path:
    (root / "evals").mkdir()
    (root / "evals/a.jsonl").write_text(block)
    return root


def test_every_check_is_on_the_page_and_no_other() -> None:
    found = {name for row in rows("Checks") for name in re.findall(r"\w+", row)[:1]}
    assert found == {"check", "judge", *CHECKS}
    alone = re.search(r"stands alone as a text \((.*?)\)", PAGE)
    assert alone
    assert set(re.findall(r'"(\w+)"', alone[1])) == BY_EXPECTED


def test_every_key_of_a_case_is_on_the_page() -> None:
    assert words("".join(rows("A case"))) == set(CASE) | {"turns"}
    labels = PAGE.split("A judge is an instrument", 1)[1]
    assert {key for key in LABEL if f'"{key}"' in labels} >= {"id", "input", "answer", "judge", "label"}


def test_every_key_of_the_json_is_on_the_page() -> None:
    known = words(PAGE.split("## The run as JSON", 1)[1].split("\n## ")[0])
    run = Run("a", "b", "c", (), 1.0, 2.0)
    assert set(document(run)) <= known
    for kind in (Result, Mark, Comparison):
        assert {field.name for field in dataclasses.fields(kind)} <= known, kind
    intervals = {field.name for field in dataclasses.fields(Calibration) if field.name.endswith("_interval")}
    assert {field.name for field in dataclasses.fields(Calibration)} - intervals <= known
    assert {name.removesuffix("_interval") for name in intervals} <= known


def test_every_code_and_framework_is_on_the_page() -> None:
    table = PAGE.split("| exit code |", 1)[1].split("\n\n")[0]
    assert {int(code) for code in re.findall(r"^\| (\d)", table, re.MULTILINE)} >= set(CODES.values())
    named = {cell.split("`")[1].split()[0] for cell in rows("Other frameworks") if "`" in cell}
    assert named == set(FRAMEWORKS)
    for name in (VARIABLE, URL, *PROGRAMS):
        assert f"`{name}`" in PAGE


@pytest.mark.parametrize("block", [SUITES[0], SUITES[2]])
def test_the_pages_suites_are_read(block: str, tmp_path: Path) -> None:
    case = '{"id": "one", "input": "x", "checks": ["no_error"]}\n' if '"label"' in block else ""
    suite = read_suite(write(tmp_path, block + case), "evals/*.jsonl")
    assert len(suite.cases) + len(suite.labels) == len((block + case).splitlines())


def test_mistakes_are_told_as_the_page_says(tmp_path: Path) -> None:
    with pytest.raises(SpecError) as caught:
        read_suite(write(tmp_path, SUITES[1]), "evals/*.jsonl")
    (said,) = [block for language, block in BLOCKS if language == "text"]
    assert str(caught.value) == said.strip()


def test_the_scorer_of_the_page_scores() -> None:
    (source,) = [block for language, block in BLOCKS if language == "python"]
    names: dict[str, object] = {}
    exec(source, names)
    answer = described(Answer((Reply("a parcel and a letter"),)))
    assert callable(names["score"])
    mark = mark_of(names["score"]({"data": {"words": ["parcel", "stamp"]}}, answer))
    assert (mark.holds, mark.score) == (True, 0.5)


def test_what_a_scorer_gets_is_on_the_page() -> None:
    found = described(Answer((Reply("a", (Call("t", {}),)),)))
    known = words(PAGE.split("| `answer[…]` |", 1)[1].split("\n\n")[0])
    assert set(found) | set(found["calls"][0]) | set(found["turns"][0]) == known


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.name)
def test_the_suite_of_an_example_is_read(example: Path) -> None:
    evals = load(example / "agent.toml").spec.evals
    assert evals
    assert read_suite(example, evals.suite, scored=bool(evals.scorer)).cases
