"""promptfoo: `--output FILE.json`; a row for each test, prompt and provider.

A grader that could not be asked is a failed assertion to promptfoo, with `graderError` in its metadata; here
it is missing. Source: promptfoo 0.121, its `EvaluateResult`.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from shipway.evals.commands.framework import Framework, first_line, mark_of, result, share, unasked
from shipway.evals.mark import Mark

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from shipway.evals.results import Result

FILE = "promptfoo.json"
ERROR = 2
"""`failureReason` of a row whose provider gave no answer."""


def read(place: Path) -> Iterator[Result]:
    if not (place / FILE).exists():
        return
    rows = json.loads((place / FILE).read_text("utf-8"))["results"]["results"]
    several = len({(row["promptIdx"], _provider(row)) for row in rows}) > 1
    for row in rows:
        yield _result(row, f" [{_provider(row)}, prompt {row['promptIdx'] + 1}]" if several else "")


def _result(row: Mapping[str, Any], suffix: str) -> Result:
    name = (row["testCase"].get("description") or f"test {row['testIdx'] + 1}") + suffix
    if row.get("failureReason") == ERROR:
        return unasked(name, row.get("error"))
    grading = row.get("gradingResult") or {}
    marks = [_mark(component) for component in grading.get("componentResults") or ()]
    marks = marks or [Mark("promptfoo", bool(row["success"]), first_line(row.get("error")))]
    if not row["success"] and all(mark.holds for mark in marks):  # a threshold of the test's own
        marks.append(Mark("threshold", False, first_line(grading.get("reason") or row.get("error"))))
    return result(
        name,
        marks,
        share(row["score"]),
        text=_text(row),
        latency_s=row["latencyMs"] / 1000,
        cost=row.get("cost"),
    )


def _mark(component: Mapping[str, Any]) -> Mark:
    by = str((component.get("assertion") or {}).get("type") or "assertion")
    lost = (component.get("metadata") or {}).get("graderError") is True
    reason = component.get("reason")
    return mark_of(by, component["pass"], component.get("score"), reason, reason if lost else None)


def _provider(row: Mapping[str, Any]) -> str:
    provider = row.get("provider") or {}
    return str(provider.get("label") or provider.get("id"))


def _text(row: Mapping[str, Any]) -> str:
    output = (row.get("response") or {}).get("output")
    return output if isinstance(output, str) else json.dumps(output)


FRAMEWORK = Framework(read, lambda place: ("--output", str(place / FILE)))
