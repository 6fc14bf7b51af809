"""The text of sampled turns, where callers let it be kept; and word of conversations that were deleted.

In: NDJSON, a turn's text a line, or a deletion, which has the key `deleted`. Out: rows; what was deleted is
gone, and does not come back with a line that was on its way.
"""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Any

from shipway.control import deployments
from shipway.control.answers import Refused, parse

if TYPE_CHECKING:
    from collections.abc import Sequence

    from shipway.control.deployments import Deployment
    from shipway.control.store.database import Transaction

BODY_LIMIT = 5_000_000  # bytes
MOST_LINES = 1_000  # of one request
_TEXT = 256  # characters of a name

_KEEP = """
INSERT INTO main.turn_text (identity, deployment, tenant, conversation, started, text)
VALUES (:identity, :deployment, :tenant, :conversation, :started, :text)
ON CONFLICT (identity) DO NOTHING
"""
_DELETED = """
SELECT deleted FROM main.deletion
WHERE deployment = :deployment AND tenant = :tenant AND conversation = :conversation
"""
_DELETE = """
DELETE FROM main.turn_text WHERE deployment = :deployment AND coalesce(tenant, '') = :tenant
AND conversation = :conversation AND started <= :deleted
"""
_REMEMBER = """
INSERT INTO main.deletion (deployment, tenant, conversation, deleted)
VALUES (:deployment, :tenant, :conversation, :deleted)
ON CONFLICT (deployment, tenant, conversation) DO UPDATE SET deleted = excluded.deleted
"""
_OF = (
    "SELECT tenant, text FROM main.turn_text WHERE deployment = :deployment AND conversation = :conversation"
)


def read(body: bytes) -> list[dict[str, Any]]:
    """The lines of a request. Raises Refused."""
    lines = [line for line in body.split(b"\n") if line.strip()]
    if len(lines) > MOST_LINES:
        raise Refused(413, "too_large", f"at most {MOST_LINES} lines at once; saw {len(lines)}")
    return [_line(line, number) for number, line in enumerate(lines, 1)]


def _line(line: bytes, number: int) -> dict[str, Any]:
    try:
        data = parse(line)
    except Refused as refused:
        raise Refused(422, "no_turn", f"line {number}: {refused.message}") from None
    if not isinstance(data, dict):
        raise Refused(422, "no_turn", f"line {number}: expected an object")
    names = ("conversation",) if "deleted" in data else ("conversation", "revision")
    times = ("deleted",) if "deleted" in data else ("started", "turn")
    for key in names:
        if not _is_name(data.get(key)):
            raise Refused(422, "no_turn", f"line {number}: {key}: expected 1 to {_TEXT} printable characters")
    for key in times:
        if not isinstance(data.get(key), (int, float)) or not 0 <= data[key] < 1e11:
            raise Refused(422, "no_turn", f"line {number}: {key}: expected a number from 0")
    if data.get("tenant") is not None and not _is_name(data["tenant"]):
        raise Refused(422, "no_turn", f"line {number}: tenant: expected 1 to {_TEXT} printable characters")
    return data


def _is_name(value: Any) -> bool:
    return isinstance(value, str) and 0 < len(value) <= _TEXT and value.isprintable()


def keep(
    transaction: Transaction, deployment: Deployment, lines: Sequence[dict[str, Any]], at: float
) -> None:
    """Keep the texts, and do the deletions, one after the other."""
    number = deployments.keep(transaction, deployment, at)
    for line in lines:
        key = {"deployment": number, "conversation": line["conversation"]}
        if "deleted" in line:
            key |= {"tenant": line.get("tenant") or "", "deleted": line["deleted"]}
            transaction.change(_DELETE, **key)
            transaction.change(_REMEMBER, **key)
            continue
        deleted = transaction.rows(_DELETED, **key, tenant=line.get("tenant") or "")
        if deleted and line["started"] <= deleted[0][0]:
            continue
        row = {"tenant": line.get("tenant"), "started": line["started"], "text": json.dumps(line)}
        transaction.change(_KEEP, **key, **row, identity=_identity(number, line))


def _identity(deployment: int, line: dict[str, Any]) -> str:
    """As an outcome's."""
    keys = ("revision", "tenant", "conversation", "turn", "started")
    said = json.dumps([deployment, *(line.get(key) for key in keys)])
    return hashlib.blake2b(said.encode(), digest_size=16).hexdigest()


def of(
    transaction: Transaction, deployment: int, conversation: str, tenant: str | None
) -> list[dict[str, Any]]:
    """The texts of a conversation's turns."""
    rows = transaction.rows(_OF, deployment=deployment, conversation=conversation)
    return [json.loads(text) for whose, text in rows if whose == tenant]
