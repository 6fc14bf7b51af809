"""What is rendered for Kubernetes before its judges: Kustomize itself, Kubernetes' schemas."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml
from tests.kubernetes import LARGE, SMALL, stack
from tests.kustomize import Kustomize, written
from tests.kustomize import kustomize as kustomize_library

from shipway.render.kubernetes import render

GOLDEN = sorted(Path("examples").glob("*/golden/kubernetes/*"))

pytestmark = pytest.mark.network


@pytest.fixture(scope="module")
def kustomize(tmp_path_factory: pytest.TempPathFactory) -> Kustomize:
    return kustomize_library(tmp_path_factory.mktemp("kustomize"))


def with_suggestions(overlay: Path) -> None:
    """As a user takes them: the comments below the overlay, without their signs."""
    own, first, rest = overlay.read_text().partition("#   - base/monitoring")
    overlay.write_text(own + re.sub(r"(?m)^# ?", "", first + rest))


def names(objects: list[dict[str, Any]]) -> set[tuple[str, str]]:
    return {(one["kind"], one["metadata"]["name"]) for one in objects}


def judge(objects: list[dict[str, Any]]) -> None:
    """Strictly by Kubernetes' own schemas; those of Prometheus' operator are not among them."""
    for one in objects:
        if "monitoring.coreos.com" not in one["apiVersion"]:
            kubernetes_validate.validate(one, "1.37", strict=True)


@pytest.mark.parametrize("directory", GOLDEN, ids=lambda path: path.parts[1])
def test_examples_are_built_and_known(kustomize: Kustomize, directory: Path) -> None:
    objects = kustomize(directory)
    judge(objects)
    assert {kind for kind, _ in names(objects)} >= {"Deployment", "Service", "ConfigMap", "ServiceAccount"}


@pytest.mark.parametrize("plain", [False, True])
@pytest.mark.parametrize("text", [SMALL, LARGE], ids=["small", "large"])
def test_a_stack_is_built_and_known(kustomize: Kustomize, tmp_path: Path, text: str, plain: bool) -> None:
    plan = stack(tmp_path, text)
    objects = kustomize(written(tmp_path / "out", render(plan, plain=plain)))
    judge(objects)
    assert {one["metadata"]["namespace"] for one in objects} == {"agents"}
    mounted = [
        source["configMap"]["name"]
        for one in objects
        if one["metadata"]["name"] == "support" and one["kind"] == "Deployment"
        for source in one["spec"]["template"]["spec"]["volumes"][0]["projected"]["sources"]
    ]
    assert {("ConfigMap", name) for name in mounted} <= names(objects)
    assert "support-policy" in mounted  # without a hash: a change of the policy rolls nothing out


def test_suggestions_are_right_as_they_stand(kustomize: Kustomize, tmp_path: Path) -> None:
    out = written(tmp_path / "out", render(stack(tmp_path)))
    before = names(kustomize(out))
    with_suggestions(out / "kustomization.yaml")
    objects = kustomize(out)
    judge(objects)
    assert names(objects) - before == {
        ("PodMonitor", "support"),
        ("PrometheusRule", "support"),
        ("NetworkPolicy", "support-egress"),
        ("ConfigMap", "support-monitoring"),
    }
    (agent,) = [o for o in objects if (o["kind"], o["metadata"]["name"]) == ("Deployment", "support")]
    env = agent["spec"]["template"]["spec"]["containers"][0]["env"]
    assert env[-1]["name"] == "OTEL_EXPORTER_OTLP_ENDPOINT"
    assert {"name": "SHIPWAY_CONTROL_URL", "value": "https://control.example.com"} in env
    (policy,) = [o for o in objects if (o["kind"], o["metadata"]["name"]) == ("NetworkPolicy", "support")]
    assert "observability" in str(policy["spec"]["ingress"][1]["from"])
    (control,) = [
        o for o in objects if (o["kind"], o["metadata"]["name"]) == ("NetworkPolicy", "support-control")
    ]
    assert "ingress-nginx" in str(control["spec"]["ingress"][0]["from"])


def test_a_stack_without_a_control_of_its_own_has_none(kustomize: Kustomize, tmp_path: Path) -> None:
    out = written(tmp_path / "out", render(stack(tmp_path)))
    before, overlay = names(kustomize(out)), out / "kustomization.yaml"
    overlay.write_text(overlay.read_text().replace("components:\n  - base/control\n", ""))
    assert {name for _, name in before - names(kustomize(out))} == {"support-control"}


def test_another_namespace_of_the_overlay_is_that_of_everything(kustomize: Kustomize, tmp_path: Path) -> None:
    out = written(tmp_path / "out", render(stack(tmp_path)))
    overlay = out / "kustomization.yaml"
    with_suggestions(overlay)
    overlay.write_text(overlay.read_text().replace("namespace: agents", "namespace: elsewhere"))
    assert {one["metadata"]["namespace"] for one in kustomize(out)} == {"elsewhere"}


def test_every_file_of_the_base_is_named_and_every_named_one_is_there(tmp_path: Path) -> None:
    out = written(tmp_path / "out", render(stack(tmp_path)))
    for found in out.rglob("kustomization.yaml"):
        own = yaml.safe_load(found.read_text())
        named = {*own["resources"], *(f for one in own.get("configMapGenerator", ()) for f in one["files"])}
        there = {path.name for path in found.parent.iterdir()} - {
            "kustomization.yaml",
            "monitoring",
            "egress",
            "control",
        }
        assert named == there, found


def test_the_pages_overlay_is_right(kustomize: Kustomize, tmp_path: Path) -> None:
    page = Path("docs/reference/kubernetes.md").read_text()
    overlay, scaler = re.findall(r"```yaml\n(.*?)```", page, re.DOTALL)
    out = written(tmp_path / "out", render(stack(tmp_path)))
    file = out / "kustomization.yaml"
    file.write_text(file.read_text().replace("resources:\n  - base\n", overlay))
    (out / "autoscaler.yaml").write_text(scaler)
    (out / "ingress.yaml").write_text(INGRESS)
    objects = kustomize(out)
    judge(objects)
    found = {(one["kind"], one["metadata"]["name"]): one for one in objects}
    agent = found["Deployment", "support"]["spec"]
    (container,) = agent["template"]["spec"]["containers"]
    assert container["image"].startswith("mirror.example.com/support@sha256:")
    assert "replicas" not in agent
    assert agent["template"]["spec"]["tolerations"] == [{"key": "spot", "operator": "Exists"}]
    assert found["Deployment", "support-mcp-crm"]["spec"]["replicas"] == 2
    assert found["ServiceAccount", "support"]["imagePullSecrets"] == [{"name": "registry"}]
    assert found["HorizontalPodAutoscaler", "support"]["metadata"]["namespace"] == "agents"
    assert all(one["metadata"]["labels"]["release"] == "prometheus" for one in objects)


def test_the_pages_canary_is_a_second_deployment(kustomize: Kustomize, tmp_path: Path) -> None:
    """Beside the first one, found by the same Service, with a config of its own."""
    page = Path("docs/reference/kubernetes.md").read_text()
    (overlay,) = re.findall(r"<<'END'\n(.*?)END\n", page, re.DOTALL)
    out = written(tmp_path / "out", render(stack(tmp_path)))
    found = {(one["kind"], one["metadata"]["name"]): one for one in kustomize(out)}
    (out / "kustomization.yaml").write_text(overlay)
    canary, config = sorted(kustomize(out), key=lambda one: str(one["kind"]), reverse=True)
    judge([canary, config])
    assert canary["metadata"]["name"] == "support-canary"
    assert ("Deployment", "support-canary") not in found
    assert canary["spec"]["replicas"] == 1
    wanted = found["Service", "support"]["spec"]["selector"]
    labels = canary["spec"]["template"]["metadata"]["labels"]
    assert wanted.items() <= labels.items()
    assert canary["spec"]["selector"]["matchLabels"]["track"] == labels["track"] == "canary"
    sources = canary["spec"]["template"]["spec"]["volumes"][0]["projected"]["sources"]
    names = [source["configMap"]["name"] for source in sources]
    assert names == [config["metadata"]["name"], "support-policy"]
    assert config["metadata"]["name"].endswith("-canary")
    assert canary["spec"]["template"]["spec"]["serviceAccountName"] == "support"


INGRESS = """\
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata:
  name: support
spec:
  defaultBackend:
    service: {name: support, port: {number: 80}}
"""
