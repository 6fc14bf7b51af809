"""(Rollout, what was seen of it) -> Snapshot: how it stands, as control and people get to know it. Pure.

In: the rollout, both revisions, the gate, the audit trail. Out: a frozen value.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from shipway.rollout import machine
from shipway.rollout.service.readiness import causes
from shipway.rollout_snapshot import GateSeen, Line, RevisionSeen, Snapshot, StepSeen

if TYPE_CHECKING:
    from collections.abc import Sequence

    from shipway.rollout.service.messages import Check
    from shipway.rollout.store import Happened, Rollout
    from shipway.rollout_snapshot import Health

LINES = 20


def revision(name: str, health: Health, checks: tuple[Check, ...]) -> RevisionSeen:
    """One of the two; it stands as it does since the newest of what is wrong."""
    wrong = causes(checks) if health == "unready" else ()
    since = [one.since for one in checks if one.since is not None and one.state == "down"]
    return RevisionSeen(name, health, wrong, max(since) if wrong and since else None)


def snapshot(
    rollout: Rollout,
    canary: RevisionSeen,
    stable: RevisionSeen,
    *,
    gate: GateSeen | None,
    trail: Sequence[Happened],
    trouble: str,
    heard: int,
    now: float,
) -> Snapshot:
    """How it stands at `now`."""
    plan, state = rollout.plan, rollout.state
    running = now - state.since if state.phase == "stepping" else 0.0
    return Snapshot(
        canary=canary,
        stable=stable,
        phase=state.phase,
        course=state.course,
        begun=rollout.begun,
        since=state.since,
        at=now,
        steps=tuple(StepSeen(step.weight, step.hold_s) for step in plan.steps),
        step=state.step,
        percent=machine.weight(plan, state),
        suite=plan.suite,
        held_s=state.held_s + running,
        extended=state.extended,
        why=state.why,
        trouble=trouble,
        gate=gate,
        trail=tuple(Line(one.at, one.who, one.words) for one in trail[-LINES:]),
        heard=heard,
    )
