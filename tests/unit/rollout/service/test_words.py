"""Causes in words, and how a rollout stands: pure."""

from __future__ import annotations

from dataclasses import replace

import pytest

from shipway.plan.rollout import RolloutPlan, Step
from shipway.rollout.docker.containers import Found
from shipway.rollout.machine import begin
from shipway.rollout.service.messages import Check
from shipway.rollout.service.readiness import causes, checks
from shipway.rollout.service.snapshots import LINES, revision, snapshot
from shipway.rollout.service.status import cause
from shipway.rollout.store import Happened, Rollout
from shipway.rollout_snapshot import RevisionSeen

RUNNING = Found(
    id="1",
    name="desk-prod-r1-agent",
    state="running",
    image="sha256:a",
    labels={},
    address="",
    network="",
    joins="",
    started=1.0,
    finished=1796007600.0,
    exit_code=0,
    out_of_memory=False,
    restarts=0,
    error="",
)
CRASHED = replace(RUNNING, state="restarting", exit_code=3, restarts=4)


@pytest.mark.parametrize(
    ("found", "words"),
    [
        (RUNNING, ""),
        (CRASHED, "restarting since 03:00:00 UTC: exit code 3, 4 times"),
        (replace(CRASHED, exit_code=137, restarts=1), "restarting since 03:00:00 UTC: exit code 137, killed"),
        (
            replace(CRASHED, state="exited", exit_code=137, out_of_memory=True, restarts=0),
            "exited since 03:00:00 UTC: exit code 137, out of memory",
        ),
        (replace(RUNNING, state="created", error="port is taken"), "created: port is taken"),
    ],
)
def test_why_a_container_does_not_run(found: Found, words: str) -> None:
    assert cause(found) == words


DOCUMENT = {
    "checks": {
        "agent": {"state": "up", "since": 1.0, "last_error": None},
        "draining": {"state": "no"},
        "mcp git": {"state": "down", "since": 7.0, "last_error": "connection refused"},
        "model": {"state": "starting", "since": 2.0, "last_error": None},
    }
}


def test_why_a_revision_is_not_ready() -> None:
    found = checks(DOCUMENT)
    assert found[2] == Check("mcp git", "down", 7.0, "connection refused")
    assert causes(found) == ("mcp git: connection refused", "model: starting")
    assert revision("r1", "unready", found) == RevisionSeen("r1", "unready", causes(found), 7.0)
    assert revision("r1", "ready", found) == RevisionSeen("r1", "ready")


def test_an_answer_that_is_none_of_ours_has_no_checks() -> None:
    assert checks({}) == ()
    assert checks({"checks": {"a": 1}}) == ()


def test_how_a_rollout_stands() -> None:
    plan = RolloutPlan("desk", "prod", (Step(5, 60.0), Step(100)), suite=True)
    state = replace(begin("r2", "r1", 10.0), phase="stepping", since=40.0, held_s=5.0, why="")
    trail = [Happened(float(number), "shipway", str(number)) for number in range(LINES + 5)]
    found = snapshot(
        Rollout(3, plan, state, 10.0),
        RevisionSeen("r2", "ready"),
        RevisionSeen("r1", "ready"),
        gate=None,
        trail=trail,
        trouble="control is away",
        heard=7,
        now=50.0,
    )
    assert (found.percent, found.step, found.begun, found.held_s) == (5, 0, 10.0, 15.0)
    assert [line.at for line in found.trail] == [float(number) for number in range(5, LINES + 5)]
    assert (found.trouble, found.heard, found.suite) == ("control is away", 7, True)
    paused = replace(state, phase="paused", why="paused by ann")
    again = snapshot(
        Rollout(3, plan, paused, 10.0),
        found.canary,
        found.stable,
        gate=None,
        trail=(),
        trouble="",
        heard=0,
        now=90.0,
    )
    assert (again.phase, again.course, again.held_s, again.why) == (
        "paused",
        "stepping",
        5.0,
        "paused by ann",
    )
