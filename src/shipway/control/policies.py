"""The policy of each deployment, version by version: what, who, when and why.

In: a deployment; to change it, a whole policy, a reason, and the version it is meant to follow. Out: the
version in force, its ETag, and all that were. One without a policy has version 0, an empty one.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from shipway.control import deployments
from shipway.control.http.answers import Refused
from shipway.control.http.bodies import reason_of
from shipway_runtime import contract
from shipway_runtime.contract import ContractError, Policy

if TYPE_CHECKING:
    from collections.abc import Sequence

    from shipway.control.deployments import Deployment
    from shipway.control.store.database import Row, Transaction

_LATEST = """
SELECT version, etag, policy, changed_by, reason, at FROM main.policy
WHERE deployment = :deployment ORDER BY version DESC LIMIT 1
"""
_VERSIONS = """
SELECT version, etag, policy, changed_by, reason, at FROM main.policy
WHERE deployment = :deployment AND version < :before
ORDER BY version DESC LIMIT :limit
"""
_ADD = """
INSERT INTO main.policy (deployment, version, etag, policy, changed_by, reason, at)
VALUES (:deployment, :version, :etag, :policy, :changed_by, :reason, :at)
"""


@dataclass(frozen=True, slots=True)
class Version:
    """A policy as it was put. `etag` is quoted, as HTTP has it; `policy` is JSON, as it was given."""

    version: int
    etag: str
    policy: str
    by: str
    reason: str
    at: float

    def document(self) -> dict[str, Any]:
        return {
            "version": self.version,
            "etag": self.etag,
            "policy": json.loads(self.policy),
            "by": self.by,
            "reason": self.reason,
            "at": self.at,
        }


NONE = Version(0, contract.NO_POLICY, "{}", "", "", 0.0)


def latest(transaction: Transaction, deployment: Deployment) -> Version:
    """The policy in force."""
    number = deployments.find(transaction, deployment)
    rows = transaction.rows(_LATEST, deployment=number) if number is not None else []
    return Version(*rows[0]) if rows else NONE


def versions(transaction: Transaction, deployment: Deployment, limit: int, before: float) -> list[Version]:
    """What was in force, newest first, below the version `before`."""
    number = deployments.find(transaction, deployment)
    rows: Sequence[Row] = ()
    if number is not None:
        rows = transaction.rows(_VERSIONS, deployment=number, limit=limit, before=int(before))
    return [Version(*row) for row in rows]


def put(transaction: Transaction, deployment: Deployment, asked: Version, expected: str) -> Version:
    """Put a policy into force, as `read` made it of a request. `expected` is the ETag it is to follow, or
    `*`. Raises Refused where somebody else was first."""
    now = latest(transaction, deployment)
    if expected != "*" and not matches(expected, now.etag):
        raise Refused(
            412,
            "changed_meanwhile",
            f"the policy is at {now.etag}, put {_when(now)}; read it again, and put what is to follow it",
            etag=now.etag,
        )
    number = deployments.keep(transaction, deployment, asked.at)
    version = now.version + 1
    digest = hashlib.sha256(asked.policy.encode()).hexdigest()[:12]
    new = Version(version, f'"{version}-{digest}"', asked.policy, asked.by, asked.reason, asked.at)
    transaction.change(
        _ADD,
        deployment=number,
        version=new.version,
        etag=new.etag,
        policy=new.policy,
        changed_by=new.by,
        reason=new.reason,
        at=new.at,
    )
    return new


def read(document: dict[str, Any], by: str, at: float) -> Version:
    """What a request wants to put, not numbered yet. Raises Refused."""
    if unknown := sorted(set(document) - {"policy", "reason"}):
        raise Refused(422, "no_policy", f"{unknown[0][:80]!r} is no key here; expected `policy` and `reason`")
    reason = reason_of(document, "no_policy")
    if "policy" not in document:
        raise Refused(422, "no_policy", "`policy` is missing: the whole policy that is to be in force")
    text = json.dumps(document["policy"], sort_keys=True, separators=(",", ":"))
    try:
        contract.decode(Policy, text, "policy")
    except ContractError as error:
        raise Refused(422, "no_policy", str(error)[:500]) from None
    return Version(0, "", text, by, reason, at)


def matches(header: str, etag: str) -> bool:
    """Whether an If-Match or If-None-Match names this ETag; proxies that compress make it a weak one."""
    names = {name.strip().removeprefix("W/") for name in header.split(",")}
    return etag in names or "*" in names


def _when(version: Version) -> str:
    return f"by {version.by}" if version.by else "by nobody"
