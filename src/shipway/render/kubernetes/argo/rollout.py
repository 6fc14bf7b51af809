"""The Rollout: the agent's pod, and how a new revision of it reaches users.

In: a stack and its RolloutPlan. Out: an object. Stable keeps all its pods until the end, so that going back
is a change of weights; the canary's live on for a minute after that, for the turns that they have begun.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from shipway.render import gate
from shipway.render.kubernetes import agent
from shipway.render.kubernetes.argo import steps, traffic
from shipway.render.kubernetes.argo.analysis import WATCH
from shipway.render.kubernetes.labels import AGENT, metadata, selector

if TYPE_CHECKING:
    from shipway.plan.rollout import RolloutPlan
    from shipway.plan.stack import StackPlan
    from shipway.render.kubernetes.pod import Part

_READY_S = 600
"""Until a canary is given up that does not get ready: pulling its image, and the startup probe's 300 s."""
_LINGER_S = 60
_BACK = 5
"""Revisions that one may go back to at once, without steps."""
POD_HASH = "rollouts-pod-template-hash"


def rollout(plan: StackPlan, planned: RolloutPlan, *, plain: bool) -> Part:
    return {
        "apiVersion": "argoproj.io/v1alpha1",
        "kind": "Rollout",
        "metadata": metadata(plan, plan.name, AGENT),
        "spec": {
            "replicas": plan.agent.replicas,
            "progressDeadlineSeconds": _READY_S,
            "progressDeadlineAbort": True,
            "rollbackWindow": {"revisions": _BACK},
            "strategy": {"canary": _canary(plan, planned)},
            "selector": {"matchLabels": selector(plan, AGENT)},
            "template": agent.template(plan, plain=plain, pod_hash=POD_HASH, canaries=True),
        },
    }


def _canary(plan: StackPlan, planned: RolloutPlan) -> Part:
    canary = plan.revision or ""
    watched = bool(planned.watched) and planned.steps[0].weight < gate.WHOLE
    return {
        **traffic.routing(plan),
        "abortScaleDownDelaySeconds": _LINGER_S,
        "scaleDownDelaySeconds": _LINGER_S,
        "maxSurge": 1,
        "maxUnavailable": 0,
        **({"analysis": _watch(planned, canary)} if watched else {}),
        "steps": steps.steps(planned, canary),
    }


def _watch(planned: RolloutPlan, canary: str) -> Part:
    told = steps.asking(planned, WATCH, {"canary": canary})
    return {"startingStep": steps.judged_from(planned), **told}
