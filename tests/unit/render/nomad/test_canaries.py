"""A rollout for Nomad: how many canaries, and the job that decides about them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from tests.nomad_schema import problems, read
from tests.rollouts import GATES, STEPS, planned

from shipway.errors import SpecError
from shipway.render.emit import Rendered
from shipway.render.nomad.canaries import canaries
from shipway.render.nomad.files import render
from shipway.render.targets.judging import judge


@pytest.mark.parametrize(
    ("replicas", "weight", "count"),
    [(1, 5, 1), (3, 5, 1), (3, 25, 1), (20, 5, 1), (40, 5, 2), (3, 50, 3), (3, 60, 4), (3, 100, 3)],
)
def test_canaries_come_near_a_share_from_below(replicas: int, weight: int, count: int) -> None:
    assert canaries(replicas, weight) == count
    assert count == 1 or count / (replicas + count) <= weight / 100


def update(rendered: Rendered) -> dict[str, Any]:
    (job,) = read(rendered.owned["agent.nomad.hcl"])["job"]
    (found,) = job["support"]["group"][0]["agent"]["update"]
    return dict(found)


def test_canaries_wait_for_the_job(tmp_path: Path) -> None:
    plan, rollout = planned(tmp_path)
    rendered = render(plan, rollout)
    assert update(rendered)["canary"] == 1
    assert update(rendered)["auto_promote"] is False
    assert update(rendered)["auto_revert"] is True
    assert problems(rendered.owned["gate.nomad.hcl"]) == []
    assert list(rendered.owned)[-2:] == ["agent.nomad.hcl", "gate.nomad.hcl"], "as they are to be run"


def test_without_a_rollout_they_are_promoted_as_before(tmp_path: Path) -> None:
    plan, _ = planned(tmp_path, ('[storage]\nurl = { secret = "DATABASE_URL" }\n', ""))
    assert update(render(plan))["auto_promote"] is True
    assert "gate.nomad.hcl" not in render(plan).owned


def details(rendered: Rendered) -> dict[str, Any]:
    (job,) = read(rendered.owned["gate.nomad.hcl"])["job"]
    (task,) = job["support-gate"]["group"][0]["gate"]["task"]
    found: dict[str, Any] = json.loads(task["gate"]["env"][0]["GATE"])
    return found


def test_it_is_told_what_is_judged_and_how_long(tmp_path: Path) -> None:
    plan, rollout = planned(tmp_path)
    assert details(render(plan, rollout)) == {
        "job": "support",
        "group": "agent",
        "deployment": "name=support&environment=prod",
        "canary": plan.revision,
        "gate": {"stable": None, "metrics": {"errors": {"margin": 0.2}}, "alpha": 0.05, "share": None},
        "hold_s": 1800,
        "patience_s": 7 * 24 * 3600,
        "every_s": 15,
        "enough": "",
    }
    steps = 'steps = [{ weight = 5, hold = "30m" }, { weight = 100 }]'
    held = details(render(*planned(tmp_path, (STEPS, steps), (GATES, ""))))
    assert (held["gate"], held["hold_s"], held["patience_s"]) == (None, 1800, 3600)


def test_what_a_weight_comes_to_is_said_and_sqlite_refused(tmp_path: Path) -> None:
    plan, rollout = planned(tmp_path)
    said = "\n".join(judge(plan, "nomad", rollout))
    assert "5 % is 1 beside 3: 25 % of the instances: Nomad counts instances" in said
    sqlite = (('\nurl = { secret = "DATABASE_URL" }', ""), ("replicas = 3", "replicas = 1"))
    plan, rollout = planned(tmp_path, *sqlite)
    with pytest.raises(SpecError, match="keep them in PostgreSQL"):
        judge(plan, "nomad", rollout)
