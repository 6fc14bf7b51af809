"""How each deployment's rollout stands, and what people order it to do.

In: snapshots of its controller; orders of people, by their tokens. Out: what is known, for the page and the
terminal; the orders, for the controller. Control itself moves no rollout: it passes on.
"""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, get_args

from shipway.control import deployments
from shipway.control.http.answers import Refused
from shipway.control.http.bodies import parse, reason_of
from shipway.rollout_snapshot import AWAY_S, DECIDED, Known, Order, Snapshot, What
from shipway_runtime import contract
from shipway_runtime.contract import ContractError

if TYPE_CHECKING:
    from shipway.control.deployments import Deployment
    from shipway.control.store.database import Transaction

WHATS: tuple[What, ...] = get_args(What)
_AT_ONCE = 100  # orders of an answer
_TEXT = 256  # characters of a revision

_KEEP = """
INSERT INTO main.rollout (deployment, snapshot, seen) VALUES (:deployment, :snapshot, :seen)
ON CONFLICT (deployment) DO UPDATE SET snapshot = excluded.snapshot, seen = excluded.seen
"""
_FIND = "SELECT snapshot, seen FROM main.rollout WHERE deployment = :deployment"
_ORDER = """
INSERT INTO main.rollout_order (deployment, canary, begun, what, ordered_by, reason, at)
VALUES (:deployment, :canary, :begun, :what, :ordered_by, :reason, :at)
"""
_ORDERS = """
SELECT id, what, ordered_by, reason, at, canary, begun FROM main.rollout_order
WHERE deployment = :deployment AND id > :after ORDER BY id LIMIT :limit
"""
_NEWEST = "SELECT max(id) FROM main.rollout_order WHERE deployment = :deployment"


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a request orders; `canary` where it says which rollout it means."""

    what: What
    reason: str
    canary: str | None


def read(body: bytes) -> Snapshot:
    """The snapshot of a request. Raises Refused."""
    parse(body)
    try:
        snapshot = contract.decode(Snapshot, body, "rollout")
    except ContractError as error:
        raise Refused(422, "no_rollout", str(error)[:500]) from None
    if not 0 <= snapshot.step < len(snapshot.steps):
        raise Refused(422, "no_rollout", f"rollout: step: there is no step {snapshot.step} in `steps`")
    for name in (snapshot.canary.revision, snapshot.stable.revision):
        if not (0 < len(name) <= _TEXT and name.isprintable()):
            raise Refused(422, "no_rollout", f"revisions: expected 1 to {_TEXT} printable characters")
    return snapshot


def keep(transaction: Transaction, deployment: Deployment, snapshot: Snapshot, at: float) -> None:
    """How it stands now; what was said before is forgotten."""
    number = deployments.keep(transaction, deployment, at)
    text = json.dumps(dataclasses.asdict(snapshot))
    transaction.change(_KEEP, deployment=number, snapshot=text, seen=at)


def known(transaction: Transaction, deployment: Deployment, now: float) -> Known:
    """What is known of the rollout that goes on, or of the last one."""
    number = deployments.find(transaction, deployment)
    rows = transaction.rows(_FIND, deployment=number) if number is not None else []
    if not rows:
        return Known()
    try:
        snapshot, seen = contract.decode(Snapshot, rows[0][0], "rollout"), float(rows[0][1])
    except ContractError as error:  # beside a newer control, of the same database
        raise Refused(409, "newer", f"a newer shipway tells of this rollout: {str(error)[:300]}") from None
    unheard = () if snapshot.ended else orders(transaction, deployment, snapshot.heard)
    return Known(
        rollout=snapshot,
        seen=seen,
        away=not snapshot.ended and now - seen > AWAY_S,
        orders=tuple(order for order in unheard if _is_for(order, snapshot)),
    )


def read_order(data: dict[str, Any]) -> Wanted:
    """The order of a request. Raises Refused."""
    if unknown := sorted(set(data) - {"what", "reason", "canary"}):
        raise Refused(
            422, "no_order", f"{unknown[0][:80]!r} is no key here; expected `what`, `reason` and `canary`"
        )
    what, canary = data.get("what"), data.get("canary")
    if what not in WHATS:
        raise Refused(422, "no_order", f"what: expected one of {', '.join(WHATS)}; saw {str(what)[:80]!r}")
    if canary is not None and not isinstance(canary, str):
        raise Refused(422, "no_order", "canary: expected the revision whose rollout is meant, or nothing")
    return Wanted(what, reason_of(data, "no_order"), canary)


def order(transaction: Transaction, deployment: Deployment, wanted: Wanted, by: str, at: float) -> Order:
    """Keep an order until the controller hears it. Raises Refused where no rollout goes on."""
    snapshot = known(transaction, deployment, at).rollout
    if snapshot is None or snapshot.phase in DECIDED:
        said = "none was told of" if snapshot is None else f"{snapshot.canary.revision} is {snapshot.phase}"
        raise Refused(409, "no_rollout", f"no rollout goes on that could be told to {wanted.what}: {said}")
    canary = snapshot.canary.revision
    if wanted.canary not in (None, canary):
        raise Refused(409, "another_rollout", f"the rollout that goes on is that of {canary}; look again")
    number = deployments.keep(transaction, deployment, at)
    values = {"what": wanted.what, "ordered_by": by, "reason": wanted.reason, "at": at}
    transaction.change(_ORDER, deployment=number, canary=canary, begun=snapshot.begun, **values)
    newest = _newest(transaction, number)
    return Order(newest, wanted.what, by, wanted.reason, at, canary, snapshot.begun)


def orders(transaction: Transaction, deployment: Deployment, after: float) -> tuple[Order, ...]:
    """Orders with a higher number, oldest first. Who has heard more than there are had another database:
    he gets all of them."""
    number = deployments.find(transaction, deployment)
    if number is None:
        return ()
    after = int(after) if 0 <= after <= _newest(transaction, number) else 0
    rows = transaction.rows(_ORDERS, deployment=number, after=after, limit=_AT_ONCE)
    return tuple(Order(*row) for row in rows)


def _newest(transaction: Transaction, deployment: int) -> int:
    """The number of the newest order; 0 where there is none."""
    return transaction.rows(_NEWEST, deployment=deployment)[0][0] or 0


def _is_for(order: Order, snapshot: Snapshot) -> bool:
    return (order.canary, order.begun) == (snapshot.canary.revision, snapshot.begun)
