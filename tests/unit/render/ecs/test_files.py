"""Documents for ECS: each is put before botocore, and what it means is looked at."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest
from tests.ecs_shapes import problems
from tests.stacks import desk

from shipway.errors import SpecError
from shipway.plan.stack import StackPlan
from shipway.render.ecs.files import render
from shipway_runtime import contract

OPERATIONS = {
    "register-task-definition.json": "RegisterTaskDefinition",
    "create-service.json": "CreateService",
    "update-service.json": "UpdateService",
}


@pytest.fixture
def plan(tmp_path: Path) -> StackPlan:
    return desk(tmp_path)


def documents(plan: StackPlan) -> dict[str, dict[str, Any]]:
    return {name: json.loads(text) for name, text in render(plan).owned.items() if name.endswith(".json")}


def containers(plan: StackPlan, task: str = "register-task-definition.json") -> dict[str, dict[str, Any]]:
    return {one["name"]: one for one in documents(plan)[task]["containerDefinitions"]}


def test_botocore_accepts_every_document(plan: StackPlan) -> None:
    judged = 0
    for name, body in documents(plan).items():
        if operation := OPERATIONS.get(name.rpartition("/")[2]):
            assert problems(operation, body) == [], name
            judged += 1
    assert judged == 9


def test_botocore_refuses_what_it_should() -> None:
    """The judge can fail: a key that is unknown, one that is missing, a wrong type, a wrong word."""
    service = {"serviceName": "a", "launchType": "FARGATE"}
    assert problems("CreateService", service) == []
    assert problems("CreateService", {**service, "desired": 1})
    assert problems("CreateService", {"launchType": "FARGATE"})
    assert problems("CreateService", {**service, "desiredCount": "1"})
    assert problems("CreateService", {**service, "launchType": "FARGET"})


def test_what_runs_is_the_revision_that_was_rendered(plan: StackPlan) -> None:
    """Also where a secret that is a file elsewhere is a variable here."""
    assert "file" in plan.agent.secrets.values()
    revision = contract.name_revision("0123456789ab", contract.encode(plan.config))
    said = {one["name"]: one["value"] for one in containers(plan)["agent"]["environment"]}
    assert contract.running_revision(revision, said[contract.env.CONFIG_JSON]) == revision


def test_secrets_come_from_where_agent_toml_says_or_from_parameters(plan: StackPlan) -> None:
    agent = {one["name"]: one["valueFrom"] for one in containers(plan)["agent"]["secrets"]}
    assert agent == {
        "ANTHROPIC_API_KEY": "arn:aws:secretsmanager:eu-west-1:123456789012:secret:a",
        "GITHUB_TOKEN": "/desk/prod/GITHUB_TOKEN",
        "DATABASE_URL": "/desk/prod/DATABASE_URL",
        "CRM_SECRET": "/desk/prod/CRM_SECRET",
        "REDIS_URL": "/desk/prod/REDIS_URL",
        "SHIPWAY_ADMIN_TOKEN": "/desk/prod/SHIPWAY_ADMIN_TOKEN",
        "SHIPWAY_CONTROL_TOKEN": "/desk/prod/SHIPWAY_CONTROL_TOKEN",
    }
    assert containers(plan)["mcp-git"]["secrets"] == [
        {"name": "GITHUB_TOKEN", "valueFrom": "/desk/prod/GITHUB_TOKEN"}
    ]


def test_a_secret_in_a_file_is_looked_for_in_the_environment(plan: StackPlan) -> None:
    environment = {one["name"]: one["value"] for one in containers(plan)["agent"]["environment"]}
    config = contract.decode(contract.Config, environment["SHIPWAY_CONFIG_JSON"], "config")
    sources = {name: secret.source for name, secret in config.settings.secrets.items()}
    assert sources["GITHUB_TOKEN"] == "env"
    assert sources["CRM"] == "broker"
    assert plan.config.settings.secrets["GITHUB_TOKEN"].source == "file"
    assert config.settings.config == plan.config.settings.config


def test_sidecars_start_before_the_agent_and_are_there_until_it_ends(plan: StackPlan) -> None:
    found = containers(plan)
    assert list(found) == ["agent", "mcp-git", "mcp-search"]
    assert found["agent"]["dependsOn"] == [
        {"containerName": "mcp-git", "condition": "START"},
        {"containerName": "mcp-search", "condition": "START"},
    ]


def test_an_optional_sidecar_takes_nobody_along(plan: StackPlan) -> None:
    found = containers(plan)
    assert {name: one["essential"] for name, one in found.items()} == {
        "agent": True,
        "mcp-git": True,
        "mcp-search": False,
    }


def test_what_others_built_is_left_alone(plan: StackPlan) -> None:
    found = containers(plan)
    assert found["mcp-git"]["readonlyRootFilesystem"] is True
    assert found["mcp-git"]["linuxParameters"]["capabilities"] == {"drop": ["ALL"]}
    hardened = {"user", "readonlyRootFilesystem", "linuxParameters", "healthCheck"}
    assert hardened.isdisjoint(found["mcp-search"])
    assert hardened <= found["mcp-git"].keys()


def test_a_health_check_asks_for_life_alone(plan: StackPlan) -> None:
    """ECS replaces a task that is not healthy: a model that is away is no reason for that."""
    for one in (containers(plan)["agent"], containers(plan)["mcp-git"]):
        command = " ".join(one["healthCheck"]["command"])
        assert "/healthz" in command
        assert "/readyz" not in command


@pytest.mark.parametrize(("grace", "stop"), [("60s", 75), ("1s", 16), ("104.5s", 120)])
def test_the_time_to_stop_follows_the_drain_budget(tmp_path: Path, grace: str, stop: int) -> None:
    plan = desk(tmp_path, ("[policy]", f'[health]\ngrace = "{grace}"\n[policy]'))
    assert containers(plan)["agent"]["stopTimeout"] == stop


def test_the_volume_is_mounted_where_it_is_asked_for(plan: StackPlan) -> None:
    mounted = {name for name, one in containers(plan).items() if one.get("mountPoints")}
    assert mounted == {"agent", "mcp-git"}
    assert len(documents(plan)["register-task-definition.json"]["volumes"]) == 1


def test_a_server_apart_is_found_under_the_name_that_the_manifest_has(plan: StackPlan) -> None:
    service = documents(plan)["mcp-crm/create-service.json"]
    (offered,) = service["serviceConnectConfiguration"]["services"]
    (server,) = (server for server in plan.agent.mcp if server.name == "crm")
    alias = offered["clientAliases"][0]
    assert server.url == f"http://{alias['dnsName']}:{alias['port']}/mcp"
    assert offered["timeout"] == {"perRequestTimeoutSeconds": 0}  # else a tool has fifteen seconds
    (port,) = containers(plan, "mcp-crm/register-task-definition.json")["mcp-crm"]["portMappings"]
    assert (port["name"], port["containerPort"]) == (offered["portName"], alias["port"])
    assert documents(plan)["create-service.json"]["serviceConnectConfiguration"] == {"enabled": True}


def test_a_deployment_that_fails_is_rolled_back(plan: StackPlan) -> None:
    for name in ("create-service.json", "update-service.json", "mcp-crm/update-service.json"):
        deployment = documents(plan)[name]["deploymentConfiguration"]
        assert deployment["deploymentCircuitBreaker"] == {"enable": True, "rollback": True}


def test_the_canary_is_a_deployment_configuration(plan: StackPlan) -> None:
    canary = documents(plan)["canary-deployment.json"]
    assert problems("UpdateService", {"service": "a", "deploymentConfiguration": canary}) == []
    assert canary["canaryConfiguration"] == {"canaryPercent": 5.0, "canaryBakeTimeInMinutes": 60}
    assert canary["alarms"]["rollback"] is True


def test_arm_alone_is_asked_for_where_there_is_nothing_else(tmp_path: Path) -> None:
    image = 'repository = "registry.example.com/desk"'
    for platforms, architecture in (('"linux/arm64"', "ARM64"), ('"linux/arm64", "linux/amd64"', "X86_64")):
        plan = desk(tmp_path, (image, f"{image}\nplatforms = [{platforms}]"))
        task = documents(plan)["register-task-definition.json"]
        assert task["runtimePlatform"]["cpuArchitecture"] == architecture


def test_a_task_definition_above_64_kib_is_refused(plan: StackPlan) -> None:
    settings = dataclasses.replace(plan.config.settings, config={"text": "x" * 65536})
    large = dataclasses.replace(plan, config=dataclasses.replace(plan.config, settings=settings))
    with pytest.raises(
        SpecError, match=r"register-task-definition.json has \d{5} bytes, and ECS takes 65536"
    ):
        render(large)
