"""A rollout for Argo: its steps, and who reaches whom. Schemas judge the rest in tests/engines."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.kubernetes import find, objects
from tests.rollouts import GATES, STEPS, planned

from shipway.errors import SpecError
from shipway.render.kubernetes import render
from shipway.render.targets.judging import judge

POSTGRES = '[storage]\nurl = { secret = "DATABASE_URL" }\n'


def canary(directory: Path, *changes: tuple[str, str]) -> dict[str, Any]:
    plan, rollout = planned(directory, *changes)
    found: dict[str, Any] = find(render(plan, rollout=rollout), "Rollout")["spec"]["strategy"]["canary"]
    return found


def outline(step: dict[str, Any]) -> str:
    """A step in a word."""
    ((kind, said),) = step.items()
    if kind == "analysis":
        ((name,),) = (template.values() for template in said["templates"])
        share = [one["value"] for one in said.get("args", ()) if one["name"] == "share"]
        return " ".join([str(name), *share])
    return str(said) if kind == "setWeight" else f"{kind} {next(iter(said.values()))}"


def test_steps_are_those_of_agent_toml(tmp_path: Path) -> None:
    assert [outline(step) for step in canary(tmp_path)["steps"]] == [
        "setCanaryScale 1",
        "support-suite",
        "support-suite-verdict",
        "setCanaryScale True",
        "5",
        "support-begin 0.05",
        "pause 1800s",
        "support-hold",
        "25",
        "support-begin 0.25",
        "support-decide",
        "100",
    ]


def test_what_runs_in_the_background_begins_when_control_judges(tmp_path: Path) -> None:
    for changes in ((), (('[evals]\nsuite = "evals/*.jsonl"\n', ""), ("evals = {}, ", ""))):
        said = canary(tmp_path, *changes)
        start = said["analysis"]["startingStep"]
        assert outline(said["steps"][start - 1]) == "support-begin 0.05"


def test_the_last_step_may_hold_and_control_hears_that_all_are_sent_over(tmp_path: Path) -> None:
    steps = 'steps = [{ weight = 95, hold = "2h" }, { weight = 100, hold = "90s" }]'
    assert [outline(step) for step in canary(tmp_path, (STEPS, steps))["steps"]][4:] == [
        "95",
        "support-begin 0.95",
        "pause 7200s",
        "support-hold",
        "100",
        "support-begin null",
        "pause 90s",
    ]


def test_without_gates_only_time_passes(tmp_path: Path) -> None:
    steps = 'steps = [{ weight = 5, hold = "2h" }, { weight = 100 }]'
    said = canary(tmp_path, (STEPS, steps), (GATES, ""))
    assert [outline(step) for step in said["steps"]] == ["5", "pause 7200s", "100"]
    assert "analysis" not in said


def test_the_agents_own_service_is_stables(tmp_path: Path) -> None:
    plan, rollout = planned(tmp_path)
    rendered = render(plan, rollout=rollout)
    said = find(rendered, "Rollout")["spec"]["strategy"]["canary"]
    assert (said["stableService"], said["canaryService"]) == ("support", "support-canary")
    (rule,) = find(rendered, "HTTPRoute")["spec"]["rules"]
    weights = {one["name"]: one["weight"] for one in rule["backendRefs"]}
    assert weights == {"support": 100, "support-canary": 0}, "written out: what is left out is 1"


def test_a_rollout_replaces_the_deployment_and_nothing_else(tmp_path: Path) -> None:
    plan, rollout = planned(tmp_path)
    plain, argo = render(plan), render(plan, rollout=rollout)
    gone = set(plain.owned) - set(argo.owned)
    assert gone == {"base/deployment.yaml"}
    pods = [find(one, kind)["spec"]["template"] for one, kind in ((plain, "Deployment"), (argo, "Rollout"))]
    for constraint in pods[1]["spec"]["topologySpreadConstraints"]:
        assert constraint["matchLabelKeys"] == ["rollouts-pod-template-hash"]
        constraint["matchLabelKeys"] = ["pod-template-hash"]
    assert pods[0] == pods[1]
    named = yaml.safe_load(argo.owned["base/kustomization.yaml"])["resources"]
    assert {"rollout.yaml", "httproute.yaml", "analysis.yaml"} <= set(named)
    kinds = {one["kind"] for one in objects(argo) if one["metadata"]["name"] == "support"}
    assert "Rollout" in kinds
    assert "Deployment" not in kinds


def test_a_canary_and_a_stable_pod_do_not_wait_for_one_volume(tmp_path: Path) -> None:
    """It would be the first pod's, and a second one on another node would never start."""
    storage = POSTGRES.replace("url", 'path = "/data"\nurl')
    plan, rollout = planned(tmp_path, (POSTGRES, storage), ("replicas = 3", "replicas = 1"))
    assert "base/pvc.yaml" in render(plan).owned
    argo = render(plan, rollout=rollout)
    assert "base/pvc.yaml" not in argo.owned
    volumes = find(argo, "Rollout")["spec"]["template"]["spec"]["volumes"]
    (data,) = [one for one in volumes if one["name"] == "data"]
    assert data["ephemeral"]["volumeClaimTemplate"]["spec"]["accessModes"] == ["ReadWriteOnce"]


def test_templates_do_not_change_with_the_revision(tmp_path: Path) -> None:
    """But for the image of the suite, which is of a release."""
    plan, rollout = planned(tmp_path)
    found = [one for one in objects(render(plan, rollout=rollout)) if one["kind"] == "AnalysisTemplate"]
    assert len(found) == 6
    naming = [one["metadata"]["name"] for one in found if str(plan.revision) in str(one)]
    assert naming == []


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            (POSTGRES, "[storage]\n"),
            "conversations are in SQLite on /data, on a volume that one pod has",
        ),
        (('[env.prod.kubernetes]\nnamespace = "agents"\n', ""), "and prod names none"),
    ],
    ids=["sqlite", "namespace"],
)
def test_what_argo_cannot_have_is_refused(tmp_path: Path, change: tuple[str, str], message: str) -> None:
    plan, rollout = planned(tmp_path, change, ("replicas = 3", "replicas = 1"))
    with pytest.raises(SpecError, match=message):
        judge(plan, "kubernetes", rollout, "argo")
    judge(plan, "kubernetes", rollout)


def test_what_has_to_be_known_is_said(tmp_path: Path) -> None:
    plan, rollout = planned(tmp_path, (POSTGRES, ""))
    said = "\n".join(judge(plan, "kubernetes", rollout, "argo"))
    assert "the paired suite runs in registry.example.com/support-evals:0123456789ab" in said
    assert "unless your gateway pins it" in said
    assert "conversations live in the process" in said
    by_hand = "\n".join(judge(plan, "kubernetes", rollout))
    assert "[rollout]: a Deployment replaces its pods, and nothing judges them: --rollout argo" in by_hand
