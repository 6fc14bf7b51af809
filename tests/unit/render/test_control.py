"""Control in every target: who reaches it, what it keeps its records in, and how agents are told."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.nomad_schema import read
from tests.stacks import desk

from shipway.plan.stack import StackPlan, plan_stack, released
from shipway.render import compose, kubernetes
from shipway.render.ecs import files as ecs
from shipway.render.nomad import files as nomad
from shipway.render.targets.judging import judge
from shipway.spec.load import load
from shipway_runtime import contract

URL = '\nurl = { secret = "DATABASE_URL" }'
AS_FILE = ('DATABASE_URL = "env"', 'DATABASE_URL = "file"')
PINNED = "registry.example.com/shipway-control@sha256:1"


@pytest.fixture
def shared(tmp_path: Path) -> StackPlan:
    """Its records are in the agent's PostgreSQL."""
    return desk(tmp_path)


@pytest.fixture
def alone(tmp_path: Path) -> StackPlan:
    """On a volume."""
    return desk(tmp_path, (URL, ""))


def services(plan: StackPlan) -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load(compose.render(plan).owned["compose.yaml"])["services"]
    return found


def objects(plan: StackPlan) -> dict[str, dict[str, Any]]:
    text = kubernetes.render(plan).owned["base/control/control.yaml"]
    return {one["kind"]: one for one in yaml.safe_load_all(text)}


def task(plan: StackPlan) -> dict[str, Any]:
    document = json.loads(ecs.render(plan).owned["control/register-task-definition.json"])
    (container,) = document["containerDefinitions"]
    return dict(container)


def group(plan: StackPlan) -> dict[str, Any]:
    (job,) = read(nomad.render(plan).owned["control.nomad.hcl"])["job"]
    (found,) = job["desk-control"]["group"]
    return dict(found["control"])


# -- The plan ------------------------------------------------------------------------------------------------


def test_it_is_there_outside_development_and_the_agent_knows_where(tmp_path: Path, alone: StackPlan) -> None:
    assert alone.control
    assert alone.control.url == alone.agent.env["SHIPWAY_CONTROL_URL"] == "http://desk-control:8083"
    development = plan_stack(load(tmp_path / "agent.toml"))
    assert development.control is None
    assert "SHIPWAY_CONTROL_URL" not in development.agent.env


def test_its_image_is_that_of_the_registry_and_the_release_says_its_digest(alone: StackPlan) -> None:
    assert alone.control
    assert alone.control.image == "registry.example.com/shipway-control:0.1.0"
    images = {name: f"r/{name}@sha256:2" for name in ("agent", "mcp-git", "mcp-crm")}
    release = contract.Release("1", "desk", contract.Source(None, False), images, None, None, "0" * 12)
    before = released(alone, release)
    assert before.control
    assert before.control.image == alone.control.image
    known = released(alone, dataclasses.replace(release, images=images | {"control": PINNED}))
    assert known.control
    assert known.control.image == PINNED
    assert known.revision == before.revision  # the same agent
    assert any("shipway control image --push" in remark for remark in judge(before, "kubernetes"))
    assert not any("shipway control image --push" in remark for remark in judge(known, "kubernetes"))


# -- Records -------------------------------------------------------------------------------------------------


def test_its_records_are_on_a_volume(alone: StackPlan) -> None:
    assert services(alone)["control"]["volumes"] == ["control:/data"]
    found = objects(alone)
    assert found["PersistentVolumeClaim"]["spec"]["resources"]["requests"]["storage"] == "1Gi"
    assert found["Deployment"]["spec"]["strategy"] == {"type": "Recreate"}
    assert group(alone)["volume"][0]["data"] == {"type": "host", "source": "desk-control"}
    assert group(alone)["update"][0]["canary"] == 0
    without = dataclasses.replace(alone, storage=None)  # an agent that keeps nothing
    assert "desk-control: keeps its records in PostgreSQL alone" in "\n".join(judge(without, "ecs"))


def test_or_in_the_agents_postgresql(shared: StackPlan) -> None:
    own = services(shared)["control"]
    assert "volumes" not in own
    assert own["environment"]["SHIPWAY_CONTROL_DATABASE"] == "${DATABASE_URL:?write DATABASE_URL into .env}"
    found = objects(shared)
    assert "PersistentVolumeClaim" not in found
    pod = found["Deployment"]["spec"]["template"]["spec"]
    (files, tmp) = pod["volumes"]
    assert [source["secret"]["name"] for source in files["projected"]["sources"]] == [
        "desk-control",
        "desk-secrets",
    ]
    assert "emptyDir" in tmp
    assert found["Deployment"]["spec"]["strategy"]["type"] == "RollingUpdate"
    given = {one["name"]: one["valueFrom"] for one in task(shared)["secrets"]}
    assert given["SHIPWAY_CONTROL_DATABASE"] == "/desk/prod/DATABASE_URL"
    assert "volume" not in group(shared)
    assert not any("PostgreSQL alone" in remark for remark in judge(shared, "ecs"))


def test_a_url_that_is_a_file_is_mounted_alone(tmp_path: Path) -> None:
    own = services(desk(tmp_path, AS_FILE))["control"]
    assert own["volumes"] == ["./secrets/DATABASE_URL:/run/secrets/SHIPWAY_CONTROL_DATABASE:ro"]
    assert "SHIPWAY_CONTROL_DATABASE" not in own["environment"]


# -- Who reaches it ------------------------------------------------------------------------------------------


def test_the_agent_shows_a_token_and_has_no_other(shared: StackPlan) -> None:
    agent = services(shared)["agent"]["environment"]
    assert "SHIPWAY_CONTROL_TOKEN" in agent
    assert "SHIPWAY_CONTROL_TOKENS" not in agent
    assert "CONTROL_OPERATE_TOKEN" not in str(services(shared)["agent"])
    assert "SHIPWAY_CONTROL_TOKENS" not in kubernetes.render(shared).owned["base/deployment.yaml"]
    assert "SHIPWAY_CONTROL_TOKENS" not in ecs.render(shared).owned["register-task-definition.json"]
    assert "SHIPWAY_CONTROL_TOKENS" not in nomad.render(shared).owned["agent.nomad.hcl"]


def test_agents_and_prometheus_reach_it_and_nobody_else(alone: StackPlan) -> None:
    (rule,) = objects(alone)["NetworkPolicy"]["spec"]["ingress"]
    agents, prometheus = rule["from"]
    labels = {"app.kubernetes.io/component": "agent", "app.kubernetes.io/managed-by": "shipway"}
    assert agents == {"podSelector": {"matchLabels": labels}}
    assert prometheus["namespaceSelector"]["matchLabels"] == {"kubernetes.io/metadata.name": "monitoring"}
    assert [port["port"] for port in rule["ports"]] == [8083]
    assert services(alone)["control"]["ports"] == ["127.0.0.1:${CONTROL_PORT:-8083}:8083"]


def test_a_new_revision_of_the_agent_does_not_start_it_anew(alone: StackPlan) -> None:
    changed = dataclasses.replace(alone, revision="another")
    assert objects(changed) == objects(alone)


def test_its_probes_differ_and_it_may_finish(alone: StackPlan) -> None:
    (container,) = objects(alone)["Deployment"]["spec"]["template"]["spec"]["containers"]
    paths = {
        kind: container[kind]["httpGet"]["path"]
        for kind in ("startupProbe", "livenessProbe", "readinessProbe")
    }
    assert paths == {
        "startupProbe": "/healthz",
        "livenessProbe": "/healthz",
        "readinessProbe": "/readyz",
    }
    assert container["lifecycle"]["preStop"] == {"sleep": {"seconds": 5}}


# -- Another one ---------------------------------------------------------------------------------------------


def test_another_control_is_named_where_people_write(alone: StackPlan) -> None:
    agent = services(alone)["agent"]
    assert agent["environment"]["SHIPWAY_CONTROL_URL"] == "${CONTROL_URL-http://control:8083}"
    assert "\n# CONTROL_URL=" in compose.render(alone).once[".env"]
    overlay = yaml.safe_load(kubernetes.render(alone).once["kustomization.yaml"])
    assert overlay["components"] == ["base/control"]
    files = ecs.render(alone)
    assert "\nCONTROL_URL=http://desk-control:8083\n" in files.once["account.env"]
    assert '"value": "${CONTROL_URL}"' in files.owned["register-task-definition.json"]
    assert 'if [ "$CONTROL_URL" = http://desk-control:8083 ]' in files.owned["deploy.sh"]
    job = nomad.render(alone).owned["agent.nomad.hcl"]
    assert 'nomadVarExists "nomad/jobs/desk/agent/agent"' in job


def test_nomad_has_no_agent_without_a_url_while_control_is_nowhere(alone: StackPlan) -> None:
    """Without one it would go by its own policy, and miss what control's has switched off."""
    job = nomad.render(alone).owned["agent.nomad.hcl"]
    assert "{{ else }}\nSHIPWAY_CONTROL_URL=http://desk-control.invalid\n{{ end }}" in job
