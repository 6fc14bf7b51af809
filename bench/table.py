"""Rows of a benchmark -> a table on stdout and `bench/results/NAME.json`.

In: medians of several runs, ours and a peer's, from one process on one machine. Out: a list of
`{"metric", "unit", "ours", "peer", "peer_name", "ratio", "target"}`, and the versions used.
"""

from __future__ import annotations

import json
import platform
import statistics
import subprocess
import time
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

RESULTS = Path(__file__).parent / "results"


@dataclass(frozen=True)
class Row:
    """One measurement. Without a peer `ratio` is None and `target` is of `ours`."""

    metric: str
    unit: str
    ours: float
    target: str
    peer: float | None = None
    peer_name: str = ""

    @property
    def ratio(self) -> float | None:
        return round(self.ours / self.peer, 2) if self.peer else None


def median(measure: Callable[[], float], runs: int = 7) -> float:
    """The median of several runs, after one that does not count."""
    measure()
    return statistics.median(measure() for _ in range(runs))


def seconds(command: Sequence[str]) -> float:
    """How long a command takes, in seconds. Raises when it fails."""
    started = time.perf_counter()
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"{' '.join(command)}: ended with {done.returncode}\n{done.stderr[-2000:]}")
    return time.perf_counter() - started


def report(name: str, rows: Sequence[Row], *packages: str) -> None:
    """Print the table and write the file."""
    print(f"\n{name}\n  {'metric':<48}{'ours':>10}{'peer':>10}{'ratio':>8}  target")
    for row in rows:
        peer = f"{row.peer:.3g}" if row.peer else "-"
        ratio = f"{row.ratio:.2f}" if row.ratio else "-"
        print(
            f"  {row.metric + ' [' + row.unit + ']':<48}{row.ours:>10.3g}{peer:>10}{ratio:>8}  {row.target}"
        )
    versions = {"python": platform.python_version()} | {p: version(p) for p in packages}
    document = {"versions": versions, "rows": [asdict(row) | {"ratio": row.ratio} for row in rows]}
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / f"{name}.json").write_text(json.dumps(document, indent=2) + "\n")
