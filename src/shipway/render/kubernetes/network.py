"""Who reaches whom.

In: a stack. Out: the agent's Service, NetworkPolicies for what comes in, and one for what goes out. What
comes in is known; what goes out is the affair of the agent's code, so people add that policy as a component.
"""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from shipway.render.kubernetes.labels import AGENT, CONTROL, agents, metadata, selector

if TYPE_CHECKING:
    from collections.abc import Iterator

    from shipway.plan.control import Control
    from shipway.plan.stack import Sidecar, StackPlan
    from shipway.render.kubernetes.pod import Part

MONITORING = "monitoring"
"""The namespace that Prometheus commonly is in."""
_METADATA = "169.254.169.254/32"
"""Of clouds: credentials of the node."""
_DEFAULT_PORTS = {"http": 80, "https": 443}
_DATABASE_PORTS = {"postgres": 5432, "redis": 6379}


def service(plan: StackPlan) -> Part:
    """The API alone: whoever finds the Service has no business on the admin port."""
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": metadata(plan, plan.name, AGENT),
        "spec": {
            "selector": selector(plan, AGENT),
            "ports": [{"name": "api", "port": 80, "targetPort": "api", "appProtocol": "http"}],
        },
    }


def ingress(plan: StackPlan) -> Part:
    """The API for everybody, the admin port for Prometheus. The kubelet may always ask pods of its node."""
    prometheus = {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": MONITORING}}}
    rules = [
        {"ports": [_tcp(plan.agent.ports["api"])]},
        {"from": [prometheus], "ports": [_tcp(plan.agent.ports["admin"])]},
    ]
    return _policy(metadata(plan, plan.name, AGENT), selector(plan, AGENT), {"ingress": rules})


def to_server(plan: StackPlan, server: Sidecar, own: Part) -> Part:
    """An MCP server apart is the agent's; Prometheus reads its metrics on the same port."""
    callers = [
        {"podSelector": {"matchLabels": selector(plan, AGENT)}},
        {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": MONITORING}}},
    ]
    rules = [{"from": callers, "ports": [_tcp(server.port)]}]
    return _policy(own, selector(plan, f"mcp-{server.name}"), {"ingress": rules})


def to_control(plan: StackPlan, control: Control, own: Part) -> Part:
    """For every agent of the namespace, which may share it, and for Prometheus. People come through the
    kubelet (`kubectl port-forward`), or by an Ingress, whose namespace the overlay adds."""
    callers = [
        {"podSelector": {"matchLabels": agents()}},
        {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": MONITORING}}},
    ]
    return let_in(own, selector(plan, CONTROL), callers, control.port)


def let_in(own: Part, pods: Part, callers: list[Part], port: int) -> Part:
    """A policy that lets callers reach one port; policies of the same pods add up."""
    return _policy(own, pods, {"ingress": [{"from": callers, "ports": [_tcp(port)]}]})


def egress(plan: StackPlan) -> Part:
    """Names, HTTPS, our MCP servers, control, the ports of agent.toml; never the node's credentials."""
    anywhere = [{"ipBlock": {"cidr": "0.0.0.0/0", "except": [_METADATA]}}, {"ipBlock": {"cidr": "::/0"}}]
    rules: list[Part] = [
        {"ports": [{"protocol": protocol, "port": 53} for protocol in ("UDP", "TCP")]},
        {"to": anywhere, "ports": [_tcp(port) for port in sorted({443, *_ports(plan)})]},
    ]
    rules += [
        {
            "to": [{"podSelector": {"matchLabels": selector(plan, f"mcp-{server.name}")}}],
            "ports": [_tcp(server.port)],
        }
        for server in plan.apart
    ]
    if plan.control:
        pods = {"podSelector": {"matchLabels": selector(plan, CONTROL)}}
        rules.append({"to": [pods], "ports": [_tcp(plan.control.port)]})
    own = metadata(plan, f"{plan.name}-egress", AGENT)
    return _policy(own, selector(plan, AGENT), {"egress": rules})


def _policy(own: Part, pods: Part, rules: Part) -> Part:
    kinds = [kind.capitalize() for kind in rules]
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": own,
        "spec": {"podSelector": {"matchLabels": pods}, "policyTypes": kinds, **rules},
    }


def _tcp(port: int) -> Part:
    return {"protocol": "TCP", "port": port}


def _ports(plan: StackPlan) -> Iterator[int]:
    """Of what the agent calls, as far as the plan names it."""
    settings = plan.config.settings
    ours = {server.name for server in (*plan.sidecars, *plan.apart)}
    urls = [server.url for server in plan.agent.mcp if server.url and server.name not in ours]
    urls += [secret.broker.token_url for secret in settings.secrets.values() if secret.broker]
    urls += [settings.api.jwks] if settings.api.jwks else []
    urls += [settings.model.provider] if settings.model and "://" in settings.model.provider else []
    for url in urls:
        parts = urlsplit(url)
        yield parts.port or _DEFAULT_PORTS.get(parts.scheme, 443)
    yield from (_DATABASE_PORTS[s.kind] for s in plan.services if s.kind in _DATABASE_PORTS)
    if settings.storage and settings.storage.url_secret:
        yield _DATABASE_PORTS["postgres"]
