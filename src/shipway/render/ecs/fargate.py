"""What Fargate has: sizes of a task, and limits.

In: what containers ask for, in units of ECS (1024 CPU units are a core; MiB). Out: the smallest size that
holds it. Source: the API's own words about `cpu` and `memory` of RegisterTaskDefinition.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from shipway.plan.control import Control
    from shipway.plan.stack import Sidecar, StackPlan

STOP_S = 120
"""The longest that a container has between SIGTERM and SIGKILL."""
DEFINITION_LIMIT = 64 * 1024
"""Bytes of a task definition."""
UNSAID = 64
"""MiB that are counted for a container that does not say its memory."""


@dataclass(frozen=True, slots=True)
class Size:
    """CPU units and MiB."""

    cpu: int
    memory: int

    def __add__(self, other: Size) -> Size:
        return Size(self.cpu + other.cpu, self.memory + other.memory)

    def __str__(self) -> str:
        return f"{round(self.cpu / 1024, 2):g} vCPU and {self.memory} MiB"


SMALLEST = Size(256, 512)
PROXY = Size(256, 64)
"""What AWS recommends to add for Service Connect's own container."""

_SIZES: tuple[tuple[int, Sequence[int]], ...] = (
    (256, (512, 1024, 2048)),
    (512, range(1024, 4096 + 1, 1024)),
    (1024, range(2048, 8192 + 1, 1024)),
    (2048, range(4096, 16384 + 1, 1024)),
    (4096, range(8192, 30720 + 1, 1024)),
    (8192, range(16384, 61440 + 1, 4096)),
    (16384, range(32768, 122880 + 1, 8192)),
)


def size(asked: Size) -> Size | None:
    """The smallest that Fargate has for it; None above all of them."""
    found = (Size(cpu, memory) for cpu, memories in _SIZES for memory in memories)
    return next((one for one in found if one.cpu >= asked.cpu and one.memory >= asked.memory), None)


def agent_size(plan: StackPlan) -> Size:
    """What the agent's task asks for: the agent, its sidecars, and the proxy where servers are apart.

    For control alone, which is asked once a second, only the proxy's memory counts.
    """
    own = Size(units(plan.agent.resources.cpu), mebibytes(plan.agent.resources.memory))
    proxy = PROXY if plan.apart else Size(0, PROXY.memory if plan.control else 0)
    return sum((_asked(server) for server in plan.sidecars), own + proxy)


def control_size(control: Control) -> Size:
    """What control's task asks for; what it needs of a processor is within the smallest."""
    return Size(units(control.cpu), mebibytes(control.memory) + PROXY.memory)


def server_size(server: Sidecar) -> Size:
    """What the task of an MCP server apart asks for."""
    return _asked(server) + PROXY


def _asked(server: Sidecar) -> Size:
    cpu, memory = server.resources.cpu, server.resources.memory
    return Size(units(cpu or 0), UNSAID if memory is None else mebibytes(memory))


def units(milli: int) -> int:
    """Thousandths of a core -> CPU units, rounded up."""
    return ceil(milli * 1024 / 1000)


def mebibytes(size_bytes: int) -> int:
    """Bytes -> MiB, rounded up."""
    return ceil(size_bytes / 1024**2)


def too_large(plan: StackPlan) -> tuple[str, ...]:
    """Tasks that no size of Fargate holds, with what they ask for."""
    return tuple(f"{name} ({asked})" for name, asked in _tasks(plan) if size(asked) is None)


def rounded(plan: StackPlan) -> tuple[str, ...]:
    """Tasks that get more than they ask for, where less than the smallest size is not to be had anyway."""
    sized = [(name, asked, size(asked)) for name, asked in _tasks(plan)]
    return tuple(
        f"{name} asks for {asked} and gets {got}"
        for name, asked, got in sized
        if got and got not in (asked, SMALLEST)
    )


def _tasks(plan: StackPlan) -> list[tuple[str, Size]]:
    servers = [(f"mcp-{server.name}", server_size(server)) for server in plan.apart]
    return [("agent", agent_size(plan)), *servers]
