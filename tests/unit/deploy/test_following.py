"""What a deployment has come to, and in which words."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from shipway.deploy.following import (
    LASTING_S,
    Telling,
    Wanted,
    came_to,
    causes,
    clock,
    is_back,
    readable,
    suspect,
)
from shipway.rollout.service.messages import Check, ContainerSeen, PartStatus, RevisionStatus, Status
from shipway.rollout_snapshot import Line, Phase, RevisionSeen, Snapshot, StepSeen

AGENT = ContainerSeen("agent", "running")
STABLE = RevisionStatus("r-1", "r", "ready", (AGENT,))
CANARY = replace(STABLE, revision="r-2")
ROUTER = PartStatus(ContainerSeen("router", "running"), healthy=True)
STEPS = (StepSeen(5, 60.0), StepSeen(100))


def rollout(phase: Phase, percent: int = 0, steps: tuple[StepSeen, ...] = STEPS) -> Snapshot:
    return Snapshot(
        canary=RevisionSeen("r-2", "ready"),
        stable=RevisionSeen("r-1", "ready"),
        phase=phase,
        course=phase,
        begun=1.0,
        since=1.0,
        at=1.0,
        steps=steps,
        step=0,
        percent=percent,
        trail=(Line(1.0, "ann", "r-2 is rolled out over r-1"), Line(2.0, "shipway", "5 %")),
    )


def status(seen: Snapshot | None = None, stable: RevisionStatus = STABLE, ready: bool = True) -> Status:
    return Status(
        project="s-prod",
        name="s",
        environment="prod",
        stable=stable,
        canary=CANARY if seen else None,
        ready_since=1.0 if ready else None,
        rollout=seen,
        router=ROUTER,
        at=2.0,
    )


def test_a_first_revision_is_waited_for_until_it_has_users() -> None:
    wanted = Wanted("r-1")
    assert came_to(status(), wanted) == "ready"
    assert came_to(status(ready=False), wanted) is None
    assert came_to(status(stable=replace(STABLE, health="unready")), wanted) is None
    nobody = replace(ROUTER, healthy=False, cause="no revision is ready: users get 503")
    assert came_to(replace(status(), router=nobody), wanted) is None


def test_one_that_ends_again_and_again_is_not_waited_for() -> None:
    crashing = replace(STABLE, health="unready", containers=(replace(AGENT, state="restarting", restarts=3),))
    assert came_to(status(stable=crashing, ready=False), Wanted("r-1")) == "failing"
    assert came_to(status(stable=crashing), Wanted("r-1")) is None  # it was ready once: the machine's to mend


@pytest.mark.parametrize(
    ("phase", "percent", "came"),
    [
        ("starting", 0, None),
        ("evaluating", 0, None),
        ("stepping", 5, "users"),
        ("paused", 5, "paused"),
        ("promoting", 100, None),
        ("promoted", 100, "promoted"),
        ("aborting", 0, None),
        ("aborted", 0, "aborted"),
    ],
)
def test_a_rollout_is_waited_for_until_its_canary_has_users(
    phase: Phase, percent: int, came: str | None
) -> None:
    assert came_to(status(rollout(phase, percent)), Wanted("r-2")) == came
    to_the_end = came if came in ("promoted", "aborted") else None
    assert came_to(status(rollout(phase, percent)), Wanted("r-2", end=True)) == to_the_end


def test_without_steps_it_is_waited_for_until_everybody_has_it() -> None:
    at_once = rollout("stepping", 100, (StepSeen(100),))
    assert came_to(status(at_once), Wanted("r-2")) is None


def test_a_rollout_of_another_one_is_not_ours() -> None:
    assert came_to(status(rollout("promoted", 100)), Wanted("r-1")) == "ready"


def test_causes_name_the_container_the_check_and_since_when() -> None:
    agent = replace(AGENT, state="restarting", cause="restarting since 12:04: exit code 137, out of memory")
    checks = (Check("mcp:git", "down", 3600.0, "connection refused"), Check("model", "up"))
    found = causes(replace(STABLE, health="unready", containers=(agent,), checks=checks))
    assert found == [
        "agent: restarting since 12:04: exit code 137, out of memory",
        f"mcp git, connection refused since {clock(3600.0)}",
    ]


def test_the_log_that_may_say_more_is_that_of_what_is_down() -> None:
    git = replace(AGENT, name="mcp-git")
    checks = (Check("model", "down"), Check("mcp:git", "down"))
    seen = replace(STABLE, health="unready", containers=(AGENT, git), checks=checks)
    assert suspect(seen) == "mcp-git"
    assert suspect(replace(seen, containers=(replace(AGENT, cause="exited"), git))) == "agent"
    assert suspect(replace(seen, checks=checks[:1])) == "agent"


def test_a_log_of_ours_is_said_in_words_with_what_went_wrong() -> None:
    entry = {"time": "…", "level": "critical", "message": "no import", "exception": "Traceback\nOSError: x"}
    log = "\n".join([json.dumps(entry), "its own words", json.dumps(entry | {"time": "later"})])
    assert readable(log) == ["critical: no import", "Traceback", "OSError: x", "its own words"]
    assert readable("[1]\n{}") == ["[1]", "{}"]


def test_a_container_that_runs_after_it_ended_says_so() -> None:
    again = replace(STABLE, health="unready", containers=(replace(AGENT, restarts=3),))
    assert causes(again) == ["agent: ended and was started again, 3 times so far"]


def test_what_lasts_is_said_once_and_what_passes_is_not() -> None:
    bad = replace(
        CANARY, health="unready", checks=(Check("model", "down", None, "401"), Check("draining", "no"))
    )
    seen = replace(status(rollout("starting")), canary=bad, trouble=("control is away",))
    telling = Telling(Wanted("r-2"))
    assert list(telling.lines(seen, 0.0)) == ["ann: r-2 is rolled out over r-1", "5 %"]
    assert list(telling.lines(replace(seen, trouble=()), LASTING_S)) == ["not ready: model, 401"]
    assert list(telling.lines(seen, LASTING_S + 1)) == []
    assert list(telling.lines(seen, 2 * LASTING_S + 1)) == ["trouble: control is away"]


def test_what_is_said_is_of_the_revision_that_is_waited_for() -> None:
    bad = replace(CANARY, health="unready", checks=(Check("model", "down", None, "401"),))
    telling = Telling(Wanted("r-1"))
    seen = replace(status(rollout("starting")), canary=bad)
    assert list(telling.lines(seen, 0.0)) == list(telling.lines(seen, LASTING_S)) == []


def test_a_rollback_has_ended_when_another_one_is_stable_and_ready() -> None:
    before = status(stable=CANARY)
    assert not is_back(before, before)
    assert not is_back(before, status(rollout("starting"), stable=CANARY))
    assert is_back(before, status(rollout("promoted", 100)))
    assert not is_back(before, status(rollout("promoted", 100), stable=replace(STABLE, health="unready")))


def test_of_a_rollout_that_goes_on_a_rollback_has_ended_with_it() -> None:
    before = status(rollout("stepping", 5))
    assert not is_back(before, status(rollout("aborting")))
    assert is_back(before, status(rollout("aborted")))
