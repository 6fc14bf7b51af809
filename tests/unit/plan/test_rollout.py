from __future__ import annotations

import pytest

from shipway.plan.rollout import RolloutPlan, Step

LAST = Step(100)


def plan(*steps: Step) -> RolloutPlan:
    return RolloutPlan("a", "prod", (*steps, LAST), {"live": 0.1, "errors": None, "evals": 0.02})


def test_a_gate_is_told_what_live_conversations_are_compared_by():
    assert plan(Step(5, 3600.0)).gate == {"metrics": {"live": {"margin": 0.1}, "errors": {}}, "alpha": 0.05}


@pytest.mark.parametrize(
    ("holds", "idle_s"),
    [((3600.0,), None), ((1200.0,), None), ((1196.0,), 299.0), ((3600.0, 30.0), 7.5), ((1.0,), 1.0)],
)
def test_conversations_are_over_within_the_shortest_step(holds, idle_s):
    steps = (Step(5 * number, hold) for number, hold in enumerate(holds, 1))
    assert plan(*steps).gate.get("idle_s") == idle_s


def test_steps_without_a_hold_leave_that_to_control():
    assert "idle_s" not in plan(Step(5)).gate
