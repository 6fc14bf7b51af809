"""What outcomes come to, summed up by revision and hour: it stays when outcomes are pruned.

In: outcomes that are new. Out: rows of sums, to which they are added.
"""

from __future__ import annotations

import json
from collections import Counter
from typing import TYPE_CHECKING, Any

from shipway.control.outcomes import latency

if TYPE_CHECKING:
    from collections.abc import Sequence

    from shipway.control.store.database import Transaction
    from shipway_runtime.contract import Outcome

COLUMNS = (
    *("conversations", "turns", "errors", "denied", "cancelled"),
    *("input", "output", "cost", "tool_calls", "tool_errors"),
)
_TALLIED = f"""
SELECT {", ".join(COLUMNS)}, latency FROM main.tally
WHERE deployment = :deployment AND revision = :revision AND hour = :hour
"""  # noqa: S608 - names of columns
_TALLY = f"""
INSERT INTO main.tally (deployment, revision, hour, {", ".join(COLUMNS)}, latency)
VALUES (:deployment, :revision, :hour, {", ".join(f":{column}" for column in COLUMNS)}, :latency)
ON CONFLICT (deployment, revision, hour) DO UPDATE
SET {", ".join(f"{column} = excluded.{column}" for column in (*COLUMNS, "latency"))}
"""  # noqa: S608 - names of columns


def add(transaction: Transaction, deployment: int, outcomes: Sequence[Outcome]) -> None:
    """Add new outcomes to the sums of their revision and hour; they are not in their table yet."""
    names = list({outcome.conversation for outcome in outcomes})
    known = there(
        transaction,
        "revision || ' ' || coalesce(tenant, '') || ' ' || conversation",
        "deployment = :deployment AND conversation IN ({})",
        names,
        deployment=deployment,
    )
    sums: dict[tuple[str, int], tuple[Counter[str], Counter[str]]] = {}
    for outcome in outcomes:
        hour = int(outcome.finished // 3600)
        amounts, latencies = sums.setdefault((outcome.revision, hour), (Counter(), Counter()))
        place = f"{outcome.revision} {outcome.tenant or ''} {outcome.conversation}"
        _add(amounts, outcome, begins=place not in known)
        latencies[latency.bucket(outcome.latency_s)] += outcome.status == "ok"
        known.add(place)
    for (revision, hour), (amounts, latencies) in sums.items():
        _write(
            transaction, {"deployment": deployment, "revision": revision, "hour": hour}, amounts, latencies
        )


def _add(amounts: Counter[str], outcome: Outcome, *, begins: bool) -> None:
    amounts["conversations"] += begins
    amounts["turns"] += 1
    amounts["errors"] += outcome.status == "error"
    amounts["denied"] += outcome.status == "denied"
    amounts["cancelled"] += outcome.status == "cancelled"
    amounts["input"] += outcome.tokens.input
    amounts["output"] += outcome.tokens.output
    amounts["cost"] += outcome.cost or 0  # type: ignore[assignment]
    amounts["tool_calls"] += outcome.tool_calls
    amounts["tool_errors"] += outcome.tool_errors


def _write(
    transaction: Transaction, key: dict[str, Any], amounts: Counter[str], latencies: Counter[str]
) -> None:
    for row in transaction.rows(_TALLIED, **key):
        for column, value in zip(COLUMNS, row, strict=False):
            amounts[column] += value
        latencies += latency.read(row[-1])
    values: dict[str, Any] = {column: amounts[column] for column in COLUMNS}
    transaction.change(_TALLY, **key, **values, latency=json.dumps(latencies))


def there(transaction: Transaction, column: str, where: str, values: Sequence[str], **more: Any) -> set[str]:
    """The values of a column that rows have already."""
    found: set[str] = set()
    for start in range(0, len(values), 500):
        some = {f"v{number}": value for number, value in enumerate(values[start : start + 500])}
        marks = ", ".join(f":{name}" for name in some)
        statement = f"SELECT {column} FROM main.outcome WHERE {where.format(marks)}"  # noqa: S608
        found |= {row[0] for row in transaction.rows(statement, **some, **more)}
    return found
