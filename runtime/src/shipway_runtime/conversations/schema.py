"""The tables, and how a database gets from one version of them to the next.

In: the version that a database says it has. Out: the statements that bring it up to date. Errors: StoreError
for a database that this version cannot use.

Stable and canary share a database while they run different versions, so a version only ever adds: a table,
or a column that may be NULL or has a default. Statements name their columns, so an older runtime goes on
beside the additions. `oldest` is the oldest version that can still read and write the database; a version
that raises it ends the older ones, and comes one release after nobody needs them any more.

The SQL is what SQLite and PostgreSQL have in common; `main` is SQLite's name for where tables are, and
postgres.py puts its own there.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from .store import StoreError

if TYPE_CHECKING:
    from collections.abc import Sequence


@dataclass(frozen=True, slots=True)
class Version:
    """What a version adds, and the oldest one that can still use the result."""

    number: int
    oldest: int
    adds: tuple[str, ...]


CONVERSATION = """
CREATE TABLE main.conversation (
    tenant       TEXT NOT NULL,      -- "" where callers are not told apart
    conversation TEXT NOT NULL,
    started      DOUBLE PRECISION,   -- seconds since the epoch; NULL while there is nothing in it
    last         INTEGER NOT NULL,   -- number of the last turn, deleted ones included
    metadata     TEXT NOT NULL,      -- JSON
    holder       TEXT,               -- the process whose turn runs now
    held_until   DOUBLE PRECISION,   -- and until when, unless it renews
    next         TEXT,               -- the process that is to have it next
    next_until   DOUBLE PRECISION,
    PRIMARY KEY (tenant, conversation)
)
"""

TURN = """
CREATE TABLE main.turn (
    tenant       TEXT NOT NULL,
    conversation TEXT NOT NULL,
    turn         INTEGER NOT NULL,   -- from 1
    previous     INTEGER,            -- the turn it continues; NULL starts afresh
    started      DOUBLE PRECISION NOT NULL,
    status       TEXT NOT NULL,
    messages     TEXT,               -- JSON; NULL for a turn that cannot be continued
    memory       TEXT,               -- JSON, [kind, data]; the framework's own record
    response     TEXT,               -- JSON; the API's
    PRIMARY KEY (tenant, conversation, turn)
)
"""

BUDGET = """
CREATE TABLE main.budget (
    tenant       TEXT NOT NULL,
    seconds      INTEGER NOT NULL,   -- the window's length
    began        BIGINT NOT NULL,    -- seconds since the epoch
    tokens       BIGINT NOT NULL,
    cost         DOUBLE PRECISION NOT NULL,  -- US dollars
    PRIMARY KEY (tenant, seconds)
)
"""

VERSIONS = (Version(1, oldest=1, adds=(CONVERSATION, TURN, BUDGET)),)

# One row. `checked` is written by the readiness check, to see that writing works.
SCHEMA = """
CREATE TABLE main.schema (
    version INTEGER NOT NULL, oldest INTEGER NOT NULL, checked DOUBLE PRECISION NOT NULL
)
"""
FOUND = "SELECT version, oldest FROM main.schema"
BEGIN = "INSERT INTO main.schema (version, oldest, checked) VALUES (0, 0, 0)"
REACHED = "UPDATE main.schema SET version = :version, oldest = :oldest"


def missing(found: tuple[int, int], versions: Sequence[Version]) -> tuple[Version, ...]:
    """The versions that a database lacks, given its version and its oldest reader. Raises StoreError."""
    version, oldest = found
    newest = versions[-1].number
    if oldest > newest:
        raise StoreError(
            f"the database was written by a newer shipway-runtime: its tables have version {version}, which "
            f"needs a runtime that knows version {oldest}, and this one knows {newest}. Run a newer one, or "
            "give this one a database of its own"
        )
    return tuple(wanted for wanted in versions if wanted.number > version)
