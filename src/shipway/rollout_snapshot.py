"""How a rollout stands, and what people order it to do: what its controller, control, the page and the
terminal tell each other.

In and out: frozen values, JSON by the runtime's codec (`encode`, `decode` of `shipway_runtime.contract`). The
controller makes a Snapshot each round and puts it to control (`PUT /v1/rollout`); control answers Known
(`GET /v1/rollout`) and keeps Orders until the controller asks for them (`GET /v1/rollout/orders?after=N`).
Times are seconds since the epoch.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from shipway_runtime.contract import FORMAT

PATH = "/v1/rollout"
ORDERS_PATH = "/v1/rollout/orders"

TELL_EVERY_S = 5.0
"""While a rollout goes on its controller puts a snapshot whenever something has changed, and this often
besides. After its end it puts the last one once."""
AWAY_S = 3 * TELL_EVERY_S
"""Silence after which the controller of a rollout that goes on counts as away."""

Phase = Literal[
    "starting", "evaluating", "stepping", "paused", "promoting", "aborting", "promoted", "aborted"
]
"""starting: the canary comes up, without traffic. evaluating: the paired suite asks it. stepping: it has its
share. paused: the share stays as it is until somebody says more. promoting and aborting: everybody goes to
the one that stays, and the other one ends. promoted, aborted: the end."""

ENDED: tuple[Phase, ...] = ("promoted", "aborted")
DECIDED: tuple[Phase, ...] = ("promoting", "aborting", *ENDED)
"""Nothing can be ordered any more."""

Health = Literal["ready", "unready", "absent"]

What = Literal["pause", "resume", "promote", "abort"]


@dataclass(frozen=True, slots=True)
class StepSeen:
    """A step as planned: percent of new conversations, and for how long at least; None: until the gates have
    decided."""

    weight: int
    hold_s: float | None = None


@dataclass(frozen=True, slots=True)
class RevisionSeen:
    """One of the two. `causes` are of its health, one a line for people: `mcp git: connection refused`;
    it stands so `since`, where that is known."""

    revision: str
    health: Health
    causes: tuple[str, ...] = ()
    since: float | None = None


@dataclass(frozen=True, slots=True)
class MetricSeen:
    """One metric of the gate: evidence that the canary is worse, that it is not, and both in words."""

    metric: str
    harm: float
    fine: float
    words: str


@dataclass(frozen=True, slots=True)
class GateSeen:
    """The gate as it was last heard: what `GET /v1/verdict` answers."""

    verdict: Literal["pass", "fail", "inconclusive"]
    why: str
    words: str
    pause: bool
    evidence: float
    threshold: float
    canary: int
    """Conversations that were judged."""
    stable: int
    metrics: tuple[MetricSeen, ...] = ()


@dataclass(frozen=True, slots=True)
class Line:
    """A line of the audit trail: when, who (`shipway` where by itself), what."""

    at: float
    who: str
    words: str


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A rollout, going on or ended, as its controller sees it `at` a moment."""

    canary: RevisionSeen
    stable: RevisionSeen
    phase: Phase
    course: Phase
    """The phase; of a paused rollout the one that it would go on with."""
    begun: float
    """When it began: with the canary's name, which rollout it is."""
    since: float
    """When the phase, or the step, began."""
    at: float
    steps: tuple[StepSeen, ...]
    step: int
    """Which of `steps` it is at, or would go on with."""
    percent: int
    """Of new conversations, what the canary has now."""
    suite: bool = False
    """A paired suite comes before the first step."""
    held_s: float = 0.0
    """How long the step has lasted, pauses not counted."""
    extended: bool = False
    """The step has its time a second time, for want of data."""
    why: str = ""
    """Why it is paused, goes back or has ended; for people."""
    trouble: str = ""
    """What the last round could not do; it is tried again."""
    gate: GateSeen | None = None
    """None while nothing is judged, or control is away."""
    trail: tuple[Line, ...] = ()
    """The newest lines of the audit trail, oldest first; some twenty."""
    heard: int = 0
    """The number of the last order that was taken, or could not be."""
    format: int = FORMAT

    @property
    def ended(self) -> bool:
        return self.phase in ENDED


@dataclass(frozen=True, slots=True)
class Order:
    """A person's word to the rollout of this canary that began then. Numbers rise, and none comes again."""

    number: int
    what: What
    by: str
    reason: str
    at: float
    canary: str
    begun: float


@dataclass(frozen=True, slots=True)
class Known:
    """What control knows: the newest snapshot, when it came, whether its controller is away, and the orders
    that it has not heard yet. None, where no rollout was ever told of."""

    rollout: Snapshot | None = None
    seen: float | None = None
    away: bool = False
    orders: tuple[Order, ...] = ()
    format: int = FORMAT
