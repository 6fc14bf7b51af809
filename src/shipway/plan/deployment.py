"""What runs on one machine with Docker, for one environment: values alone, for whoever plans it and for the
controller that makes it so.

In and out: frozen values that `contract.encode` writes and `contract.decode` reads; placement.py makes them.

    router ── in front from the first deployment on; the only one that users reach
    control   what the fleet shares
    pod ── of each revision that runs: its network namespace
     ├─ agent        127.0.0.1 means what it means in a pod of Kubernetes
     └─ mcp-NAME     its sidecars
    mcp-NAME         its MCP servers apart from it, under names that say which revision's they are

Values of secrets are in none of it: they travel beside it, and reach containers as files; only programs of
others, which look nowhere else, get them in their environment.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from shipway.plan.rollout import RolloutPlan
from shipway_runtime import contract

POD, AGENT, CONTROL, ROUTER, CONTROLLER = "pod", "agent", "control", "router", "controller"
DATA, CONTROL_DATA = "data", "control"
"""Volumes of a deployment: the agent's, and control's."""

ROUTING_PATH = "/var/lib/shipway-router"
"""Where the router has a directory of the controller's volume: HAProxy's configuration and its socket."""

CERTIFICATES = "CERTIFICATES"
"""Among the router's secrets: certificates and their key, in PEM."""

STATE = "/var/lib/shipway"
"""The controller's volume, in its container: rollouts, secrets' values, what the router reads."""

SOCKET = "/var/run/docker.sock"
"""The engine's, in the controller's container."""

LABEL = "dev.shipway.deployment"
"""On all of a deployment in the engine, containers, volumes and network; its value is the project."""

API_PORT = contract.API_PORT


@dataclass(frozen=True, slots=True)
class Mount:
    """A volume of the deployment, by its short name, and where a container has it."""

    volume: str
    path: str


@dataclass(frozen=True, slots=True)
class Published:
    """A port of the machine that leads to one of a container."""

    address: str
    port: int
    inner: int


@dataclass(frozen=True, slots=True)
class Container:
    """One container. Without an `entrypoint` the image's own, and `command` are arguments to it.

    `secrets` says for each name how its value arrives: as a file in /run/secrets, or in the environment.
    `joins` is the container of the same revision whose network it shares; else it is in the deployment's
    network under `aliases`. `memory` is in bytes; None and not `hardened` where it is somebody else's image.
    """

    name: str
    image: str
    entrypoint: tuple[str, ...] = ()
    command: tuple[str, ...] = ()
    env: dict[str, str] = field(default_factory=dict)
    secrets: dict[str, Literal["env", "file"]] = field(default_factory=dict)
    mounts: tuple[Mount, ...] = ()
    joins: str | None = None
    aliases: tuple[str, ...] = ()
    published: tuple[Published, ...] = ()
    memory: int | None = None
    hardened: bool = True
    grace_s: float = 10.0


@dataclass(frozen=True, slots=True)
class Revision:
    """What a revision runs as: its containers as they are started. Its API is at the pod's `port`."""

    id: str
    release: str
    containers: tuple[Container, ...]
    port: int = API_PORT


@dataclass(frozen=True, slots=True)
class Deployment:
    """A revision on its way to one machine, and what is there for all revisions.

    `rollout` says how it gets to its users; the first one, and one that is told to, gets there at once.
    """

    name: str
    environment: str
    rollout: RolloutPlan
    revision: Revision
    router: Container
    control: Container
    format: int = contract.FORMAT

    @property
    def project(self) -> str:
        """What all of it is called in the engine: containers, volumes and the network begin with it."""
        return project(self.name, self.environment)


def project(name: str, environment: str) -> str:
    """What a deployment is called in its engine."""
    return f"{name}-{environment}"


def controller(project: str) -> str:
    """What the controller's container is called."""
    return f"{project}-{CONTROLLER}"


def needed_secrets(deployment: Deployment) -> dict[str, tuple[str, ...]]:
    """Names of secrets -> the containers that need them; of a webhook the controller does, for notices. Some
    are the controller's to make: `MADE`."""
    found: dict[str, tuple[str, ...]] = {}
    for one in (*deployment.revision.containers, deployment.control, deployment.router):
        for name in one.secrets:
            found[name] = (*found.get(name, ()), one.name)
    if webhook := deployment.rollout.notify:
        found[webhook] = (*found.get(webhook, ()), CONTROLLER)
    return found


MADE = (contract.env.CONTROL_TOKENS, contract.env.CONTROL_TOKEN, contract.env.ADMIN_TOKEN)
"""Secrets that the controller makes itself, once: what agents and people show to control and to an agent."""
