"""The machine, explored: every state that any sequence of events leads to, and what must hold in each."""

from __future__ import annotations

from collections import deque
from dataclasses import replace
from itertools import product

import pytest

from shipway.errors import RolloutError
from shipway.plan.rollout import RolloutPlan, Step
from shipway.rollout.machine import START_S, UNREADY_S, actions, begin, step, weight
from shipway.rollout.state import (
    Asked,
    End,
    Event,
    Judge,
    Run,
    Seen,
    Settle,
    State,
    Told,
    Weigh,
)

HOLD = UNREADY_S
PLAN = RolloutPlan(
    name="support",
    environment="prod",
    steps=(Step(5, HOLD), Step(25), Step(100)),
    metrics={"errors": None},
    suite=True,
)
PLANS = {
    "steps": PLAN,
    "no suite": replace(PLAN, suite=False),
    "nothing judges": replace(PLAN, metrics={}, suite=False),
    "at once": replace(PLAN, steps=(Step(100),), metrics={}, suite=False),
    "bakes at 100": replace(PLAN, steps=(Step(5, HOLD), Step(100, HOLD)), suite=False),
}
ASKED = ("pause", "resume", "promote", "abort")
PASSED = (0.0, HOLD, START_S)  # seconds since the last event


def looks(now: float) -> list[Seen]:
    """Everything that can be seen at a moment."""
    gates = [("pass", False, False), ("fail", False, False)]
    gates += [("inconclusive", too_little, pause) for too_little in (False, True) for pause in (False, True)]
    healths = product(("ready", "unready", "absent"), ("ready", "unready", "absent"))
    suites = (None, "running", "pass", "fail", "inconclusive", "broken")
    return [
        Seen(now, canary, stable, suite, verdict, too_little, pause)  # type: ignore[arg-type]
        for (canary, stable), (verdict, too_little, pause) in product(healths, gates)
        for suite in suites
    ]


def events(state: State, now: float) -> list[Event]:
    """Whatever can happen next and makes a difference: the gates count while users are split, and so on."""
    seen = [
        look
        for look in looks(now)
        if (state.phase == "promoting" or look.stable != "absent")
        and (state.phase == "aborting" or look.canary != "absent")
        and (state.phase == "evaluating" or look.suite is None)
        and (state.course == "stepping" or (look.verdict == "inconclusive" and not look.pause))
    ]
    return [*seen, *(Asked(now, what, "ann") for what in ASKED)]  # type: ignore[arg-type]


def normal(state: State, now: float) -> State:
    """The state with its times counted from now, as far as they make a difference: there are few of them."""
    longest = {"starting": START_S, "stepping": 2 * HOLD}.get(state.phase, 0.0)
    age = min(now - state.since, longest)
    unready = None if state.unready_since is None else -min(now - state.unready_since, UNREADY_S)
    held = min(state.held_s, 2 * HOLD)
    split = None if state.split_since is None else 0.0
    return replace(
        state, since=-age, unready_since=unready, held_s=held, split_since=split, notices=(), told=0, why=""
    )


def after(plan: RolloutPlan, state: State, event: Event) -> State | None:
    """The state that follows; None where a person is refused."""
    try:
        return step(plan, state, event)[0]
    except RolloutError:
        assert isinstance(event, Asked)
        return None


def explore(plan: RolloutPlan) -> dict[State, list[tuple[Event, State]]]:
    """Every state that can be reached, with what leads out of it."""
    found: dict[State, list[tuple[Event, State]]] = {}
    waiting = deque([normal(begin("new", "old", 0.0), 0.0)])
    while waiting:
        state = waiting.popleft()
        if state in found:
            continue
        found[state] = []
        for passed in PASSED if state.phase == "starting" else PASSED[:-1]:
            for event in events(state, passed):
                reached = after(plan, state, event)
                if reached is not None:
                    found[state].append((event, reached))
                    waiting.append(normal(reached, passed))
    return found


@pytest.fixture(scope="module", params=PLANS, ids=str)
def explored(request: pytest.FixtureRequest) -> tuple[RolloutPlan, dict[State, list[tuple[Event, State]]]]:
    plan = PLANS[request.param]
    return plan, explore(plan)


Explored = tuple[RolloutPlan, dict[State, list[tuple[Event, State]]]]


def test_every_phase_is_reached(explored: Explored) -> None:
    plan, found = explored
    phases = {state.phase for state in found}
    wanted = {"starting", "stepping", "paused", "promoting", "promoted", "aborting", "aborted"}
    assert phases == (wanted | {"evaluating"} if plan.suite else wanted)


def test_every_state_leads_to_an_end(explored: Explored) -> None:
    """Backwards from the ends, by a well world alone and by a person's abort."""
    _, found = explored
    ends = {state for state in found if state.ended}
    while True:
        more = {
            state
            for state, ways in found.items()
            if state not in ends and any(normal(reached, _now(event)) in ends for event, reached in ways)
        }
        if not more:
            break
        ends |= more
    assert ends == set(found)


def _now(event: Event) -> float:
    assert not isinstance(event, Told)
    return event.now


def test_users_reach_a_revision_that_runs(explored: Explored) -> None:
    """Whoever has a share runs, and does not end; nobody has a share before it was ready once."""
    plan, found = explored
    for state in found:
        done = actions(plan, state)
        share = next(action.percent for action in done if isinstance(action, Weigh))
        running = {action.revision for action in done if isinstance(action, Run)}
        ending = {action.revision for action in done if isinstance(action, End)}
        assert not running & ending
        assert ("new" in running) if share else True
        assert ("old" in running) if share < 100 else True
        if state.phase in ("starting", "evaluating", "aborting", "aborted"):
            assert share == 0
        assert share == weight(plan, state)


def test_nobody_goes_back_to_a_stable_that_is_not_ready(explored: Explored) -> None:
    _, found = explored
    for state, ways in found.items():
        for event, reached in ways:
            if reached.phase == "aborting" and state.phase != "aborting":
                stable = event.stable if isinstance(event, Seen) else ("ready" if state.stable_ready else "")
                assert stable == "ready", (state, event)


def test_a_canary_that_is_worse_has_no_more_users_after_the_very_look(explored: Explored) -> None:
    plan, found = explored
    seen = 0
    for state, ways in found.items():
        for event, reached in ways:
            if not isinstance(event, Seen) or event.verdict != "fail" or event.stable != "ready":
                continue
            if state.phase == "stepping" or (state.phase == "paused" and weight(plan, state)):
                assert reached.phase == "aborting"
                assert actions(plan, reached)[:2] == (Run("old"), Weigh("new", "old", 0, stay=False))
                seen += 1
    assert seen


def test_the_share_rises_step_by_step_or_falls_to_nothing(explored: Explored) -> None:
    plan, found = explored
    weights = [0, *(step.weight for step in plan.steps)]
    for state, ways in found.items():
        for event, reached in ways:
            before, now = weight(plan, state), weight(plan, reached)
            if reached.phase == "promoting" or isinstance(event, Asked):
                continue
            assert now == before or now == 0 or weights.index(now) == weights.index(before) + 1, (
                state,
                event,
            )


def test_only_a_promoted_canary_is_settled(explored: Explored) -> None:
    plan, found = explored
    for state in found:
        settled = [action for action in actions(plan, state) if isinstance(action, Settle)]
        assert settled == ([Settle("new")] if state.phase in ("promoting", "promoted") else [])


def test_what_is_done_depends_on_what_is_remembered_alone(explored: Explored) -> None:
    """A controller that is started again does the same as the one that was killed."""
    plan, found = explored
    for state, ways in found.items():
        for event, reached in ways:
            assert step(plan, state, event)[1] == actions(plan, reached)


def test_nothing_leaves_an_end(explored: Explored) -> None:
    _, found = explored
    for state, ways in found.items():
        if state.ended:
            assert {reached.phase for _, reached in ways} == {state.phase}
            assert not any(isinstance(event, Asked) for event, _ in ways)


# -- The roads that people care about ------------------------------------------------------------------------


class Road:
    """A rollout that is driven by hand; what people were told is in `told`."""

    def __init__(self, plan: RolloutPlan = PLANS["no suite"]) -> None:
        self.plan, self.now = plan, 1000.0
        self.state = begin("new", "old", self.now)
        self.told: list[str] = []

    def look(
        self, passed: float = 0.0, canary: str = "ready", stable: str = "ready", **seen: object
    ) -> State:
        self.now += passed
        return self.take(Seen(self.now, canary, stable, **seen))  # type: ignore[arg-type]

    def ask(self, what: str, reason: str = "") -> State:
        return self.take(Asked(self.now, what, "ann", reason))  # type: ignore[arg-type]

    def take(self, event: Event) -> State:
        self.state, _ = step(self.plan, self.state, event)
        if notices := self.state.notices:
            self.told += [notice.words for notice in notices]
            self.state, _ = step(self.plan, self.state, Told(notices[-1].number))
        return self.state


def test_a_good_canary_is_promoted_step_by_step() -> None:
    road = Road()
    assert road.look().phase == "stepping"
    assert road.look(HOLD - 1).step == 0
    assert road.look(1.0).step == 1
    assert road.look(HOLD).step == 1  # without a time of its own: until the gates have decided
    assert road.look(verdict="pass").step == 2
    assert road.look(verdict="pass").phase == "promoting"
    assert road.look(stable="absent").phase == "promoted"
    assert road.told == [
        "25 % of new conversations go to new",
        "100 % of new conversations go to new",
        "every step is done: promoted",
    ]


def test_too_little_data_doubles_a_step_once_and_then_asks() -> None:
    road = Road()
    road.look()
    assert road.look(HOLD, too_little=True).phase == "stepping"
    assert road.state.extended
    assert road.look(HOLD - 1, too_little=True).phase == "stepping"
    assert road.look(1.0, too_little=True, words="3 conversations").phase == "paused"
    assert road.told[-1] == "paused: too little data to judge: 3 conversations"
    assert road.ask("resume").phase == "stepping"
    assert road.look(too_little=True).step == 1  # whoever resumes has seen it


def test_a_pause_keeps_the_share_and_stops_the_clock_of_the_step() -> None:
    road = Road()
    road.look()
    road.look(HOLD / 2)
    assert weight(road.plan, road.ask("pause", "lunch")) == 5
    assert road.told[-1] == "paused: by ann: lunch"
    road.look(10 * HOLD)
    road.ask("resume")
    assert road.look(HOLD / 2 - 1).step == 0
    assert road.look(1.0).step == 1


def test_both_revisions_worse_pauses_once() -> None:
    road = Road()
    road.look()
    assert road.look(pause=True, words="both revisions fail more than before").phase == "paused"
    road.ask("resume")
    assert road.look(pause=True).phase == "stepping"


def test_it_waits_for_a_stable_that_is_not_ready() -> None:
    road = Road()
    road.look()
    assert road.look(verdict="fail", stable="unready", words="errors").phase == "paused"
    assert weight(road.plan, road.state) == 5
    assert road.look(stable="unready").phase == "paused"
    assert road.look(stable="ready").phase == "aborting"
    assert road.told == ["paused: it should go back, but stable is not ready: errors", "back to old: errors"]


def test_a_crashed_canary_is_given_half_a_minute() -> None:
    road = Road()
    road.look()
    assert road.look(canary="absent").phase == "stepping"
    assert road.look(UNREADY_S - 1, canary="absent").phase == "stepping"
    assert road.look(1.0, canary="absent").phase == "aborting"
    assert road.told == ["back to old: the canary is gone"]


def test_a_canary_that_never_starts_goes_back() -> None:
    road = Road()
    assert road.look(START_S - 1, canary="unready").phase == "starting"
    assert road.look(1.0, canary="unready").phase == "aborting"


@pytest.mark.parametrize(
    ("suite", "phase"),
    [
        ("running", "evaluating"),
        ("pass", "stepping"),
        ("fail", "aborting"),
        ("inconclusive", "paused"),
        ("broken", "paused"),
    ],
)
def test_the_paired_suite_comes_before_any_user(suite: str, phase: str) -> None:
    road = Road(PLAN)
    assert road.look().phase == "evaluating"
    assert weight(road.plan, road.state) == 0
    assert road.look(suite=suite).phase == phase
    if phase == "paused":
        assert road.ask("resume").phase == "stepping"


def test_at_the_whole_share_nothing_is_compared() -> None:
    road = Road(PLANS["bakes at 100"])
    road.look()
    road.look(HOLD)
    assert weight(road.plan, road.state) == 100
    assert Judge("new", "old", None, 1000.0) in actions(road.plan, road.state)


def test_the_whole_share_without_a_hold_waits_for_no_verdict() -> None:
    """Nobody is left on stable: the gates could not come to another one."""
    road = Road()
    road.look()
    road.look(HOLD)
    assert road.look(verdict="pass").step == 2
    assert road.look().phase == "promoting"


def test_a_person_is_told_what_cannot_be() -> None:
    with pytest.raises(RolloutError, match="revision old is the stable one already"):
        begin("old", "old", 0.0)
    road = Road()
    with pytest.raises(RolloutError, match="the canary new is not ready; it cannot be promoted"):
        road.ask("promote")
    with pytest.raises(RolloutError, match="is not paused, it is starting"):
        road.ask("resume")
    road.ask("abort")
    with pytest.raises(RolloutError, match="the rollout of new is aborting; there is nothing to pause"):
        road.ask("pause")


def test_what_was_not_told_yet_is_told_again() -> None:
    state = begin("new", "old", 0.0)
    state, _ = step(PLAN, state, Asked(0.0, "abort", "ann"))
    assert [notice.number for notice in state.notices] == [1]
    state, _ = step(PLAN, state, Told(1))
    assert state.notices == ()
    assert state.told == 1


def test_evals_alone_judge_before_the_first_step_and_hold_nobody_up_later() -> None:
    """Nobody reports pairs while users are served: a gate by them would never come to an end."""
    plan = replace(PLAN, metrics={"evals": None}, steps=(Step(5, HOLD), Step(25), Step(100)))
    state = begin("new", "old", 0.0)
    state, _ = step(plan, state, Seen(1.0, "ready", "ready"))
    assert state.phase == "evaluating"
    state, _ = step(plan, state, Seen(2.0, "ready", "ready", "pass"))
    for now in (3.0 + HOLD, 4.0 + HOLD):
        assert state.phase == "stepping"
        state, wanted = step(plan, state, Seen(now, "ready", "ready", too_little=True))
        assert not any(isinstance(one, Judge) for one in wanted)
    assert state.step == 2
