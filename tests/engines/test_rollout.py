"""A rollout on one machine, put together: controller, routers, the real control, revisions that answer."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.controlling import DEPLOYMENT, TOKENS, ControlProcess
from tests.routing import Revision, Router, embedded, haproxy, until

from shipway.plan.rollout import RolloutPlan, Step
from shipway.rollout.controller import Controller
from shipway.rollout.judge import Judge
from shipway.rollout.machine import begin
from shipway.rollout.state import Asked, Notice, Suite
from shipway.rollout.store import Store
from shipway.rollout.world import OneMachine

PLAN = RolloutPlan(
    name=DEPLOYMENT["name"],
    environment=DEPLOYMENT["environment"],
    steps=(Step(50), Step(100)),
    metrics={"errors": 0.01},
)
AGO_S = 7200.0
"""The rollout takes place that long ago, and is judged once its conversations have closed."""


class Backends:
    """Runs revisions as backends of the test's own."""

    def __init__(self) -> None:
        self.running: dict[str, Revision] = {}
        self.stable = "old"

    def run(self, revision: str) -> None:
        if revision not in self.running:
            self.running[revision] = Revision("a" if revision == "old" else "b")

    def end(self, revision: str) -> None:
        if revision in self.running:
            self.running.pop(revision).end()

    def address(self, revision: str) -> tuple[str, int] | None:
        found = self.running.get(revision)
        return (found.backend.host, found.backend.port) if found else None

    def settle(self, revision: str) -> None:
        self.stable = revision

    def evaluate(self, canary: str, stable: str) -> Suite:
        raise AssertionError("the plan has no suite")

    def close(self) -> None:
        for revision in list(self.running):
            self.end(revision)


def outcome(conversation: str, revision: str, status: str, at: float) -> dict[str, object]:
    names = {"conversation": conversation, "turn": 1, "revision": revision, "tenant": None}
    times = {"first_seen": at, "started": at, "finished": at + 0.1, "latency_s": 0.1}
    return {**names, **times, "status": status}


class Rollout:
    """Everything together; `users` have conversations, and their outcomes reach control."""

    def __init__(self, place: Path, control: ControlProcess, router: Router) -> None:
        self.place, self.control, self.router = place, control, router
        self.backends = Backends()
        self.judge = Judge(control.url, TOKENS["operate"], PLAN)
        self.store = Store(place / "rollouts.db")
        self.told: list[str] = []
        self.passed_s = 0.0
        self.users_seen = 0
        self.store.begin(PLAN, begin("new", "old", self.now()), "ann")
        self.start(judged=False)

    def now(self) -> float:
        return time.time() - AGO_S + self.passed_s

    def start(self, judged: bool = True) -> None:
        """A controller, as after a restart of its process."""
        gate = self.judge if judged else None
        self.world = OneMachine(self.backends, self.router.traffic, gate, self._tell, self.store)
        self.controller = Controller(self.store, self.world, self.now)

    def _tell(self, notices: tuple[Notice, ...]) -> None:
        self.told += [notice.words for notice in notices]

    def until(self, phase: str) -> None:
        def reached() -> bool:
            self.controller.tick()
            last = self.store.last()
            return last is not None and last.state.phase == phase

        try:
            until(reached)
        except AssertionError:
            said = self.control.ask("read", "GET", "/v1/gates/new").text
            raise AssertionError(f"not {phase}: {self.controller.trouble or said}") from None

    def users(self, conversations: int, failing: dict[str, int]) -> dict[str, str]:
        """Conversations of one turn: which revision each had. `failing`: of that many, one fails."""
        went: dict[str, str] = {}
        lines = []
        seen = {"old": 0, "new": 0}
        for _ in range(conversations):
            self.users_seen += 1
            conversation = f"c{self.users_seen}"
            revision = {"a": "old", "b": "new"}[self.router.slot(conversation)]
            went[conversation] = revision
            seen[revision] += 1
            every = failing.get(revision)
            status = "error" if every and seen[revision] % every == 0 else "ok"
            lines.append(outcome(conversation, revision, status, self.now()))
        self.report(*lines)
        return went

    def pass_half_an_hour(self) -> None:
        """Somebody comes later: by then the conversations of before have closed."""
        self.report(outcome("later", "old", "ok", self.now() + 1800.0))
        self.world.close()
        self.start()

    def report(self, *lines: dict[str, object]) -> None:
        body = "\n".join(map(json.dumps, lines))
        assert self.control.ask("report", "POST", "/v1/outcomes", content=body).status_code == 204

    def close(self) -> None:
        self.world.close()
        self.judge.close()
        self.backends.close()


@pytest.fixture(params=["haproxy", "embedded"])
def rollout(
    request: pytest.FixtureRequest, tmp_path: Path, engine: Callable[[str], str]
) -> Iterator[Rollout]:
    control = ControlProcess(tmp_path)
    try:
        with haproxy(engine("haproxy"), tmp_path) if request.param == "haproxy" else embedded() as router:
            made = Rollout(tmp_path, control, router)
            try:
                yield made
            finally:
                made.close()
    finally:
        control.close()


def test_a_person_aborts_and_everybody_is_back_in_the_same_round(rollout: Rollout) -> None:
    rollout.until("stepping")
    rollout.router.until_ready("a", "b")
    went = rollout.users(20, {})
    assert set(went.values()) == {"old", "new"}
    rollout.world.order(Asked(rollout.now(), "abort", "bob", "wrong prompt"))
    rollout.controller.tick()
    assert {rollout.router.slot(conversation) for conversation in went} == {"a"}


def test_a_person_promotes_what_control_cannot_judge_yet(rollout: Rollout) -> None:
    rollout.until("stepping")
    rollout.router.until_ready("a", "b")
    rollout.users(10, {})
    rollout.world.order(Asked(rollout.now(), "promote", "bob"))
    rollout.until("promoted")
    assert rollout.backends.stable == "new"
    assert set(rollout.users(10, {}).values()) == {"new"}


def test_conversations_stay_over_the_death_of_the_controller_and_of_the_router(rollout: Rollout) -> None:
    rollout.until("stepping")
    rollout.router.until_ready("a", "b")
    went = rollout.users(20, {})
    rollout.controller.tick()
    rollout.world.close()
    rollout.start(judged=False)
    rollout.controller.tick()
    rollout.router.restart()
    rollout.world.traffic = rollout.router.traffic
    rollout.controller.tick()
    rollout.router.until_ready("a", "b")
    again = {
        conversation: {"a": "old", "b": "new"}[rollout.router.slot(conversation)] for conversation in went
    }
    assert again == went


def test_a_worse_canary_is_found_by_its_conversations_and_rolled_back(rollout: Rollout) -> None:
    rollout.until("stepping")
    rollout.router.until_ready("a", "b")
    rollout.users(300, {"new": 2, "old": 50})
    rollout.pass_half_an_hour()
    rollout.until("aborted")
    assert set(rollout.users(10, {}).values()) == {"old"}
    assert rollout.backends.running.keys() == {"old"}
    assert "new is worse than old" in rollout.told[-1]


def test_a_control_that_is_away_holds_the_rollout_where_it_is(rollout: Rollout) -> None:
    rollout.until("stepping")
    rollout.router.until_ready("a", "b")
    rollout.users(300, {"new": 2})
    rollout.pass_half_an_hour()
    rollout.control.kill()
    rollout.controller.tick()
    assert "control at" in rollout.controller.trouble
    current = rollout.store.current()
    assert current is not None
    assert current.state.phase == "stepping"
    assert {rollout.router.slot(f"new{number}") for number in range(10)} == {"a", "b"}
    rollout.control.start()
    rollout.until("aborted")


def test_while_control_is_away_users_are_served_and_a_canary_that_is_gone_is_rolled_back(
    rollout: Rollout,
) -> None:
    rollout.until("stepping")
    rollout.router.until_ready("a", "b")
    rollout.world.close()
    rollout.start()
    rollout.control.kill()
    rollout.router.restart()
    rollout.world.traffic = rollout.router.traffic
    rollout.controller.tick()
    rollout.router.until_ready("a", "b")
    assert {rollout.router.slot(f"new{number}") for number in range(10)} == {"a", "b"}
    rollout.backends.run = lambda revision: None  # type: ignore[method-assign]
    rollout.backends.end("new")
    rollout.controller.tick()
    rollout.passed_s += 60.0
    rollout.until("aborted")
    assert {rollout.router.slot(f"newer{number}") for number in range(10)} == {"a"}


def test_the_next_rollout_begins_with_nothing_of_the_last_one(rollout: Rollout) -> None:
    """Neither its gate, nor its pins: a conversation that went back stays with stable."""
    rollout.until("stepping")
    rollout.router.until_ready("a", "b")
    rollout.world.close()
    rollout.start()
    went = {name: slot for number in range(10) if (slot := rollout.router.slot(name := f"c{number}")) == "b"}
    rollout.world.order(Asked(rollout.now(), "abort", "bob"))
    rollout.until("aborted")
    assert rollout.router.traffic.pins().keys().isdisjoint(went)
    for _ in range(2):
        rollout.controller.tick()
    assert rollout.router.traffic.pins().keys().isdisjoint(went)
    rollout.store.begin(PLAN, begin("newer", "old", rollout.now()), "ann")
    rollout.until("stepping")
    assert rollout.controller.trouble == ""
    assert rollout.router.traffic.pins().keys().isdisjoint(went)


def test_a_router_that_is_started_anew_after_the_end_is_told_again(rollout: Rollout) -> None:
    rollout.until("stepping")
    rollout.world.order(Asked(rollout.now(), "promote", "bob"))
    rollout.until("promoted")
    rollout.router.restart()
    rollout.world.traffic = rollout.router.traffic
    rollout.controller.tick()
    rollout.router.until_ready("b")
    assert rollout.router.slot("c") == "b"
