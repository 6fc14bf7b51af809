"""StackPlan -> a Kustomize base that shipway owns, and an overlay that is people's.

In: a stack, and its RolloutPlan where Argo Rollouts takes it to its users. Out: the files, below
deploy/kubernetes/ENVIRONMENT:

    kustomization.yaml    yours: written once; namespace, patches, components
    policy.json           yours: kill switches and limits, which change without a rollout
    base/                 rewritten: one file an object, or a small group
    base/monitoring/      a component: PodMonitor, PrometheusRule, Grafana dashboard
    base/egress/          a component: whom the agent may reach
    base/control/         a component, which the overlay has from the start: the server that the fleet shares

A pod is the agent and its sidecars; an MCP server apart is a Deployment and a Service of its own. By Argo
Rollouts the agent is a Rollout instead of a Deployment, and base/control lets Argo ask.
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
from shipway.render.kubernetes.argo import analysis, traffic
from shipway.render.kubernetes.argo import rollout as argo
from shipway.render.kubernetes.grace import of_agent
from shipway_runtime import contract

if TYPE_CHECKING:
    from collections.abc import Mapping

    from shipway.plan.rollout import RolloutPlan
    from shipway.plan.stack import StackPlan

Objects = list[dict[str, Any]]
BASE = "base"


def render(plan: StackPlan, *, plain: bool = False, rollout: RolloutPlan | None = None) -> Rendered:
    """The files by their paths. `plain`: sidecars as ordinary containers, for clusters before 1.30.
    `rollout`: how Argo Rollouts is to do it; without one the agent is a Deployment."""
    found = _base(plan, plain, rollout)
    files = {f"{name}.yaml": _text(plan, name, objects, plain) for name, objects in found.items()}
    base = files | {"kustomization.yaml": _written(plan, kustomization.base(files))}
    parts = {f"{BASE}/{name}": text for name, text in base.items()}
    parts |= _component(plan, "monitoring", monitoring.objects(plan), monitoring.files(plan))
    parts |= _component(plan, "egress", {"networkpolicy": [network.egress(plan)]}, {})
    if plan.control:
        own = control.objects(plan, plan.control, plain=plain)
        own += [traffic.to_control(plan, plan.control)] if rollout else []
        parts |= _component(plan, "control", {"control": own}, {})
    once = {
        "kustomization.yaml": kustomization.overlay(plan, "Rollout" if rollout else "Deployment"),
        "policy.json": contract.encode(contract.Policy()),
    }
    return Rendered(parts, once)


def _base(plan: StackPlan, plain: bool, rollout: RolloutPlan | None) -> dict[str, Objects]:
    """The objects of the base by the names of their files."""
    files: dict[str, Objects] = {
        "config": [config.config_map(plan)],
        "serviceaccount": [agent.service_account(plan)],
        **(_rolled_out(plan, rollout, plain) if rollout else _deployed(plan, plain)),
        "networkpolicy": [network.ingress(plan)],
    }
    if not rollout and (claims := storage.claims(plan)):
        files["pvc"] = claims
    if plan.agent.replicas > 1:
        files["poddisruptionbudget"] = [disruption.budget(plan)]
    return files | {f"mcp-{server.name}": apart.objects(plan, server, plain=plain) for server in plan.apart}


def _deployed(plan: StackPlan, plain: bool) -> dict[str, Objects]:
    return {"deployment": [agent.deployment(plan, plain=plain)], "service": [network.service(plan)]}


def _rolled_out(plan: StackPlan, rollout: RolloutPlan, plain: bool) -> dict[str, Objects]:
    templates = analysis.objects(plan, rollout, plan.control) if plan.control else []
    return {
        "rollout": [argo.rollout(plan, rollout, plain=plain)],
        "service": [network.service(plan), traffic.canary_service(plan)],
        "httproute": [traffic.route(plan)],
        **({"analysis": templates} if templates else {}),
    }


def _component(
    plan: StackPlan, name: str, objects: Mapping[str, Objects], others: Mapping[str, str]
) -> dict[str, str]:
    files = {f"{kind}.yaml": _text(plan, kind, found, False) for kind, found in objects.items()}
    own = kustomization.component(plan, name, files, others)
    files |= {"kustomization.yaml": _written(plan, own), **others}
    return {f"{BASE}/{name}/{file}": text for file, text in files.items()}


def _text(plan: StackPlan, name: str, objects: Objects, plain: bool) -> str:
    more = of_agent(plan, plain=plain).explained() if name in ("deployment", "rollout") else ""
    return _written(plan, *objects, more=more)


def _written(plan: StackPlan, *objects: Mapping[str, Any], more: str = "") -> str:
    head = (
        f"Written by shipway from agent.toml: {plan.name} in {plan.environment}. It is written again;\n"
        "what is to stay belongs into the kustomization.yaml above it.\n"
    )
    return yaml.write(objects, head + more)
