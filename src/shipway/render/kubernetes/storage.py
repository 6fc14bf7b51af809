"""The agent's volume.

In: a stack. Out: a PersistentVolumeClaim that one pod has at a time; of several replicas, and of a canary and
a stable one, each claims a volume of its own that ends with it: their conversations are in PostgreSQL.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from shipway.render.kubernetes.labels import metadata
from shipway.render.kubernetes.pod import quantity

if TYPE_CHECKING:
    from shipway.plan.stack import StackPlan, Volume
    from shipway.render.kubernetes.pod import Part

_VOLUME = "data"


def is_claimed(plan: StackPlan) -> bool:
    return plan.storage is not None and plan.agent.replicas == 1


def claims(plan: StackPlan) -> list[Part]:
    if not plan.storage or not is_claimed(plan):
        return []
    own = metadata(plan, _claim_name(plan))
    spec = _claimed(plan.storage)
    return [{"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": own, "spec": spec}]


def volumes(plan: StackPlan, *, each: bool = False) -> list[Part]:
    """`each`: every pod has its own, as many replicas do: of a canary and a stable one both run."""
    if not plan.storage:
        return []
    if is_claimed(plan) and not each:
        return [{"name": _VOLUME, "persistentVolumeClaim": {"claimName": _claim_name(plan)}}]
    return [{"name": _VOLUME, "ephemeral": {"volumeClaimTemplate": {"spec": _claimed(plan.storage)}}}]


def mount(storage: Volume | None) -> list[Part]:
    return [{"name": _VOLUME, "mountPath": storage.path}] if storage else []


def _claimed(storage: Volume) -> Part:
    return {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": quantity(storage.size)}}}


def _claim_name(plan: StackPlan) -> str:
    return f"{plan.name}-data"
