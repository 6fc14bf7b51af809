"""Rules about several replicas: what they share, what each keeps, and who may take one away."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from shipway.check.rule import Seen

if TYPE_CHECKING:
    from collections.abc import Iterator

    from shipway.check.manifests.subject import Manifests
    from shipway.check.manifests.workload import Workload

_SQLITE = re.compile(r"sqlite[\w+]*:|\.(db|sqlite3?)$", re.I)
_STATE = re.compile(r"/(data|state|storage|db|database|sessions?|memory|checkpoints?|var/lib/[^/]+)/?$", re.I)
_ONCE = ("ReadWriteOnce", "ReadWriteOncePod")
_ROLLING = ("Deployment", "Rollout")


def state_is_shared(manifests: Manifests) -> Iterator[Seen]:
    """Several replicas keep no state of their own: no SQLite, no emptyDir for data.

    The next turn of a conversation reaches another replica, which has never heard of it. An emptyDir ends
    with its pod besides.
    """
    for workload in manifests.workloads:
        if workload.replicas > 1:
            for line, what in _kept(workload):
                message = f"each of {workload.replicas:g} replicas of {workload.name} has {what} of its own"
                fix = "keep conversations in a database that all replicas share, or run one replica"
                yield Seen(message, fix, line, workload.file)


def _kept(workload: Workload) -> Iterator[tuple[int, str]]:
    for container in workload.mains:
        for variable in container.env:
            if variable.value and _SQLITE.search(variable.value):
                yield variable.line, f"a SQLite file ({variable.name})"
        for mount in container.mounts:
            volume = workload.volume(mount.volume)
            if volume and volume.source == "emptyDir" and _STATE.search(mount.path):
                yield mount.line, f"an emptyDir at {mount.path}"


def volume_can_move(manifests: Manifests) -> Iterator[Seen]:
    """A Deployment with a ReadWriteOnce volume replaces its pod by Recreate, and has one.

    The new pod may be put on another node, where the volume cannot be mounted while the old one has it, and
    the old one waits for the new one to be ready: the rollout stands still until somebody looks.
    """
    claims = {
        thing.name
        for thing in manifests.of_kind("PersistentVolumeClaim")
        if set(thing.node.at("spec", "accessModes").words) & set(_ONCE)
    }
    for workload in manifests.whole():
        rolling = workload.spec.at("spec", "strategy", "type").text != "Recreate"
        for volume in workload.volumes if workload.kind in _ROLLING else ():
            held = volume.source == "persistentVolumeClaim" and volume.target in claims
            if held and (rolling or workload.replicas > 1):
                message = f"{volume.target} is ReadWriteOnce, and a rollout of {workload.name} needs it twice"
                fix = "strategy: {type: Recreate} with one replica; a StatefulSet; or a database"
                yield Seen(message, fix, volume.line, workload.file)


def nodes_can_be_drained(manifests: Manifests) -> Iterator[Seen]:
    """Where there are several replicas, a PodDisruptionBudget says how many may be taken away at once.

    When nodes are emptied, for an upgrade or by an autoscaler, all replicas may end at once otherwise. Of one
    replica nothing is said: a budget for it keeps its node from ever being emptied.
    """
    for workload in manifests.whole():
        counts = workload.kind in (*_ROLLING, "StatefulSet") and workload.replicas > 1 and workload.mains
        if counts and not any(manifests.selecting(workload, "PodDisruptionBudget")):
            message = f"no PodDisruptionBudget is about the {workload.replicas:g} replicas of {workload.name}"
            fix = "add a PodDisruptionBudget that selects its pods, with maxUnavailable: 1"
            yield Seen(message, fix, workload.line, workload.file)
