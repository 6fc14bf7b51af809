"""The agent's volume.

In: a stack. Out: a PersistentVolumeClaim that one pod has at a time; of several replicas each has a directory
of its own that ends with it, because their conversations are in PostgreSQL.
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


def claim(plan: StackPlan) -> Part:
    assert plan.storage
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": metadata(plan, _claim_name(plan)),
        "spec": {
            "accessModes": ["ReadWriteOnce"],
            "resources": {"requests": {"storage": quantity(plan.storage.size)}},
        },
    }


def volumes(plan: StackPlan) -> list[Part]:
    if not plan.storage:
        return []
    if is_claimed(plan):
        return [{"name": _VOLUME, "persistentVolumeClaim": {"claimName": _claim_name(plan)}}]
    return [{"name": _VOLUME, "emptyDir": {"sizeLimit": quantity(plan.storage.size)}}]


def mount(storage: Volume | None) -> list[Part]:
    return [{"name": _VOLUME, "mountPath": storage.path}] if storage else []


def _claim_name(plan: StackPlan) -> str:
    return f"{plan.name}-data"
