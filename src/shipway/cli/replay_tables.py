"""What `shipway replay verify` and `ls` print.

In: verdicts, recordings, scripted replies. Out: lines and rows for people, dictionaries for --json.
"""

from __future__ import annotations

import dataclasses
import shutil
import sys
from collections import Counter
from typing import TYPE_CHECKING, Any

from shipway.replay.drift.answers import summarise
from shipway.replay.drift.provenance import model, recorded_at
from shipway.replay.drift.signs import moment, named
from shipway.replay.drift.verdicts import STATES, describe

if TYPE_CHECKING:
    from collections.abc import Iterator

    from shipway.replay.drift.inventory import Recorded, Scripted
    from shipway.replay.drift.runs import Run, Runs
    from shipway.replay.drift.verdicts import Report, State, Verdict

_WIDE, _NARROW = 48, 24  # characters of a question or an answer in a table
_WIDE_TERMINAL = 160  # columns

_ORDER = ("stale", "unknown", "unused", "fresh")
_MISSES = 5  # of the last run that are told

ADVICE: dict[State, str] = {
    "stale": "undo the change; or `shipway up -d --record-missing`, `shipway replay ask --stale --live`, "
    "delete them",
    "unused": "delete them, or keep them: no run asks for everything",
    "unknown": "`shipway up -d` and `shipway replay ask` show whether the agent still asks this",
}
"""What to do about each state."""


# -- verify --------------------------------------------------------------------------------------------------


def report(report: Report) -> dict[str, Any]:
    """Every verdict and what was looked at, for --json."""
    return {
        "recordings": [_verdict(verdict) for verdict in report.verdicts if not verdict.scripted],
        "replies": [_verdict(verdict) for verdict in report.verdicts if verdict.scripted],
        "runs": [
            {"at": run.at, "requests": run.requests, "missed": run.missed, "sdks": sorted(run.sdks)}
            for run in report.runs.runs
        ],
    }


def _verdict(verdict: Verdict) -> dict[str, Any]:
    return {
        "file": verdict.file,
        "state": verdict.state,
        "reasons": verdict.reasons,
        "remarks": verdict.remarks,
    }


def verdict_lines(report: Report) -> Iterator[str]:
    """What is not fresh, and what is remarkable: the reasons, and below them the files they are true of."""
    groups: dict[tuple[State, tuple[str, ...]], list[str]] = {}
    for verdict in report.verdicts:
        if verdict.state != "fresh" or verdict.remarks:
            reasons = (*verdict.reasons, *(f"remark: {remark}" for remark in verdict.remarks))
            groups.setdefault((verdict.state, reasons), []).append(verdict.file)
    for (state, reasons), files in sorted(groups.items(), key=lambda group: _ORDER.index(group[0][0])):
        head = f"{len(files)} {state}: "
        yield head + f"\n{' ' * len(head)}".join(reasons)
        yield from (f"    {file}" for file in files)


def talk(report: Report) -> Iterator[str]:
    """How many of each there are, what to do, and what the last run missed."""
    counts = Counter(verdict.state for verdict in report.verdicts if not verdict.scripted)
    parts = [f"{counts[state]} {state}" for state in STATES if counts[state]]
    total = counts.total()
    yield f"{total} recording{'' if total == 1 else 's'}{': ' if parts else ''}{', '.join(parts)}"
    for state, advice in ADVICE.items():
        if counts[state]:
            yield f"  {state}: {advice}"
    if runs := report.runs.asked:
        yield f"looked at {describe(runs)}"
        yield from _missed(runs[-1])
    if report.runs.unreadable:
        yield f"{report.runs.unreadable} lines of the journal cannot be read, and were left out"


def _missed(run: Run) -> Iterator[str]:
    """What the last run asked without getting a recording."""
    for each in run.unrecorded[:_MISSES]:
        what = f"{each.source} answered" if each.source else "missed"
        near = f": nearest is {each.near}; {named(each.differs)}" if each.near and each.differs else ""
        yield f"  the last run: {what}{near}"
    if len(run.unrecorded) > _MISSES:
        yield f"  and {len(run.unrecorded) - _MISSES} more without a recording"


# -- ls ------------------------------------------------------------------------------------------------------


def recording(one: Recorded, runs: Runs) -> dict[str, Any]:
    """A recording for --json."""
    exchange = one.exchange
    summary = summarise(exchange)
    return {
        "file": one.file,
        "question": summary.question,
        "answer": summary.answer,
        "model": exchange.meta.get("model") or model(exchange.request),
        "tokens": dict(zip(("input", "output"), summary.tokens, strict=True)) if summary.tokens else None,
        "stream": exchange.response.events is not None,
        "size": one.size,
        "recorded": recorded_at(exchange.meta),
        "last_used": runs.last_used(one.file),
        "meta": exchange.meta,
    }


def scripted(one: Scripted, runs: Runs) -> dict[str, Any]:
    """A scripted reply for --json."""
    reply = one.reply
    patterns = {name: getattr(reply, name) for name in ("when", "when_said", "when_system", "when_model")}
    return {
        "reply": one.place,
        **{name: pattern.pattern if pattern else None for name, pattern in patterns.items()},
        "when_tools": reply.when_tools,
        "times": reply.times,
        "say": reply.text,
        "calls": [dataclasses.asdict(call) for call in reply.calls],
        "last_used": runs.last_used(one.place),
    }


Rows = list[tuple[str, ...]]


def listing(recordings: list[dict[str, Any]], replies: list[dict[str, Any]]) -> Iterator[Rows]:
    """A table of each, where there is any."""
    head = ("FILE", "QUESTION", "ANSWER", "USED", "RECORDED", "TOKENS", "SIZE", "MODEL")
    narrow = sys.stdout.isatty() and shutil.get_terminal_size().columns < _WIDE_TERMINAL
    width = _NARROW if narrow else _WIDE
    if recordings or not replies:
        yield [head, *(_recording_row(one, width) for one in recordings)]
    if replies:
        yield [("REPLY", "WHEN", "ANSWER", "USED"), *(_reply_row(one, width) for one in replies)]


def _recording_row(one: dict[str, Any], width: int) -> tuple[str, ...]:
    tokens = one["tokens"]
    return (
        one["file"],
        _cut(one["question"], width),
        _cut(one["answer"], width),
        _moment(one["last_used"]),
        _moment(one["recorded"])[:10],
        f"{tokens['input']} + {tokens['output']}" if tokens else "-",
        _size(one["size"]),
        one["model"] or "-",
    )


def _reply_row(one: dict[str, Any], width: int) -> tuple[str, ...]:
    calls = ", ".join(call["tool"] for call in one["calls"])
    answer = "; ".join(filter(None, [" ".join(one["say"].split()), f"calls {calls}" if calls else ""]))
    return one["reply"], _cut(_condition(one), width), _cut(answer, width), _moment(one["last_used"])


def _condition(one: dict[str, Any]) -> str:
    """`/time/`, `get_time answers /T(\\d\\d)/, model /opus/`, `anything else`"""
    when = f"/{one['when']}/" if one["when"] else ""
    if one["when_tools"]:
        when = f"{' and '.join(one['when_tools'])} answers {when}".strip()
    patterns = {name: one[f"when_{name}"] for name in ("said", "system", "model")}
    others = [f"{name} /{pattern}/" for name, pattern in patterns.items() if pattern]
    times = f"times {one['times']}" if one["times"] else ""
    return ", ".join(filter(None, [when, *others, times])) or "anything else"


def _moment(at: float | None) -> str:
    return "-" if at is None else moment(at)


def _cut(text: str, width: int) -> str:
    return text if len(text) <= width else f"{text[: width - 1]}…"


def _size(size: int) -> str:
    return f"{size / 1e6:.1f} MB" if size >= 1e6 else f"{size / 1000:.1f} kB"
