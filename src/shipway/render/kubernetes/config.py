"""Config and policy, where the runtime looks for them.

In: a stack. Out: a ConfigMap with config.json, named after what is in it, so that pods of the last
one keep theirs while a rollout goes on; and the volume that puts it beside policy.json. The policy's
ConfigMap is the overlay's, and keeps its name: a change reaches running pods, within a minute or so.
"""

from __future__ import annotations

import dataclasses
import hashlib
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from shipway.render.kubernetes.labels import metadata
from shipway_runtime import contract

if TYPE_CHECKING:
    from shipway.plan.stack import StackPlan
    from shipway.render.kubernetes.pod import Part

CONFIG, POLICY = PurePosixPath(contract.CONFIG), PurePosixPath(contract.POLICY)


def config_map(plan: StackPlan) -> Part:
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": metadata(plan, _name(plan)),
        "data": {CONFIG.name: contract.encode(plan.config)},
    }


def _name(plan: StackPlan) -> str:
    """By all that it says: a revision is the same when a secret becomes a file, but its pods are others."""
    text = contract.encode(dataclasses.replace(plan.config, provenance={}))
    return f"{plan.name}-config-{hashlib.sha256(text.encode()).hexdigest()[:6]}"


def policy_name(plan: StackPlan) -> str:
    return f"{plan.name}-policy"


def volume(plan: StackPlan) -> tuple[Part, Part]:
    """One directory of both: a single file, mounted with subPath, would never be seen to change."""
    maps = ((_name(plan), CONFIG.name), (policy_name(plan), POLICY.name))
    sources = [{"configMap": {"name": name, "items": [{"key": key, "path": key}]}} for name, key in maps]
    return (
        {"name": "etc", "projected": {"sources": sources}},
        {"name": "etc", "mountPath": str(CONFIG.parent), "readOnly": True},
    )
