"""What a terminal shows of a rollout."""

from __future__ import annotations

import dataclasses

import pytest
from tests.snapshots import BEGUN, gate, snapshot

from shipway.cli import rollout_words as words
from shipway.cli.rollout_watch import changes
from shipway.rollout_snapshot import Known, Order, RevisionSeen, Snapshot

MIDDLE = snapshot(suite=True, step=1, percent=25, held_s=1800.0)


def shown(rollout: Snapshot, width: int = 100, height: int = 60, **known) -> list[str]:
    lines = words.view("support, prod", Known(rollout, BEGUN, **known), rollout, width, height)
    return [words.text(line).rstrip() for line in lines]


def steps(**more) -> list[str]:
    return shown(dataclasses.replace(MIDDLE, **more))[2:4]


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"course": "starting"}, "· evals  · 5 %, 1 h  · 25 %, 1 h  · 100 %"),
        ({"course": "evaluating"}, "▸ evals  · 5 %, 1 h  · 25 %, 1 h  · 100 %"),
        ({}, "✓ evals  ✓ 5 %, 1 h  ▸ 25 %, 30 min of 1 h  · 100 %"),
        ({"extended": True}, "✓ evals  ✓ 5 %, 1 h  ▸ 25 %, 30 min of 2 h  · 100 %"),
        ({"step": 2}, "✓ evals  ✓ 5 %, 1 h  ✓ 25 %, 1 h  ▸ 100 %, 30 min, until it is judged"),
        ({"phase": "paused"}, "✓ evals  ✓ 5 %, 1 h  ▸ 25 %, 30 min of 1 h  · 100 %"),
        ({"course": "promoted"}, "✓ evals  ✓ 5 %, 1 h  ✓ 25 %, 1 h  ✓ 100 %"),
        ({"course": "aborted"}, "✓ evals  ✓ 5 %, 1 h  ✗ 25 %, 1 h  · 100 %"),
        ({"course": "aborting", "step": 0}, "✗ evals  · 5 %, 1 h  · 25 %, 1 h  · 100 %"),
        ({"course": "aborting", "step": 0, "gate": gate()}, "✓ evals  ✗ 5 %, 1 h  · 25 %, 1 h  · 100 %"),
    ],
)
def test_steps_say_where_it_is(more, said):
    bar, below = steps(**more)
    assert below == said
    assert len(bar) == len(said)


def test_the_bar_is_filled_as_far_as_the_step_has_lasted():
    first, second = (steps(held_s=held)[0].count("━") for held in (0.0, 3600.0))
    assert second - first == len("▸ 25 %, 1 h of 1 h")


@pytest.mark.parametrize(("percent", "filled"), [(0, 0), (1, 1), (5, 1), (50, 10), (99, 19), (100, 20)])
def test_the_split_never_looks_like_all_or_nothing_where_it_is_neither(percent, filled):
    [line] = [line for line in shown(snapshot(percent=percent)) if line.startswith("split")]
    assert line.count("█") == filled
    assert f"{percent} % r-2, {100 - percent} % r-1" in line


@pytest.mark.parametrize(("harm", "filled"), [(0.02, 0), (1.0, 0), (4.47, 10), (19.9, 20), (35000.0, 20)])
def test_evidence_is_shown_against_its_threshold(harm, filled):
    [line] = [line for line in shown(snapshot(gate=gate(harm))) if "errors  " in line]
    assert line.count("█") == filled
    assert line.endswith(" of 20")


def test_everything_that_is_known_is_said():
    rollout = snapshot(
        phase="paused",
        why="paused by ann: INC-7",
        trouble="control is not reached",
        gate=gate(),
        canary=RevisionSeen("r-2", "unready", ("mcp git: connection refused",), BEGUN),
        stable=RevisionSeen("r-1", "absent"),
    )
    order = Order(3, "abort", "bob", "enough", BEGUN, "r-2", BEGUN)
    told = "\n".join(shown(rollout, away=True, orders=(order,)))
    at = words.clock(BEGUN)
    for said in (
        *("r-2 over r-1", "paused by ann: INC-7", "control is not reached"),
        *("No evidence of harm in 113", "errors", "96.2 % of turns without an error", "latency"),
        f"r-2 is not ready since {at}: mcp git: connection refused",
        "r-1 is not there",
        f"abort, by bob at {at}: enough; not heard yet",
        f"not heard of since {at}",
        f"{at} ann  r-2 is rolled out over r-1",
    ):
        assert said in told


def test_what_has_ended_with_the_rollout_is_no_alarm():
    gone = snapshot(phase="aborted", course="aborted", canary=RevisionSeen("r-2", "absent"))
    assert "r-2 has ended" in "\n".join(shown(gone))
    assert "r-2 is not there" in "\n".join(shown(dataclasses.replace(gone, phase="stepping")))


@pytest.mark.parametrize("width", [60, 80, 200])
def test_words_are_wrapped_and_the_trail_is_as_long_as_the_height_lets_it_be(width):
    rollout = snapshot(gate=gate(), trail=snapshot().trail * 40, why="x " * 100)
    lines = shown(rollout, width, height=40)
    assert len(lines) == 39
    assert max(map(len, (line for line in lines[5:] if "█" not in line and "░" not in line))) <= width


def test_what_others_have_said_does_not_steer_a_terminal():
    rollout = snapshot(canary=RevisionSeen("r-2", "unready", ("\x1b[2Jgone\nr-1",)))
    assert "\x1b" not in "".join(shown(rollout))
    assert not any("\x1b" in line or "\n" in line for line in changes({}, Known(rollout), rollout))


def test_a_line_each_for_what_changes_and_none_for_what_does_not():
    said: dict[str, str] = {}

    def new(rollout: Snapshot, lost: str = "", **known) -> list[str]:
        return list(changes(said, Known(rollout, **known), rollout, lost))

    at = words.clock(BEGUN + 60)
    assert new(snapshot()) == [
        f"{words.clock(BEGUN)} ann: r-2 is rolled out over r-1",
        f"{at} shipway: 5 % of new conversations go to r-2",
        f"5 % of new conversations go to r-2 since {at}",
        "r-2 is ready",
        "r-1 is ready",
    ]
    assert new(snapshot(held_s=301.0, at=BEGUN + 361)) == []
    assert new(snapshot(gate=gate())) == [
        "gate: inconclusive: No evidence of harm in 113 conversations of r-2."
    ]
    assert new(snapshot(gate=gate(0.7, words="No evidence of harm in 114."))) == []
    assert new(snapshot(gate=gate(40.0))) == ["gate: fail: r-2 is worse than r-1."]
    assert new(snapshot(gate=gate(40.0)), "since 12:04: refused") == ["not reached since 12:04: refused"]
    assert new(snapshot(gate=gate(40.0)), "since 12:05: refused") == []
    assert new(snapshot(gate=gate(40.0))) == []
