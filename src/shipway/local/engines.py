"""Which engine runs a stack: the one that is asked for, else Docker where it answers, else processes.

In: what --engine says, and this machine's Docker. Out: `Chosen`: the engine, and one line for whoever did not
choose: which it is, and what is different with it. StackError where Docker is asked for and does not answer.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from shipway.errors import StackError
from shipway.local import docker
from shipway.local.plan import Docker

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


def choose(asked: Engine | None) -> Chosen:
    """The engine of the next stack."""
    if asked == "processes":
        return Chosen(None)
    if asked == "docker":
        return Chosen(docker.find(_PATIENCE_S))
    try:
        return Chosen(docker.find(_UNASKED_S), _CONTAINERS)
    except StackError as why:
        return Chosen(None, f"running as processes of this machine ({_PROCESSES}): {why}")
