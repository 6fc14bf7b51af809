"""What whoever deploys and the controller say to each other: the seam between two machines.

    docker exec -i PROJECT-controller python -m shipway.rollout COMMAND

In: JSON on stdin, where a command takes any. Out: one JSON document on stdout and exit 0; or one line
`{"error", "hint"}` (Refusal) and exit 1. Both by `contract.encode` and `contract.decode`. Times are seconds
since the epoch.

| command | stdin | stdout |
|---|---|---|
| `apply` | Apply | Applied |
| `status` | | Status |
| `order pause\\|resume\\|promote\\|abort --by WHO` | a reason, plain text; may be empty | Done |
| `suite pass\\|fail\\|inconclusive\\|broken --canary REVISION` | | Done |
| `releases` | | Releases |
| `rollback [REVISION] --by WHO` | | Done |
| `tokens` | | Tokens |
| `certificates` | PEM, plain text | Done |
| `connect HOST PORT` | bytes for a TCP connection | what comes back; exit 1 and a Refusal on stderr |

Each can be asked again: what has been done already is no error. An order is taken within a round, a second.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from shipway.plan.deployment import Deployment
from shipway.rollout.state import Suite
from shipway.rollout_snapshot import Health, Snapshot
from shipway_runtime.contract import FORMAT


@dataclass(frozen=True, slots=True)
class Apply:
    """A revision that is to reach its users, and the values of the secrets that it needs (none of `MADE`);
    those that are here from before need not be given again.

    `at_once`: as soon as it is ready everybody gets it, without steps, gates and suite.
    """

    deployment: Deployment
    secrets: dict[str, str] = field(default_factory=dict)
    by: str = ""
    at_once: bool = False
    format: int = FORMAT


What = Literal["first", "rollout", "goes-on", "same"]


@dataclass(frozen=True, slots=True)
class Applied:
    """What an Apply came to; `words` are for people.

    first: there was no revision that ever was ready, this one is stable now. rollout: it is rolled out.
    goes-on: its rollout goes on already. same: it is stable already; secrets that are others now have reached
    it, and router and control are as this deployment says.
    """

    what: What
    revision: str
    words: str
    rotated: tuple[str, ...] = ()
    """Names of secrets whose value is another one than before."""


@dataclass(frozen=True, slots=True)
class Done:
    """It was taken; `words` say what happens now."""

    words: str


@dataclass(frozen=True, slots=True)
class Refusal:
    """It was not done: what is wrong, and what to do."""

    error: str
    hint: str = ""


# -- Status --------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class ContainerSeen:
    """A container. `cause` is empty where all is well, else in words: `restarting since …: exit code 137, out
    of memory`. `state` is the engine's own word; `absent`: there should be one, and there is none."""

    name: str
    state: Literal["running", "restarting", "exited", "created", "paused", "removing", "dead", "absent"]
    since: float | None = None
    exit_code: int | None = None
    out_of_memory: bool = False
    restarts: int = 0
    image: str = ""
    cause: str = ""


@dataclass(frozen=True, slots=True)
class Check:
    """A check of readiness as the agent's /readyz names it: `mcp git`, down, since when, why."""

    name: str
    state: str
    since: float | None = None
    error: str = ""


@dataclass(frozen=True, slots=True)
class RevisionStatus:
    """A revision that runs, or should. `host` and `port` are its API, for `connect`; None while away."""

    revision: str
    release: str
    health: Health
    containers: tuple[ContainerSeen, ...]
    checks: tuple[Check, ...] = ()
    host: str | None = None
    port: int | None = None


@dataclass(frozen=True, slots=True)
class PartStatus:
    """Router or control: whether it answers, and why not."""

    container: ContainerSeen
    healthy: bool
    cause: str = ""


@dataclass(frozen=True, slots=True)
class PortSeen:
    """A published port of the machine: whose it is (`router`, `control`), and where."""

    of: str
    address: str
    port: int
    tls: bool = False


@dataclass(frozen=True, slots=True)
class Status:
    """How a deployment stands. Before the first `apply` there is nothing but its name.

    `ready_since` is when the stable revision was first ready; None while a first deployment comes up.
    `suite_wanted`: the rollout waits for the paired suite, which whoever deploys has to run. `trouble` is
    what the last round could not do; `at` is when it ended: long ago means that the loop is away.
    """

    project: str
    name: str = ""
    environment: str = ""
    stable: RevisionStatus | None = None
    canary: RevisionStatus | None = None
    ready_since: float | None = None
    rollout: Snapshot | None = None
    suite_wanted: bool = False
    router: PartStatus | None = None
    control: PartStatus | None = None
    ports: tuple[PortSeen, ...] = ()
    secrets: tuple[str, ...] = ()
    """Names of which it has a value that somebody gave it."""
    trouble: tuple[str, ...] = ()
    at: float | None = None
    format: int = FORMAT


# -- Releases ------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class ReleaseRow:
    """A revision that was deployed. `ended`: first, promoted, aborted, or what its rollout is at; `why` its
    last words. `kept`: its images are still there, so that `rollback` takes seconds."""

    revision: str
    release: str
    at: float
    by: str
    ended: str
    why: str = ""
    stable: bool = False
    kept: bool = False


@dataclass(frozen=True, slots=True)
class Releases:
    """Newest first; a revision that was deployed twice is there twice."""

    releases: tuple[ReleaseRow, ...]
    format: int = FORMAT


@dataclass(frozen=True, slots=True)
class Tokens:
    """What people show to control."""

    operate: str


SuiteVerdict = Suite
"""What `suite` takes; `running` keeps the rollout waiting."""
