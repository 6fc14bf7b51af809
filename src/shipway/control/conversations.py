"""Conversations that failed: those with a turn that ended with an error, or that the live scorer thinks
little of; and what was said, where it was kept.

In: a deployment, and a revision if one is meant. Out: conversations, the one that failed last first, with
their turns.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from shipway.control import deployments, turns
from shipway.control.store.schema import FAILED

if TYPE_CHECKING:
    from shipway.control.deployments import Deployment
    from shipway.control.store.database import Transaction

LIMIT = 100  # conversations of one list
_TURNS = 200  # of one conversation

_FAILED = f"""
SELECT max(id) AS last, tenant, conversation FROM main.outcome
WHERE deployment = :deployment AND {FAILED} AND (:revision = '' OR revision = :revision)
GROUP BY tenant, conversation HAVING max(id) < :before ORDER BY last DESC LIMIT :limit
"""  # noqa: S608 - a condition
_COLUMNS = (
    *("turn", "revision", "status", "first_seen", "started", "finished", "latency_s", "cost"),
    *("tool_calls", "tool_errors", "score"),
)
_OUTCOMES = f"""
SELECT tenant, {", ".join(_COLUMNS)} FROM main.outcome
WHERE deployment = :deployment AND conversation = :conversation ORDER BY started, id LIMIT {_TURNS}
"""  # noqa: S608 - names of columns


def failed(
    transaction: Transaction, deployment: Deployment, revision: str, limit: int, before: float
) -> list[dict[str, Any]]:
    """The conversations that failed."""
    number = deployments.find(transaction, deployment)
    if number is None:
        return []
    values = {"deployment": number, "revision": revision, "limit": limit, "before": int(before)}
    return [_one(transaction, number, *row) for row in transaction.rows(_FAILED, **values)]


def _one(
    transaction: Transaction, deployment: int, identity: int, tenant: str | None, name: str
) -> dict[str, Any]:
    rows = transaction.rows(_OUTCOMES, deployment=deployment, conversation=name)
    said = {
        (text["revision"], text["turn"], text["started"]): text
        for text in turns.of(transaction, deployment, name, tenant)
    }
    found = [dict(zip(_COLUMNS, row[1:], strict=True)) for row in rows if row[0] == tenant]
    for turn in found:
        turn["text"] = said.get((turn["revision"], turn["turn"], turn["started"]))
    return {
        "id": identity,
        "conversation": name,
        "tenant": tenant,
        "revision": found[0]["revision"] if found else None,
        "first_seen": min((turn.pop("first_seen") for turn in found), default=None),
        "errors": sum(turn["status"] == "error" for turn in found),
        "turns": found,
    }
