"""Gates beside each other: how often a good canary goes back, and how many conversations a bad one takes.

Every method sees the same made-up rollouts, by seed; ours is the real `Gate`, looked at after each
conversation of the canary. In: nothing. Out: bench/results/gate.json, and gate_use.json, where it is
beside itself used in another way. Counts, not seconds: the machine does not matter.
"""

from __future__ import annotations

import statistics
import sys
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import gate_worlds as worlds
from gate_peers import PEERS, Ours, OursByThree
from gate_worlds import World
from table import Row, report

from shipway.gate import Calibration

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from gate_peers import Method
    from gate_worlds import Step

OURS, CARELESS, THREE = "shipway", "the same gate without that care", "three metrics"
JUDGE = Calibration(sensitivity=0.95, specificity=0.80)
RUNS = 200
"""Rollouts of each kind."""

TOGETHER = 8
"""Conversations that go on at the same time, where turns are counted."""


@dataclass(frozen=True)
class Scene:
    """One kind of rollout. `after`: the canary's conversations until which it is no worse."""

    name: str
    world: World
    worse: bool
    careless: bool = False
    """Whether this gate is used in another way, too: by turns, or with a judge's margin as it is."""
    judge: Calibration | None = None
    three: bool = False
    by_turn: bool = False
    after: int = 0
    median: str = ""
    """The target of the median."""

    def methods(self, seed: int) -> dict[str, Method]:
        found: dict[str, Method] = {OURS: Ours(self.judge)} | {name: make() for name, make in PEERS.items()}
        if self.careless:
            found[CARELESS] = Ours()
        if self.three:
            found[THREE] = OursByThree(seed)
        return found


SCENES = (
    Scene("no worse (.92)", worlds.rates(0.92), worse=False, three=True),
    Scene("2 points worse (.90), as the margin allows", worlds.rates(0.90), worse=False),
    Scene("5 points worse (.87)", worlds.rates(0.87), worse=True),
    Scene("12 points worse (.80)", worlds.rates(0.80), worse=True, three=True, median="<= 150"),
    Scene("8 turns alike, no worse", worlds.correlated(), worse=False, careless=True, by_turn=True),
    Scene("both drift from .95 to .85", worlds.drifting(), worse=False),
    Scene("12 points worse from the 501st on", worlds.late(0.80), worse=True, after=500),
    Scene("noisy judge, no worse", worlds.judged(0.92), worse=False, judge=JUDGE, careless=True),
    Scene("noisy judge, 5 points worse", worlds.judged(0.87), worse=True, judge=JUDGE, careless=True),
    Scene("share of 1 %, no worse", worlds.rates(0.92, 500, 0.01), worse=False),
    Scene("share of 1 %, 12 points worse", worlds.rates(0.80, 500, 0.01), worse=True, median="<= 150"),
)

Found = dict[str, "int | None"]
"""By method: the canary's conversations until it went back; None when it did not."""


def run(number: int, seed: int) -> Found:
    """One rollout of a scene, seen by every method until it has decided, or the rollout is over."""
    scene = SCENES[number]
    steps = list(scene.world(seed))
    conversations = [(canary, sum(turns) / len(turns)) for canary, turns in steps]
    shown = list(_turn_by_turn(steps)) if scene.by_turn else conversations
    return {
        name: _back(method, conversations if name == OURS else shown)
        for name, method in scene.methods(seed).items()
    }


def _back(method: Method, steps: Iterable[tuple[bool, float]]) -> int | None:
    seen = 0
    for canary, score in steps:
        seen += canary
        if method.see(canary, score):
            return seen
    return None


def _turn_by_turn(steps: Sequence[Step]) -> Iterator[tuple[bool, float]]:
    """Several conversations at a time, each turn for itself."""
    for first in range(0, len(steps), TOGETHER):
        together = steps[first : first + TOGETHER]
        for turn in range(len(together[0][1])):
            yield from ((canary, turns[turn]) for canary, turns in together)


def rows(scene: Scene, found: Sequence[Found]) -> Iterator[Row]:
    """What became of one kind of rollout: how many went back, and after how many conversations."""
    late = {name: [one[name] for one in found] for name in found[0]}
    if scene.after:
        early = {n: _share([seen is not None and seen <= scene.after for seen in late[n]]) for n in late}
        yield from _beside(f"{scene.name}: back before that", "%", early, "<= 5 %")
    backs = {name: [_later(seen, scene.after) for seen in all_seen] for name, all_seen in late.items()}
    share = {name: _share([seen is not None for seen in all_seen]) for name, all_seen in backs.items()}
    yield from _beside(f"{scene.name}: back", "%", share, "" if scene.worse else "<= 5 %")
    if scene.worse:
        medians = {name: _median(all_seen) for name, all_seen in backs.items()}
        yield from _beside(f"{scene.name}: median", "conversations", medians, scene.median)


def _later(seen: int | None, after: int) -> int | None:
    return seen - after if seen is not None and seen > after else None


def _share(went: Sequence[bool]) -> float:
    return round(100 * sum(went) / len(went), 2)


def _median(all_seen: Sequence[int | None]) -> float | None:
    """Of those that went back."""
    seen = [one for one in all_seen if one is not None]
    return statistics.median(seen) if seen else None


def _beside(metric: str, unit: str, values: dict[str, float | None], target: str) -> Iterator[Row]:
    """A row for each other method. One that is zero, or is none, is told in words: it makes no ratio."""
    ours = values[OURS] or 0.0
    for name, value in values.items():
        if name == THREE:
            yield Row(f"three metrics, {metric}", unit, value or 0.0, target, ours, "one metric")
        elif name != OURS and value:
            yield Row(metric, unit, ours, target, value, name)
        elif name != OURS:
            yield Row(metric, unit, ours, target, None, name, note="never" if value is None else f"0 {unit}")


def main() -> None:
    beside: list[Row] = []
    with ProcessPoolExecutor(2) as pool:
        for number, scene in enumerate(SCENES):
            found = list(pool.map(partial(run, number), range(RUNS), chunksize=5))
            beside += rows(scene, found)
            print(f"{scene.name}: {RUNS} rollouts", file=sys.stderr, flush=True)
    report("gate", [row for row in beside if row.peer_name in PEERS], "shipway")
    report("gate_use", [row for row in beside if row.peer_name not in PEERS], "shipway")


if __name__ == "__main__":
    main()
