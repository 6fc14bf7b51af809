"""A Compose file -> Workloads: a service, or several that share one network.

In: the file's one document. Out: a `Workload` for each group of services that are joined by
`network_mode: service:NAME`. A service that only holds the network for the others is none of the containers.
"""

from __future__ import annotations

import dataclasses
import re
from typing import TYPE_CHECKING

from shipway.check.dockerfiles.shell import read_words
from shipway.check.manifests.quantities import compose_bytes, cores, seconds
from shipway.check.manifests.workload import (
    Confinement,
    Container,
    Mount,
    Probe,
    Resources,
    Variable,
    Volume,
    Workload,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from shipway.check.manifests.nodes import Node

_HOLDS = re.compile(r"\b(sleep|pause|sigwait|infinity)\b")


def is_compose(node: Node) -> bool:
    """Whether a document has services, as Compose writes them."""
    services = node["services"].pairs.values()
    return not node["apiVersion"].is_set and any(s.pairs for s in services)


def workloads(document: Node, file: str) -> Iterator[Workload]:
    """Every group of services."""
    services = document["services"].pairs
    joined = {name: _joins(node) for name, node in services.items()}
    development = any(
        v.name == "SHIPWAY_ENV" and v.value == "development" for s in services.values() for v in _variables(s)
    )
    for first, node in services.items():
        if joined[first] in services:
            continue
        members = [first, *(name for name, target in joined.items() if target == first and name != first)]
        group = [name for name in members if name != first or not _only_holds(node, len(members))]
        containers = tuple(_roles([_container(name, services[name]) for name in group]))
        main = services[next(c.name for c in containers if c.role == "main")]
        grace = main["stop_grace_period"]
        yield Workload(
            "compose",
            "service",
            next(c.name for c in containers if c.role == "main"),
            file,
            min(services[name].line for name in group),
            max(services[name].last for name in group),
            containers,
            main,
            tuple(v for name in group for v in _volumes(services[name])),
            replicas=main.at("deploy", "replicas").number or main["scale"].number or 1,
            grace=seconds(grace.text),
            grace_line=grace.line if grace.is_set else 0,
            runs_on=main["restart"].text not in ("no", "on-failure") and not main["profiles"].is_set,
            partial=any(
                "extends" in services[n] or not (c.image or c.built)
                for n, c in zip(group, containers, strict=True)
            ),
            development=development,
        )


def _joins(node: Node) -> str:
    return (
        node["network_mode"].text.removeprefix("service:") if "service:" in node["network_mode"].text else ""
    )


def _only_holds(node: Node, members: int) -> bool:
    words = " ".join((*node["entrypoint"].words, *node["command"].words))
    return members > 1 and bool(_HOLDS.search(f"{words} {node['image'].text}"))


def _roles(containers: list[Container]) -> Iterator[Container]:
    agent = next((c for c in containers if not c.is_mcp and not c.is_backing), containers[0])
    for container in containers:
        yield container if container is agent else dataclasses.replace(container, role="sidecar")


def _container(name: str, node: Node) -> Container:
    command = node["entrypoint"] if node["entrypoint"].is_set else node["command"]
    limits, reserved = (
        node.at("deploy", "resources", "limits"),
        node.at("deploy", "resources", "reservations"),
    )
    cpus = limits["cpus"] if limits["cpus"].is_set else node["cpus"]
    memory = limits["memory"].text or node["mem_limit"].text
    return Container(
        name,
        "main",
        node.line,
        node["image"].text,
        node["image"].line,
        built=node["build"].is_set,
        command=(*_words(node["entrypoint"]), *_words(node["command"])),
        command_line=command.line,
        published=node["ports"].is_set,
        probes=tuple(_probe(node["healthcheck"])),
        env=tuple(_variables(node)),
        mounts=tuple(_mounts(node)),
        resources=Resources(
            cores(reserved["cpus"].text), cores(cpus.text), compose_bytes(memory), node.line, cpus.line
        ),
        confinement=_confinement(node),
        needs_stdin=node["stdin_open"].truth is True,
    )


def _words(node: Node) -> tuple[str, ...]:
    """A list as it is; text is split as a shell does, and no shell runs it."""
    if node.items:
        return node.words
    return tuple(word for c in read_words(node.text.split()) for word in (c.program, *c.arguments))


def _variables(node: Node) -> Iterator[Variable]:
    written = node["environment"]
    for item in written.items:
        name, equals, said = item.text.partition("=")
        yield Variable(name, said if equals else None, item.line)
    for name, value in written.pairs.items():
        yield Variable(name, value.text if value.is_set else None, value.line)


def _probe(node: Node) -> Iterator[Probe]:
    """Docker's health, which is asked inside, and which stops nothing."""
    words = node["test"].words
    if node.is_set and words[:1] != ("NONE",) and node["disable"].truth is not True:
        yield Probe("readiness", node.line, " ".join(words))


def _mounts(node: Node) -> Iterator[Mount]:
    for item in node["volumes"].items:
        if item.text:
            source, _, rest = item.text.partition(":")
            yield Mount(source, rest.partition(":")[0] or source, item.line)
        else:
            yield Mount(item["source"].text, item["target"].text, item.line)


def _volumes(node: Node) -> Iterator[Volume]:
    for mount in _mounts(node):
        source = "hostPath" if mount.volume[:1] in ("/", ".", "~", "$") else "claim"
        yield Volume(mount.volume, source, mount.volume, mount.line)


def _confinement(node: Node) -> Confinement:
    added = tuple(w for w in node["cap_add"].words if w.upper().removeprefix("CAP_") in ("ALL", "SYS_ADMIN"))
    user = node["user"].text.partition(":")[0] or None
    return Confinement(
        user,
        user not in (None, "0", "root"),
        node["privileged"].truth is True,
        node["read_only"].truth is True,
        powers=added,
        line=node["user"].line if user else node.line,
    )
