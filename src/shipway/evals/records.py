"""Runs on disk: the last one of each revision, for `--against`.

In: a project's root, a run. Out: `.shipway/evals/REVISION.json`, which holds what --json prints. Errors:
StackError for a file that is no run.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from shipway.errors import StackError
from shipway.evals.results import FORMAT, Run, document

PLACE = Path(".shipway/evals")


@dataclass(frozen=True, slots=True)
class Before:
    """What an earlier run came to: its name, and the score of each case, None where it is missing."""

    name: str
    scores: Mapping[str, float | None]


def keep(root: Path, run: Run) -> None:
    """Keep a run of one revision; the next one of the same revision replaces it. A run that was stopped, as
    its verdict was known, is no measure for the next one."""
    if len(run.revisions) != 1 or (run.against and run.against.stopped):
        return
    file = root / PLACE / f"{_safe(run.revisions[0])}.json"
    file.parent.mkdir(parents=True, exist_ok=True)
    ignore = file.parent.parent / ".gitignore"
    if not ignore.exists():
        ignore.write_text("*\n")
    new = file.with_suffix(".new")
    new.write_text(json.dumps(document(run)))
    new.replace(file)


def find(root: Path, revision: str) -> Path | None:
    """The run of a revision, if it is here."""
    file = root / PLACE / f"{_safe(revision)}.json"
    return file if file.exists() else None


def read(file: Path) -> Before:
    """A run that --json printed. Raises StackError."""
    try:
        return before(json.loads(file.read_text("utf-8")), str(file))
    except (OSError, UnicodeDecodeError) as error:
        raise StackError(f"{file} cannot be read: {error}") from None
    except ValueError as error:
        raise StackError(f"{file} is no run of `shipway eval --json`: {error}") from None


def before(run: Any, where: str) -> Before:
    """A run's JSON. Raises ValueError for anything else."""
    results = run.get("results") if isinstance(run, dict) else None
    if results is None:
        raise ValueError("it has no `results`")
    if run.get("format") != FORMAT:
        raise ValueError(f"its format is {run.get('format')}, expected {FORMAT}")
    try:
        scores = {str(result["id"]): result.get("score") for result in results}
    except (TypeError, KeyError, AttributeError):
        raise ValueError("its `results` are no cases") from None
    return Before(str(run.get("revision") or where), scores)


def unpassed(root: Path) -> frozenset[str]:
    """The ids of cases that did not pass in the newest run that is here. Raises StackError without one."""
    files = sorted((root / PLACE).glob("*.json"), key=lambda file: file.stat().st_mtime_ns)
    if not files:
        raise StackError(f"no run is in {PLACE} yet", "run the whole suite once: shipway eval")
    results = json.loads(files[-1].read_text("utf-8"))["results"]
    return frozenset(result["id"] for result in results if result["status"] != "passed")


def names(root: Path) -> list[str]:
    """The revisions that were run here."""
    return sorted(path.stem for path in (root / PLACE).glob("*.json"))


def _safe(revision: str) -> str:
    return re.sub(r"[^A-Za-z0-9._-]", "_", revision)
