"""The agent's pod.

In: a stack. Out: its Deployment, or the template of its pods alone; and its ServiceAccount, which may do
nothing in the cluster.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from shipway.render.kubernetes import config, disruption, pod, secrets, servers, storage
from shipway.render.kubernetes.grace import DRAIN_DELAY_S, of_agent
from shipway.render.kubernetes.labels import AGENT, labels, metadata, selector
from shipway_runtime import contract

if TYPE_CHECKING:
    from shipway.plan.stack import StackPlan
    from shipway.render.kubernetes.pod import Part


def service_account(plan: StackPlan) -> Part:
    """Who the agent is: to the cluster nobody, to a provider that trusts the cluster's tokens an identity."""
    return {
        "apiVersion": "v1",
        "kind": "ServiceAccount",
        "metadata": metadata(plan, plan.name, AGENT),
        "automountServiceAccountToken": False,
    }


def deployment(plan: StackPlan, *, plain: bool) -> Part:
    """`kubectl rollout history` shows revisions by their names."""
    own = metadata(plan, plan.name, AGENT)
    cause = (
        {"annotations": {"kubernetes.io/change-cause": f"revision {plan.revision}"}} if plan.revision else {}
    )
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": own | cause,
        "spec": {
            "replicas": plan.agent.replicas,
            "strategy": disruption.strategy(plan),
            "selector": {"matchLabels": selector(plan, AGENT)},
            "template": template(plan, plain=plain),
        },
    }


def template(
    plan: StackPlan, *, plain: bool, pod_hash: str = "pod-template-hash", canaries: bool = False
) -> Part:
    """Its pods. `pod_hash` is the label by which who makes them tells revisions apart; with `canaries` two of
    them run side by side."""
    return {"metadata": {"labels": labels(plan, AGENT)}, "spec": _pod(plan, plain, pod_hash, canaries)}


def _pod(plan: StackPlan, plain: bool, pod_hash: str, canaries: bool) -> Part:
    beside = [servers.sidecar(plan, server, plain=plain) for server in plan.sidecars]
    files, file_mounts = secrets.volumes(plan)
    etc, etc_mount = config.volume(plan)
    tmp, tmp_mount = pod.tmp(AGENT)
    mounts = [etc_mount, *file_mounts, *storage.mount(plan.storage), tmp_mount]
    return pod.without_empty(
        {
            "serviceAccountName": plan.name,
            **pod.POD,
            "terminationGracePeriodSeconds": of_agent(plan, plain=plain).total,
            "securityContext": pod.pod_security(),
            "topologySpreadConstraints": disruption.spread(plan, pod_hash),
            "initContainers": [] if plain else beside,
            "containers": [_agent(plan, mounts), *(beside if plain else [])],
            "volumes": [
                etc,
                *files,
                *storage.volumes(plan, each=canaries),
                tmp,
                *(volume for server in plan.sidecars for volume in servers.volumes(server)),
            ],
        }
    )


def _agent(plan: StackPlan, mounts: list[Part]) -> Part:
    """Probes ask the admin port, which has a thread of its own: what blocks the agent blocks no probe."""
    env = plan.agent.env | {contract.env.DRAIN_DELAY: str(DRAIN_DELAY_S)}
    ports = {name: plan.agent.ports[name] for name in ("api", "admin")}
    lives, ready = pod.http("admin", "/healthz"), pod.http("admin", "/readyz")
    return {
        "name": AGENT,
        "image": plan.agent.image,
        "imagePullPolicy": "IfNotPresent",
        "ports": [{"name": name, "containerPort": port} for name, port in ports.items()],
        "env": [*({"name": name, "value": value} for name, value in env.items()), *secrets.variables(plan)],
        "resources": pod.resources(plan.agent.resources.cpu, plan.agent.resources.memory),
        "securityContext": pod.security(ours=True),
        "volumeMounts": mounts,
        "startupProbe": pod.probe(lives, period=2, timeout=3, failures=150),
        "livenessProbe": pod.probe(lives, period=10, timeout=5, failures=3),
        "readinessProbe": pod.probe(ready, period=2, timeout=2, failures=3),
        "terminationMessagePolicy": "FallbackToLogsOnError",
    }
