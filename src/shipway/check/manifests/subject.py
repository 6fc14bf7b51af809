"""Files -> `Manifests`: what they run, what stands beside it, and what could not be read.

In: the text of every file that is looked at together. Out: one value. An overlay's image tags, autoscalers
and ServiceAccounts count across the files, for that is how they are applied.
"""

from __future__ import annotations

import dataclasses
import os
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from shipway.check.manifests import compose, ecs, kubernetes
from shipway.check.manifests.kubernetes import Object
from shipway.check.manifests.nodes import Node, Unreadable, read_documents
from shipway.check.manifests.workload import Workload
from shipway.errors import Finding

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence


_SCALERS = ("HorizontalPodAutoscaler", "ScaledObject")
_HELM = re.compile(r"\{\{-?\s*(\.(Values|Release|Chart)|include|define|template|if|range|with|end)\b")
HCL = (".nomad", ".hcl")
"""How the names of Nomad's jobs end."""


@dataclass(frozen=True, slots=True)
class File:
    """A file that has been read, by the name that findings give it."""

    name: str
    text: str
    documents: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Manifests:
    """All that is looked at together. `drain` is what agent.toml says of `health.grace`, if there is one."""

    files: tuple[File, ...]
    workloads: tuple[Workload, ...]
    objects: tuple[Object, ...]
    services: tuple[Object, ...] = ()
    """ECS services, with the file's name."""
    unread: tuple[Finding, ...] = ()
    drain: float | None = None
    tagged: frozenset[str] = field(default_factory=frozenset)
    """Images whose tag or digest a kustomization sets."""

    def of_kind(self, *kinds: str) -> Iterator[Object]:
        return (thing for thing in self.objects if thing.kind in kinds)

    def whole(self) -> Iterator[Workload]:
        """The workloads that nothing else completes."""
        return (workload for workload in self.workloads if not workload.partial)

    def selecting(self, workload: Workload, *kinds: str) -> Iterator[Object]:
        """The objects that select a workload's pods by their labels: Services, budgets."""
        for thing in self.of_kind(*kinds):
            selector = thing.node.at("spec", "selector")
            wanted = selector.pairs.get("matchLabels", selector).pairs
            labels = workload.labels or {}
            if wanted and all(labels.get(name) == value.text for name, value in wanted.items()):
                yield thing


def read(texts: Sequence[tuple[str, str]], drain: float | None = None, *, named: bool = True) -> Manifests:
    """Read files, by name and text. Where nobody `named` them, one that is no manifest is passed over."""
    files: list[File] = []
    unread: list[Finding] = []
    templates: list[str] = []
    jobs = [name for name, _ in texts if name.endswith(HCL)]
    for name, text in texts:
        if name in jobs:
            continue
        try:
            if _is_template(name, text):
                templates.append(name)
            else:
                files.append(File(name, text, tuple(read_documents(text))))
        except Unreadable as error:
            if _HELM.search(text):
                templates.append(name)
            else:
                unread.append(_unreadable(name, error))
    if templates:
        unread.append(_of_helm(templates))
    if named:
        unread += (_of_nomad(job) for job in jobs)
        unread += (_unknown(file.name) for file in files if not is_known(file))
    return _join(files, tuple(unread), drain)


def is_known(file: File) -> bool:
    """Whether a file has anything that is read here."""
    return any(
        kubernetes.is_object(d) or d["kind"].text.endswith("List") or compose.is_compose(d) or ecs.is_task(d)
        or ecs.is_service(d)
        for d in file.documents
    )  # fmt: skip


def _join(files: list[File], unread: tuple[Finding, ...], drain: float | None) -> Manifests:
    objects = tuple(o for file in files for o in kubernetes.read_objects(list(file.documents), file.name))
    workloads = tuple(w for o in objects if (w := kubernetes.workload(o)))
    tagged = {
        image["name"].text
        for o in objects
        if o.kind == "Kustomization"
        for image in o.node["images"].items
        if image["newTag"].is_set or image["digest"].is_set
    }
    shaping = [o for o in objects if o.kind in (*_SCALERS, "ServiceAccount")]
    workloads = tuple(_settled(workload, shaping) for workload in workloads)
    patches = {path for o in objects if o.kind == "Kustomization" for path in _patches(o)}
    workloads = tuple(dataclasses.replace(w, partial=w.partial or w.file in patches) for w in workloads)
    services: list[Object] = []
    for file in files:
        for document in file.documents:
            if compose.is_compose(document):
                workloads += tuple(compose.workloads(document, file.name))
            elif ecs.is_task(document):
                workloads += (ecs.workload(document, file.name),)
            elif ecs.is_service(document):
                services.append(Object("service", document["serviceName"].text, file.name, document))
    return Manifests(tuple(files), workloads, objects, tuple(services), unread, drain, frozenset(tagged))


def _patches(kustomization: Object) -> Iterator[str]:
    """The files that a kustomization lays over others."""
    node = kustomization.node
    named = [patch["path"].text for patch in node["patches"].items] + list(
        node["patchesStrategicMerge"].words
    )
    for name in filter(None, named):
        yield os.path.normpath(Path(kustomization.file).parent / name)


def _settled(workload: Workload, objects: list[Object]) -> Workload:
    """What other objects say of it: an autoscaler how many, a ServiceAccount that no token is wanted."""
    for thing in objects:
        spec = thing.node["spec"]
        scaled = spec.at("scaleTargetRef", "name").text == workload.name and bool(workload.name)
        if thing.kind in _SCALERS and scaled:
            most = spec["maxReplicas"].number or spec["maxReplicaCount"].number or 2
            workload = dataclasses.replace(workload, replicas=max(most, workload.replicas))
        default = thing.kind == "ServiceAccount" and thing.name == "default"
        if default and thing.node["automountServiceAccountToken"].truth is False:
            workload = dataclasses.replace(workload, token=False)
    return workload


def _is_template(name: str, text: str) -> bool:
    """Whether Helm has to make YAML of it first."""
    return "/templates/" in f"/{name}" and bool(_HELM.search(text))


# -- What is not read ----------------------------------------------------------------------------------------


def _unreadable(name: str, error: Unreadable) -> Finding:
    return Finding("manifest-syntax", f"it is neither YAML nor JSON: {error}", "correct it", name, error.line)


def _of_helm(templates: list[str]) -> Finding:
    files = "this template" if len(templates) == 1 else f"{len(templates)} templates"
    return Finding(
        "manifest-unread",
        f"{files} of Helm cannot be read before Helm has filled it in",
        "check what it makes: helm template . > rendered.yaml; shipway check --manifests rendered.yaml",
        templates[0],
        severity="note",
    )


def _unknown(name: str) -> Finding:
    message = "nothing in it is a manifest of Kubernetes, Compose or ECS"
    return Finding("manifest-syntax", message, "name the files that the orchestrator is given", name)


def _of_nomad(name: str) -> Finding:
    message = "a job of Nomad in HCL is not read"
    return Finding(
        "manifest-unread", message, "let Nomad judge it: nomad job validate", name, severity="note"
    )
