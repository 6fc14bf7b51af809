"""Which engine runs a stack: the one that is asked for, else Docker where it answers, else processes.

In: what --engine says, the stack, this machine's Docker. Out: `Chosen`: the engine, and one line for
whoever did not choose: which it is, and what is different with it. StackError where Docker is asked for and
cannot run the stack.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from shipway.errors import StackError
from shipway.local import docker
from shipway.local.plan import Docker
from shipway.render.targets.asked import commands

if TYPE_CHECKING:
    from shipway.plan.stack import StackPlan

Engine = Literal["docker", "processes"]

_PATIENCE_S = 20.0
_UNASKED_S = 3.0
"""Nobody waits longer for a Docker that they did not ask for; one that is well answers in a tenth of that."""
_CONTAINERS = "running in Docker, in the images that production has; --engine processes starts without them"
_PROCESSES = "no images, no limits, no read-only root"


@dataclass(frozen=True, slots=True)
class Chosen:
    """`docker` is None for processes. `said` is empty where the engine was asked for."""

    docker: Docker | None
    said: str = ""


def choose(asked: Engine | None, stack: StackPlan) -> Chosen:
    """The engine of the next stack."""
    if asked == "processes":
        return Chosen(None)
    if asked == "docker":
        return Chosen(_find(stack, _PATIENCE_S))
    try:
        return Chosen(_find(stack, _UNASKED_S), _CONTAINERS)
    except StackError as why:
        return Chosen(None, f"running as processes of this machine ({_PROCESSES}): {why}")


def _find(stack: StackPlan, patience_s: float) -> Docker:
    for name in commands(stack):
        raise StackError(
            f"[mcp.{name}] is a command of your own, and no image has it",
            'write run = "image:…", "pypi:…", "npm:…" or "project:…"; or use --engine processes',
        )
    return docker.find(patience_s)
