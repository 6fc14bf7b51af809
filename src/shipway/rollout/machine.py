"""The rollout as a machine: (plan, state, event) -> (state, actions). Pure: no clock, no I/O.

In: the plan, what is remembered, what happened. Out: what is to be remembered, and then what is to be done.
`actions` depend on the state alone, and each can be done again without harm: a controller writes the state
down, does all of them, looks, and begins again. So a restart at any point, a router that lost its weights
and an action that failed are all mended by the next look.

    starting ─► evaluating ─► stepping ─► … ─► promoting ─► promoted
        │            │         │    ▲              (the canary is stable)
        │            │         ▼    │
        │            └──────► paused ┘
        ▼                      │
    aborting ◄─────────────────┘ ─► aborted       (stable is as it was)
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, assert_never

from shipway.errors import RolloutError
from shipway.plan.rollout import AT_ONCE
from shipway.rollout.state import (
    Asked,
    End,
    Evaluate,
    Judge,
    Notice,
    Run,
    Seen,
    Settle,
    State,
    Told,
    Weigh,
)

if TYPE_CHECKING:
    from shipway.plan.rollout import RolloutPlan
    from shipway.rollout.state import Action, Event, Phase

START_S = 600.0
"""A canary that is not ready after this long never will be."""

UNREADY_S = 30.0
"""A canary that has traffic and is not ready for this long has failed."""


def begin(canary: str, stable: str, now: float) -> State:
    """A rollout of a canary over a stable revision. Raises RolloutError when they are the same."""
    if canary == stable:
        raise RolloutError(f"revision {canary} is the stable one already; there is nothing to roll out")
    return State(canary=canary, stable=stable, phase="starting", since=now)


def step(plan: RolloutPlan, state: State, event: Event) -> tuple[State, tuple[Action, ...]]:
    """What to remember, and then what to do. Raises RolloutError when a person asks for what cannot be."""
    match event:
        case Told(number):
            after = replace(state, notices=tuple(n for n in state.notices if n.number > number))
        case Asked():
            after = _asked(state, event)
        case Seen():
            after = _seen(plan, replace(state, stable_ready=event.stable == "ready"), event)
        case _:
            assert_never(event)
    return after, actions(plan, after)


def weight(plan: RolloutPlan, state: State) -> int:
    """The canary's share of new conversations, in percent."""
    if state.course in ("promoting", "promoted"):
        return 100
    return plan.steps[state.step].weight if state.course == "stepping" else 0


def actions(plan: RolloutPlan, state: State) -> tuple[Action, ...]:
    """What has to be true of the world in this state, in this order: users first, then what only judges."""
    canary, stable, percent = state.canary, state.stable, weight(plan, state)
    split = Weigh(canary, stable, percent)
    match state.phase:
        case "starting":
            return Run(stable), split, Run(canary)
        case "evaluating":
            return Run(stable), split, Run(canary), Evaluate(canary, stable)
        case "stepping" | "paused":
            return Run(stable), split, Run(canary), *_judge(plan, state, percent)
        case "promoting" | "promoted":
            return Run(canary), replace(split, stay=False), Settle(canary), End(stable)
        case "aborting" | "aborted":
            return Run(stable), replace(split, stay=False), End(canary)


def _judge(plan: RolloutPlan, state: State, percent: int) -> tuple[Judge, ...]:
    if not plan.watched or state.split_since is None or not percent:
        return ()
    share = percent / 100 if percent < 100 else None
    return (Judge(state.canary, state.stable, share, state.split_since),)


# -- A person's word -----------------------------------------------------------------------------------------


def _asked(state: State, asked: Asked) -> State:
    if state.ended or state.phase in ("promoting", "aborting"):
        raise RolloutError(
            f"the rollout of {state.canary} is {state.phase}; there is nothing to {asked.what}"
        )
    who = asked.by + (f": {asked.reason}" if asked.reason else "")
    match asked.what:
        case "pause":
            return state if state.phase == "paused" else _pause(state, asked.now, f"by {who}")
        case "resume":
            return _resume(state, asked.now, who)
        case "promote":
            if state.unready_since is not None or state.course == "starting":
                raise RolloutError(f"the canary {state.canary} is not ready; it cannot be promoted")
            return _enter(state, "promoting", asked.now, f"promoted by {who}")
        case "abort":
            return _go_back(state, asked.now, f"aborted by {who}")


def _resume(state: State, now: float, who: str) -> State:
    if state.phase != "paused":
        raise RolloutError(f"the rollout of {state.canary} is not paused, it is {state.phase}")
    resumed = _enter(state, state.resume, now, f"resumed by {who}")
    kept = replace(resumed, held_s=state.held_s, extended=state.extended, heard=state.heard)
    return replace(kept, going_back=False)


# -- A look at the world -------------------------------------------------------------------------------------


def _seen(plan: RolloutPlan, state: State, seen: Seen) -> State:
    match state.phase:
        case "starting":
            return _starting(plan, state, seen)
        case "evaluating":
            return _evaluating(state, seen)
        case "stepping":
            return _stepping(plan, state, seen)
        case "paused":
            return _paused(state, seen)
        case "promoting":
            return _end(state, "promoted", seen.now) if seen.stable == "absent" else state
        case "aborting":
            return _end(state, "aborted", seen.now) if seen.canary == "absent" else state
        case "promoted" | "aborted":
            return state


def _starting(plan: RolloutPlan, state: State, seen: Seen) -> State:
    if seen.canary == "ready":
        return _enter(state, "evaluating" if plan.suite else "stepping", seen.now)
    if seen.now - state.since < START_S:
        return state
    return _go_back(state, seen.now, f"the canary was not ready after {START_S / 60:.0f} minutes")


def _evaluating(state: State, seen: Seen) -> State:
    match seen.suite:
        case "pass":
            return _enter(state, "stepping", seen.now)
        case "fail":
            return _go_back(state, seen.now, "the evals found the canary worse")
        case "inconclusive" | "broken":
            words = "the evals came to no conclusion" if seen.suite == "inconclusive" else "the evals failed"
            return replace(_pause(state, seen.now, words), resume="stepping")
        case _:
            return _unready(state, seen) or replace(state, unready_since=_unready_since(state, seen))


def _stepping(plan: RolloutPlan, state: State, seen: Seen) -> State:
    if seen.verdict == "fail":
        return _go_back(state, seen.now, seen.words or "the gates found it worse")
    if failed := _unready(state, seen):
        return failed
    state = replace(state, unready_since=_unready_since(state, seen))
    if seen.pause and not state.heard:
        return replace(_pause(state, seen.now, seen.words or "the gates ask for a look"), heard=True)
    return _held(plan, state, seen)


def _held(plan: RolloutPlan, state: State, seen: Seen) -> State:
    """Whether the step is over: after its time, or without one when the gates have decided. At 100 % there
    is nobody left to compare with, and nothing more to wait for."""
    current = plan.steps[state.step]
    hold = current.hold_s
    if seen.canary != "ready":
        return state
    if hold is None:
        decided = not plan.watched or seen.verdict == "pass" or current.weight == AT_ONCE
        return _next(plan, state, seen.now) if decided else state
    held = state.held_s + seen.now - state.since
    if held < hold * (2 if state.extended else 1):
        return state
    if not (plan.watched and seen.too_little) or state.heard:
        return _next(plan, state, seen.now)
    if not state.extended:
        words = "too little data to judge: the step lasts twice as long"
        return _tell(replace(state, extended=True), seen.now, words)
    words = f"too little data to judge: {seen.words}" if seen.words else "too little data to judge"
    return replace(_pause(state, seen.now, words), heard=True)


def _next(plan: RolloutPlan, state: State, now: float) -> State:
    if state.step + 1 == len(plan.steps):
        return _enter(state, "promoting", now, "every step is done: promoted")
    after = replace(_enter(state, "stepping", now), step=state.step + 1)
    return _tell(after, now, f"{plan.steps[after.step].weight} % of new conversations go to {state.canary}")


def _paused(state: State, seen: Seen) -> State:
    """A pause stands, but for what cannot wait: a canary that is certainly worse, or is not there."""
    if state.going_back:
        return _go_back(state, seen.now, state.why) if state.stable_ready else state
    if state.resume == "starting":
        return state
    if state.resume == "stepping" and seen.verdict == "fail":
        return _go_back(state, seen.now, seen.words or "the gates found it worse")
    return _unready(state, seen) or replace(state, unready_since=_unready_since(state, seen))


def _unready(state: State, seen: Seen) -> State | None:
    since = _unready_since(state, seen)
    if since is None or seen.now - since < UNREADY_S:
        return None
    words = (
        "the canary is gone" if seen.canary == "absent" else f"the canary was not ready for {UNREADY_S:.0f} s"
    )
    return _go_back(state, seen.now, words)


def _unready_since(state: State, seen: Seen) -> float | None:
    if seen.canary == "ready":
        return None
    return seen.now if state.unready_since is None else state.unready_since


# -- From one phase to another -------------------------------------------------------------------------------


def _go_back(state: State, now: float, why: str) -> State:
    """To stable, at once; never to a stable that is not ready."""
    if state.stable_ready:
        return _enter(state, "aborting", now, f"back to {state.stable}: {why}")
    paused = _pause(state, now, f"it should go back, but stable is not ready: {why}")
    return replace(paused, why=why, going_back=True)


def _pause(state: State, now: float, why: str) -> State:
    held = state.held_s + (now - state.since if state.phase == "stepping" else 0.0)
    paused = replace(state, phase="paused", since=now, held_s=held, why=why, resume=state.course)
    return _tell(paused, now, f"paused: {why}")


def _enter(state: State, phase: Phase, now: float, words: str = "") -> State:
    entered = replace(
        state,
        phase=phase,
        since=now,
        held_s=0.0,
        extended=False,
        heard=False,
        unready_since=None,
        split_since=now if phase == "stepping" and state.split_since is None else state.split_since,
        why=words,
    )
    return _tell(entered, now, words) if words else entered


def _end(state: State, phase: Phase, now: float) -> State:
    """Why it came to that is known from then on, too."""
    return replace(_enter(state, phase, now), why=state.why)


def _tell(state: State, now: float, words: str) -> State:
    number = state.told + 1
    return replace(state, told=number, notices=(*state.notices, Notice(number, now, words)))
