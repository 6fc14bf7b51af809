"""What there is: deployments, their revisions, and how these fare.

In: a deployment. Out: documents, as the page and people read them.
"""

from __future__ import annotations

import json
from collections import Counter
from typing import TYPE_CHECKING, Any

from shipway.control import deployments, replicas
from shipway.control.outcomes import latency, tally

if TYPE_CHECKING:
    from shipway.control.deployments import Deployment
    from shipway.control.store.database import Transaction

_DEPLOYMENTS = "SELECT id, name, environment FROM main.deployment ORDER BY name, environment"
_REVISIONS = """
SELECT revision, release, first_seen FROM main.revision WHERE deployment = :deployment
ORDER BY first_seen DESC, revision LIMIT :limit
"""
_SUMS = f"""
SELECT {", ".join(tally.COLUMNS)}, latency FROM main.tally
WHERE deployment = :deployment AND revision = :revision
"""  # noqa: S608 - names of columns
_PACE = """
SELECT min(hour), sum(conversations) FROM main.tally WHERE deployment = :deployment AND hour >= :since
"""
_LATELY = """
SELECT revision, sum(turns) FROM main.tally WHERE deployment = :deployment AND hour >= :since
GROUP BY revision
"""
_REVISION_LIMIT = 50


def all_of(transaction: Transaction, now: float) -> list[dict[str, Any]]:
    """Every deployment, in a few figures."""
    return [_brief(transaction, now, *row) for row in transaction.rows(_DEPLOYMENTS)]


def _brief(transaction: Transaction, now: float, number: int, name: str, environment: str) -> dict[str, Any]:
    there = [replica for replica in replicas.find(transaction, number, now) if not replica["away"]]
    return {
        "name": name,
        "environment": environment,
        "revisions": sorted({replica["revision"] for replica in there}),
        "replicas": len(there),
        "ready": sum(replica["ready"] for replica in there),
    }


def show(transaction: Transaction, deployment: Deployment, now: float) -> dict[str, Any]:
    """The revisions of a deployment, newest first, each with its replicas and what its turns came to."""
    number = deployments.find(transaction, deployment)
    if number is None:
        return {"revisions": []}
    there = replicas.find(transaction, number, now)
    rows = transaction.rows(_REVISIONS, deployment=number, limit=_REVISION_LIMIT)
    return {
        "revisions": [
            {
                "revision": revision,
                "release": json.loads(release) if release else None,
                "first_seen": first_seen,
                "replicas": [replica for replica in there if replica["revision"] == revision],
                **_sums(transaction, number, revision),
            }
            for revision, release, first_seen in rows
        ]
    }


def pace(transaction: Transaction, deployment: int, now: float) -> float:
    """New conversations in an hour, over the last day or what there is of it."""
    hour = int(now // 3600)
    [(first, count)] = transaction.rows(_PACE, deployment=deployment, since=hour - 24)
    return float(count / (hour - first + 1)) if count else 0.0


def serving(transaction: Transaction, deployment: int, besides: str, now: float) -> str | None:
    """The revision that serves now: the one with most replicas that are ready; of several, or where nothing
    reports its readiness, the one with most turns in the last hour or two. `besides` is none."""
    rows = transaction.rows(_LATELY, deployment=deployment, since=int(now // 3600) - 1)
    turns: dict[str, int] = {revision: int(count) for revision, count in rows}
    there = replicas.find(transaction, deployment, now)
    ready = Counter(one["revision"] for one in there if one["ready"] and not one["away"])
    found = (turns.keys() | ready.keys()) - {besides}
    return max(found, key=lambda name: (ready[name], turns.get(name, 0), name), default=None)


def _sums(transaction: Transaction, deployment: int, revision: str) -> dict[str, Any]:
    amounts: dict[str, float] = dict.fromkeys(tally.COLUMNS, 0)
    latencies: Counter[str] = Counter()
    for row in transaction.rows(_SUMS, deployment=deployment, revision=revision):
        for column, value in zip(tally.COLUMNS, row, strict=False):
            amounts[column] += value
        latencies += latency.read(row[-1])
    slow = {f"p{part}": latency.quantile(latencies, part / 100) for part in (50, 95)}
    return {**amounts, "latency_s": slow}
