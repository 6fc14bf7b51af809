"""What the journal tells of the last runs.

In: the journal's file. Out: `Runs`. Lines that cannot be read are counted and left out: a journal is never
worth an error.
"""

from __future__ import annotations

import json
from collections import defaultdict
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

from shipway_runtime import contract

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from shipway.replay.drift.now import Now

_NEVER = 1e11  # seconds since the epoch; no calendar goes so far


@dataclass(frozen=True, slots=True)
class Unrecorded:
    """A request that no recording answered: by whom it was, which recording was nearest, what differed."""

    at: float
    source: str
    """The scripted reply that answered; empty for a miss."""
    near: str
    differs: tuple[str, ...]
    tools: dict[str, str]


@dataclass(slots=True)
class Run:
    """The life of one process. `whole`: its beginning is in the journal; `requests` is at least so many."""

    at: float
    whole: bool = False
    model: str = ""
    prompts: dict[str, str] = field(default_factory=dict)
    sdks: set[str] = field(default_factory=set)
    used: dict[str, int] = field(default_factory=dict)
    last_used: dict[str, float] = field(default_factory=dict)
    unrecorded: list[Unrecorded] = field(default_factory=list)
    requests: int = 0
    missed: int = 0

    def goes_with(self, now: Now) -> bool:
        """Whether it began with the prompts and the model of today."""
        return self.model == now.model and self.prompts == now.digests


@dataclass(frozen=True)
class Runs:
    """The runs in the order in which they began. `unreadable` lines were left out."""

    runs: tuple[Run, ...] = ()
    unreadable: int = 0

    @property
    def asked(self) -> tuple[Run, ...]:
        """Those that were asked anything."""
        return tuple(run for run in self.runs if run.requests)

    @cached_property
    def tools(self) -> dict[str, tuple[str, float]]:
        """The digest of each tool when it was last offered, and when that was."""
        return {
            name: (digest, unrecorded.at)
            for run in self.runs
            for unrecorded in run.unrecorded
            for name, digest in unrecorded.tools.items()
        }

    @cached_property
    def near(self) -> dict[str, list[tuple[Run, Unrecorded]]]:
        """What was asked instead of each file, by the file."""
        found = defaultdict(list)
        for run in self.runs:
            for unrecorded in run.unrecorded:
                found[unrecorded.near].append((run, unrecorded))
        return dict(found)

    def last_used(self, file: str) -> float | None:
        """When the file last answered, in seconds since the epoch."""
        return max((run.last_used[file] for run in self.runs if file in run.last_used), default=None)


def read(file: Path) -> Runs:
    """The runs that the journal knows of; none where there is no journal."""
    try:
        text = file.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return Runs()
    return parse(text.splitlines())


def parse(lines: Iterable[str]) -> Runs:
    runs: dict[str, Run] = {}
    unreadable = 0
    for line in lines:
        try:
            entry = json.loads(line)
            at = _time(entry["at"])
            _add(runs.setdefault(entry["run"], Run(at)), entry, at)
        except (ValueError, LookupError, TypeError, AttributeError, RecursionError, OverflowError):
            unreadable += 1
    return Runs(tuple(sorted(runs.values(), key=lambda run: run.at)), unreadable)


def _time(value: Any) -> float:
    at = float(value)
    if not 0 <= at < _NEVER:
        raise ValueError(f"a time was expected, saw {value}")
    return at


def _add(run: Run, entry: dict[str, Any], at: float) -> None:
    if "format" in entry:
        if entry["format"] != contract.FORMAT:
            raise ValueError(f"format {entry['format']}")
        run.whole, run.model, run.prompts = True, str(entry["model"]), dict(entry["prompts"])
    if "sdk" in entry:
        run.sdks.add(str(entry["sdk"]))
    if "requests" in entry:
        _count(run, entry)
    if "file" in entry:
        _answer(run, entry, at)


def _count(run: Run, entry: dict[str, Any]) -> None:
    run.requests, run.missed = int(entry["requests"]), int(entry["missed"])
    run.used |= {str(file): int(count) for file, count in entry["used"].items()}


def _answer(run: Run, entry: dict[str, Any], at: float) -> None:
    source = str(entry["file"])
    if "near" in entry:
        differs = tuple(map(str, entry["differs"]))
        run.unrecorded.append(Unrecorded(at, source, str(entry["near"]), differs, dict(entry["tools"])))
    run.requests += 1
    if source:
        run.used.setdefault(source, 1)
        run.last_used[source] = at
    else:
        run.missed += 1
