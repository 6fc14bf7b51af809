"""Rollouts as their controller tells of them: everything that does not matter has a value."""

from __future__ import annotations

import dataclasses
from typing import Any

from shipway.rollout_snapshot import GateSeen, Line, MetricSeen, RevisionSeen, Snapshot, StepSeen

BEGUN = 1_767_225_600.0


def snapshot(**more: Any) -> Snapshot:
    """A rollout in the middle of its first step."""
    given = Snapshot(
        canary=RevisionSeen("r-2", "ready", since=BEGUN + 60),
        stable=RevisionSeen("r-1", "ready"),
        phase="stepping",
        course="stepping",
        begun=BEGUN,
        since=BEGUN + 60,
        at=BEGUN + 360,
        steps=(StepSeen(5, 3600.0), StepSeen(25, 3600.0), StepSeen(100)),
        step=0,
        percent=5,
        held_s=300.0,
        trail=(
            Line(BEGUN, "ann", "r-2 is rolled out over r-1"),
            Line(BEGUN + 60, "shipway", "5 % of new conversations go to r-2"),
        ),
    )
    return dataclasses.replace(given, **more)


def gate(harm: float = 0.65, **more: Any) -> GateSeen:
    """One by errors and latency, whose evidence by errors is this."""
    failed = harm >= 20
    given = GateSeen(
        verdict="fail" if failed else "inconclusive",
        why="harm" if failed else "no-harm",
        words="r-2 is worse than r-1." if failed else "No evidence of harm in 113 conversations of r-2.",
        pause=False,
        evidence=harm,
        threshold=20.0,
        canary=113,
        stable=981,
        metrics=(
            MetricSeen("errors", harm, 1.3, "errors: 96.2 % of turns without an error (113), stable 95.6 %."),
            MetricSeen("latency", 0.55, 2.5, "latency: 91.3 % of turns within 2.93 s (96), stable 92.9 %."),
        ),
    )
    return dataclasses.replace(given, **more)
