"""Tables and durations, as people read them on a terminal."""

from __future__ import annotations

import shutil
import sys
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from collections.abc import Iterable


def show(rows: Iterable[tuple[str, ...]]) -> None:
    """A table, its head first; on a terminal, a line is cut where the terminal ends."""
    table = list(rows)
    widths = [max(len(row[column]) for row in table) for column in range(len(table[0]))]
    most = shutil.get_terminal_size().columns if sys.stdout.isatty() else None
    for row in table:
        line = "  ".join(f"{cell:<{width}}" for cell, width in zip(row, widths, strict=True))
        line = f"  {line}".rstrip()
        click.echo(f"{line[: most - 1]}…" if most and len(line) > most else line)


def age(seconds: float) -> str:
    """12 s, 3 min, 2 h, 5 d."""
    for size, unit in ((86_400, "d"), (3600, "h"), (60, "min")):
        if seconds >= size:
            return f"{seconds // size:.0f} {unit}"
    return f"{max(seconds, 0):.0f} s"
