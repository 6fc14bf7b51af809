"""Turns and errors of each revision by the minute, for the last two days: what a plot of errors is made of.

In: outcomes that are new. Out: sums of as many minutes each as fit into a plot.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

from shipway.control import deployments

if TYPE_CHECKING:
    from collections.abc import Sequence

    from shipway.control.deployments import Deployment
    from shipway.control.store.database import Transaction
    from shipway_runtime.contract import Outcome

KEPT_S = 2 * 86_400.0
SHOWN_S = 86_400.0  # where nobody says since when
_POINTS = 120
_STEPS = (1, 5, 15, 60)  # minutes of a point

_ADD = """
INSERT INTO main.minute (deployment, revision, minute, turns, errors)
VALUES (:deployment, :revision, :minute, :turns, :errors)
ON CONFLICT (deployment, revision, minute) DO UPDATE
SET turns = minute.turns + excluded.turns, errors = minute.errors + excluded.errors
"""
_SUMS = """
SELECT revision, minute / :step AS slot, sum(turns), sum(errors) FROM main.minute
WHERE deployment = :deployment AND minute >= :since GROUP BY revision, slot ORDER BY revision, slot
"""
_FORGET = "DELETE FROM main.minute WHERE minute < :before"


def add(transaction: Transaction, deployment: int, outcomes: Sequence[Outcome]) -> None:
    """Add new outcomes to their minutes."""
    turns: Counter[tuple[str, int]] = Counter()
    errors: Counter[tuple[str, int]] = Counter()
    for outcome in outcomes:
        key = outcome.revision, int(outcome.finished // 60)
        turns[key] += 1
        errors[key] += outcome.status == "error"
    transaction.change_each(
        _ADD,
        (
            {"deployment": deployment, "revision": revision, "minute": minute}
            | {"turns": count, "errors": errors[revision, minute]}
            for (revision, minute), count in turns.items()
        ),
    )


def show(transaction: Transaction, deployment: Deployment, since: float | None, now: float) -> dict[str, Any]:
    """Since then, or of the last day, two days at most: `every` so many seconds, `revisions` with `points`,
    each when it began, turns and errors. Where there are no turns there is no point."""
    begin = max(now - KEPT_S, min(since if since is not None else now - SHOWN_S, now))
    step = next((step for step in _STEPS if (now - begin) / 60 / step <= _POINTS), _STEPS[-1])
    number = deployments.find(transaction, deployment) or 0
    points: dict[str, list[list[float]]] = {}
    values = {"deployment": number, "since": int(begin // 60) // step * step, "step": step}
    for revision, slot, turns, errors in transaction.rows(_SUMS, **values):
        points.setdefault(revision, []).append([int(slot) * step * 60, int(turns), int(errors)])
    return {
        "every": step * 60,
        "revisions": [{"revision": name, "points": found} for name, found in points.items()],
    }


def forget(transaction: Transaction, now: float) -> int:
    """Take away what is too old; returns how many rows."""
    return transaction.change(_FORGET, before=int((now - KEPT_S) // 60))
