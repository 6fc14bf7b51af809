"""The progress of `shipway eval`: a bar on a terminal, nothing anywhere else."""

from __future__ import annotations

import contextlib
import sys
from collections import Counter
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from shipway.evals.results import Result


@contextlib.contextmanager
def progress(total: int) -> Iterator[Callable[[Result], None]]:
    """A function to be told of each result."""
    if not sys.stderr.isatty():
        yield lambda result: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (BarColumn(), MofNCompleteColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
    counts: Counter[str] = Counter()
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("asking", total=total)

        def tell(result: Result) -> None:
            counts[result.status] += 1
            words = ", ".join(f"{count} {status}" for status, count in counts.items())
            bar.update(task, advance=1, description=words)

        yield tell
