"""Who of the users reaches the canary, and who asks control.

In: a stack. Out: the canary's Service, an HTTPRoute whose weights Argo's plugin sets, and a NetworkPolicy.
The Service of the agent's own name is stable's: who calls it inside the cluster meets no canary.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from shipway.render.kubernetes import network
from shipway.render.kubernetes.argo.analysis import canary_host, secret_name
from shipway.render.kubernetes.labels import AGENT, CONTROL, EVALS, metadata, selector

if TYPE_CHECKING:
    from shipway.plan.control import Control
    from shipway.plan.stack import StackPlan
    from shipway.render.kubernetes.pod import Part

CONTROLLER = "argo-rollouts"
"""The namespace that Argo's controller commonly is in."""
PLUGIN = "argoproj-labs/gatewayAPI"


def canary_service(plan: StackPlan) -> Part:
    own = network.service(plan)
    return own | {"metadata": metadata(plan, canary_host(plan), AGENT)}


def route(plan: StackPlan) -> Part:
    """Weights are written out: one that is left out is 1, and an apply would send half of the users over."""
    backends = [
        {"name": plan.name, "port": 80, "weight": 100},
        {"name": canary_host(plan), "port": 80, "weight": 0},
    ]
    return {
        "apiVersion": "gateway.networking.k8s.io/v1",
        "kind": "HTTPRoute",
        "metadata": metadata(plan, plan.name, AGENT),
        "spec": {
            "parentRefs": [{"name": plan.name}],
            "rules": [
                {
                    "matches": [{"path": {"type": "PathPrefix", "value": "/"}}],
                    "backendRefs": backends,
                    "timeouts": {"request": "0s"},  # an answer may stream for as long as it does
                }
            ],
        },
    }


def routing(plan: StackPlan) -> Part:
    """What a Rollout says of it."""
    return {
        "stableService": plan.name,
        "canaryService": canary_host(plan),
        "trafficRouting": {"plugins": {PLUGIN: {"httpRoute": plan.name}}},
    }


def to_control(plan: StackPlan, control: Control) -> Part:
    """Argo's controller, which asks, and the suite's Job, which reports; beside those who may anyhow."""
    callers = [
        {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": CONTROLLER}}},
        {"podSelector": {"matchLabels": selector(plan, EVALS)}},
    ]
    own = metadata(plan, secret_name(plan), CONTROL)
    return network.let_in(own, selector(plan, CONTROL), callers, control.port)
