"""What revisions are made of: each one's release, where somebody sent it, and when it was first seen.

In: `{"release": release.json, "revision"}`. Out: the revisions of a deployment, newest first.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from shipway.control import deployments
from shipway.control.http.answers import Refused
from shipway_runtime import contract
from shipway_runtime.contract import ContractError, Release

if TYPE_CHECKING:
    from collections.abc import Mapping

    from shipway.control.deployments import Deployment
    from shipway.control.store.database import Transaction

_TEXT = 256  # characters of a revision

_KEEP = "UPDATE main.revision SET release = :release WHERE deployment = :deployment AND revision = :revision"
_ALL = """
SELECT revision, release, first_seen FROM main.revision
WHERE deployment = :deployment AND first_seen < :before ORDER BY first_seen DESC, revision LIMIT :limit
"""


def read(data: Mapping[str, Any]) -> tuple[str, str]:
    """The revision, and its release as JSON. Raises Refused."""
    revision = data.get("revision")
    if not (isinstance(revision, str) and 0 < len(revision) <= _TEXT and revision.isprintable()):
        raise Refused(422, "no_release", f"revision: expected 1 to {_TEXT} printable characters")
    text = json.dumps(data.get("release"))
    try:
        contract.decode(Release, text, "release")
    except ContractError as error:
        raise Refused(422, "no_release", str(error)[:500]) from None
    return revision, text


def keep(transaction: Transaction, deployment: Deployment, revision: str, release: str, at: float) -> None:
    """What a revision is made of; said again, the last counts."""
    number = deployments.keep(transaction, deployment, at)
    deployments.see(transaction, number, revision, at)
    transaction.change(_KEEP, release=release, deployment=number, revision=revision)


def all_of(
    transaction: Transaction, deployment: Deployment, limit: int, before: float
) -> list[dict[str, Any]]:
    """The revisions that there were."""
    number = deployments.find(transaction, deployment)
    rows = transaction.rows(_ALL, deployment=number or 0, limit=limit, before=before)
    return [
        {"revision": revision, "release": json.loads(release) if release else None, "first_seen": first_seen}
        for revision, release, first_seen in rows
    ]
