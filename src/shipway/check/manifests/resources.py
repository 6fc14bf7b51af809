"""Rules about CPU and memory: agents wait for most of their time, and need room to begin."""

from __future__ import annotations

from typing import TYPE_CHECKING

from shipway.check.rule import Seen

if TYPE_CHECKING:
    from collections.abc import Iterator

    from shipway.check.manifests.subject import Manifests

SMALLEST = 256 * 2**20
"""Bytes. A small agent with an SDK, a web framework and telemetry has 150 MB before the first request."""
SMALLEST_SERVER = 96 * 2**20
"""Bytes. An MCP server in Python has 66 MiB before the first call."""


def cpu_is_not_capped(manifests: Manifests) -> Iterator[Seen]:
    """CPU has a request and no limit.

    A limit stops a container for the rest of each tenth of a second once it has used its part, also when the
    machine is idle: streams stutter, imports take many times as long, probes time out. The request shares the
    CPU out fairly without.
    """
    for workload in manifests.workloads:
        for container in workload.own if workload.platform != "ecs" else ():
            limit = container.resources.cpu_limit
            if limit is not None and container.role != "init":
                message = f"{container.name} is throttled whenever it uses more than {limit:g} of a core"
                fix = "remove the limit of CPU, and keep the request"
                yield Seen(message, fix, container.resources.cpu_limit_line, workload.file)


def cpu_is_not_hoarded(manifests: Manifests) -> Iterator[Seen]:
    """An agent asks for less than a core.

    It waits for the model nearly all the time, and a tenth of a core serves dozens of conversations. What is
    requested is taken from others, used or not.
    """
    for workload in manifests.workloads:
        for container in workload.mains if workload.is_agent else ():
            cpu = container.resources.cpu
            if cpu is not None and cpu >= 1:
                message = f"{container.name} reserves {cpu:g} cores, and waits for the model most of the time"
                fix = "begin with 100m, and look at what it uses"
                yield Seen(message, fix, container.resources.line, workload.file)


def memory_is_limited(manifests: Manifests) -> Iterator[Seen]:
    """The agent has a limit of memory.

    Conversations and what tools return add up. With a limit it alone is killed when it leaks; without,
    whoever is largest on the machine.
    """
    for workload in manifests.whole():
        task = workload.platform == "ecs" and workload.spec["memory"].is_set
        for container in workload.mains if workload.platform != "compose" and not task else ():
            if container.resources.memory_limit is None:
                message = f"{container.name} has no limit of memory"
                fix = "set limits.memory, and requests.memory to the same: 512Mi to begin with"
                yield Seen(message, fix, container.resources.line or container.line, workload.file)


def memory_is_enough(manifests: Manifests) -> Iterator[Seen]:
    """Memory suffices for what an agent imports: 256 MiB, and 96 MiB for an MCP server.

    It is killed while it starts, or by the first long conversation, and the log ends in the middle of a
    line.
    """
    for workload in manifests.workloads:
        for container in workload.own if workload.is_agent else ():
            limit = container.resources.memory_limit
            least = SMALLEST if container.role == "main" else SMALLEST_SERVER
            if limit is not None and limit < least and (container.role == "main" or container.is_mcp):
                message = (
                    f"{container.name} has {limit / 2**20:.0f} MiB of memory, and imports need most of it"
                )
                fix = f"give it {least // 2**20 * 2} MiB, and look at what it uses"
                yield Seen(message, fix, container.resources.line, workload.file)
