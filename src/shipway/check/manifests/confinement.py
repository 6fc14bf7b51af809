"""Rules about what a container may do to the machine, and to the cluster."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

from shipway.check.rule import Seen

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from shipway.check.manifests.subject import Manifests
    from shipway.check.manifests.workload import Container

_SOCKETS = ("docker.sock", "containerd.sock", "crio.sock", "podman.sock")
_HOST = ("hostNetwork", "hostPID", "hostIPC")


def user_is_not_root(manifests: Manifests) -> Iterator[Seen]:
    """No container is told to run as root.

    A model decides what an agent's tools do. Whoever leads it astray has root in the container, and only the
    kernel between that and the machine.
    """
    for workload in manifests.workloads:
        for container in workload.own:
            if container.role != "init" and container.confinement.user in ("0", "root"):
                fix = "give a number that is not 0, such as 65532"
                yield Seen(f"{container.name} runs as root", fix, container.confinement.line, workload.file)


def nothing_is_privileged(manifests: Manifests) -> Iterator[Seen]:
    """No container is privileged, shares the machine's processes or network, or holds its engine's socket.

    Each of these is the machine itself. A tool that a model calls has no use for it; a sandbox for code has
    its own runtime (gVisor, Kata), and runs somewhere else.
    """
    fix = "remove it; run code that models write in a sandbox of its own"
    for workload in manifests.workloads:
        for container in workload.containers:
            said = ["privileged"] * container.confinement.privileged + list(container.confinement.powers)
            if said:
                message = f"{container.name} is given {', '.join(said)}"
                yield Seen(message, fix, container.confinement.line, workload.file)
        for volume in workload.volumes:
            if volume.source == "hostPath" and volume.target.endswith(_SOCKETS):
                message = f"{volume.target} is the machine's engine: who has it is root there"
                yield Seen(message, fix, volume.line, workload.file)
        for node in workload.spec.walk() if workload.platform == "kubernetes" else ():
            for key in _HOST:
                if node[key].truth is True:
                    yield Seen(f"{workload.name} is given {key}", fix, node[key].line, workload.file)


def pod_is_restricted(manifests: Manifests) -> Iterator[Seen]:
    """Every container of a pod is what Pod Security calls restricted.

    Namespaces that enforce it start nothing else. What is asked for is four lines, and no agent needs more:
    `runAsNonRoot`, no privilege escalation, no capabilities, the runtime's seccomp profile.
    """
    for workload in manifests.whole():
        lacking: dict[tuple[str, ...], list[Container]] = defaultdict(list)
        for container in workload.own if workload.platform == "kubernetes" else ():
            if container.confinement.missing:
                lacking[container.confinement.missing].append(container)
        for missing, containers in lacking.items():
            message = f"the securityContext of {_names(containers)} lacks {', '.join(missing)}"
            line = containers[0].confinement.line
            fix = "add it to each; runAsNonRoot and seccompProfile may be the pod's"
            yield Seen(message, fix, line, workload.file)


def root_is_read_only(manifests: Manifests) -> Iterator[Seen]:
    """The root filesystem is read-only.

    What a tool is made to write it cannot run then, and nothing that was written is missed after a restart.
    /tmp is an emptyDir, or a tmpfs.
    """
    keys = {"kubernetes": "readOnlyRootFilesystem: true", "ecs": '"readonlyRootFilesystem": true'}
    for workload in manifests.whole():
        running = [c for c in workload.own if c.role != "init" and not c.confinement.read_only_root]
        if running and workload.platform in keys:
            message = f"the root filesystem of {_names(running)} can be written"
            fix = f"{keys[workload.platform]}, and a volume at /tmp"
            yield Seen(message, fix, running[0].confinement.line, workload.file)


def _names(containers: Iterable[Container]) -> str:
    *most, last = (container.name for container in containers)
    return f"{', '.join(most)} and {last}" if most else last


def no_token_is_mounted(manifests: Manifests) -> Iterator[Seen]:
    """Pods that do not speak to Kubernetes are given no token for it.

    Kubernetes mounts one into every container unless it is told not to, where a tool that reads files can be
    asked for it. A ServiceAccount of its own says that somebody thought about what it may do.
    """
    for workload in manifests.whole():
        if workload.platform == "kubernetes" and workload.token and workload.mains:
            message = f"{workload.name} is given the token of the default ServiceAccount"
            fix = "automountServiceAccountToken: false in the pod's spec"
            yield Seen(message, fix, workload.line, workload.file)
