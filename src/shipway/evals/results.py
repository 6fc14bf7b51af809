"""What came of a run: each case, the share that passed with its interval, and the verdict.

In: marks. Out: frozen values, and their JSON. Missing data counts neither way: a run passes if it would
whatever was missing, fails if it would anyhow, and is inconclusive otherwise.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Literal

from shipway.evals.against import Comparison
from shipway.evals.calibration import Calibration
from shipway.evals.interval import wilson
from shipway.evals.mark import Mark

if TYPE_CHECKING:
    from collections.abc import Sequence

Status = Literal["passed", "failed", "missing"]
Verdict = Literal["pass", "fail", "inconclusive"]
FORMAT = 1


@dataclass(frozen=True, slots=True)
class Result:
    """One case. `score` is in [0, 1], None where it is not known; `cost` is in US dollars."""

    id: str
    status: Status
    score: float | None
    marks: tuple[Mark, ...] = ()
    inputs: tuple[str, ...] = ()
    """What was asked, turn by turn; empty where a framework does not say."""
    text: str = ""
    latency_s: float | None = None
    cost: float | None = None
    tokens: int = 0
    revisions: tuple[str, ...] = ()
    tools: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    file: str = ""
    line: int = 0
    repeats: int = 1
    """How often it was asked; it passes if it passed each time, and its score is the mean."""

    @property
    def reasons(self) -> tuple[str, ...]:
        """Why it did not pass, a line each."""
        worst = [mark for mark in self.marks if mark.holds is (False if self.status == "failed" else None)]
        return tuple(f"{mark.by}: {mark.reason}" if mark.reason else mark.by for mark in worst)


@dataclass(frozen=True, slots=True)
class Run:
    """A whole run. Times are seconds since the epoch; `required` is the share of cases that has to pass."""

    name: str
    environment: str
    source: str
    """The suite's glob, or the command."""
    results: tuple[Result, ...]
    started: float
    finished: float
    required: float = 1.0
    calibration: Calibration | None = None
    against: Comparison | None = None
    remarks: tuple[str, ...] = ()

    def count(self, status: Status) -> int:
        return sum(result.status == status for result in self.results)

    @property
    def revisions(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(name for result in self.results for name in result.revisions))

    @property
    def rate(self) -> float | None:
        """The share that passed, of the cases where that is known."""
        known = self.count("passed") + self.count("failed")
        return self.count("passed") / known if known else None

    @property
    def score(self) -> float | None:
        """The mean score of the cases that have one."""
        scores = [result.score for result in self.results if result.score is not None]
        return sum(scores) / len(scores) if scores else None

    @property
    def cost(self) -> float | None:
        costs = [result.cost for result in self.results if result.cost is not None]
        return sum(costs) if costs else None

    @property
    def interval(self) -> tuple[float, float]:
        """Of the rate, 95 %."""
        return wilson(self.count("passed"), self.count("passed") + self.count("failed"))

    @property
    def verdict(self) -> Verdict:
        """The comparison's, where there is one; else by the share of cases that has to pass."""
        if self.against:
            return self.against.verdict
        total, passed = len(self.results), self.count("passed")
        if total and passed >= self.required * total:
            return "pass"
        hopeless = passed + self.count("missing") < self.required * total
        return "fail" if hopeless else "inconclusive"


def document(run: Run) -> dict[str, Any]:
    """The run as JSON has it: what --json prints, what --against reads, what control is sent."""
    return {
        "format": FORMAT,
        "name": run.name,
        "environment": run.environment,
        "revision": run.revisions[0] if len(run.revisions) == 1 else None,
        "revisions": list(run.revisions),
        "source": run.source,
        "started": run.started,
        "finished": run.finished,
        "verdict": run.verdict,
        "cases": len(run.results),
        **{status: run.count(status) for status in ("passed", "failed", "missing")},
        "rate": run.rate,
        "interval": list(run.interval),
        "required": run.required,
        "score": run.score,
        "cost": run.cost,
        "judge": asdict(run.calibration) if run.calibration else None,
        "against": asdict(run.against) if run.against else None,
        "remarks": list(run.remarks),
        "results": [asdict(result) for result in run.results],
    }


def of_revisions(results: Sequence[Result]) -> tuple[str, ...]:
    """What has to be said where more than one revision answered."""
    found = dict.fromkeys(name for result in results for name in result.revisions)
    return (f"answers came from {len(found)} revisions: {', '.join(found)}",) if len(found) > 1 else ()
