"""What is known of a framework: how it is told to leave its results, and how they are read.

In: a directory for results. Out: options, variables, Results.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from shipway.evals.mark import Mark, missing
from shipway.evals.results import Result, Status


def nothing(place: Path) -> Sequence[str]:
    return ()


def no_variables(place: Path) -> Mapping[str, str]:
    return {}


@dataclass(frozen=True, slots=True)
class Framework:
    """`read` gives the results that a run left in a directory; none where it left nothing. Raises ValueError,
    KeyError or TypeError for what it cannot read."""

    read: Callable[[Path], Iterable[Result]]
    options: Callable[[Path], Sequence[str]] = nothing
    variables: Callable[[Path], Mapping[str, str]] = no_variables


def result(name: str, marks: Sequence[Mark], score: float | None, **more: Any) -> Result:
    """A case by its marks; its score counts where none is missing."""
    lost = any(mark.holds is None for mark in marks)
    failed = any(mark.holds is False for mark in marks)
    status: Status = "failed" if failed else "missing" if lost else "passed"
    return Result(name, status, None if lost else score, tuple(marks), **more)


def unasked(name: str, error: object) -> Result:
    """A case whose agent gave no answer: it failed."""
    return Result(name, "failed", 0.0, (Mark("answer", False, first_line(error)),))


def mark_of(by: str, holds: object, score: object, reason: object, error: object = None) -> Mark:
    """A mark as frameworks write it; what has no verdict, or an error, is missing."""
    if error or not isinstance(holds, bool):
        return missing(by, first_line(error) or "no verdict: its evaluator failed")
    return Mark(by, holds, "" if holds else first_line(reason), share(score))


def share(value: object) -> float | None:
    """A number from 0 to 1; None for anything else."""
    known = isinstance(value, bool | int | float) and not math.isnan(value) and 0 <= value <= 1
    return float(value) if known else None  # type: ignore[arg-type]


def mean(marks: Iterable[Mark]) -> float | None:
    """The mean score; that of a mark without one is whether it holds."""
    scores = [float(bool(mark.holds)) if mark.score is None else mark.score for mark in marks]
    return sum(scores) / len(scores) if scores else None


def first_line(text: object) -> str:
    return str(text or "").strip().partition("\n")[0]


def apart(results: Iterable[Result]) -> tuple[Result, ...]:
    """The same, each with a name of its own: the second `a` is `a #2`."""
    seen: Counter[str] = Counter()
    found = []
    for one in results:
        seen[one.id] += 1
        found.append(one if seen[one.id] == 1 else replace(one, id=f"{one.id} #{seen[one.id]}"))
    return tuple(found)
