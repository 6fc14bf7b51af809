"""A mark: what one check, the scorer or the judge gives an answer.

In: nothing; a value. `holds` is None where it could not be said: missing data, which is never a pass.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Mark:
    """`by` names what gave it, as in the suite; `reason` says why in a few words. `score` is in [0, 1]."""

    by: str
    holds: bool | None
    reason: str = ""
    score: float | None = None


def missing(by: str, reason: str) -> Mark:
    """No mark, and why."""
    return Mark(by, None, reason)
