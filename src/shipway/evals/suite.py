"""Suites: files of JSON lines, each a case or a labelled answer.

In: a glob below the project's root. Out: a Suite; or SpecError with every mistake of every file at once, each
with its line. docs/reference/evals.md has the keys.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from shipway.errors import Finding, SpecError
from shipway.evals.case import Case, Label, Suite, Turn
from shipway.evals.reading import Line, Reading

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

CASE = ("id", "input", "turns", "expected", "checks", "tags", "data")
LABEL = ("id", "input", "answer", "expected", "judge", "label", "tags")
TURN = ("input", "checks")


def read_suite(root: Path, glob: str, *, scored: bool = False) -> Suite:
    """Read every file of the suite, by name. `scored` says that a scorer looks at each answer, so a case
    needs no check. Raises SpecError."""
    files = sorted(path for path in root.glob(glob) if path.is_file())
    if not files:
        raise SpecError([_missing(f"no file fits the suite {glob} in {root.resolve()}")])
    cases: list[Case] = []
    labels: list[Label] = []
    findings: list[Finding] = []
    known: dict[str, Line] = {}
    for line in (line for file in files for line in _lines(root, file, findings)):
        reading = Reading(line)
        case = _label(reading) if "label" in line.data else _case(reading, scored=scored)
        _once(reading, known)
        findings += reading.findings
        if isinstance(case, Label):
            labels.append(case)
        elif case:
            cases.append(case)
    if findings:
        raise SpecError(findings)
    if not cases:
        raise SpecError([_missing(f"no case is in the suite {glob}")])
    return Suite(tuple(cases), tuple(labels))


def _missing(message: str) -> Finding:
    fix = 'write cases, a line each: {"id": "greeting", "input": "hello", "checks": ["no_error"]}'
    return Finding("suite-missing", message, fix)


def _lines(root: Path, file: Path, findings: list[Finding]) -> Iterator[Line]:
    name = str(file.relative_to(root))
    try:
        text = file.read_text("utf-8")
    except UnicodeDecodeError:
        findings.append(Finding("suite-syntax", "not UTF-8 text", "save it as UTF-8", name))
        return
    for number, content in enumerate(text.split("\n"), 1):
        if not content.strip():
            continue
        try:
            data = json.loads(content)
        except ValueError as error:
            message, fix = f"not JSON: {error}", "write each case as one JSON object on one line"
            findings.append(Finding("suite-syntax", message, fix, name, number))
            continue
        if isinstance(data, dict):
            yield Line(name, number, data)
        else:
            message = f"a {type(data).__name__}, expected an object"
            findings.append(Finding("suite-syntax", message, 'write {"id": …, "input": …}', name, number))


def _case(reading: Reading, *, scored: bool) -> Case | None:
    reading.keys(CASE)
    identity = reading.text("id", "a name: cases are compared and reported by it")
    expected = reading.line.data.get("expected")
    turns = _turns(reading)
    checks, rubrics = reading.checks(reading.line.data.get("checks"), expected)
    if not (scored or checks or rubrics or any(turn.checks for turn in turns) or reading.findings):
        fix = 'add "checks", such as ["no_error"], or a scorer to [evals]'
        reading.finding("suite-case", "nothing looks at the answer", fix)
    if reading.findings:
        return None
    line = reading.line
    return Case(
        identity, turns, checks, rubrics, expected, reading.texts("tags"), line.data, line.file, line.number
    )


def _turns(reading: Reading) -> tuple[Turn, ...]:
    data = reading.line.data
    if ("input" in data) == ("turns" in data):
        seen = "both `input` and `turns`" if "input" in data else "neither `input` nor `turns`"
        reading.finding("suite-case", f"{seen}, expected one of them", 'write "input": "…" for a single turn')
        return ()
    if "input" in data:
        return (Turn(reading.text("input", "what the agent is asked")),)
    turns = data["turns"]
    if not isinstance(turns, list) or not turns:
        fix = 'write "turns": ["first message", {"input": "second", "checks": […]}]'
        reading.finding("suite-case", "`turns` is not a list of messages", fix)
        return ()
    return tuple(_turn(reading, number, turn) for number, turn in enumerate(turns, 1))


def _turn(reading: Reading, number: int, turn: Any) -> Turn:
    data = {"input": turn} if isinstance(turn, str) else turn
    if not isinstance(data, dict) or not data.keys() <= set(TURN) or not isinstance(data.get("input"), str):
        message = f"turn {number} is neither a text nor an object with `input` and `checks`"
        reading.finding("suite-case", message, 'write {"input": "…", "checks": […]}')
        return Turn("")
    checks, rubrics = reading.checks(data.get("checks"), reading.line.data.get("expected"))
    if rubrics:
        message = f"turn {number} asks for the judge, who sees whole conversations"
        reading.finding("suite-case", message, "move it to the `checks` of the case")
    return Turn(data["input"], checks)


def _label(reading: Reading) -> Label | None:
    """A labelled answer: what a judge is to say of it is known."""
    reading.keys(LABEL)
    data = reading.line.data
    rubric = "judge" if "judge" in data else "expected"
    found = Label(
        reading.text("id", "a name"),
        reading.text("input", "what was asked"),
        reading.text("answer", "what was answered"),
        reading.text(rubric, "what a good answer has, as `judge` has it in cases"),
        data["label"] is True,
    )
    if not isinstance(data["label"], bool):
        fix = "write true where people found the answer good by this rubric, else false"
        reading.finding("suite-case", "`label` is neither true nor false", fix)
    return None if reading.findings else found


def _once(reading: Reading, known: dict[str, Line]) -> None:
    identity = reading.line.data.get("id")
    if not isinstance(identity, str):
        return
    first = known.setdefault(identity, reading.line)
    if first is not reading.line:
        message = f'the id "{identity}" is taken by {first.file}:{first.number}'
        reading.finding("suite-case", message, "give each case an id of its own")
