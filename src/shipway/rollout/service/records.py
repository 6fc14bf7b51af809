"""What is remembered of a deployment beside its rollouts, in the same file.

In: deployments, orders, verdicts of suites. Out: the same, whoever asks: the service's rounds or a command.
Errors: RolloutError. Values of secrets are never here.
"""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

from shipway.errors import RolloutError
from shipway.plan.deployment import Deployment
from shipway.rollout.database import Database
from shipway.rollout.state import Asked
from shipway_runtime import contract

if TYPE_CHECKING:
    from pathlib import Path

    from shipway.plan.deployment import Revision
    from shipway.rollout.state import Suite
    from shipway.rollout_snapshot import What

_SCHEMA = """
CREATE TABLE IF NOT EXISTS deployment (
    revision TEXT PRIMARY KEY, value TEXT NOT NULL, who TEXT NOT NULL, at REAL NOT NULL,
    pruned INTEGER NOT NULL
);
CREATE TABLE IF NOT EXISTS first (number INTEGER PRIMARY KEY, revision TEXT, who TEXT, at REAL);
CREATE TABLE IF NOT EXISTS fact (name TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS ordered (
    number INTEGER PRIMARY KEY, rollout INTEGER, what TEXT, who TEXT, reason TEXT, taken INTEGER NOT NULL
);
CREATE TABLE IF NOT EXISTS suite (rollout INTEGER PRIMARY KEY, verdict TEXT NOT NULL);
"""


@dataclass(frozen=True, slots=True)
class Deployed:
    """A deployment as it was asked for; `pruned`: its images are not kept any more."""

    deployment: Deployment
    by: str
    at: float
    pruned: bool

    @property
    def revision(self) -> str:
        return self.deployment.revision.id


@dataclass(frozen=True, slots=True)
class First:
    """A revision that became stable without a rollout."""

    revision: str
    by: str
    at: float


class Records:
    """Of one deployment; implements the Knowledge of revisions but for the suite."""

    def __init__(self, path: Path) -> None:
        self._database = Database(path, _SCHEMA)

    # -- Deployments -----------------------------------------------------------------------------------------

    def keep(self, deployment: Deployment, by: str, at: float) -> None:
        """Remember how this revision runs. What may run already keeps the definition that it has."""
        value = contract.encode(deployment)
        known = self.find(deployment.revision.id)
        if known and not known.pruned:
            value = contract.encode(_with_revision(deployment, known.deployment.revision))
        with self._database.transaction() as database:
            row = (deployment.revision.id, value, by, at, False)
            database.execute("INSERT OR REPLACE INTO deployment VALUES (?, ?, ?, ?, ?)", row)

    def find(self, revision: str) -> Deployed | None:
        """The deployment of this revision."""
        return next(iter(self._select("WHERE revision = ?", revision)), None)

    def all(self) -> tuple[Deployed, ...]:
        """Every deployment, the newest first."""
        return self._select("")

    def kept(self) -> tuple[Deployed, ...]:
        """Those whose images are kept, the newest first."""
        return self._select("WHERE NOT pruned")

    def _select(self, which: str, *values: str) -> tuple[Deployed, ...]:
        query = f"SELECT value, who, at, pruned FROM deployment {which} ORDER BY at DESC"  # noqa: S608 - our words
        with self._database.transaction() as database:
            rows = database.execute(query, values).fetchall()
        return tuple(
            Deployed(contract.decode(Deployment, value, "deployment"), by, at, bool(pruned))
            for value, by, at, pruned in rows
        )

    def definition(self, revision: str) -> Revision:
        """See Knowledge."""
        found = self.find(revision)
        if found is None:
            raise RolloutError(
                f"{revision} was never deployed here", "shipway releases names those that were"
            )
        return found.deployment.revision

    def prune(self, revision: str) -> None:
        """Its images are not kept any more."""
        with self._database.transaction() as database:
            database.execute("UPDATE deployment SET pruned = 1 WHERE revision = ?", (revision,))

    # -- What holds now --------------------------------------------------------------------------------------

    @property
    def stable(self) -> str | None:
        """The revision that stays; None before the first deployment."""
        return self._fact("stable")

    def settle(self, revision: str) -> None:
        """See Knowledge."""
        self._say("stable", revision)

    def first(self, revision: str, by: str, at: float) -> None:
        """It is stable at once, since there is nothing to protect."""
        with self._database.transaction() as database:
            database.execute("INSERT INTO first (revision, who, at) VALUES (?, ?, ?)", (revision, by, at))
            database.execute("INSERT OR REPLACE INTO fact VALUES ('stable', ?)", (revision,))

    def firsts(self) -> tuple[First, ...]:
        """Newest first."""
        query = "SELECT revision, who, at FROM first ORDER BY number DESC"
        with self._database.transaction() as database:
            return tuple(First(*row) for row in database.execute(query).fetchall())

    @property
    def ready_since(self) -> float | None:
        """When a stable revision was ready for the first time."""
        said = self._fact("ready")
        return float(said) if said else None

    def was_ready(self, at: float) -> None:
        """A stable revision was ready."""
        if self.ready_since is None:
            self._say("ready", str(at))

    @property
    def newest(self) -> Deployment | None:
        """The deployment that says what is there for all revisions."""
        said = self._fact("newest")
        found = self.find(said) if said else None
        return found.deployment if found else None

    def make_newest(self, revision: str) -> None:
        """From now on this one says it."""
        self._say("newest", revision)

    @property
    def heard(self) -> int:
        """The number of the last order that control passed on."""
        return int(self._fact("heard") or 0)

    def hear(self, number: int) -> None:
        """Every order up to this one is here."""
        self._say("heard", str(number))

    @property
    def wished(self) -> tuple[str, str] | None:
        """The revision to go back to as soon as that can be, and by whom."""
        said = self._fact("wish")
        revision, by = json.loads(said) if said else ("", "")
        return (revision, by) if revision else None

    def wish(self, revision: str | None, by: str) -> None:
        """Go back to this revision as soon as that can be; None: not any more."""
        self._say("wish", json.dumps([revision or "", by]))

    # -- Orders, and the suite -------------------------------------------------------------------------------

    def order(self, rollout: int, what: What, by: str, reason: str) -> None:
        """Keep a person's word until a round takes it."""
        with self._database.transaction() as database:
            database.execute(
                "INSERT INTO ordered (rollout, what, who, reason, taken) VALUES (?, ?, ?, ?, 0)",
                (rollout, what, by, reason),
            )

    def orders(self, rollout: int, now: float) -> tuple[int, tuple[Asked, ...]]:
        """Those that no round has taken, and the last one's number. Orders to other rollouts are void."""
        query = "SELECT number, rollout, what, who, reason FROM ordered WHERE NOT taken ORDER BY number"
        with self._database.transaction() as database:
            rows = database.execute(query).fetchall()
        asked = tuple(Asked(now, what, by, why) for _, of, what, by, why in rows if of == rollout)
        return (rows[-1][0] if rows else 0), asked

    def take(self, number: int) -> None:
        """A round has taken every order up to this one."""
        with self._database.transaction() as database:
            database.execute("UPDATE ordered SET taken = 1 WHERE number <= ? AND NOT taken", (number,))

    def tell_suite(self, rollout: int, verdict: Suite) -> None:
        """What the paired suite of a rollout came to."""
        with self._database.transaction() as database:
            database.execute("INSERT OR REPLACE INTO suite VALUES (?, ?)", (rollout, verdict))

    def suite_of(self, rollout: int) -> Suite:
        """`running` until somebody has told."""
        with self._database.transaction() as database:
            row = database.execute("SELECT verdict FROM suite WHERE rollout = ?", (rollout,)).fetchone()
        verdict: Suite = row[0] if row else "running"
        return verdict

    def _fact(self, name: str) -> str | None:
        with self._database.transaction() as database:
            row = database.execute("SELECT value FROM fact WHERE name = ?", (name,)).fetchone()
        return str(row[0]) if row else None

    def _say(self, name: str, value: str) -> None:
        """Nothing is written where nothing has changed: it is said again in each round."""
        if self._fact(name) != value:
            with self._database.transaction() as database:
                database.execute("INSERT OR REPLACE INTO fact VALUES (?, ?)", (name, value))


def _with_revision(deployment: Deployment, revision: Revision) -> Deployment:
    return dataclasses.replace(deployment, revision=revision)
