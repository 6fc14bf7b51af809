"""Replicas: what each process of a deployment says of itself, and when it last did.

In: ReplicaReports. Out: the replicas, with those that have fallen silent as away.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from shipway.control import deployments
from shipway.control.http.answers import Refused
from shipway.control.http.bodies import parse
from shipway_runtime import contract
from shipway_runtime.contract import ContractError, ReplicaReport

if TYPE_CHECKING:
    from shipway.control.deployments import Deployment
    from shipway.control.store.database import Transaction

AWAY_S = 3 * contract.REPORT_EVERY_S
FORGOTTEN_S = 3600.0  # since it was last heard of
_TEXT = 256  # characters of a name

_KEEP = """
INSERT INTO main.replica (deployment, replica, revision, report, seen)
VALUES (:deployment, :replica, :revision, :report, :seen)
ON CONFLICT (deployment, replica) DO UPDATE
SET revision = excluded.revision, report = excluded.report, seen = excluded.seen
"""
_ALL = "SELECT report, seen FROM main.replica WHERE deployment = :deployment ORDER BY replica"
_REVISIONS = "SELECT DISTINCT revision FROM main.replica WHERE deployment = :deployment"
_FORGET = "DELETE FROM main.replica WHERE seen < :before"


def read(body: bytes) -> ReplicaReport:
    """The report of a request. Raises Refused."""
    parse(body)
    try:
        report = contract.decode(ReplicaReport, body, "report")
    except ContractError as error:
        raise Refused(422, "no_report", str(error)[:500]) from None
    for name in (report.replica, report.revision):
        if not (0 < len(name) <= _TEXT and name.isprintable()):
            raise Refused(
                422, "no_report", f"replica and revision: expected 1 to {_TEXT} printable characters"
            )
    return report


def keep(transaction: Transaction, deployment: Deployment, report: ReplicaReport, at: float) -> None:
    """What a replica says now replaces what it said before."""
    number = deployments.keep(transaction, deployment, at)
    deployments.see(transaction, number, report.revision, at)
    transaction.change(
        _KEEP,
        deployment=number,
        replica=report.replica,
        revision=report.revision,
        report=json.dumps(json.loads(contract.encode(report))),
        seen=at,
    )


def find(transaction: Transaction, deployment: int, now: float) -> list[dict[str, Any]]:
    """What each replica said last, `seen` when, and whether it is `away`."""
    return [
        json.loads(report) | {"seen": seen, "away": now - seen > AWAY_S}
        for report, seen in transaction.rows(_ALL, deployment=deployment)
    ]


def revisions(transaction: Transaction, deployment: int) -> set[str]:
    """Of the replicas that were heard of within FORGOTTEN_S, and somewhat longer."""
    return {row[0] for row in transaction.rows(_REVISIONS, deployment=deployment)}


def forget(transaction: Transaction, now: float) -> int:
    """Take away those that have been silent for long; returns how many."""
    return transaction.change(_FORGET, before=now - FORGOTTEN_S)
