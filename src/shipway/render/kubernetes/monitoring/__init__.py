"""What watches a stack: a component for clusters with the Prometheus Operator and Grafana.

In: a stack. Out: a PodMonitor, a PrometheusRule, and dashboard.json. All of them tell stacks apart by the
label `job`, which the PodMonitor sets to AGENT-ENVIRONMENT.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from shipway.render.kubernetes.labels import instance, metadata, selector
from shipway.render.kubernetes.monitoring import alerts, dashboard

if TYPE_CHECKING:
    from shipway.plan.stack import StackPlan

Part = dict[str, Any]


def objects(plan: StackPlan) -> dict[str, list[Part]]:
    """Objects of the component by the names of their files."""
    return {"podmonitor": [_pod_monitor(plan)], "prometheusrule": [_rules(plan)]}


def files(plan: StackPlan) -> dict[str, str]:
    return {"dashboard.json": dashboard.document(plan.name, plan.environment, instance(plan))}


def _pod_monitor(plan: StackPlan) -> Part:
    """Pods, not the Service: each is asked, ready or not. MCP servers apart and control answer on their own
    port."""
    job = [{"targetLabel": "job", "replacement": instance(plan)}]
    ports = ["admin", *(["mcp"] if any(server.program for server in plan.apart) else [])]
    ports += ["control"] if plan.control else []
    return {
        "apiVersion": "monitoring.coreos.com/v1",
        "kind": "PodMonitor",
        "metadata": metadata(plan, plan.name),
        "spec": {
            "selector": {"matchLabels": selector(plan)},
            "podMetricsEndpoints": [
                {"port": port, "path": "/metrics", "interval": "30s", "relabelings": job} for port in ports
            ],
        },
    }


def _rules(plan: StackPlan) -> Part:
    rules = [alert.rule(instance(plan)) for alert in alerts.ALERTS]
    return {
        "apiVersion": "monitoring.coreos.com/v1",
        "kind": "PrometheusRule",
        "metadata": metadata(plan, plan.name),
        "spec": {"groups": [{"name": instance(plan), "rules": rules}]},
    }
