"""Containers of a stack -> task definitions: the body of RegisterTaskDefinition.

In: the agent with its sidecars, an MCP server apart, or control. Out: JSON values. What is of somebody's
account stands there as ${NAME}; deploy.sh fills it in.

A container that exits is started again in its place, and whoever depends on it goes on. Those of ours are
asked for their liveness alone: ECS replaces a task whose essential container is not healthy, and a model
that is away is no reason for that.
"""

from __future__ import annotations

import json
from math import ceil
from typing import TYPE_CHECKING, Any

from shipway.plan import container
from shipway.plan.control import Control
from shipway.plan.settings import delivered
from shipway.render.ecs import fargate
from shipway_runtime import contract

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from shipway.plan.stack import Sidecar, StackPlan

AGENT = "agent"
CONTROL = "control"
"""The container, and its port."""
PORT = "api"
"""The name of the agent's port, and `MCP_PORT` that of a server's, for load balancers and Service Connect."""
MCP_PORT = "mcp"

_TMP_MIB = 64
_RESTART_S = 60
_CONTROL_STOP_S = 30
_HARDENED = {
    "user": container.USER,
    "readonlyRootFilesystem": True,
    "linuxParameters": {
        "capabilities": {"drop": ["ALL"]},
        "initProcessEnabled": False,  # the runtime is PID 1, and reaps
        "tmpfs": [
            {"containerPath": "/tmp", "size": _TMP_MIB, "mountOptions": ["nosuid", "nodev"]}  # noqa: S108
        ],
    },
}


def agent_task(plan: StackPlan) -> dict[str, Any]:
    """The task of the agent and its sidecars."""
    asked = fargate.agent_size(plan)
    containers = [_agent(plan), *(_sidecar(server, plan) for server in plan.sidecars)]
    volumes = {"volumes": [_volume()]} if plan.storage else {}
    return _task(family(plan), plan, asked, containers) | volumes


def server_task(server: Sidecar, plan: StackPlan) -> dict[str, Any]:
    """The task of an MCP server apart."""
    ports = [{"name": MCP_PORT, "containerPort": server.port, "protocol": "tcp", "appProtocol": "http"}]
    containers = [{**_server(server, plan), "essential": True, "portMappings": ports}]
    return _task(family(plan, server), plan, fargate.server_size(server), containers)


def control_task(control: Control, plan: StackPlan) -> dict[str, Any]:
    """The task of control: its records are in PostgreSQL, for Fargate has no disk that stays but EFS."""
    containers = [_control(control, plan)]
    return _task(family(plan, control), plan, fargate.control_size(control), containers)


def family(plan: StackPlan, apart: Sidecar | Control | None = None) -> str:
    """Of a task definition and its service: families are an account's, and environments share one."""
    own = f"{plan.name}-{plan.environment}"
    if isinstance(apart, Control):
        return f"{own}-{CONTROL}"
    return f"{own}-mcp-{apart.name}" if apart else own


def _task(
    name: str, plan: StackPlan, asked: fargate.Size, containers: list[dict[str, Any]]
) -> dict[str, Any]:
    size = fargate.size(asked) or asked  # one that is too large was refused before
    arm = "linux/amd64" not in plan.platforms
    return {
        "family": name,
        "requiresCompatibilities": ["FARGATE"],
        "networkMode": "awsvpc",
        "cpu": str(size.cpu),
        "memory": str(size.memory),
        "runtimePlatform": {
            "operatingSystemFamily": "LINUX",
            "cpuArchitecture": "ARM64" if arm else "X86_64",
        },
        "executionRoleArn": "${EXECUTION_ROLE_ARN}",
        "taskRoleArn": "${TASK_ROLE_ARN}",
        "containerDefinitions": [one | {"logConfiguration": _logs(name, one["name"])} for one in containers],
    }


# -- Containers ----------------------------------------------------------------------------------------------


def _agent(plan: StackPlan) -> dict[str, Any]:
    agent = plan.agent
    return _without_empty(
        {
            "name": AGENT,
            "image": agent.image,
            "essential": True,
            "cpu": fargate.units(agent.resources.cpu),
            "memoryReservation": fargate.mebibytes(agent.resources.memory),
            "portMappings": [
                {
                    "name": PORT,
                    "containerPort": agent.ports["api"],
                    "protocol": "tcp",
                    "appProtocol": "http",
                }
            ],
            "environment": _environment(agent.env | _given(plan)),
            "secrets": _secrets(plan, agent.secrets, _beside(plan)),
            "mountPoints": _mounts(plan),
            "dependsOn": [
                # When the task ends it is the other way round: tools are there until the last turn is done.
                {"containerName": _name(server), "condition": "START"}
                for server in plan.sidecars
            ],
            "healthCheck": _health(agent.ports["admin"]),
            "restartPolicy": _restart(),
            "stopTimeout": min(ceil(agent.grace_s + container.ENDING_S), fargate.STOP_S),
            **_HARDENED,
        }
    )


def _control(control: Control, plan: StackPlan) -> dict[str, Any]:
    tokens, database = contract.env.CONTROL_TOKENS, contract.env.CONTROL_DATABASE
    secrets = {tokens: tokens, database: control.database or database}
    return {
        "name": CONTROL,
        "image": control.image,
        "essential": True,
        "cpu": fargate.units(control.cpu),
        "memoryReservation": fargate.mebibytes(control.memory),
        "portMappings": [
            {"name": CONTROL, "containerPort": control.port, "protocol": "tcp", "appProtocol": "http"}
        ],
        "secrets": [
            {"name": name, "valueFrom": value_from(plan, source)} for name, source in secrets.items()
        ],
        "healthCheck": _health(control.port),
        "restartPolicy": _restart(),
        "stopTimeout": _CONTROL_STOP_S,
        **_HARDENED,
    }


def _sidecar(server: Sidecar, plan: StackPlan) -> dict[str, Any]:
    mounts = {"mountPoints": _mounts(plan)} if plan.storage and server.storage else {}
    return {**_server(server, plan), "essential": not server.optional, **mounts}


def _server(server: Sidecar, plan: StackPlan) -> dict[str, Any]:
    """An image of ours is hardened as the agent is, and tells its health; what others built is left alone."""
    ours = server.program is not None
    cpu, memory = server.resources.cpu, server.resources.memory
    return _without_empty(
        {
            "name": _name(server),
            "image": server.image,
            "entryPoint": [container.PYTHON] if server.command else [],
            "command": list(server.command),
            "cpu": fargate.units(cpu) if cpu is not None else "",
            "memory": fargate.mebibytes(memory) if memory is not None else "",
            "environment": _environment(server.env),
            "secrets": _secrets(plan, server.secrets),
            "healthCheck": _health(server.port) if ours else {},
            "restartPolicy": _restart(),
            **(_HARDENED if ours else {}),
        }
    )


def _name(server: Sidecar) -> str:
    return f"mcp-{server.name}"


# -- Their parts ---------------------------------------------------------------------------------------------


def _config(plan: StackPlan) -> str:
    """The config in one line; what is a secret's file elsewhere comes in the environment here."""
    config = delivered(plan.config, "env")
    return json.dumps(json.loads(contract.encode(config)), separators=(",", ":"), ensure_ascii=False)


def _environment(variables: Mapping[str, str]) -> list[dict[str, str]]:
    return [{"name": name, "value": value} for name, value in variables.items()]


def _secrets(plan: StackPlan, sources: Mapping[str, str], more: Iterable[str] = ()) -> list[dict[str, str]]:
    """Those of a broker are fetched by the runtime; a file's come in the environment, too."""
    names = dict.fromkeys([*(name for name, source in sources.items() if source != "broker"), *more])
    return [{"name": name, "valueFrom": value_from(plan, name)} for name in names]


def _beside(plan: StackPlan) -> Iterator[str]:
    """The URLs of databases, the token without which nobody could use the admin port: no kill switch, and the
    one that is shown to control."""
    yield from (service.env_url for service in plan.services)
    yield contract.env.ADMIN_TOKEN
    if plan.control:
        yield contract.env.CONTROL_TOKEN


def _given(plan: StackPlan) -> dict[str, str]:
    """The config, and where control is; that the account says, for it may be another stack's."""
    control = {contract.env.CONTROL_URL: "${CONTROL_URL}"} if plan.control else {}
    return control | {contract.env.CONFIG_JSON: _config(plan)}


def value_from(plan: StackPlan, name: str) -> str:
    """The ARN that agent.toml gives; else a parameter of the account and region: it has no need of an ARN."""
    stored = plan.stores.get(name)
    return (stored.ecs if stored else None) or f"/{plan.name}/{plan.environment}/{name}"


def _health(port: int) -> dict[str, Any]:
    return {
        "command": ["CMD", *container.probe(port, "/healthz")],
        "interval": 15,
        "timeout": 6,
        "retries": 3,
        "startPeriod": 60,
    }


def _restart() -> dict[str, Any]:
    return {"enabled": True, "restartAttemptPeriod": _RESTART_S}


def _mounts(plan: StackPlan) -> list[dict[str, Any]]:
    if not plan.storage:
        return []
    return [{"sourceVolume": "data", "containerPath": plan.storage.path, "readOnly": False}]


def _volume() -> dict[str, Any]:
    return {
        "name": "data",
        "efsVolumeConfiguration": {
            "fileSystemId": "${FILE_SYSTEM_ID}",
            "transitEncryption": "ENABLED",
            "authorizationConfig": {"accessPointId": "${ACCESS_POINT_ID}", "iam": "ENABLED"},
        },
    }


def _logs(task: str, name: str) -> dict[str, Any]:
    """A log that CloudWatch does not take in time is dropped: it does not stop the agent."""
    return {
        "logDriver": "awslogs",
        "options": {
            "awslogs-group": f"/ecs/{task}",
            "awslogs-region": "${AWS_REGION}",
            "awslogs-stream-prefix": name,
            "awslogs-create-group": "true",
            "mode": "non-blocking",
            "max-buffer-size": "25m",
        },
    }


def _without_empty(container_definition: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in container_definition.items() if value not in ([], {}, "")}
