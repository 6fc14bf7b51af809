"""What `shipway render ecs` writes, for every example: botocore's judgement, and the AWS CLI with deploy.sh.

The CLI is the real one, and speaks to an ECS on loopback that judges each request by botocore's model.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.ecs_api import Ecs, ecs_api
from tests.ecs_shapes import problems
from tests.installing import from_pypi
from tests.rollouts import planned
from tests.stacks import desk

from shipway.render.ecs.files import render
from shipway.render.emit import emit_rendered

OPERATIONS = {
    "register-task-definition.json": "RegisterTaskDefinition",
    "create-service.json": "CreateService",
    "update-service.json": "UpdateService",
}
GOLDEN = sorted(Path("examples").glob("*/golden/ecs/**/*.json"))
ACCOUNT = {
    "AWS_REGION": "eu-west-1",
    "CLUSTER": "agents",
    "EXECUTION_ROLE_ARN": "arn:aws:iam::123456789012:role/execution",
    "TASK_ROLE_ARN": "arn:aws:iam::123456789012:role/task",
    "SUBNETS": "subnet-1,subnet-2",
    "SECURITY_GROUPS": "sg-1",
    "ASSIGN_PUBLIC_IP": "DISABLED",
    "FILE_SYSTEM_ID": "fs-1",
    "ACCESS_POINT_ID": "fsap-1",
}
BALANCER = {"TARGET_GROUP_ARN": "arn:aws:elasticloadbalancing:eu-west-1:123456789012:targetgroup/a/1"}
CANARY = BALANCER | {
    "ALTERNATE_TARGET_GROUP_ARN": "arn:aws:elasticloadbalancing:eu-west-1:123456789012:targetgroup/b/2",
    "LISTENER_RULE_ARN": "arn:aws:elasticloadbalancing:eu-west-1:123456789012:listener-rule/app/a/1/2/3",
    "BALANCER_ROLE_ARN": "arn:aws:iam::123456789012:role/balancer",
    "ALARMS": "errors & more, latency",
}
GATE = {
    "GATE_FUNCTION_ARN": "arn:aws:lambda:eu-west-1:123456789012:function:shipway-gate",
    "GATE_ROLE_ARN": "arn:aws:iam::123456789012:role/gate",
}


@pytest.mark.parametrize("file", GOLDEN, ids=lambda file: "/".join(file.parts[1:2] + file.parts[-2:]))
def test_botocore_accepts_what_is_written_for_an_example(file: Path) -> None:
    body = json.loads(file.read_text())
    if file.name == "canary-deployment.json":
        assert problems("UpdateService", {"service": "a", "deploymentConfiguration": body}) == []
    else:
        assert problems(OPERATIONS[file.name], body) == []


def test_examples_are_found() -> None:
    assert {file.parts[1] for file in GOLDEN} >= {"01-hello", "03-pydantic-ai"}


@pytest.fixture(scope="module")
def aws(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return from_pypi(tmp_path_factory.mktemp("aws"), "awscli")


@pytest.fixture
def ecs() -> Iterator[Ecs]:
    with ecs_api() as api:
        yield api


@pytest.fixture
def files(tmp_path: Path) -> Path:
    emit_rendered(tmp_path / "ecs", render(desk(tmp_path)), "# Written by shipway")
    return tmp_path / "ecs"


def deploy(files: Path, aws: Path, ecs: Ecs, account: dict[str, str]) -> subprocess.CompletedProcess[str]:
    """deploy.sh, with these values in account.env."""
    text = (files / "account.env").read_text()
    for name, value in account.items():
        text = re.sub(f"(?m)^{name}=.*$", f"{name}={shlex.quote(value)}", text)
    (files / "account.env").write_text(text)
    environ = {
        "PATH": f"{aws}:{os.environ['PATH']}",
        "HOME": str(files),
        "AWS_ENDPOINT_URL_ECS": ecs.url,
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "NO_PROXY": "127.0.0.1",
    }
    command = ("sh", files / "deploy.sh")
    return subprocess.run(command, env=environ, capture_output=True, text=True, timeout=200, check=False)


def operations(ecs: Ecs) -> list[tuple[str, str]]:
    changes = [(call, body) for call, body in ecs.calls if call != "DescribeServices"]
    keys = ("family", "serviceName", "service")
    return [(call, next(body[key] for key in keys if key in body)) for call, body in changes]


@pytest.mark.network
def test_an_account_that_is_not_filled_in_is_asked_for(files: Path, aws: Path, ecs: Ecs) -> None:
    done = deploy(files, aws, ecs, {"AWS_REGION": "eu-west-1"})
    assert (done.returncode, done.stderr) == (2, "account.env: CLUSTER is empty\n")
    done = deploy(files, aws, ecs, ACCOUNT | BALANCER | {"LISTENER_RULE_ARN": "arn"})
    assert (done.returncode, done.stderr) == (2, "account.env: ALTERNATE_TARGET_GROUP_ARN is empty\n")
    done = deploy(files, aws, ecs, ACCOUNT | CANARY | {"TARGET_GROUP_ARN": ""})
    assert (done.returncode, done.stderr) == (2, "account.env: TARGET_GROUP_ARN is empty\n")
    assert ecs.calls == []


@pytest.mark.long
@pytest.mark.network
def test_services_are_created_then_updated_and_servers_come_first(files: Path, aws: Path, ecs: Ecs) -> None:
    done = deploy(files, aws, ecs, ACCOUNT)
    assert done.returncode == 0, done.stderr
    assert operations(ecs) == [
        ("RegisterTaskDefinition", "desk-prod-control"),
        ("CreateService", "desk-prod-control"),
        ("RegisterTaskDefinition", "desk-prod-mcp-crm"),
        ("CreateService", "desk-prod-mcp-crm"),
        ("RegisterTaskDefinition", "desk-prod"),
        ("CreateService", "desk-prod"),
    ]
    assert "${" not in json.dumps([body for _, body in ecs.calls]).replace("${x}", "")
    (created,) = (b for call, b in ecs.calls if call == "CreateService" and b["serviceName"] == "desk-prod")
    assert created["taskDefinition"].endswith(":task-definition/desk-prod:1")
    assert created["networkConfiguration"]["awsvpcConfiguration"]["subnets"] == ["subnet-1", "subnet-2"]
    assert "loadBalancers" not in created
    ecs.calls.clear()
    assert deploy(files, aws, ecs, ACCOUNT).returncode == 0
    assert [call for call, _ in operations(ecs)] == ["RegisterTaskDefinition", "UpdateService"] * 3
    assert ecs.services["desk-prod"].endswith(":2")
    ecs.broken.add("desk-prod")
    done = deploy(files, aws, ecs, ACCOUNT)
    assert done.returncode == 1, "a deployment that ECS rolled back is a failure"
    assert "desk-prod was rolled back to" in done.stderr
    assert "task-definition/desk-prod:2" in done.stderr


@pytest.mark.long
@pytest.mark.network
@pytest.mark.parametrize("url", ["https://control.example.com", ""], ids=["elsewhere", "none"])
def test_a_control_that_is_elsewhere_is_not_deployed(files: Path, aws: Path, ecs: Ecs, url: str) -> None:
    assert deploy(files, aws, ecs, ACCOUNT | {"CONTROL_URL": url}).returncode == 0
    assert "desk-prod-control" not in ecs.services
    (task,) = (b for _, b in ecs.calls if b.get("family") == "desk-prod")
    env = {one["name"]: one["value"] for one in task["containerDefinitions"][0]["environment"]}
    assert env["SHIPWAY_CONTROL_URL"] == url


@pytest.mark.network
def test_people_come_to_control_by_a_balancer(files: Path, aws: Path, ecs: Ecs) -> None:
    group = "arn:aws:elasticloadbalancing:eu-west-1:123456789012:targetgroup/c/1"
    assert deploy(files, aws, ecs, ACCOUNT | {"CONTROL_TARGET_GROUP_ARN": group}).returncode == 0
    (created,) = (b for call, b in ecs.calls if call == "CreateService" and "control" in b["serviceName"])
    (balancer,) = created["loadBalancers"]
    assert balancer == {"targetGroupArn": group, "containerName": "control", "containerPort": 8083}
    (agent,) = (b for call, b in ecs.calls if call == "CreateService" and b["serviceName"] == "desk-prod")
    assert "loadBalancers" not in agent


@pytest.mark.network
def test_a_canary_that_control_judges_names_the_function(tmp_path: Path, aws: Path, ecs: Ecs) -> None:
    files = tmp_path / "ecs"
    emit_rendered(files, render(*planned(tmp_path)), "# Written by shipway")
    done = deploy(files, aws, ecs, ACCOUNT | CANARY)
    assert (done.returncode, done.stderr) == (2, "account.env: GATE_FUNCTION_ARN is empty\n")
    done = deploy(files, aws, ecs, GATE)
    assert done.returncode == 0, done.stderr
    (body,) = (b for _, b in ecs.calls if b.get("serviceName") == "support-prod")
    (hook,) = body["deploymentConfiguration"]["lifecycleHooks"]
    assert (hook["hookTargetArn"], hook["roleArn"]) == tuple(GATE.values())
    assert hook["hookDetails"]["gate"]["metrics"] == {"errors": {"margin": 0.2}}
    assert hook["hookDetails"]["enough"] == ""


@pytest.mark.network
def test_a_canary_goes_by_the_balancer(files: Path, aws: Path, ecs: Ecs) -> None:
    assert deploy(files, aws, ecs, ACCOUNT | CANARY).returncode == 0
    (created,) = (b for call, b in ecs.calls if call == "CreateService" and b["serviceName"] == "desk-prod")
    assert created["deploymentConfiguration"]["strategy"] == "CANARY"
    assert created["deploymentConfiguration"]["alarms"]["alarmNames"] == ["errors & more", "latency"]
    (balancer,) = created["loadBalancers"]
    assert (balancer["containerName"], balancer["containerPort"]) == ("agent", 8080)
    assert balancer["advancedConfiguration"] == {
        "alternateTargetGroupArn": CANARY["ALTERNATE_TARGET_GROUP_ARN"],
        "productionListenerRule": CANARY["LISTENER_RULE_ARN"],
        "roleArn": CANARY["BALANCER_ROLE_ARN"],
    }
