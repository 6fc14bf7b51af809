"""StackPlan -> a Kustomize base that shipway owns, and an overlay that is people's.

In: a stack. Out: the files, below deploy/kubernetes/ENVIRONMENT:

    kustomization.yaml    yours: written once; namespace, patches, components
    policy.json           yours: kill switches and limits, which change without a rollout
    base/                 rewritten: one file an object, or a small group
    base/monitoring/      a component: PodMonitor, PrometheusRule, Grafana dashboard
    base/egress/          a component: whom the agent may reach
    base/control/         a component, which the overlay has from the start: the server that the fleet shares

A pod is the agent and its sidecars; an MCP server apart is a Deployment and a Service of its own.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from shipway.render import yaml
from shipway.render.emit import Rendered
from shipway.render.kubernetes import (
    agent,
    apart,
    config,
    control,
    disruption,
    kustomization,
    monitoring,
    network,
    storage,
)
from shipway.render.kubernetes.grace import of_agent
from shipway_runtime import contract

if TYPE_CHECKING:
    from collections.abc import Mapping

    from shipway.plan.stack import StackPlan

Objects = list[dict[str, Any]]
BASE = "base"


def render(plan: StackPlan, *, plain: bool = False) -> Rendered:
    """The files by their paths. `plain`: sidecars as ordinary containers, for clusters before 1.30."""
    files = {
        f"{name}.yaml": _text(plan, name, objects, plain) for name, objects in _base(plan, plain).items()
    }
    base = files | {"kustomization.yaml": _written(plan, kustomization.base(files))}
    parts = {f"{BASE}/{name}": text for name, text in base.items()}
    parts |= _component(plan, "monitoring", monitoring.objects(plan), monitoring.files(plan))
    parts |= _component(plan, "egress", {"networkpolicy": [network.egress(plan)]}, {})
    if plan.control:
        parts |= _component(
            plan, "control", {"control": control.objects(plan, plan.control, plain=plain)}, {}
        )
    once = {
        "kustomization.yaml": kustomization.overlay(plan),
        "policy.json": contract.encode(contract.Policy()),
    }
    return Rendered(parts, once)


def _base(plan: StackPlan, plain: bool) -> dict[str, Objects]:
    """The objects of the base by the names of their files."""
    files: dict[str, Objects] = {
        "config": [config.config_map(plan)],
        "serviceaccount": [agent.service_account(plan)],
        "deployment": [agent.deployment(plan, plain=plain)],
        "service": [network.service(plan)],
        "networkpolicy": [network.ingress(plan)],
    }
    if claims := storage.claims(plan):
        files["pvc"] = claims
    if plan.agent.replicas > 1:
        files["poddisruptionbudget"] = [disruption.budget(plan)]
    return files | {f"mcp-{server.name}": apart.objects(plan, server, plain=plain) for server in plan.apart}


def _component(
    plan: StackPlan, name: str, objects: Mapping[str, Objects], others: Mapping[str, str]
) -> dict[str, str]:
    files = {f"{kind}.yaml": _text(plan, kind, found, False) for kind, found in objects.items()}
    own = kustomization.component(plan, name, files, others)
    files |= {"kustomization.yaml": _written(plan, own), **others}
    return {f"{BASE}/{name}/{file}": text for file, text in files.items()}


def _text(plan: StackPlan, name: str, objects: Objects, plain: bool) -> str:
    more = of_agent(plan, plain=plain).explained() if name == "deployment" else ""
    return _written(plan, *objects, more=more)


def _written(plan: StackPlan, *objects: Mapping[str, Any], more: str = "") -> str:
    head = (
        f"Written by shipway from agent.toml: {plan.name} in {plan.environment}. It is written again;\n"
        "what is to stay belongs into the kustomization.yaml above it.\n"
    )
    return yaml.write(objects, head + more)
