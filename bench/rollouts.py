"""Rollouts that are made up, by the real machine: how long a bad canary has users, by one gate or another.

In: how good the canary is, a seed. Out: by each gate, after how long the canary went back, and after how many
conversations with it. The steps are those of the documents: 5 % for an hour, 25 % for an hour, 50 % for an
hour, 100 %. Conversations come evenly, 1,200 an hour, and go by chance to the share that the machine says.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import TYPE_CHECKING

from gate_peers import Ours, Threshold
from gate_worlds import STABLE

from shipway.plan.rollout import RolloutPlan, Step
from shipway.rollout import machine
from shipway.rollout.state import Seen

if TYPE_CHECKING:
    from gate_peers import Method

HOUR_S = 3600.0
PLAN = RolloutPlan(
    name="bench",
    environment="prod",
    steps=(Step(5, HOUR_S), Step(25, HOUR_S), Step(50, HOUR_S), Step(100)),
    metrics={"live": None},
)
GAP_S, LOOK_S = 3.0, 30.0
"""Seconds from one conversation to the next, and from one look of the controller to the next."""

OURS = "shipway"
GATES = {
    OURS: Ours,
    "threshold .90, thrice": lambda: Threshold(0.90),
    "threshold .85, thrice": lambda: Threshold(0.85),
}


@dataclass(frozen=True)
class Back:
    """A canary that went back: after so many minutes with users, and so many conversations with it."""

    minutes: float
    conversations: int


def rollout(gate: Method, rate: float, seed: int) -> Back | None:
    """One rollout of a canary that does well in `rate` of its conversations; None where it is promoted."""
    chance = random.Random(seed).random  # noqa: S311
    state, now, seen, failed = machine.begin("canary", "stable", 0.0), 0.0, 0, False
    while not state.ended:
        look = Seen(now, "ready", "ready", verdict="fail" if failed else "inconclusive")
        state, _ = machine.step(PLAN, state, look)
        if state.phase == "aborting":
            return Back(now / 60, seen)
        if state.phase == "promoting":
            return None
        share = machine.weight(PLAN, state) / 100
        for _ in range(int(LOOK_S / GAP_S)):
            canary = chance() < share
            seen += canary
            good = chance() < (rate if canary else STABLE)
            failed = gate.see(canary, float(good)) or failed
        now += LOOK_S
    return None


def found(rate: float, seed: int) -> dict[str, Back | None]:
    """The same rollout by every gate."""
    return {name: rollout(make(), rate, seed) for name, make in GATES.items()}
