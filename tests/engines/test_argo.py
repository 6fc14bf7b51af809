"""What is rendered for Argo Rollouts before its judges: the schemas of Argo and of the Gateway API, those of
Kubernetes for the pods in it, Kustomize."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml
from tests.installing import from_npm, missing
from tests.kubernetes import LARGE, stack
from tests.kustomize import Kustomize, written
from tests.kustomize import kustomize as kustomize_library
from tests.rollouts import AGENT, GATES, STEPS, planned

from shipway.plan.rollout import plan_rollout
from shipway.render.kubernetes import render
from shipway.spec.load import load

pytestmark = pytest.mark.network

PACKAGES = ("@kubernetes-models/argo-rollouts@0.3.2", "@kubernetes-models/gateway-api@0.5.1")
"""The last ones with schemas that tell which keys there are; newer ones have code made of them."""
ELSEWHERE = re.compile(r"\.template\..*: no schema knows it$|\.consecutiveSuccessLimit: no schema knows it$")
"""Pods, which Kubernetes' newer schemas judge, and what Argo has had since 1.8: these schemas are older."""
GOLDEN = sorted(path.parent for path in Path("examples").glob("*/golden/argo/*/kustomization.yaml"))
Judge = Callable[[list[dict[str, Any]]], list[str]]


@pytest.fixture(scope="module")
def kustomize(tmp_path_factory: pytest.TempPathFactory) -> Kustomize:
    return kustomize_library(tmp_path_factory.mktemp("kustomize"))


@pytest.fixture(scope="module")
def judge(tmp_path_factory: pytest.TempPathFactory) -> Judge:
    """What is wrong with objects, by the schemas of the kinds that they are."""
    place = tmp_path_factory.mktemp("argo")
    from_npm(place, *PACKAGES)
    if not (node := shutil.which("node")):
        missing("node is not installed")
    script = shutil.copy(Path(__file__).parents[1] / "argo_schemas.cjs", place)

    def problems(objects: list[dict[str, Any]]) -> list[str]:
        ours, plain = [], []
        for one in objects:
            (ours if is_custom(one) else plain).append(one)
        plain += [pods for one in ours for pods in templates(one)]
        for one in plain:
            if "monitoring.coreos.com" not in one["apiVersion"]:
                kubernetes_validate.validate(one, "1.37", strict=True)
        done = subprocess.run([str(node), script], input=json.dumps(ours), capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        return [problem for problem in json.loads(done.stdout) if not ELSEWHERE.search(problem)]

    return problems


def is_custom(one: dict[str, Any]) -> bool:
    return one["apiVersion"].startswith(("argoproj.io/", "gateway.networking.k8s.io/"))


def templates(one: dict[str, Any]) -> list[dict[str, Any]]:
    """Pods inside an object, as objects that Kubernetes' own schemas know."""
    if one["kind"] == "Rollout":
        spec = {key: one["spec"][key] for key in ("replicas", "selector", "template")}
        return [{"apiVersion": "apps/v1", "kind": "Deployment", "metadata": one["metadata"], "spec": spec}]
    if one["kind"] == "AnalysisTemplate":
        jobs = [metric["provider"]["job"] for metric in one["spec"]["metrics"] if "job" in metric["provider"]]
        own = {"apiVersion": "batch/v1", "kind": "Job", "metadata": one["metadata"]}
        return [own | {"spec": job["spec"]} for job in jobs]
    return []


def kinds(objects: list[dict[str, Any]]) -> set[tuple[str, str]]:
    return {(one["kind"], one["metadata"]["name"]) for one in objects}


@pytest.mark.parametrize("directory", GOLDEN, ids=lambda path: path.parts[1])
def test_examples_are_built_and_known(kustomize: Kustomize, judge: Judge, directory: Path) -> None:
    objects = kustomize(directory)
    assert judge(objects) == []
    assert {"Rollout", "HTTPRoute", "AnalysisTemplate"} <= {kind for kind, _ in kinds(objects)}


def test_examples_are_found() -> None:
    assert {path.parts[1] for path in GOLDEN} >= {"05-openai-agents"}


@pytest.mark.parametrize("plain", [False, True])
@pytest.mark.parametrize(
    ("steps", "gates"),
    [
        (STEPS, GATES),
        ("steps = [{ weight = 100 }]", "gates = { evals = {} }"),
        ('steps = [{ weight = 95, hold = "2h" }, { weight = 100, hold = "90s" }]', GATES),
        ('steps = [{ weight = 5, hold = "2h" }, { weight = 100 }]', ""),
    ],
    ids=["ladder", "at-once", "held-back", "unjudged"],
)
def test_every_kind_of_rollout_is_built_and_known(
    kustomize: Kustomize, judge: Judge, tmp_path: Path, steps: str, gates: str, plain: bool
) -> None:
    plan, rollout = planned(tmp_path, (STEPS, steps), (GATES, gates))
    objects = kustomize(written(tmp_path / "out", render(plan, plain=plain, rollout=rollout)))
    assert judge(objects) == []
    assert {one["metadata"]["namespace"] for one in objects} == {"agents"}
    named = {
        template["templateName"]
        for one in objects
        if one["kind"] == "Rollout"
        for part in [one["spec"]["strategy"]["canary"]]
        for analysis in [part.get("analysis"), *(step.get("analysis") for step in part["steps"])]
        if analysis
        for template in analysis["templates"]
    }
    assert named <= {name for kind, name in kinds(objects) if kind == "AnalysisTemplate"}


def test_a_stack_that_uses_everything_rolls_out(kustomize: Kustomize, judge: Judge, tmp_path: Path) -> None:
    text = LARGE + AGENT[AGENT.index("[evals]") : AGENT.index("[env.prod.resources]")]
    plan = stack(tmp_path, text)
    rollout = plan_rollout(load(tmp_path / "agent.toml", "prod").spec, "prod")
    objects = kustomize(written(tmp_path / "out", render(plan, rollout=rollout)))
    assert judge(objects) == []
    assert ("Deployment", "support") not in kinds(objects)
    assert {("Deployment", "support-mcp-crm"), ("Rollout", "support")} <= kinds(objects)


def test_the_judge_sees_mistakes(judge: Judge, tmp_path: Path) -> None:
    plan, rollout = planned(tmp_path)
    out = written(tmp_path / "out", render(plan, rollout=rollout))
    right = yaml.safe_load((out / "base/rollout.yaml").read_text())
    canary = right["spec"]["strategy"]["canary"]
    wrong = canary | {"stableServices": "x", "steps": [{"setWeight": "five"}]}
    (unknown, typed) = sorted(judge([right | {"spec": right["spec"] | {"strategy": {"canary": wrong}}}]))
    assert unknown.endswith("stableServices: no schema knows it")
    assert "setWeight must be integer" in typed
    route = yaml.safe_load((out / "base/httproute.yaml").read_text())
    (missing_rule,) = judge([route | {"spec": route["spec"] | {"rules": {}}}])
    assert "rules must be array" in missing_rule


def test_suggestions_are_right_as_they_stand(kustomize: Kustomize, judge: Judge, tmp_path: Path) -> None:
    plan, rollout = planned(tmp_path)
    out = written(tmp_path / "out", render(plan, rollout=rollout))
    overlay = out / "kustomization.yaml"
    own, first, rest = overlay.read_text().partition("#   - base/monitoring")
    overlay.write_text(own + re.sub(r"(?m)^# ?", "", first + rest))
    objects = kustomize(out)
    assert judge(objects) == []
    found = {(one["kind"], one["metadata"]["name"]): one["spec"] for one in objects if "spec" in one}
    assert found["HTTPRoute", "support"]["parentRefs"] == [{"name": "public", "namespace": "gateways"}]
    (container,) = found["Rollout", "support"]["template"]["spec"]["containers"]
    assert container["env"][-2:] == [
        {"name": "SHIPWAY_CONTROL_URL", "value": "https://control.example.com"},
        {"name": "OTEL_EXPORTER_OTLP_ENDPOINT", "value": "http://collector.monitoring:4318"},
    ]
    asked = [spec["args"][0] for (kind, _), spec in found.items() if kind == "AnalysisTemplate"]
    assert len(asked) == 6
    assert {one["value"] for one in asked} == {"https://control.example.com"}


def test_an_overlay_names_the_image_of_the_suite(kustomize: Kustomize, tmp_path: Path) -> None:
    """docs/reference/argo.md: `images` reaches the Job."""
    plan, rollout = planned(tmp_path)
    out = written(tmp_path / "out", render(plan, rollout=rollout))
    images = "images:\n  - {name: registry.example.com/support-evals, newTag: v7}\n"
    overlay = out / "kustomization.yaml"
    overlay.write_text(overlay.read_text() + images)
    (suite,) = [one for one in kustomize(out) if one["metadata"]["name"] == "support-suite"]
    (container,) = suite["spec"]["metrics"][0]["provider"]["job"]["spec"]["template"]["spec"]["containers"]
    assert container["image"] == "registry.example.com/support-evals:v7"
