"""Runs of evals, as `shipway eval` reports them; and the gates that they are evidence for.

In: a run's JSON. Out: runs, newest first; one with its cases. A run of a canary and one of its stable
revision by the same suite are compared case by case: each run is used once, since the chance that was in it
is in it each time.
"""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Any

from shipway.control import deployments
from shipway.control.gates import gates
from shipway.control.http.answers import Refused

if TYPE_CHECKING:
    from collections.abc import Mapping

    from shipway.control.deployments import Deployment
    from shipway.control.store.database import Transaction

BODY_LIMIT = 20_000_000  # bytes of a run; answers of the agent are in it
_TEXT = 256  # characters of a name

Run = tuple[dict[str, Any], list[dict[str, Any]]]
"""A run without its results, and these."""

_KEEP = """
INSERT INTO main.eval (digest, deployment, revision, source, at, run, results)
VALUES (:digest, :deployment, :revision, :source, :at, :run, :results)
"""
_FIND = "SELECT id FROM main.eval WHERE digest = :digest"
_ALL = """
SELECT id, at, run FROM main.eval
WHERE deployment = :deployment AND id < :before AND (:revision = '' OR revision = :revision)
ORDER BY id DESC LIMIT :limit
"""
_ONE = "SELECT id, at, run, results FROM main.eval WHERE deployment = :deployment AND id = :id"
_GATES = "SELECT canary, plan FROM main.gate WHERE deployment = :deployment AND ended IS NULL"
_USED = """
SELECT document FROM main.gate_event WHERE deployment = :deployment AND canary = :canary AND kind = 'runs'
"""
_OTHERS = """
SELECT id, results FROM main.eval
WHERE deployment = :deployment AND revision = :revision AND source = :source ORDER BY id DESC LIMIT 20
"""


def read(data: Mapping[str, Any]) -> Run:
    """A run without its results, and these. Raises Refused."""
    results = data.get("results")
    if not isinstance(results, list) or not all(isinstance(one, dict) for one in results):
        raise Refused(422, "no_run", "expected a run as `shipway eval --json` prints it, with `results`")
    for key in ("revision", "source"):
        value = data.get(key)
        if value is not None and not (isinstance(value, str) and len(value) <= _TEXT and value.isprintable()):
            raise Refused(422, "no_run", f"{key}: expected at most {_TEXT} printable characters")
    return {key: value for key, value in data.items() if key not in ("results", "id", "at")}, results


def keep(transaction: Transaction, deployment: Deployment, read: Run, by: str, at: float) -> int:
    """Keep a run, once, and give it to the gates that it is evidence for; returns its id."""
    run, results = read
    number = deployments.keep(transaction, deployment, at)
    digest = hashlib.sha256(f"{number} {json.dumps([run, results], sort_keys=True)}".encode()).hexdigest()
    if known := transaction.rows(_FIND, digest=digest):
        return int(known[0][0])
    revision, source = run.get("revision"), run.get("source") or ""
    texts = {"run": json.dumps(run), "results": json.dumps(results)}
    values = {"digest": digest, "deployment": number, "revision": revision, "source": source, "at": at}
    transaction.change(_KEEP, **values, **texts)
    identity = int(transaction.rows(_FIND, digest=digest)[0][0])
    if revision:
        _tell(transaction, number, revision, source, (identity, results), by, at)
    return identity


def _tell(
    transaction: Transaction,
    deployment: int,
    revision: str,
    source: str,
    run: tuple[int, list[dict[str, Any]]],
    by: str,
    at: float,
) -> None:
    """Give a run to the gates of its revision, with one of the other arm that was not used yet."""
    for canary, plan in transaction.rows(_GATES, deployment=deployment):
        stable = json.loads(plan)["stable"]
        if revision not in (canary, stable):
            continue
        used = {
            number
            for row in transaction.rows(_USED, deployment=deployment, canary=canary)
            for number in json.loads(row[0])
        }
        other = stable if revision == canary else canary
        values = {"deployment": deployment, "revision": other, "source": source}
        found = next((row for row in transaction.rows(_OTHERS, **values) if row[0] not in used), None)
        if found is None:
            continue
        arms = (json.loads(found[1]), run[1]) if revision == canary else (run[1], json.loads(found[1]))
        gates.happen(transaction, deployment, canary, "runs", [found[0], run[0]], by, at)
        gates.happen(transaction, deployment, canary, "pairs", pairs(*arms), by, at)


def pairs(stable: list[dict[str, Any]], canary: list[dict[str, Any]]) -> list[list[float]]:
    """The scores of cases that both have one for, in an order that has nothing to do with them."""
    before, after = _scores(stable), _scores(canary)
    cases = sorted(before.keys() & after.keys(), key=lambda case: hashlib.sha256(case.encode()).digest())
    return [[before[case], after[case]] for case in cases]


def _scores(results: list[dict[str, Any]]) -> dict[str, float]:
    found = {}
    for result in results:
        case, score = result.get("id"), result.get("score")
        if isinstance(case, str) and isinstance(score, (int, float)) and 0 <= score <= 1:
            found[case.encode("utf-8", "replace").decode()] = float(score)
    return found


def all_of(
    transaction: Transaction, deployment: Deployment, revision: str, limit: int, before: float
) -> list[dict[str, Any]]:
    """Runs without their cases, newest first; of one revision, or of all where it is empty."""
    number = deployments.find(transaction, deployment) or 0
    values = {"deployment": number, "revision": revision, "limit": limit, "before": int(before)}
    rows = transaction.rows(_ALL, **values)
    return [{"id": identity, "at": at} | json.loads(run) for identity, at, run in rows]


def one_of(transaction: Transaction, deployment: Deployment, identity: str) -> dict[str, Any]:
    """A run with its cases. Raises Refused."""
    number = deployments.find(transaction, deployment)
    known = identity.isascii() and identity.isdecimal() and len(identity) < 16
    rows = transaction.rows(_ONE, deployment=number or 0, id=int(identity)) if known else []
    if not rows:
        raise Refused(404, "no_run", f"there is no run {identity[:40]!r} of this deployment")
    [(found, at, run, results)] = rows
    return {"id": found, "at": at, **json.loads(run), "results": json.loads(results)}
