"""Gates by request: begun, told another share, ended; and what each says.

In: a deployment, the canary's revision, a plan. Out: gates with their judgements; Refused where there is
none, or the plan is another one. A gate is rows: a plan, and events with who caused them; what judges is put
together from them (judging.py), and goes on from where it is.
"""

from __future__ import annotations

import contextlib
import json
import threading
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

from shipway.control import deployments, fleet, replicas
from shipway.control.deployments import Deployment
from shipway.control.gates import judging
from shipway.control.gates.judging import Judging
from shipway.control.http.answers import Refused
from shipway.gate import GatePlan
from shipway.gate.forecast import Step, forecast

if TYPE_CHECKING:
    from shipway.control.store.database import Database, Transaction

HISTORY = 20_000  # outcomes of before a gate that are looked at: what its references are made of

_FIND = """
SELECT canary, plan, share, since, begun, begins, ended, found FROM main.gate
WHERE deployment = :deployment AND canary = :canary
"""
_ALL = """
SELECT canary, plan, share, since, begun, begins, ended, found FROM main.gate
WHERE deployment = :deployment AND since < :before ORDER BY since DESC LIMIT :limit
"""
_RUNNING = """
SELECT deployment.id, name, environment, canary, plan, share, gate.since, begun, begins, ended, found
FROM main.gate AS gate JOIN main.deployment AS deployment ON deployment.id = gate.deployment
WHERE ended IS NULL
"""
_BEGIN = """
INSERT INTO main.gate (deployment, canary, plan, share, since, begun, begins)
VALUES (:deployment, :canary, :plan, :share, :since, :begun, :begins)
ON CONFLICT (deployment, canary) DO UPDATE
SET plan = excluded.plan, share = excluded.share, since = excluded.since, begun = excluded.begun,
    begins = excluded.begins, ended = NULL, found = NULL
"""
_SHARE = "UPDATE main.gate SET share = :share WHERE deployment = :deployment AND canary = :canary"
_FIRST = "SELECT min(id) FROM main.outcome WHERE deployment = :deployment AND finished >= :since"
_BEGINS = """
SELECT id FROM main.outcome WHERE deployment = :deployment AND id < :first
ORDER BY id DESC LIMIT 1 OFFSET :history
"""
_NEWEST = "SELECT max(id) FROM main.outcome"
_END = """
UPDATE main.gate SET ended = :at, found = :found WHERE deployment = :deployment AND canary = :canary
"""
_HAPPEN = """
INSERT INTO main.gate_event (deployment, canary, after, kind, document, changed_by, at)
VALUES (:deployment, :canary, :after, :kind, :document, :changed_by, :at)
"""
_FORGET = "DELETE FROM main.gate_event WHERE deployment = :deployment AND canary = :canary"
_CHANGES = """
SELECT kind, document, changed_by, at FROM main.gate_event
WHERE deployment = :deployment AND canary = :canary AND kind NOT IN ('pairs', 'runs')
ORDER BY id DESC LIMIT 100
"""


@dataclass(frozen=True, slots=True)
class Kept:
    """A gate as its row has it; `found` is what it said when it ended."""

    canary: str
    plan: GatePlan
    share: float | None
    since: float
    begun: float
    begins: int
    ended: float | None
    found: dict[str, Any] | None

    def document(self) -> dict[str, Any]:
        plan = self.plan
        return {
            "canary": self.canary,
            "stable": plan.stable,
            "share": self.share,
            "alpha": plan.alpha,
            "metrics": {name: {"margin": plan.margin(name)} for name in plan.metrics},
            "judges": {name: asdict(judge) for name, judge in plan.judges.items()},
            "idle_s": plan.idle_s,
            "since": self.since,
            "ended": self.ended,
        }

    def forecast(self, pace: float) -> str | None:
        """What this share of so many new conversations an hour will show, in words."""
        if not pace or self.share is None or not 0 < self.share < 1:
            return None
        return forecast(self.plan, [Step(self.share)], pace).words


class Gates:
    """The gates of a database, as this process puts them together."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._judging: dict[tuple[int, str], tuple[float, Judging]] = {}
        self._lock = threading.Lock()
        self.evidence: dict[tuple[Deployment, str], float] = {}
        """Of the gates that run: the evidence of harm as a part of the threshold, when last looked at."""

    def show(self, deployment: Deployment, canary: str, now: float) -> dict[str, Any]:
        """One gate, with what it says, the evidence over time, and what is to be expected. Raises Refused."""
        with self._database.read() as transaction:
            number, kept = find(transaction, deployment, canary)
            rows = transaction.rows(_CHANGES, deployment=number, canary=canary)
            pace = fleet.pace(transaction, number, now)
        keys = ("kind", "document", "by", "at")
        changes = [
            dict(zip(keys, (kind, json.loads(text), by, at), strict=True)) for kind, text, by, at in rows
        ]
        told = {"changes": changes, "forecast": None if kept.ended else kept.forecast(pace)}
        return kept.document() | self.found(number, kept) | told

    def judge(self, deployment: Deployment, canary: str) -> dict[str, Any]:
        """What a gate says now. Raises Refused."""
        with self._database.read() as transaction:
            number, kept = find(transaction, deployment, canary)
        judgement: dict[str, Any] = self.found(number, kept)["judgement"]
        return judgement

    def all_of(self, deployment: Deployment, limit: int, before: float) -> list[dict[str, Any]]:
        """Every gate of a deployment with what it says, newest first."""
        with self._database.read() as transaction:
            number = deployments.find(transaction, deployment)
            rows = transaction.rows(_ALL, deployment=number or 0, limit=limit, before=before)
        gates = [_kept(*row) for row in rows]
        return [kept.document() | {"judgement": self.found(number or 0, kept)["judgement"]} for kept in gates]

    def found(self, deployment: int, kept: Kept) -> dict[str, Any]:
        """What a gate says: `judgement` and `points`."""
        if kept.found is not None:
            return kept.found
        judgement, points = self._judge(deployment, kept).look(self._database)
        return {"judgement": judging.document(judgement), "points": judging.points(points)}

    def end(self, deployment: Deployment, canary: str, by: str, at: float) -> None:
        """Stop judging; what was found stays. Raises Refused."""
        with self._database.read() as transaction:
            number, kept = find(transaction, deployment, canary)
        if kept.ended is not None:
            return
        found = json.dumps(self.found(number, kept))
        with self._database.write() as transaction:
            transaction.change(_END, deployment=number, canary=canary, at=at, found=found)
            happen(transaction, number, canary, "end", None, by, at)
        with self._lock:
            self._judging.pop((number, canary), None)

    def end_left(self, now: float) -> None:
        """Stop judging where there is nothing to compare any more: replicas of the deployment report, and for
        an hour none was of the canary, or none of stable. Evals alone need no replicas."""
        for number, deployment, kept in self._running():
            if kept.plan.metrics.keys() == {"evals"} or now - kept.begun < replicas.FORGOTTEN_S:
                continue
            with self._database.read() as transaction:
                there = replicas.revisions(transaction, number)
            if there and not there >= {kept.canary, kept.plan.stable}:
                self.end(deployment, kept.canary, "control", now)

    def look(self) -> None:
        """Let each gate that runs see what is new."""
        found = {}
        for number, deployment, kept in self._running():
            with contextlib.suppress(Refused):  # somebody else looks at it now
                judgement, _ = self._judge(number, kept).look(self._database)
                found[deployment, kept.canary] = judgement.evidence / judgement.threshold
        self.evidence = found

    def _running(self) -> list[tuple[int, Deployment, Kept]]:
        with self._database.read() as transaction:
            rows = transaction.rows(_RUNNING)
        return [(row[0], Deployment(row[1], row[2]), _kept(*row[3:])) for row in rows]

    def _judge(self, deployment: int, kept: Kept) -> Judging:
        """What judges it; made anew when the gate has begun anew."""
        key = (deployment, kept.canary)
        with self._lock:
            known = self._judging.get(key)
            if known is None or known[0] != kept.begun:
                known = self._judging[key] = kept.begun, Judging(deployment, kept.plan, kept.begins)
            return known[1]


def find(transaction: Transaction, deployment: Deployment, canary: str) -> tuple[int, Kept]:
    """The deployment's number, and the gate. Raises Refused."""
    number = deployments.find(transaction, deployment)
    rows = transaction.rows(_FIND, deployment=number, canary=canary) if number is not None else []
    if number is None or not rows:
        where = f"{deployment.name}, {deployment.environment}"
        raise Refused(404, "no_gate", f"no gate judges {canary[:80]!r} of {where}")
    return number, _kept(*rows[0])


def running(transaction: Transaction, deployment: int, canary: str) -> Kept | None:
    """The gate that judges this revision now, if one does."""
    rows = transaction.rows(_FIND, deployment=deployment, canary=canary)
    return _kept(*rows[0]) if rows and rows[0][6] is None else None


def put(transaction: Transaction, deployment: Deployment, plan: GatePlan, by: str, at: float) -> None:
    """Begin to judge, or tell a gate that runs another share. Raises Refused where more than that changes."""
    number = deployments.keep(transaction, deployment, at)
    known = running(transaction, number, plan.canary)
    if known is None:
        _begin(transaction, number, plan, by, at)
        return
    if replace(plan, share=known.plan.share, since=known.plan.since) != known.plan:
        message = f"{plan.canary} is being judged already, by another plan. The share alone may change"
        raise Refused(409, "gate_runs", f"{message}: evidence that was seen cannot be weighed anew")
    if known.share != plan.share:
        transaction.change(_SHARE, share=plan.share, deployment=number, canary=plan.canary)
        happen(transaction, number, plan.canary, "share", plan.share, by, at)


def _begin(transaction: Transaction, deployment: int, plan: GatePlan, by: str, at: float) -> None:
    first = transaction.rows(_FIRST, deployment=deployment, since=plan.since)[0][0]
    before = transaction.rows(_BEGINS, deployment=deployment, first=first or 2**62, history=HISTORY)
    transaction.change(_FORGET, deployment=deployment, canary=plan.canary)
    transaction.change(
        _BEGIN,
        deployment=deployment,
        canary=plan.canary,
        plan=judging.encode(plan),
        share=plan.share,
        since=plan.since,
        begun=at,
        begins=before[0][0] if before else 0,
    )
    happen(transaction, deployment, plan.canary, "begin", plan.share, by, at)


def happen(
    transaction: Transaction, deployment: int, canary: str, kind: str, document: Any, by: str, at: float
) -> None:
    """Write down what happens to a gate, after all outcomes that have come so far."""
    newest = transaction.rows(_NEWEST)[0][0] or 0
    values = {"deployment": deployment, "canary": canary, "after": newest, "kind": kind}
    transaction.change(_HAPPEN, **values, document=json.dumps(document), changed_by=by, at=at)


def _kept(
    canary: str,
    plan: str,
    share: float | None,
    since: float,
    begun: float,
    begins: int,
    ended: float | None,
    found: str | None,
) -> Kept:
    told = json.loads(found) if found else None
    return Kept(canary, judging.decode(plan), share, since, begun, begins, ended, told)
