"""The last round: when it ended, and what it could not do.

In and out: a file in memory, so that a disk that is full can still be told of.
"""

from __future__ import annotations

import contextlib
import tempfile
from dataclasses import dataclass
from pathlib import Path

from shipway_runtime import contract
from shipway_runtime.contract import ContractError


@dataclass(frozen=True, slots=True)
class Beat:
    """`at` is in seconds since the epoch; None before the first round."""

    at: float | None = None
    trouble: tuple[str, ...] = ()


def write(project: str, beat: Beat) -> None:
    """Leave it for whoever asks for the status."""
    file = _file(project)
    unfinished = file.with_suffix(".new")
    with contextlib.suppress(OSError):
        unfinished.write_text(contract.encode(beat), encoding="utf-8")
        unfinished.rename(file)


def read(project: str) -> Beat:
    """The last one."""
    try:
        return contract.decode(Beat, _file(project).read_text(encoding="utf-8"), "the last round")
    except (OSError, ContractError):
        return Beat()


def _file(project: str) -> Path:
    return Path(tempfile.gettempdir()) / f"shipway-{project}.json"
