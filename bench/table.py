"""Rows of a benchmark -> a table on stdout, `bench/results/NAME.json`, and the page docs/benchmarks.md.

In: medians of several runs, ours and a peer's, from one process on one machine. Out: a list of
`{"metric", "unit", "ours", "peer", "peer_name", "ratio", "target"}`, one row for each peer, and the versions
used. The page's tables are made from these files and from nothing else.
"""

from __future__ import annotations

import json
import os
import platform
import re
import statistics
import subprocess
import time
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

RESULTS = Path(__file__).parent / "results"
PAGE = Path(__file__).parents[1] / "docs/benchmarks.md"
ENVIRON = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
"""Programs run as they do when they are installed: Python keeps what it has compiled."""

MACHINE = {"cores": os.cpu_count(), "load": round(os.getloadavg()[0], 1)}
"""`load`: processes that wanted a core in the minute before; others make seconds long, and ratios wrong."""


@dataclass(frozen=True)
class Row:
    """One measurement. Without a peer `ratio` is None and `target` is of `ours`.

    `note` stands where a peer's value would, when it has none.
    """

    metric: str
    unit: str
    ours: float
    target: str
    peer: float | None = None
    peer_name: str = ""
    note: str = ""

    @property
    def ratio(self) -> float | None:
        return round(self.ours / self.peer, 2) if self.peer else None

    def document(self) -> dict[str, Any]:
        return {k: v for k, v in asdict(self).items() if k != "note" or v} | {"ratio": self.ratio}


def median(measure: Callable[[], float], runs: int = 7) -> float:
    """The median of several runs, after one that does not count."""
    measure()
    return statistics.median(measure() for _ in range(runs))


def medians(measures: Sequence[Callable[[], float]], runs: int, warm: int = 1) -> list[float]:
    """The median of each, taken in turns, so that a slow minute of the machine is everybody's.

    The first `warm` rounds do not count.
    """
    rounds = [[measure() for measure in measures] for _ in range(warm + runs)]
    return [statistics.median(values) for values in zip(*rounds[warm:], strict=True)]


def seconds(command: Sequence[str]) -> float:
    """How long a command takes, in seconds. Raises when it fails."""
    started = time.perf_counter()
    done = subprocess.run(command, capture_output=True, text=True, env=ENVIRON)
    if done.returncode:
        raise SystemExit(f"{' '.join(command)}: ended with {done.returncode}\n{done.stderr[-2000:]}")
    return time.perf_counter() - started


def show(name: str, rows: Sequence[Row]) -> None:
    """Print the table."""
    print(f"\n{name}\n  {'metric':<52}{'ours':>10}{'peer':>10}{'ratio':>8}  target")
    for row in rows:
        peer = f"{row.peer:.3g}" if row.peer else row.note or "-"
        ratio = f"{row.ratio:.2f}" if row.ratio else "-"
        where = f"{row.metric} [{row.unit}]"
        print(f"  {where:<52}{row.ours:>10.3g}{peer:>10}{ratio:>8}  {row.target:<10} {row.peer_name}")


def report(name: str, rows: Sequence[Row], *packages: str, **programs: str) -> None:
    """Print the table, write the file, and bring the page up to date.

    `packages` are distributions whose version is looked up; `programs` are versions by name.
    """
    show(name, rows)
    versions = {"python": platform.python_version()} | {p: version(p) for p in packages} | programs
    document = {
        "versions": versions,
        "machine": MACHINE,
        "rows": [row.document() for row in rows],
    }
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / f"{name}.json").write_text(json.dumps(document, indent=2) + "\n")
    PAGE.write_text(filled(PAGE.read_text()))


# -- The page ------------------------------------------------------------------------------------------------

_BLOCK = re.compile(r"(?s)(?<=<!-- bench: )(\w+) -->\n.*?(?=<!-- end -->)")


def filled(page: str) -> str:
    """The page with each block between `<!-- bench: NAME -->` and `<!-- end -->` made from NAME.json."""
    return _BLOCK.sub(lambda match: f"{match[1]} -->\n{_block(match[1])}", page)


def _block(name: str) -> str:
    document = json.loads((RESULTS / f"{name}.json").read_text())
    versions = ", ".join(f"{program} {of}" for program, of in document["versions"].items())
    machine = document.get("machine")
    on = f" On {machine['cores']} cores, with a load of {machine['load']} before." if machine else ""
    return f"\n{_table(document['rows'])}\n\nVersions: {versions}.{on}\n\n"


def _table(rows: Sequence[dict[str, Any]]) -> str:
    """A line for each metric, with a column for every peer and the ratio to it."""
    peers = list(dict.fromkeys(row["peer_name"] for row in rows if row["peer_name"]))
    head = ["", "shipway", *(cell for peer in peers for cell in (peer, "ratio")), "target"]
    lines = [head, ["---", *["--:"] * (len(head) - 2), "---"]]
    for metric in dict.fromkeys(row["metric"] for row in rows):
        own = [row for row in rows if row["metric"] == metric]
        by_peer = {row["peer_name"]: row for row in own}
        cells = [cell for peer in peers for cell in _peer_cells(by_peer.get(peer))]
        target = next((row["target"] for row in own if row["target"]), "")
        lines.append([metric, _amount(own[0]["ours"], own[0]["unit"]), *cells, target])
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _peer_cells(row: dict[str, Any] | None) -> tuple[str, str]:
    if row and row.get("note"):
        return row["note"], ""
    return (_amount(row["peer"], row["unit"]), f"{row['ratio']:.2f}") if row and row["peer"] else ("", "")


def _amount(value: float, unit: str) -> str:
    return f"{float(f'{value:.3g}'):g} {unit}"
