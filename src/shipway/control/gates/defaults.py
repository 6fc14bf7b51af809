"""What a request leaves open of a gate's plan, as control knows it.

In: a request's body. Out: the same with `stable` (where that is null: what serves now) and `judges` (where
they are missing: as the newest run of evals has calibrated its judge). A gate that runs keeps what it has,
its idle time too, so that the same request can come again. Raises Refused where nothing can be said.
"""

from __future__ import annotations

import dataclasses
import json
from typing import TYPE_CHECKING, Any

from shipway.control import deployments, fleet
from shipway.control.gates import gates
from shipway.control.http.answers import Refused

if TYPE_CHECKING:
    from collections.abc import Mapping

    from shipway.control.deployments import Deployment
    from shipway.control.store.database import Transaction

JUDGE = "judge"  # who gave a mark, in a run's results
_RUNS = "SELECT id, run FROM main.eval WHERE deployment = :deployment ORDER BY id DESC LIMIT 20"
_RESULTS = "SELECT results FROM main.eval WHERE id = :id"


def complete(
    transaction: Transaction, deployment: Deployment, canary: str, data: Mapping[str, Any], at: float
) -> dict[str, Any]:
    """The body, with what it leaves open."""
    number = deployments.find(transaction, deployment) or 0
    running = gates.running(transaction, number, canary)
    filled = dict(data)
    if data.get("stable", "") is None:
        filled["stable"] = running.plan.stable if running else _serving(transaction, number, canary, at)
    if running:
        judges = {name: dataclasses.asdict(one) for name, one in running.plan.judges.items()}
        return {"judges": judges, "idle_s": running.plan.idle_s} | filled
    if "judges" not in data and "evals" in _names(data):
        filled["judges"] = _calibrated(transaction, number)
    return filled


def _names(data: Mapping[str, Any]) -> tuple[Any, ...]:
    metrics = data.get("metrics")
    return tuple(metrics) if isinstance(metrics, dict) else ()


def _serving(transaction: Transaction, deployment: int, canary: str, at: float) -> str:
    found = fleet.serving(transaction, deployment, canary, at)
    if found is None:
        message = "stable: null means what serves now, and control has heard of nothing"
        raise Refused(409, "no_stable", f"{message} but {canary[:80]} lately; name the stable revision")
    return found


def _calibrated(transaction: Transaction, deployment: int) -> dict[str, Any]:
    """The judge of the newest run that says how well it agrees with people, as far as the suite is judged:
    other cases are measured without error."""
    for identity, run in transaction.rows(_RUNS, deployment=deployment):
        if known := _known(json.loads(run).get("judge")):
            share = _judged(json.loads(transaction.rows(_RESULTS, id=identity)[0][0]))
            return {"evals": {key: 1 - share * (1 - value) for key, value in known.items()}}
    return {}


def _known(judge: Any) -> dict[str, float]:
    """How well a judge agrees with people; empty where nobody has looked."""
    said = judge if isinstance(judge, dict) else {}
    found = {key: said.get(key) for key in ("sensitivity", "specificity")}
    known = {key: float(value) for key, value in found.items() if isinstance(value, (int, float))}
    return known if len(known) == len(found) and all(0 <= value <= 1 for value in known.values()) else {}


def _judged(results: list[dict[str, Any]]) -> float:
    """The share of the cases that a judge has marked."""
    return sum(JUDGE in _markers(one) for one in results) / len(results) if results else 0.0


def _markers(result: dict[str, Any]) -> list[Any]:
    marks = result.get("marks")
    return [mark.get("by") for mark in marks if isinstance(mark, dict)] if isinstance(marks, list) else []
