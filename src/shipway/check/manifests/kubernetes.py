"""Kubernetes' objects -> Workloads.

In: the documents of a file. Out: `Object`s, and of those that run something a `Workload`. A patch is one
whose containers name no image.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from shipway.check.dockerfiles.shell import read_words
from shipway.check.manifests.nodes import Node
from shipway.check.manifests.quantities import cores, in_bytes
from shipway.check.manifests.workload import (
    Confinement,
    Container,
    Mount,
    Probe,
    Resources,
    Role,
    Variable,
    Volume,
    Workload,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

_TEMPLATES = {
    **dict.fromkeys(
        ("Deployment", "StatefulSet", "DaemonSet", "ReplicaSet", "Rollout", "Job"), ("spec", "template")
    ),
    "CronJob": ("spec", "jobTemplate", "spec", "template"),
    "Pod": (),
}
"""Where the pod is, by the kind."""
_ENDING = ("Job", "CronJob")
_DANGEROUS = frozenset(
    {"ALL", "SYS_ADMIN", "SYS_PTRACE", "SYS_MODULE", "NET_ADMIN", "DAC_READ_SEARCH", "BPF"}
)
_SOURCES = {
    "secret": "secretName", "configMap": "name", "emptyDir": "", "persistentVolumeClaim": "claimName",
    "hostPath": "path", "projected": "",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Object:
    """One object of Kubernetes' API, as it is written."""

    kind: str
    name: str
    file: str
    node: Node

    @property
    def group(self) -> str:
        return self.node["apiVersion"].text.rpartition("/")[0]


def read_objects(documents: list[Node], file: str) -> Iterator[Object]:
    """Every object; those of a List one by one."""
    for node in documents:
        if node["kind"].text.endswith("List") and node["items"].items:
            yield from read_objects(list(node["items"].items), file)
        elif is_object(node):
            yield Object(node["kind"].text, node.at("metadata", "name").text, file, node)


def is_object(node: Node) -> bool:
    return bool(node["apiVersion"].text and node["kind"].text)


def workload(thing: Object) -> Workload | None:
    """What an object runs, None where it runs nothing."""
    if thing.kind not in _TEMPLATES:
        return None
    template = thing.node.at(*_TEMPLATES[thing.kind])
    pod = template["spec"]
    containers = tuple(_containers(pod))
    if not containers:
        return None
    grace, replicas = pod["terminationGracePeriodSeconds"], thing.node.at("spec", "replicas").number
    account = pod["serviceAccountName"].text or pod["serviceAccount"].text
    wanted = pod["automountServiceAccountToken"].truth
    return Workload(
        "kubernetes",
        thing.kind,
        thing.name,
        thing.file,
        thing.node.line,
        thing.node.last,
        containers,
        thing.node,
        tuple(_volumes(pod, thing.node)),
        {name: label.text for name, label in template.at("metadata", "labels").pairs.items()},
        replicas=1 if replicas is None else replicas,
        grace=grace.number,
        grace_line=grace.line if grace.is_set else 0,
        runs_on=thing.kind not in _ENDING,
        partial=any(not container.image for container in containers),
        token=wanted is not False and account in ("", "default"),
    )


def _containers(pod: Node) -> Iterator[Container]:
    written = [_container(node, pod, "main") for node in pod["containers"].items]
    agent = next((c for c in written if not c.is_mcp and not c.is_backing), written[0] if written else None)
    for container in written:
        yield container if container is agent else dataclasses.replace(container, role="sidecar")
    for node in pod["initContainers"].items:
        native = node["restartPolicy"].text == "Always"
        yield dataclasses.replace(_container(node, pod, "sidecar" if native else "init"), native=native)


def _container(node: Node, pod: Node, role: Role) -> Container:
    command = node["command"] if node["command"].is_set else node["args"]
    return Container(
        node["name"].text,
        role,
        node.line,
        node["image"].text,
        node["image"].line,
        command=(*node["command"].words, *node["args"].words),
        command_line=command.line,
        published=bool(node["ports"].items),
        probes=tuple(_probes(node)),
        env=tuple(
            Variable(v["name"].text, v["value"].text if "value" in v else None, v.line)
            for v in node["env"].items
        ),
        mounts=tuple(
            Mount(m["name"].text, m["mountPath"].text, m.line, m["subPath"].text or m["subPathExpr"].text)
            for m in node["volumeMounts"].items
        ),
        resources=_resources(node["resources"], node.line),
        confinement=_confinement(node, pod),
        pre_stop=_pre_stop(node.at("lifecycle", "preStop")),
        needs_stdin=node["stdin"].truth is True,
    )


def _probes(node: Node) -> Iterator[Probe]:
    kinds: tuple[Literal["startup", "liveness", "readiness"], ...] = ("startup", "liveness", "readiness")
    for kind in kinds:
        probe = node[f"{kind}Probe"]
        if not probe.is_set:
            continue
        http, tcp = probe["httpGet"], probe["tcpSocket"]
        asked = http if http.is_set else tcp
        local = asked["host"].text in ("127.0.0.1", "localhost")
        yield Probe(
            kind,
            probe.line,
            _target(probe, node),
            http["path"].text or ("/" if http.is_set else ""),
            is_tcp=tcp.is_set,
            from_outside=asked.is_set and not local,
            delay=probe["initialDelaySeconds"].number or 0,
            period=probe["periodSeconds"].number or 10,
            timeout=probe["timeoutSeconds"].number or 1,
            failures=probe["failureThreshold"].number or 3,
        )


def _target(probe: Node, container: Node) -> str:
    """Ports by number, so that a name and its number are one."""
    named = {p["name"].text: p["containerPort"].text for p in container["ports"].items if p["name"].text}
    for kind in ("httpGet", "tcpSocket", "grpc"):
        if probe[kind].is_set:
            port = probe[kind]["port"].text
            port = f":{named.get(port, port)}"
            path = probe[kind]["path"].text or "/"
            return f"GET {port}{path}" if kind == "httpGet" else f"{kind.removesuffix('Socket')} {port}"
    return " ".join(probe.at("exec", "command").words)


def _resources(node: Node, line: int) -> Resources:
    return Resources(
        cores(node.at("requests", "cpu").text),
        cores(node.at("limits", "cpu").text),
        in_bytes(node.at("limits", "memory").text),
        node.line if node.is_set else line,
        node.at("limits", "cpu").line,
    )


def _confinement(node: Node, pod: Node) -> Confinement:
    own, shared = node["securityContext"], pod["securityContext"]
    user = own["runAsUser"].text or shared["runAsUser"].text or None
    not_root = own["runAsNonRoot"] if "runAsNonRoot" in own else shared["runAsNonRoot"]
    seccomp = own.at("seccompProfile", "type").text or shared.at("seccompProfile", "type").text
    dropped = {word.upper() for word in own.at("capabilities", "drop").words}
    # What restricted Pod Security requires, as its documents say it.
    required = {
        "runAsNonRoot: true": not_root.truth is True,
        "allowPrivilegeEscalation: false": own["allowPrivilegeEscalation"].truth is False,
        "capabilities.drop: [ALL]": "ALL" in dropped,
        "seccompProfile.type: RuntimeDefault": seccomp in ("RuntimeDefault", "Localhost"),
    }
    added = own.at("capabilities", "add").words
    return Confinement(
        user,
        not_root.truth is True,
        own["privileged"].truth is True,
        own["readOnlyRootFilesystem"].truth is True,
        tuple(name for name, holds in required.items() if not holds),
        tuple(word for word in added if word.upper().removeprefix("CAP_") in _DANGEROUS),
        own.line if own.is_set else node.line,
    )


def _pre_stop(hook: Node) -> float | None:
    if not hook.is_set:
        return None
    if hook["sleep"].is_set:
        return hook.at("sleep", "seconds").number or 0
    for command in read_words(hook.at("exec", "command").words):
        first = command.arguments[0] if command.arguments else ""
        if command.program == "sleep" and first.rstrip("s").isdigit():
            return float(first.rstrip("s"))
    return 0


def _volumes(pod: Node, whole: Node) -> Iterator[Volume]:
    for node in pod["volumes"].items:
        for kind, key in _SOURCES.items():
            if kind in node:
                yield Volume(node["name"].text, kind, node[kind][key].text if key else "", node.line)
    for claim in whole.at("spec", "volumeClaimTemplates").items:
        yield Volume(claim.at("metadata", "name").text, "claimTemplate", "", claim.line)
