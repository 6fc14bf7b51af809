"""The tables, and how a database gets from one version of them to the next.

In: the version that a database says it has. Out: the statements that bring it up to date. Errors: StoreError
for a database that a newer control has changed beyond this one.

The SQL is what SQLite and PostgreSQL have in common. `main` is SQLite's name for where tables are, NUMBERED a
key that counts up; each database has words of its own. A version only ever adds (a table, or a column that
may be NULL or has a default), so two versions of control can share a database during an update.
Times are seconds since the epoch; documents are JSON.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from shipway.control.store.database import StoreError
from shipway_runtime.contract import WORTH_READING

if TYPE_CHECKING:
    from collections.abc import Sequence


@dataclass(frozen=True, slots=True)
class Version:
    """What a version adds, and the oldest control that can still use the result."""

    number: int
    oldest: int
    adds: tuple[str, ...]


DEPLOYMENT = """
CREATE TABLE main.deployment (
    id NUMBERED, name TEXT NOT NULL, environment TEXT NOT NULL, since DOUBLE PRECISION NOT NULL,
    UNIQUE (name, environment)
)
"""

REVISION = """
CREATE TABLE main.revision (
    deployment BIGINT NOT NULL, revision TEXT NOT NULL,
    first_seen DOUBLE PRECISION NOT NULL,
    release TEXT,                       -- release.json, where somebody sent it
    PRIMARY KEY (deployment, revision)
)
"""

OUTCOME = """
CREATE TABLE main.outcome (
    id NUMBERED,                        -- in the order of arrival
    identity TEXT NOT NULL UNIQUE,      -- a digest of Outcome.identity: a turn counts once
    deployment BIGINT NOT NULL, revision TEXT NOT NULL, tenant TEXT, conversation TEXT NOT NULL,
    turn BIGINT NOT NULL,
    first_seen DOUBLE PRECISION NOT NULL, started DOUBLE PRECISION NOT NULL,
    finished DOUBLE PRECISION NOT NULL,
    status TEXT NOT NULL, latency_s DOUBLE PRECISION NOT NULL, first_token_s DOUBLE PRECISION,
    input BIGINT NOT NULL, output BIGINT NOT NULL, cost DOUBLE PRECISION,
    tool_calls BIGINT NOT NULL, tool_errors BIGINT NOT NULL, score DOUBLE PRECISION,
    watermark DOUBLE PRECISION NOT NULL -- of the deployment when it came: what was due before was closed
)
"""
BY_ARRIVAL = "CREATE INDEX outcome_arrival ON main.outcome (deployment, id)"
BY_CONVERSATION = "CREATE INDEX outcome_conversation ON main.outcome (deployment, conversation)"
FAILED = f"(status = 'error' OR score < {WORTH_READING})"
"""Turns that somebody should look at. A query that says exactly this uses the index."""
BY_FAILURE = f"CREATE INDEX outcome_failure ON main.outcome (deployment, id) WHERE {FAILED}"
BY_AGE = "CREATE INDEX outcome_age ON main.outcome (finished)"

TALLY = """
CREATE TABLE main.tally (               -- outcomes, summed up: they stay when outcomes are pruned
    deployment BIGINT NOT NULL, revision TEXT NOT NULL, hour BIGINT NOT NULL,
    conversations BIGINT NOT NULL, turns BIGINT NOT NULL, errors BIGINT NOT NULL, denied BIGINT NOT NULL,
    cancelled BIGINT NOT NULL, input BIGINT NOT NULL, output BIGINT NOT NULL, cost DOUBLE PRECISION NOT NULL,
    tool_calls BIGINT NOT NULL, tool_errors BIGINT NOT NULL,
    latency TEXT NOT NULL,              -- bucket -> turns; latency.py
    PRIMARY KEY (deployment, revision, hour)
)
"""

POLICY = """
CREATE TABLE main.policy (
    deployment BIGINT NOT NULL, version BIGINT NOT NULL, etag TEXT NOT NULL, policy TEXT NOT NULL,
    changed_by TEXT NOT NULL, reason TEXT NOT NULL, at DOUBLE PRECISION NOT NULL,
    PRIMARY KEY (deployment, version)
)
"""

REPLICA = """
CREATE TABLE main.replica (
    deployment BIGINT NOT NULL, replica TEXT NOT NULL, revision TEXT NOT NULL,
    report TEXT NOT NULL, seen DOUBLE PRECISION NOT NULL,
    PRIMARY KEY (deployment, replica)
)
"""

WATERMARK = """
CREATE TABLE main.watermark (deployment BIGINT PRIMARY KEY, at DOUBLE PRECISION NOT NULL)
"""

GATE = """
CREATE TABLE main.gate (
    deployment BIGINT NOT NULL, canary TEXT NOT NULL,
    plan TEXT NOT NULL,                 -- as it began
    share DOUBLE PRECISION,             -- as it is now
    since DOUBLE PRECISION NOT NULL, begun DOUBLE PRECISION NOT NULL,
    begins BIGINT NOT NULL,             -- outcomes after this one are looked at
    ended DOUBLE PRECISION, found TEXT, -- what it said then
    PRIMARY KEY (deployment, canary)
)
"""

GATE_EVENT = """
CREATE TABLE main.gate_event (          -- what happened to a gate, between which outcomes, and who did it
    id NUMBERED, deployment BIGINT NOT NULL, canary TEXT NOT NULL, after BIGINT NOT NULL,
    kind TEXT NOT NULL, document TEXT NOT NULL, changed_by TEXT NOT NULL, at DOUBLE PRECISION NOT NULL
)
"""

EVAL = """
CREATE TABLE main.eval (
    id NUMBERED, digest TEXT NOT NULL UNIQUE, deployment BIGINT NOT NULL,
    revision TEXT,                      -- NULL where several have answered
    source TEXT NOT NULL, at DOUBLE PRECISION NOT NULL,
    run TEXT NOT NULL, results TEXT NOT NULL
)
"""
BY_RUN = "CREATE INDEX eval_run ON main.eval (deployment, id)"

TURN_TEXT = """
CREATE TABLE main.turn_text (
    identity TEXT PRIMARY KEY, deployment BIGINT NOT NULL, tenant TEXT, conversation TEXT NOT NULL,
    started DOUBLE PRECISION NOT NULL, text TEXT NOT NULL
)
"""
BY_SPEAKER = "CREATE INDEX turn_text_conversation ON main.turn_text (deployment, conversation)"

DELETION = """
CREATE TABLE main.deletion (            -- conversations whose text is not to come back
    deployment BIGINT NOT NULL, tenant TEXT NOT NULL, conversation TEXT NOT NULL,
    deleted DOUBLE PRECISION NOT NULL,
    PRIMARY KEY (deployment, tenant, conversation)
)
"""

ROLLOUT = """
CREATE TABLE main.rollout (             -- the newest snapshot that its controller has put
    deployment BIGINT PRIMARY KEY, snapshot TEXT NOT NULL, seen DOUBLE PRECISION NOT NULL
)
"""

ROLLOUT_ORDER = """
CREATE TABLE main.rollout_order (       -- what people have ordered the rollout of this canary to do
    id NUMBERED, deployment BIGINT NOT NULL, canary TEXT NOT NULL, begun DOUBLE PRECISION NOT NULL,
    what TEXT NOT NULL, ordered_by TEXT NOT NULL, reason TEXT NOT NULL, at DOUBLE PRECISION NOT NULL
)
"""
BY_ORDER = "CREATE INDEX rollout_order_number ON main.rollout_order (deployment, id)"

MINUTE = """
CREATE TABLE main.minute (              -- turns and errors of the last two days
    deployment BIGINT NOT NULL, revision TEXT NOT NULL, minute BIGINT NOT NULL,
    turns BIGINT NOT NULL, errors BIGINT NOT NULL,
    PRIMARY KEY (deployment, revision, minute)
)
"""

FIRST = (
    *(DEPLOYMENT, REVISION, OUTCOME, BY_ARRIVAL, BY_CONVERSATION, BY_FAILURE, BY_AGE, TALLY, WATERMARK),
    *(POLICY, REPLICA, GATE, GATE_EVENT, EVAL, BY_RUN, TURN_TEXT, BY_SPEAKER, DELETION),
)

SECOND = (ROLLOUT, ROLLOUT_ORDER, BY_ORDER)

VERSIONS = (
    Version(1, oldest=1, adds=FIRST),
    Version(2, oldest=1, adds=SECOND),
    Version(3, oldest=1, adds=(MINUTE,)),
)

# One row.
SCHEMA = "CREATE TABLE main.schema (version INTEGER NOT NULL, oldest INTEGER NOT NULL)"
FOUND = "SELECT version, oldest FROM main.schema"
BEGIN = "INSERT INTO main.schema (version, oldest) VALUES (0, 0)"
REACHED = "UPDATE main.schema SET version = :version, oldest = :oldest"


def missing(found: tuple[int, int], versions: Sequence[Version]) -> tuple[Version, ...]:
    """The versions that a database lacks, given its version and its oldest reader. Raises StoreError."""
    version, oldest = found
    newest = versions[-1].number
    if oldest > newest:
        raise StoreError(
            f"the database was written by a newer shipway: its tables have version {version}, which needs a "
            f"control that knows version {oldest}, and this one knows {newest}",
            "run a newer one, or give this one a database of its own",
        )
    return tuple(wanted for wanted in versions if wanted.number > version)
