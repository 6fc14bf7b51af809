"""What is remembered of a rollout, what can happen to it, and what it asks for: frozen values.

`State` is all that a controller needs to go on rightly after a restart at any point. It is written down
before anything that it asks for is done.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from shipway.rollout_snapshot import ENDED as ENDED
from shipway.rollout_snapshot import Health as Health
from shipway.rollout_snapshot import Phase as Phase

Suite = Literal["running", "pass", "fail", "inconclusive", "broken"]
"""broken: it ended without a result."""


@dataclass(frozen=True, slots=True)
class Notice:
    """What people have to be told. `number` counts up within a rollout: telling twice can be seen."""

    number: int
    at: float
    words: str


@dataclass(frozen=True, slots=True)
class State:
    """One rollout. Times are seconds since the epoch."""

    canary: str
    stable: str
    phase: Phase
    since: float
    """When the phase, or the step, began."""
    step: int = 0
    held_s: float = 0.0
    """How long the step had lasted before it was paused."""
    extended: bool = False
    """The step has had its time a second time, for want of data."""
    unready_since: float | None = None
    why: str = ""
    """Why it is paused, or goes back."""
    resume: Phase = "stepping"
    """Where a paused rollout goes on."""
    going_back: bool = False
    """It would go back, but stable is not ready: it does as soon as stable is."""
    heard: bool = False
    """The gates' wish for a pause was followed in this step; whoever resumes has overruled them."""
    split_since: float | None = None
    """When the canary got its first users."""
    stable_ready: bool = True
    """As last seen."""
    notices: tuple[Notice, ...] = ()
    """Not told yet."""
    told: int = 0
    """The number of the last notice that was made."""

    @property
    def course(self) -> Phase:
        """The phase, or of a paused rollout the one that it would go on with."""
        return self.resume if self.phase == "paused" else self.phase

    @property
    def ended(self) -> bool:
        return self.phase in ENDED


# -- What can happen -----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Seen:
    """A look at the world: both revisions, the suite (None where it has not begun), and the gates.

    `verdict` and `why` are a gate's `Judgement`; `pause` is its wish that a person looks first.
    """

    now: float
    canary: Health
    stable: Health
    suite: Suite | None = None
    verdict: Literal["pass", "fail", "inconclusive"] = "inconclusive"
    too_little: bool = False
    pause: bool = False
    words: str = ""


@dataclass(frozen=True, slots=True)
class Asked:
    """A person's word: `by` is who, `reason` why."""

    now: float
    what: Literal["pause", "resume", "promote", "abort"]
    by: str
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Told:
    """People were told everything up to this notice."""

    number: int


Event = Seen | Asked | Told


# -- What it asks for: each can be done again without harm ---------------------------------------------------


@dataclass(frozen=True, slots=True)
class Run:
    """This revision runs, with the very images that its release names."""

    revision: str


@dataclass(frozen=True, slots=True)
class End:
    """This revision ends, once its turns are done."""

    revision: str


@dataclass(frozen=True, slots=True)
class Weigh:
    """New conversations: this many percent to the canary. Those that have begun stay where they are, but
    where `stay` is False: then everybody goes to the one that has all of the weight, now."""

    canary: str
    stable: str
    percent: int
    stay: bool = True


@dataclass(frozen=True, slots=True)
class Evaluate:
    """The paired suite runs, or has run; once for a canary and a stable, however often this is asked."""

    canary: str
    stable: str


@dataclass(frozen=True, slots=True)
class Judge:
    """A gate compares the two since the canary had its first users.

    `share` is of new conversations, 0 to 1; None at 100 %, where there is nothing to compare with.
    """

    canary: str
    stable: str
    share: float | None
    since: float


@dataclass(frozen=True, slots=True)
class Settle:
    """From now on this revision is stable."""

    revision: str


Action = Run | End | Weigh | Evaluate | Judge | Settle
