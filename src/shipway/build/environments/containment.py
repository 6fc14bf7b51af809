"""Nothing that a wheel brings leads out of its tree: checks between uv's work and ours.

uv itself lets no file of a wheel out of its directory, makes plain files of links and devices, drops setuid
bits, and refuses console scripts by such names. What it does not look into is metadata that a wheel smuggles
in as data (`x.data/purelib/other.dist-info/…`), and our finishing step reads that. In: the directory that uv
filled, or entries. Out: BuildError, or findings.
"""

from __future__ import annotations

import csv
import stat
from typing import TYPE_CHECKING

from shipway.errors import Finding, TamperedError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from shipway.build.layers import Entry


def check_records(packages: Path) -> None:
    """Every row of every RECORD below `packages`, as uv left them, names a file below it.

    Raises TamperedError that names the wheel's metadata: a row that leads out was made to move files of
    the host.
    """
    for record in sorted(packages.glob("*.dist-info/RECORD")):
        text = record.read_text(encoding="utf-8", errors="replace")
        for row in csv.reader(text.splitlines()):
            if row and not _is_inside(row[0]):
                raise TamperedError(
                    f"{record.parent.name}/RECORD names {row[0]!r}, a path outside of its environment",
                    "no honest wheel does: find out which distribution brings it, and do not use it",
                )


def unsafe_paths(entries: Iterable[Entry]) -> list[Finding]:
    """Entries that no image should have: paths that lead out, and programs that give their owner's rights."""
    return [
        Finding("unsafe-path", problem, "find out which package brings it, and do without it", entry.path)
        for entry in entries
        for problem in _problems(entry)
    ]


def _problems(entry: Entry) -> Iterator[str]:
    if not _is_inside(entry.path):
        yield "this path leads out of the image's root, or is not in its shortest form"
    if entry.kind == "file" and entry.mode & (stat.S_ISUID | stat.S_ISGID):
        yield f"its mode {entry.mode:04o} lets whoever starts it act as its owner or group"


def _is_inside(path: str) -> bool:
    """Relative, and without `.`, `..`, empty parts or NUL."""
    return "\0" not in path and not {"", ".", ".."}.intersection(path.split("/"))
