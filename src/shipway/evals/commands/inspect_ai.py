"""inspect-ai: logs as JSON in INSPECT_LOG_DIR, one a task; a sample for each epoch.

Its exit code is 0 also where the whole task failed: the log's `status` says it. A score that is no number is
a sample that could not be scored. Source: inspect-ai 0.3.285, `EvalLog`.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from shipway.evals.commands.framework import Framework, first_line, mean, result, share, unasked
from shipway.evals.mark import Mark, missing
from shipway.evals.results import Result

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

PASSES = 0.5
LETTERS = {"C": 1.0, "P": 0.5, "I": 0.0, "N": 0.0}
"""Correct, partial, incorrect, no answer."""


def read(place: Path) -> Iterator[Result]:
    logs = [json.loads(file.read_text("utf-8")) for file in sorted(place.glob("*.json"))]
    for log in logs:
        task = f"{log['eval']['task']} " if len(logs) > 1 else ""
        samples = sorted(log.get("samples") or (), key=lambda one: (str(one["id"]), one["epoch"]))
        several = len({sample["epoch"] for sample in samples}) > 1
        for sample in samples:
            name = f"{task}{sample['id']}" + (f" epoch {sample['epoch']}" if several else "")
            yield _result(name, sample)
        if log["status"] != "success":
            error = first_line((log.get("error") or {}).get("message")) or "it did not finish"
            yield Result(str(log["eval"]["task"]), "missing", None, (missing(log["status"], error),))


def _result(name: str, sample: Mapping[str, Any]) -> Result:
    if error := sample.get("error"):
        return unasked(name, error.get("message"))
    marks = [_mark(by, score) for by, score in (sample.get("scores") or {}).items()]
    marks = marks or [missing("scores", "no scorer gave one")]
    return result(name, marks, mean(marks), text=_text(sample), latency_s=sample.get("total_time"))


def _mark(by: str, score: Mapping[str, Any]) -> Mark:
    value = score.get("value")
    number = LETTERS.get(value) if isinstance(value, str) else share(value)
    if number is None:
        return missing(by, f"its value is {value}")
    holds = number >= PASSES
    return Mark(by, holds, "" if holds else first_line(score.get("explanation")), number)


def _text(sample: Mapping[str, Any]) -> str:
    choices = (sample.get("output") or {}).get("choices") or ()
    content = choices[0]["message"]["content"] if choices else ""
    if isinstance(content, str):
        return content
    return "".join(part.get("text") or "" for part in content)


FRAMEWORK = Framework(
    read, variables=lambda place: {"INSPECT_LOG_DIR": str(place), "INSPECT_LOG_FORMAT": "json"}
)
