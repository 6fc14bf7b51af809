"""Services of a stack -> the bodies of CreateService and UpdateService, and of a deployment by canary.

In: the agent, or an MCP server apart. Out: JSON values; ${NAME} is of the account, as in task definitions.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from shipway.render.ecs.task import MCP_PORT, family

if TYPE_CHECKING:
    from shipway.plan.stack import Sidecar, StackPlan

CANARY_PERCENT = 5.0
CANARY_MINUTES = 60
BAKE_MINUTES = 10

_NEW_FIRST = {"maximumPercent": 200, "minimumHealthyPercent": 100}


def create(plan: StackPlan, server: Sidecar | None = None) -> dict[str, Any]:
    """Of the agent's service, or of a server's."""
    once = {
        "serviceName": family(plan, server),
        "launchType": "FARGATE",
        "schedulingStrategy": "REPLICA",
        "deploymentController": {"type": "ECS"},
    }
    return {"cluster": "${CLUSTER}", **once, **_both(plan, server)}


def update(plan: StackPlan, server: Sidecar | None = None) -> dict[str, Any]:
    """All that `create` says and that can be changed."""
    return {"cluster": "${CLUSTER}", "service": family(plan, server), **_both(plan, server)}


def canary() -> dict[str, Any]:
    """A deployment that gives a new revision a small share first, and takes it back when an alarm says so."""
    return {
        "strategy": "CANARY",
        "canaryConfiguration": {"canaryPercent": CANARY_PERCENT, "canaryBakeTimeInMinutes": CANARY_MINUTES},
        "bakeTimeInMinutes": BAKE_MINUTES,
        "alarms": {"alarmNames": ["${ALARMS}"], "enable": True, "rollback": True},
        "deploymentCircuitBreaker": {"enable": False, "rollback": False},  # of rolling deployments alone
        **_NEW_FIRST,
    }


def _both(plan: StackPlan, server: Sidecar | None) -> dict[str, Any]:
    connect = {"serviceConnectConfiguration": _connect(plan, server)} if plan.apart else {}
    return {
        "taskDefinition": family(plan, server),
        "desiredCount": 1 if server else plan.agent.replicas,
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
            **_NEW_FIRST,
        },
        "availabilityZoneRebalancing": "ENABLED",
        "enableExecuteCommand": False,
        "enableECSManagedTags": True,
        "propagateTags": "SERVICE",
        **connect,
    }


def _connect(plan: StackPlan, server: Sidecar | None) -> dict[str, Any]:
    """The agent looks servers up under the names that its manifest has; a tool may take its time."""
    if server is None:
        return {"enabled": True}
    name = f"{plan.name}-mcp-{server.name}"
    return {
        "enabled": True,
        "services": [
            {
                "portName": MCP_PORT,
                "discoveryName": name,
                "clientAliases": [{"port": server.port, "dnsName": name}],
                "timeout": {"perRequestTimeoutSeconds": 0},
            }
        ],
    }
