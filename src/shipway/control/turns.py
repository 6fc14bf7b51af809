"""The text of sampled turns, where callers let it be kept; and word of conversations that were deleted.

In: NDJSON, a turn's text a line, or a deletion, which has the key `deleted`. Out: rows; what was deleted is
gone, and does not come back with a line that was on its way.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from typing import TYPE_CHECKING, Any

from shipway.control import deployments
from shipway.control.http.answers import Refused
from shipway.control.http.bodies import parse
from shipway_runtime import contract
from shipway_runtime.contract import ContractError, Deletion, TurnText

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
WHERE excluded.deleted > deletion.deleted
"""
_OF = (
    "SELECT tenant, text FROM main.turn_text WHERE deployment = :deployment AND conversation = :conversation"
)


def read(body: bytes) -> list[TurnText | Deletion]:
    """The lines of a request. Raises Refused."""
    lines = [line for line in body.split(b"\n") if line.strip()]
    if len(lines) > MOST_LINES:
        raise Refused(413, "too_large", f"at most {MOST_LINES} lines at once; saw {len(lines)}")
    return [_line(line, number) for number, line in enumerate(lines, 1)]


def _line(line: bytes, number: int) -> TurnText | Deletion:
    where = f"line {number}"
    try:
        data = parse(line)
        deletion = isinstance(data, dict) and "deleted" in data
        kind: type[TurnText | Deletion] = Deletion if deletion else TurnText
        found = contract.decode(kind, line, where)
    except Refused as refused:
        raise Refused(422, "no_turn", f"{where}: {refused.message}") from None
    except (ContractError, UnicodeError) as error:
        raise Refused(422, "no_turn", str(error)[:500]) from None
    names = [found.conversation, found.tenant, found.revision if isinstance(found, TurnText) else None]
    if not all(name is None or (0 < len(name) <= _TEXT and name.isprintable()) for name in names):
        raise Refused(422, "no_turn", f"{where}: names are 1 to {_TEXT} printable characters")
    return found


def keep(
    transaction: Transaction, deployment: Deployment, lines: Sequence[TurnText | Deletion], at: float
) -> None:
    """Keep the texts, and do the deletions, one after the other."""
    number = deployments.keep(transaction, deployment, at)
    for line in lines:
        key = {"deployment": number, "conversation": line.conversation}
        whose = {"tenant": line.tenant or ""}
        if isinstance(line, Deletion):
            transaction.change(_DELETE, **key, **whose, deleted=line.deleted)
            transaction.change(_REMEMBER, **key, **whose, deleted=line.deleted)
            continue
        deleted = transaction.rows(_DELETED, **key, **whose)
        if not (deleted and line.started <= deleted[0][0]):
            text = json.dumps(dataclasses.asdict(line))
            row = {"tenant": line.tenant, "started": line.started, "text": text}
            transaction.change(_KEEP, **key, **row, identity=_identity(number, line))


def _identity(deployment: int, text: TurnText) -> str:
    """As an outcome's."""
    said = json.dumps([deployment, *text.identity])
    return hashlib.blake2b(said.encode(), digest_size=16).hexdigest()


def of(
    transaction: Transaction, deployment: int, conversation: str, tenant: str | None
) -> list[dict[str, Any]]:
    """The texts of a conversation's turns."""
    rows = transaction.rows(_OF, deployment=deployment, conversation=conversation)
    return [json.loads(text) for whose, text in rows if whose == tenant]
