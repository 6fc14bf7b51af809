"""Deployments: an agent in an environment. Control keeps any number of them apart.

In: `name` and `environment` of a request. Out: the deployment's number in the database, made when
something is first kept for it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from shipway.control.store.database import Transaction

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}")
NAME_WORDS = "letters, digits and . _ -, at most 63"

_FIND = "SELECT id FROM main.deployment WHERE name = :name AND environment = :environment"
_MAKE = """
INSERT INTO main.deployment (name, environment, since) VALUES (:name, :environment, :since)
ON CONFLICT (name, environment) DO NOTHING
"""
_SEEN = """
INSERT INTO main.revision (deployment, revision, first_seen) VALUES (:deployment, :revision, :first_seen)
ON CONFLICT (deployment, revision) DO NOTHING
"""


@dataclass(frozen=True, slots=True)
class Deployment:
    """An agent, and the environment it is deployed in."""

    name: str
    environment: str


def find(transaction: Transaction, deployment: Deployment) -> int | None:
    """Its number, or None while nothing was kept for it."""
    rows = transaction.rows(_FIND, name=deployment.name, environment=deployment.environment)
    return int(rows[0][0]) if rows else None


def keep(transaction: Transaction, deployment: Deployment, at: float) -> int:
    """Its number, which it has from now on."""
    number = find(transaction, deployment)
    if number is None:
        values: dict[str, Any] = {"name": deployment.name, "environment": deployment.environment}
        transaction.change(_MAKE, **values, since=at)
        number = find(transaction, deployment)
        assert number is not None
    return number


def see(transaction: Transaction, deployment: int, revision: str, at: float) -> None:
    """A revision of a deployment is there; `at` counts the first time."""
    transaction.change(_SEEN, deployment=deployment, revision=revision, first_seen=at)
