"""NDJSON that shipway's runtime did not write -> outcomes, asking for no more than the metrics need.

In: lines of text, and the metrics. Out: outcomes, and every line that is none, with what is wrong with it:
a line is never dropped in silence.

    {"conversation": "a1", "revision": "r2", "status": "error", "started": 1767225600, "latency_s": 2.1}
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from math import isfinite
from typing import TYPE_CHECKING, Any, Literal, cast

from shipway_runtime.contract import Outcome

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

STATUSES = ("ok", "error", "denied", "cancelled")

NEEDED = {
    "errors": ("status",),
    "latency": ("latency_s",),
    "live": (),
    "cost": (),
    "tools": ("tool_calls",),
}
"""What a line must have by metric; `score` and `cost` may be missing or null, and say nothing then."""

_STEP = 1e-3
"""Seconds between two lines without times: their order counts, and no conversation falls idle."""


@dataclass(frozen=True, slots=True)
class Bad:
    """A line that is no outcome: its number, from 1, and what was expected."""

    line: int
    message: str


class _Wrong(Exception):
    pass


def read(lines: Iterable[str], metrics: Iterable[str]) -> Iterator[Outcome | Bad]:
    """Each line that is not empty, as one or the other."""
    needed = tuple(key for metric in metrics for key in NEEDED[metric])
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            yield _outcome(line, number, needed)
        except _Wrong as error:
            yield Bad(number, str(error))


def _outcome(line: str, number: int, needed: tuple[str, ...]) -> Outcome:
    try:
        data = json.loads(line)
    except (ValueError, RecursionError):
        raise _Wrong(f"expected a JSON object, saw {line.strip()[:40]!r}") from None
    if not isinstance(data, dict):
        raise _Wrong(f"expected a JSON object, saw {line.strip()[:40]!r}")
    if missing := [key for key in ("conversation", "revision", *needed) if data.get(key) is None]:
        raise _Wrong(f"`{missing[0]}` is missing")
    status = data.get("status", "ok")
    if status not in STATUSES:
        raise _Wrong(f"`status` is {json.dumps(status)[:40]}, expected one of {', '.join(STATUSES)}")
    latency = _number(data, "latency_s")
    started, finished = _times(data, number, latency)
    first_seen = _number(data, "first_seen")
    return Outcome(
        conversation=_text(data, "conversation") or "",
        turn=number if data.get("turn") is None else int(_number(data, "turn") or 0),
        revision=_text(data, "revision") or "",
        tenant=_text(data, "tenant"),
        first_seen=started if first_seen is None else first_seen,
        started=started,
        finished=finished,
        status=cast('Literal["ok", "error", "denied", "cancelled"]', status),
        latency_s=finished - started if latency is None else latency,
        cost=_number(data, "cost"),
        tool_calls=int(_number(data, "tool_calls") or 0),
        tool_errors=int(_number(data, "tool_errors") or 0),
        score=_number(data, "score", most=1.0),
    )


def _times(data: Mapping[str, Any], number: int, latency: float | None) -> tuple[float, float]:
    """Start and end of a turn, from what there is of `started`, `finished` and `latency_s`."""
    started, finished = _number(data, "started"), _number(data, "finished")
    if started is None and finished is None:
        return number * _STEP, number * _STEP
    if started is None:
        started = max((finished or 0.0) - (latency or 0.0), 0.0)
    if finished is None:
        finished = started + (latency or 0.0)
    if finished < started:
        raise _Wrong(f"`finished` is {finished:.12g}, before `started`, {started:.12g}")
    return started, finished


def _number(data: Mapping[str, Any], key: str, most: float = float("inf")) -> float | None:
    value = data.get(key)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise _Wrong(f"`{key}` is {json.dumps(value)[:40]}, expected a number")
    try:
        number = float(value)
    except OverflowError:
        number = float("inf")
    if not (isfinite(number) and 0.0 <= number <= most):
        expected = "0 to 1" if most == 1.0 else "0 or more"
        raise _Wrong(f"`{key}` is {json.dumps(value)[:40]}, expected {expected}")
    return number


def _text(data: Mapping[str, Any], key: str) -> str | None:
    value = data.get(key)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, str | int):
        raise _Wrong(f"`{key}` is {json.dumps(value)[:40]}, expected a text")
    return str(value)
