"""An ECS task definition -> a Workload.

In: the JSON that `aws ecs register-task-definition` takes, or what `describe-task-definition` prints. Out:
one `Workload`. Containers that are not essential, or that the agent depends on, are sidecars.
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

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


def is_task(node: Node) -> bool:
    return bool(_task(node)["containerDefinitions"].items)


def is_service(node: Node) -> bool:
    """What `create-service` takes."""
    return "taskDefinition" in node and ("serviceName" in node or "service" in node)


def _task(node: Node) -> Node:
    return node["taskDefinition"] if node["taskDefinition"].pairs else node


def workload(document: Node, file: str) -> Workload:
    """The task, as one group of containers."""
    task = _task(document)
    containers = tuple(_roles([_container(node) for node in task["containerDefinitions"].items], task))
    main = next(c for c in containers if c.role == "main")
    return Workload(
        "ecs",
        "task definition",
        task["family"].text,
        file,
        task.line,
        task.last,
        containers,
        task,
        tuple(_volumes(task)),
        grace=main.stop,
        partial=any(not container.image for container in containers),
    )


def _roles(containers: list[Container], task: Node) -> Iterator[Container]:
    """One started before the other, by dependsOn, and stopped after it, is what is native elsewhere."""
    needed = {
        one["containerName"].text
        for node in task["containerDefinitions"].items
        for one in node["dependsOn"].items
    }
    agents = [c for c in containers if not c.is_mcp and not c.is_backing and c.name not in needed]
    agent = (agents or containers)[0]
    for container in containers:
        role = container if container is agent else dataclasses.replace(container, role="sidecar")
        yield dataclasses.replace(role, native=container.name in needed)


def _container(node: Node) -> Container:
    command = node["entryPoint"] if node["entryPoint"].is_set else node["command"]
    memory = node["memory"].number
    return Container(
        node["name"].text,
        "main",
        node.line,
        node["image"].text,
        node["image"].line,
        command=(*node["entryPoint"].words, *node["command"].words),
        command_line=command.line,
        published=bool(node["portMappings"].items),
        probes=tuple(_probe(node["healthCheck"])),
        env=tuple(
            Variable(v["name"].text, v["value"].text if "value" in v else None, v.line)
            for v in node["environment"].items
        ),
        mounts=tuple(
            Mount(m["sourceVolume"].text, m["containerPath"].text, m.line) for m in node["mountPoints"].items
        ),
        resources=Resources(memory_limit=memory * 2**20 if memory else None, line=node.line),
        confinement=_confinement(node),
        stop=node["stopTimeout"].number,
        needs_stdin=node["interactive"].truth is True,
    )


def _probe(node: Node) -> Iterator[Probe]:
    """ECS stops a task whose essential container is unhealthy: it is liveness, asked inside."""
    if node.is_set:
        yield Probe(
            "liveness",
            node.line,
            " ".join(node["command"].words[1:]),
            delay=node["startPeriod"].number or 0,
            period=node["interval"].number or 30,
            timeout=node["timeout"].number or 5,
            failures=node["retries"].number or 3,
        )


def _confinement(node: Node) -> Confinement:
    user = node["user"].text.partition(":")[0] or None
    return Confinement(
        user,
        user not in (None, "0", "root"),
        node["privileged"].truth is True,
        node["readonlyRootFilesystem"].truth is True,
        powers=tuple(
            w for w in node.at("linuxParameters", "capabilities", "add").words if w in ("ALL", "SYS_ADMIN")
        ),
        line=node["user"].line if user else node.line,
    )


def _volumes(task: Node) -> Iterator[Volume]:
    for node in task["volumes"].items:
        path = node.at("host", "sourcePath").text
        yield Volume(node["name"].text, "hostPath" if path else "emptyDir", path, node.line)
