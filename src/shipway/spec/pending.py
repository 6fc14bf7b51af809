"""What agent.toml may say already and shipway does not do yet: one table, refused line by line.

In: the document. Out: a `not-yet` finding for every key that would otherwise be ignored in silence. Who
implements one of them deletes its line.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from shipway.spec.keys import OVERLAY
from shipway.spec.merge import whole
from shipway.spec.words import dotted

if TYPE_CHECKING:
    from collections.abc import Iterator

    from shipway.errors import Finding
    from shipway.spec.document import Document
    from shipway.spec.positions import Path


@dataclass(frozen=True, slots=True)
class Pending:
    """Keys that match `pattern`, and say something. Of a table the first match says it all."""

    pattern: str
    missing: str
    """What the key asks for."""


PENDING = (Pending("notify", "notifications"),)


def pending(document: Document) -> list[Finding]:
    """One finding for each place of the document that asks for what is not there yet."""
    merged = whole(document)
    return [
        merged.finding("not-yet", path, _message(row, path), f"until then remove `{path[-1]}`")
        for path, row in _matches(document.data)
    ]


def _message(row: Pending, path: Path) -> str:
    return f"`{dotted(path)}` asks for {row.missing}, which shipway does not do yet"


def _matches(value: Any, path: Path = ()) -> Iterator[tuple[Path, Pending]]:
    row = next((row for row in PENDING if path and _fits(row, path) and value), None)
    if row:
        yield path, row
    elif isinstance(value, dict):
        for key, item in value.items():
            yield from _matches(item, (*path, key))


def _fits(row: Pending, path: Path) -> bool:
    """Whether a path is an instance of the row's pattern, in the file or in an environment's overlay."""
    pattern = row.pattern.split(".")
    here = path[2:] if path[0] == "env" and len(path) > 2 and path[2] in OVERLAY else path
    return len(pattern) == len(here) and all(p in ("*", part) for p, part in zip(pattern, here, strict=True))
