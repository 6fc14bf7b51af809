"""What rules say and do not say about Compose files and ECS task definitions."""

from __future__ import annotations

import json
from typing import Any

from tests.unit.check.manifests.conftest import Found, Judge

from shipway.check.manifests.subject import read


def rules(found: Found) -> set[str]:
    return {rule for rule, _ in found}


def test_services_that_share_a_network_are_one_workload() -> None:
    text = """\
services:
  pod: {image: team/agent:1, entrypoint: [sleep, infinity], ports: ["8080:8080"]}
  agent: {image: team/agent:1, network_mode: "service:pod"}
  mcp-git: {image: team/mcp-git:1, network_mode: "service:pod"}
  db: {image: "postgres:17"}
"""
    group, db = read([("compose.yaml", text)]).workloads
    assert [(c.name, c.role) for c in group.containers] == [("agent", "main"), ("mcp-git", "sidecar")]
    assert (group.name, db.name, db.mains) == ("agent", "db", ())


def test_an_agent_that_others_join_is_no_holder() -> None:
    text = 'services:\n  agent: {image: "a:1"}\n  mcp-git: {image: "g:1", network_mode: "service:agent"}\n'
    (group,) = read([("compose.yaml", text)]).workloads
    assert [(c.name, c.role) for c in group.containers] == [("agent", "main"), ("mcp-git", "sidecar")]


def test_what_a_reviewer_says_about_a_usual_compose_file(judge: Judge) -> None:
    text = """\
x-common: &common
  restart: unless-stopped
  environment: {OPENAI_API_KEY: "${OPENAI_API_KEY}"}
services:
  agent:
    <<: *common
    build: .
    command: uvicorn main:app --port 8000
    ports: ["8000:8000"]
    depends_on: [db, mcp-fetch]
  mcp-fetch:
    image: python:3.13-slim
    command: uvx mcp-server-fetch
    stdin_open: true
  db:
    image: postgres
    environment: {POSTGRES_PASSWORD: postgres}
"""
    assert sorted(judge(text)) == [
        ("grace-default", 5),
        ("manifest-digest", 12),
        ("manifest-install-at-start", 13),
        ("manifest-latest", 16),
        ("manifest-loopback", 8),
        ("stdio-server", 13),
    ]


def test_lists_and_long_forms(judge: Judge) -> None:
    text = """\
services:
  agent:
    image: team/agent@sha256:0a
    environment: ["CHECKPOINTS=sqlite:///data/a.db", EMPTY]
    deploy: {replicas: 2, resources: {limits: {cpus: "0.5", memory: 128M}}}
    stop_grace_period: 1m30s
    volumes: [{type: bind, source: /var/run/docker.sock, target: /var/run/docker.sock}]
"""
    assert rules(judge(text)) == {"replica-state", "cpu-limit", "memory-small", "privileged"}


def test_on_the_network_of_the_machine_loopback_is_right(judge: Judge) -> None:
    text = "services:\n  a: {build: ., command: [uvicorn, 'a:b'], ports: ['80:80']%s}\n"
    assert "manifest-loopback" in rules(judge(text % ""))
    assert judge(text % ", network_mode: host") == []


def test_development_may_run_the_latest(judge: Judge) -> None:
    text = "services:\n  agent: {image: team/agent, stop_grace_period: 90s%s}\n"
    assert rules(judge(text % "")) == {"manifest-latest"}
    assert judge(text % ", environment: {SHIPWAY_ENV: development}") == []


def test_what_extends_another_is_partial(judge: Judge) -> None:
    assert judge("services:\n  agent: {extends: {file: base.yaml, service: agent}, ports: ['80:80']}\n") == []


TASK: dict[str, Any] = {
    "family": "support",
    "containerDefinitions": [
        {
            "name": "agent",
            "image": "team/agent@sha256:0a",
            "user": "65532",
            "readonlyRootFilesystem": True,
            "stopTimeout": 90,
            "memory": 512,
            "portMappings": [{"containerPort": 8080}],
            "dependsOn": [{"containerName": "mcp-git", "condition": "HEALTHY"}],
            "healthCheck": {"command": ["CMD", "python", "-m", "health"], "timeout": 5},
            "environment": [{"name": "LOG_LEVEL", "value": "info"}],
        },
        {
            "name": "mcp-git",
            "image": "team/mcp-git@sha256:0a",
            "readonlyRootFilesystem": True,
            "memory": 256,
            "healthCheck": {"command": ["CMD", "python", "-m", "health"], "timeout": 5},
        },
    ],
}


def test_a_task_definition_that_is_right(judge: Judge) -> None:
    assert judge(json.dumps(TASK, indent=2)) == []
    assert judge(json.dumps({"taskDefinition": TASK})) == [], "as describe-task-definition prints it"


def test_a_task_definition_as_people_begin(judge: Judge) -> None:
    text = json.dumps(
        {
            "family": "support",
            "containerDefinitions": [
                {
                    "name": "agent",
                    "image": "team/agent:latest",
                    "user": "root",
                    "portMappings": [{"containerPort": 8080}],
                    "environment": [{"name": "API_TOKEN", "value": "q7Vd2mKx93ZpL4wR8nT5b"}],
                    "healthCheck": {"command": ["CMD", "x"], "interval": 5, "retries": 2},
                }
            ],
        }
    )
    assert rules(judge(text)) == {
        *("manifest-latest", "manifest-root", "manifest-secret", "writable-root"),
        *("liveness-tight", "grace-default", "memory-limit"),
    }


def test_a_service_with_a_canary_of_everything_that_stays_when_it_fails(judge: Judge) -> None:
    service = {
        "serviceName": "support",
        "taskDefinition": "support",
        "deploymentConfiguration": {
            "strategy": "CANARY",
            "canaryConfiguration": {"canaryPercent": 100},
            "alarms": {"enable": True, "rollback": False},
        },
    }
    assert rules(judge(json.dumps(service))) == {"rollout-single-step", "rollout-unjudged"}
