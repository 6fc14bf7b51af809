"""How replicas are kept apart and together: budget, spread, strategy.

In: a stack. Out: parts of its Deployment, and a PodDisruptionBudget where there are several replicas; one
alone gets none, or no node could ever be drained.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from shipway.render.kubernetes.labels import AGENT, metadata, selector
from shipway.render.kubernetes.storage import is_claimed

if TYPE_CHECKING:
    from shipway.plan.stack import StackPlan
    from shipway.render.kubernetes.pod import Part


def budget(plan: StackPlan) -> Part:
    """One at a time; those that are not ready anyway hold no drain up."""
    return {
        "apiVersion": "policy/v1",
        "kind": "PodDisruptionBudget",
        "metadata": metadata(plan, plan.name, AGENT),
        "spec": {
            "maxUnavailable": 1,
            "unhealthyPodEvictionPolicy": "AlwaysAllow",
            "selector": {"matchLabels": selector(plan, AGENT)},
        },
    }


def spread(plan: StackPlan, pod_hash: str) -> list[Part]:
    """Over nodes and zones, as far as there are any; each revision, whose pods have a hash as this label, is
    spread by itself."""
    if plan.agent.replicas == 1:
        return []
    return [
        {
            "maxSkew": 1,
            "topologyKey": key,
            "whenUnsatisfiable": "ScheduleAnyway",
            "labelSelector": {"matchLabels": selector(plan, AGENT)},
            "matchLabelKeys": [pod_hash],
        }
        for key in ("kubernetes.io/hostname", "topology.kubernetes.io/zone")
    ]


def strategy(plan: StackPlan) -> Part:
    """A volume of one pod at a time has to be let go of first; else the new pod is ready before one goes."""
    if is_claimed(plan):
        return {"type": "Recreate"}
    return ROLLING


ROLLING: Part = {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}}
