"""deepeval: `test_run_TIME.json` in DEEPEVAL_RESULTS_FOLDER.

A test whose metric raised is a success to deepeval 4.3; here it is missing, known by a metric that has no
`success`. A test that failed before its metrics is not in the file: its exit code tells. Source: deepeval
4.3, `LLMApiTestCase`.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from shipway.evals.commands.framework import Framework, mark_of, mean, result
from shipway.evals.mark import missing

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from shipway.evals.results import Result


def read(place: Path) -> Iterator[Result]:
    for file in sorted(place.glob("test_run_*.json")):
        run = json.loads(file.read_text("utf-8"))
        for case in (*run.get("testCases", ()), *run.get("conversationalTestCases", ())):
            yield _result(case)


def _result(case: Mapping[str, Any]) -> Result:
    marks = [
        mark_of(str(one["name"]), one.get("success"), one.get("score"), one.get("reason"), one.get("error"))
        for one in case.get("metricsData") or ()
        if not one.get("flaky")  # deepeval's word for what is not to decide
    ]
    marks = marks or [missing("metrics", "no metric gave a score")]
    more = {"text": case.get("actualOutput") or "", "latency_s": case.get("completionTime")}
    return result(str(case["name"]), marks, mean(marks), **more)


FRAMEWORK = Framework(
    read,
    variables=lambda place: {
        "DEEPEVAL_RESULTS_FOLDER": str(place),
        "DEEPEVAL_TELEMETRY_OPT_OUT": "1",
    },
)
