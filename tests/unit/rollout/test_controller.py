"""The controller, in a world of the test's: killed at every step, it comes to the same end."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import pytest

from shipway.errors import RolloutError
from shipway.plan.rollout import RolloutPlan, Step
from shipway.rollout.controller import Controller
from shipway.rollout.machine import UNREADY_S, begin
from shipway.rollout.state import (
    Action,
    Asked,
    End,
    Evaluate,
    Judge,
    Notice,
    Run,
    Seen,
    Settle,
    State,
    Weigh,
)
from shipway.rollout.store import Rollout, Store

PLAN = RolloutPlan(
    name="support",
    environment="prod",
    steps=(Step(5, 60.0), Step(25, 60.0), Step(100)),
    metrics={"errors": 0.01},
    suite=True,
)


class Killed(BaseException):
    """The controller's process is gone."""


@dataclass
class Machine:
    """A machine with two revisions, a router and gates, which outlives controllers."""

    worse: bool = False
    """The gates find the canary worse at its second step."""
    now: float = 1000.0
    running: set[str] = field(default_factory=lambda: {"old"})
    weight: int = 0
    weights: list[int] = field(default_factory=list)
    moved: str = ""
    suite: str | None = None
    suites: int = 0
    judging: bool = False
    stable: str = "old"
    told: list[str] = field(default_factory=list)
    orders: list[Asked] = field(default_factory=list)
    deaf: bool = False
    broken: str = ""
    """A kind of action that fails."""
    effects_left: int | None = None
    """How many things are done until the controller is killed: after the last one, before it knows."""

    def _effect(self) -> None:
        if self.effects_left is not None:
            self.effects_left -= 1
            if self.effects_left < 0:
                raise Killed

    def do(self, action: Action) -> None:
        if type(action).__name__ == self.broken:
            raise RolloutError(f"{self.broken} does not work")
        match action:
            case Run(revision):
                self.running.add(revision)
            case End(revision):
                assert self.weight in (0, 100), "users are still there"
                self.running.discard(revision)
            case Weigh(_, _, weight, stay):
                assert not weight or "new" in self.running
                self.weight = weight
                if self.weights[-1:] != [weight]:
                    self.weights.append(weight)
                self.moved = "" if stay else "new" if weight else "old"
            case Evaluate():
                self.suites += self.suite is None
                self.suite = self.suite or "running"
            case Judge():
                self.judging = True
            case Settle(revision):
                self.stable = revision
        self._effect()

    def look(self, state: State, now: float) -> Seen:
        def health(revision: str) -> str:
            return "ready" if revision in self.running else "absent"

        suite, self.suite = self.suite, "pass" if self.suite else None
        verdict = "fail" if self.worse and self.weight >= 25 else "inconclusive"
        if self.weight in (25, 100) and verdict != "fail":
            verdict = "pass"
        return Seen(now, health("new"), health("old"), suite, verdict, words="it fails more")  # type: ignore[arg-type]

    def tell(self, notices: tuple[Notice, ...]) -> None:
        if self.deaf:
            raise RolloutError("the webhook answers 500")
        self.told += [notice.words for notice in notices]
        self._effect()

    def asked(self) -> tuple[Asked, ...]:
        orders, self.orders = tuple(self.orders), []
        return orders

    def clock(self) -> float:
        self.now += 20.0
        return self.now


class Dying(Store):
    """A store whose process is killed right after it has written."""

    def __init__(self, path: Path, world: Machine) -> None:
        super().__init__(path)
        self._world = world

    def save(self, rollout: Rollout, state: State, event: Seen | Asked | object) -> Rollout:
        saved = super().save(rollout, state, event)  # type: ignore[arg-type]
        if saved is not rollout:
            self._world._effect()
        return saved


def start(path: Path, world: Machine, plan: RolloutPlan = PLAN) -> Store:
    store = Dying(path, world)
    store.begin(plan, begin("new", "old", world.now), "ann")
    return store


def run(path: Path, world: Machine) -> int:
    """Rounds until the rollout has ended; a controller that is killed is followed by another. The kills."""
    kills = 0
    controller = Controller(Dying(path, world), world, world.clock)
    for _ in range(200):
        try:
            if not controller.tick():
                return kills
        except Killed:
            kills += 1
            world.effects_left = None
            controller = Controller(Dying(path, world), world, world.clock)
    raise AssertionError("it never ended")


@pytest.mark.slow
@pytest.mark.parametrize("worse", [False, True], ids=["promoted", "rolled back"])
def test_killed_at_every_step_it_comes_to_the_same_end(tmp_path: Path, worse: bool) -> None:
    undisturbed = Machine(worse)
    start(tmp_path / "undisturbed.db", undisturbed)
    assert run(tmp_path / "undisturbed.db", undisturbed) == 0
    killed = 0
    for effects in range(200):
        world = Machine(worse)
        store = start(tmp_path / f"{effects}.db", world)
        world.effects_left = effects
        if not run(tmp_path / f"{effects}.db", world):
            break
        killed += 1
        assert world.running == undisturbed.running
        assert world.stable == undisturbed.stable
        assert world.moved == undisturbed.moved
        assert world.weights == undisturbed.weights
        assert world.suites == 1
        assert list(dict.fromkeys(world.told)) == undisturbed.told  # some of it twice
        last = store.last()
        assert last is not None
        assert last.state.phase == ("aborted" if worse else "promoted")
    assert killed > 40


def test_what_happened_can_be_read(tmp_path: Path) -> None:
    world = Machine(worse=True)
    store = start(tmp_path / "rollouts.db", world)
    run(tmp_path / "rollouts.db", world)
    last = store.last()
    assert last is not None
    words = [(line.who, line.words) for line in store.history(last)]
    assert words == [
        ("ann", "new is rolled out over old"),
        ("shipway", "the paired suite asks both"),
        ("shipway", "5 % of new conversations go to new"),
        ("shipway", "25 % of new conversations go to new"),
        ("shipway", "back to old: it fails more"),
        ("shipway", "old stays"),
    ]
    assert last.state.why == "back to old: it fails more"
    assert world.weights == [0, 5, 25, 0]


def test_a_persons_word_is_in_the_trail(tmp_path: Path) -> None:
    world = Machine()
    store = start(tmp_path / "rollouts.db", world)
    controller = Controller(store, world, world.clock)
    controller.tick()
    world.orders.append(Asked(world.now, "abort", "bob", "wrong prompt"))
    while controller.tick():
        pass
    last = store.last()
    assert last is not None
    assert ("bob", "back to old: aborted by bob: wrong prompt") in [
        (line.who, line.words) for line in store.history(last)
    ]
    assert world.running == {"old"}


def test_a_word_that_cannot_be_is_said_and_changes_nothing(tmp_path: Path) -> None:
    world = Machine()
    store = start(tmp_path / "rollouts.db", world)
    controller = Controller(store, world, world.clock)
    world.orders.append(Asked(world.now, "resume", "bob"))
    controller.tick()
    assert "is not paused" in controller.trouble


def test_one_rollout_at_a_time(tmp_path: Path) -> None:
    world = Machine()
    store = start(tmp_path / "rollouts.db", world)
    with pytest.raises(RolloutError, match="a rollout of new goes on"):
        store.begin(PLAN, begin("newer", "old", world.now), "bob")
    run(tmp_path / "rollouts.db", world)
    store.begin(PLAN, begin("newer", "new", world.now), "bob")


@pytest.mark.parametrize("broken", ["Weigh", "Run", "Judge"])
def test_what_cannot_be_done_is_tried_again(tmp_path: Path, broken: str) -> None:
    world = Machine(broken=broken)
    store = start(tmp_path / "rollouts.db", world)
    controller = Controller(store, world, world.clock)
    for _ in range(3):
        controller.tick()
        if controller.trouble:
            assert controller.trouble == f"{broken} does not work"
    assert world.weight == 0 or broken == "Judge"
    world.broken = ""
    run(tmp_path / "rollouts.db", world)
    assert world.stable == "new"


def test_people_who_cannot_be_reached_hear_of_it_later(tmp_path: Path) -> None:
    world = Machine(deaf=True)
    store = start(tmp_path / "rollouts.db", world)
    controller = Controller(store, world, world.clock)
    while (rollout := store.last()) and not rollout.state.ended:
        controller.tick()
    assert world.told == []
    assert controller.tick()  # it has ended, and there is still something to say
    world.deaf = False
    assert not controller.tick()
    assert world.told[-1] == "every step is done: promoted"
    assert len(world.told) == len(set(world.told))


def test_a_canary_that_crashes_has_its_half_minute(tmp_path: Path) -> None:
    world = Machine(broken="Run")
    world.running.add("new")
    store = start(tmp_path / "rollouts.db", world)
    controller = Controller(store, world, world.clock)
    world.broken = ""
    while world.weight == 0:
        controller.tick()
    world.broken = "Run"  # it does not come up again either
    world.running.discard("new")
    before = world.now
    while (rollout := store.last()) and rollout.state.phase == "stepping":
        controller.tick()
    assert world.now - before >= UNREADY_S
    assert rollout is not None
    assert rollout.state.phase == "aborting"


def test_a_store_that_cannot_be_used_is_one_clear_message(tmp_path: Path) -> None:
    (tmp_path / "rollouts.db").write_bytes(b"not a database, and longer than a header of SQLite is" * 20)
    with pytest.raises(RolloutError, match=r"rollouts\.db: file is not a database"):
        Store(tmp_path / "rollouts.db")
