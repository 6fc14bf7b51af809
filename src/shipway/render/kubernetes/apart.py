"""An MCP server apart from the agent: scaled, rolled out and restarted by itself.

In: a server of the stack. Out: its ServiceAccount, Deployment, Service and NetworkPolicy. The Service has the
name by which the agent's manifest finds it; only the agent may reach it, for MCP knows no callers.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from shipway.render.kubernetes import network, pod, servers
from shipway.render.kubernetes.disruption import ROLLING
from shipway.render.kubernetes.grace import of_server
from shipway.render.kubernetes.labels import labels, metadata, selector

if TYPE_CHECKING:
    from shipway.plan.stack import Sidecar, StackPlan
    from shipway.render.kubernetes.pod import Part


def objects(plan: StackPlan, server: Sidecar, *, plain: bool) -> list[Part]:
    name, component = f"{plan.name}-mcp-{server.name}", f"mcp-{server.name}"
    own = metadata(plan, name, component)
    account = {
        "apiVersion": "v1",
        "kind": "ServiceAccount",
        "metadata": own,
        "automountServiceAccountToken": False,
    }
    deployment = {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": own,
        "spec": {
            "replicas": 1,
            "strategy": ROLLING,
            "selector": {"matchLabels": selector(plan, component)},
            "template": {
                "metadata": {"labels": labels(plan, component)},
                "spec": _pod(plan, server, name, plain),
            },
        },
    }
    return [account, deployment, _service(plan, server, own), network.to_server(plan, server, own)]


def _pod(plan: StackPlan, server: Sidecar, account: str, plain: bool) -> Part:
    pause, grace = of_server(plan, server)
    spec = {
        "serviceAccountName": account,
        **pod.POD,
        "terminationGracePeriodSeconds": grace,
        "securityContext": pod.pod_security(),
        "containers": [servers.apart(plan, server, pause=_pause(pause, server, plain))],
        "volumes": servers.volumes(server),
    }
    return pod.without_empty(spec)


def _pause(seconds: int, server: Sidecar, plain: bool) -> Part:
    """Images of others go without, where it takes a program of the image."""
    return {} if plain and not servers.ours(server) else pod.pause(seconds, plain=plain)


def _service(plan: StackPlan, server: Sidecar, own: Part) -> Part:
    """Sessions of older MCP servers live in one pod: a caller stays with the one that it found."""
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": own,
        "spec": {
            "selector": selector(plan, f"mcp-{server.name}"),
            "sessionAffinity": "ClientIP",
            "ports": [{"name": "mcp", "port": server.port, "targetPort": "mcp", "appProtocol": "http"}],
        },
    }
