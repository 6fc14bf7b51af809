"""Services of a stack -> the bodies of CreateService and UpdateService.

In: the agent, an MCP server apart, or control. Out: JSON values; ${NAME} is of the account, as in
task definitions.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from shipway.plan.control import Control
from shipway.render.ecs.task import CONTROL, MCP_PORT, family

if TYPE_CHECKING:
    from shipway.plan.stack import Sidecar, StackPlan

NEW_FIRST = {"maximumPercent": 200, "minimumHealthyPercent": 100}


def create(plan: StackPlan, apart: Sidecar | Control | None = None) -> dict[str, Any]:
    """Of the agent's service, or of what is apart from it."""
    once = {
        "serviceName": family(plan, apart),
        "launchType": "FARGATE",
        "schedulingStrategy": "REPLICA",
        "deploymentController": {"type": "ECS"},
    }
    return {"cluster": "${CLUSTER}", **once, **_both(plan, apart)}


def update(plan: StackPlan, apart: Sidecar | Control | None = None) -> dict[str, Any]:
    """All that `create` says and that can be changed."""
    return {"cluster": "${CLUSTER}", "service": family(plan, apart), **_both(plan, apart)}


def _both(plan: StackPlan, apart: Sidecar | Control | None) -> dict[str, Any]:
    found = plan.apart or plan.control
    connect = {"serviceConnectConfiguration": _connect(plan, apart)} if found else {}
    return {
        "taskDefinition": family(plan, apart),
        "desiredCount": 1 if apart else plan.agent.replicas,
        "platformVersion": "LATEST",
        "networkConfiguration": {
            "awsvpcConfiguration": {
                "subnets": ["${SUBNETS}"],
                "securityGroups": ["${SECURITY_GROUPS}"],
                "assignPublicIp": "${ASSIGN_PUBLIC_IP}",
            }
        },
        "deploymentConfiguration": {
            "strategy": "ROLLING",
            "deploymentCircuitBreaker": {"enable": True, "rollback": True},
            **NEW_FIRST,
        },
        "availabilityZoneRebalancing": "ENABLED",
        "enableExecuteCommand": False,
        "enableECSManagedTags": True,
        "propagateTags": "SERVICE",
        **connect,
    }


def _connect(plan: StackPlan, apart: Sidecar | Control | None) -> dict[str, Any]:
    """The agent looks servers up under the names that its manifest has; a tool may take its time."""
    if apart is None:
        return {"enabled": True}
    if isinstance(apart, Control):
        return {"enabled": True, "services": [_found(CONTROL, apart.host, apart.port)]}
    server = _found(MCP_PORT, f"{plan.name}-mcp-{apart.name}", apart.port)
    return {"enabled": True, "services": [server | {"timeout": {"perRequestTimeoutSeconds": 0}}]}


def _found(port_name: str, name: str, port: int) -> dict[str, Any]:
    return {
        "portName": port_name,
        "discoveryName": name,
        "clientAliases": [{"port": port, "dnsName": name}],
    }
