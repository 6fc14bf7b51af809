"""A rollout for ECS: its one share, and what keeps the hold."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from tests.ecs_shapes import problems
from tests.rollouts import GATES, STEPS, planned

from shipway.plan.rollout import RolloutPlan
from shipway.plan.stack import StackPlan
from shipway.render.ecs.files import render
from shipway.render.targets.judging import judge

HELD = 'steps = [{ weight = 5, hold = "30m" }, { weight = 25, hold = "90m" }, { weight = 100, hold = "20m" }]'


def configuration(plan: StackPlan, rollout: RolloutPlan | None) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(render(plan, rollout).owned["canary-deployment.json"])
    assert problems("UpdateService", {"service": "a", "deploymentConfiguration": found}) == []
    return found


def test_with_gates_the_hook_keeps_the_hold(tmp_path: Path) -> None:
    plan, rollout = planned(tmp_path, (STEPS, HELD))
    found = configuration(plan, rollout)
    assert found["canaryConfiguration"] == {"canaryPercent": 5.0, "canaryBakeTimeInMinutes": 0}
    assert found["bakeTimeInMinutes"] == 20
    (hook,) = found["lifecycleHooks"]
    assert hook["lifecycleStages"] == ["PRE_PRODUCTION_TRAFFIC_SHIFT"]
    assert hook["hookDetails"] == {
        "deployment": "name=support&environment=prod",
        "canary": plan.revision,
        "gate": {"stable": None, "metrics": {"errors": {"margin": 0.2}}, "alpha": 0.05, "share": 0.05},
        "hold_s": 7200,
        "enough": "&enough=1",
    }
    assert hook["timeoutConfiguration"] == {"timeoutInMinutes": 240, "action": "ROLLBACK"}


def test_a_step_without_a_hold_waits_until_the_gate_is_certain(tmp_path: Path) -> None:
    (hook,) = configuration(*planned(tmp_path))["lifecycleHooks"]
    assert hook["hookDetails"]["enough"] == ""
    assert hook["timeoutConfiguration"]["timeoutInMinutes"] == 24 * 60


def test_without_gates_the_hold_is_ecss_bake_time(tmp_path: Path) -> None:
    plan, rollout = planned(tmp_path, (STEPS, HELD), (GATES, ""))
    found = configuration(plan, rollout)
    assert found["canaryConfiguration"] == {"canaryPercent": 5.0, "canaryBakeTimeInMinutes": 120}
    assert "lifecycleHooks" not in found
    files = render(plan, rollout)
    assert "hook.py" not in files.owned
    assert "GATE_FUNCTION_ARN" not in files.once["account.env"]


def test_without_a_rollout_it_is_as_before(tmp_path: Path) -> None:
    plan, _ = planned(tmp_path)
    found = configuration(plan, None)
    assert found["canaryConfiguration"] == {"canaryPercent": 5.0, "canaryBakeTimeInMinutes": 60}


def test_the_account_names_the_function_and_the_script_fills_it_in(tmp_path: Path) -> None:
    files = render(*planned(tmp_path))
    for name in ("GATE_FUNCTION_ARN", "GATE_ROLE_ARN"):
        assert f"\n{name}=" in files.once["account.env"]
        assert f"s|\\${{{name}}}|" in files.owned["deploy.sh"]
    assert " ALARMS GATE_FUNCTION_ARN GATE_ROLE_ARN\n" in files.owned["deploy.sh"]


def test_what_ecs_cannot_express_is_said(tmp_path: Path) -> None:
    plan, rollout = planned(tmp_path)
    said = "\n".join(judge(plan, "ecs", rollout))
    assert "steps of 5 %, 25 %, 100 %: ECS has one, and then all" in said
    assert "ECS knows no conversations" in said
    assert "the paired suite is run by you" in said


@pytest.mark.parametrize("steps", [STEPS, HELD])
def test_a_rollout_takes_as_long_as_its_steps_together(tmp_path: Path, steps: str) -> None:
    (hook,) = configuration(*planned(tmp_path, (STEPS, steps)))["lifecycleHooks"]
    assert hook["hookDetails"]["hold_s"] == (1800 if steps == STEPS else 7200)
