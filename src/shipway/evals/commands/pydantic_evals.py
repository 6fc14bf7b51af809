"""pydantic-evals: it has no command of its own, so the project's program writes its report as JSON.

    Path(os.environ["SHIPWAY_EVAL_RESULTS"]).write_bytes(EvaluationReportAdapter.dump_json(report))

Assertions decide; scores are the case's score. `failures` are cases whose task raised; an evaluator that
raised is missing data. Source: pydantic-evals 2.62, `EvaluationReport`.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from shipway.evals.commands.framework import Framework, first_line, mark_of, mean, result, share, unasked
from shipway.evals.mark import Mark, missing

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from shipway.evals.results import Result

FILE = "report.json"
VARIABLE = "SHIPWAY_EVAL_RESULTS"
PASSES = 0.5
"""Of a case that has scores alone."""


def read(place: Path) -> Iterator[Result]:
    if not (place / FILE).exists():
        return
    report = json.loads((place / FILE).read_text("utf-8"))
    for case in report["cases"]:
        yield _result(case)
    for failure in report["failures"]:
        yield unasked(str(failure["name"]), failure["error_message"])


def _result(case: Mapping[str, Any]) -> Result:
    asserted = [mark_of(by, one["value"], None, one.get("reason")) for by, one in case["assertions"].items()]
    scored = [Mark(by, True, "", share(one["value"])) for by, one in case["scores"].items()]
    lost = [missing(one["name"], first_line(one["error_message"])) for one in case["evaluator_failures"]]
    score = mean(mark for mark in scored if mark.score is not None)
    if asserted and not all(mark.holds for mark in asserted):
        score = 0.0
    elif score is None:
        score = 1.0
    elif not asserted:
        scored.append(Mark("scores", score >= PASSES, f"{score:.3g}"))
    if not (asserted or scored or lost):
        lost = [missing("evaluators", "none looked at the answer")]
    output = case["output"]
    text = output if isinstance(output, str) else json.dumps(output, ensure_ascii=False)
    return result(
        str(case["name"]), [*asserted, *scored, *lost], score, text=text, latency_s=case["task_duration"]
    )


FRAMEWORK = Framework(read, variables=lambda place: {VARIABLE: str(place / FILE)})
