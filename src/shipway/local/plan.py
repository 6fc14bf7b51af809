"""LocalPlan: what `shipway up` runs, and what it was planned from.

In: nothing; these are the types. Out: `Machine`, what was found on this machine, and `LocalPlan`, everything
that `shipway up` will do. planning.py makes the one from the other with processes that stand in for the
stack's containers, containers.py with containers, each of which is a `docker run` in the foreground.

Without containers, their paths have counterparts below the project's root:

    /app/.venv, /app/mcp/NAME     .shipway/venv, .shipway/mcp/NAME
    /app/src, /app/prompts        the project's own
    storage.path                  .shipway/data; an argument or variable of an MCP server that begins with
                                  storage.path is rewritten, so that `--repository /data/repo` is found
    /run/secrets                  .shipway/secrets
    manifest, config              .shipway/run
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from shipway.local.ports import Ports

STATE = ".shipway"
JOURNAL = "replay/journal.jsonl"  # below it
ADMIN_TOKEN = "admin.token"  # noqa: S105 - a file below it, where the agent is in a container
GRACE_S = 10.0  # for everything but the agent, whose grace is its own


Model = Literal["replayed", "--live", "--record", "--record-missing"]
"""What answers the agent: replays, or the real model by one of these options."""


@dataclass(frozen=True, slots=True)
class Installed:
    """A database server of this machine. `directory` is where its data goes, `user` who has to run it."""

    server: str
    version: str
    directory: str
    user: str | None = None


@dataclass(frozen=True, slots=True)
class Setup:
    """A data directory, and the command that fills it unless `made` is in it already."""

    name: str
    directory: str
    user: str | None = None
    argv: tuple[str, ...] = ()
    made: str | None = None


@dataclass(frozen=True, slots=True)
class Docker:
    """An engine on this machine: its program, and the user (UID:GID) as whom our containers run.

    `admin_token` opens the agent's admin port: one that it made itself would stay in its container.
    """

    program: str
    user: str
    admin_token: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True)
class Machine:
    """What was found here. `variables` is shipway's own environment, `dotenv` the project's .env."""

    root: str
    source: str
    python: str
    """The interpreter that runs shipway: it runs the replay."""
    ports: Ports
    prompts_digest: str | None = None
    variables: Mapping[str, str] = field(default_factory=dict, repr=False)
    dotenv: Mapping[str, str] = field(default_factory=dict, repr=False)
    installed: Mapping[str, Installed] = field(default_factory=dict)
    """The server program of each service that has one here, by the service's name."""
    docker: Docker | None = None
    """The engine that runs the stack; None for processes."""

    def value(self, name: str) -> str | None:
        """The value of a variable: the environment's, else .env's."""
        return self.variables.get(name) or self.dotenv.get(name) or None

    @property
    def state(self) -> str:
        return f"{self.root}/{STATE}"


@dataclass(frozen=True, slots=True)
class Probe:
    """When a process counts as started.

    http: a URL answers 200. tcp: a port accepts. command: a program exits with 0. agent: the readiness
    document at a URL says that the agent is imported, whatever else is not ready.
    """

    kind: Literal["http", "tcp", "command", "agent"]
    target: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Process:
    """One process under supervision. `env` is its whole environment; `after` names what must run before.

    `inside` names the process without whose network it has none: it is started again with that one.
    `removal` is a command that ends what would outlive it when it is killed. `codes` say in words what an
    exit code means, where that is more than a number.
    """

    name: str
    role: Literal["agent", "sidecar", "service", "replay", "network"]
    argv: tuple[str, ...]
    env: dict[str, str] = field(repr=False)
    cwd: str
    address: str
    probe: Probe
    after: tuple[str, ...] = ()
    grace_s: float = GRACE_S
    stop: Literal["SIGTERM", "SIGINT"] = "SIGTERM"
    user: str | None = None
    inside: str | None = None
    removal: tuple[str, ...] = ()
    codes: Mapping[int, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Containers:
    """What an engine needs beside the processes.

    `built` are the images that we make, role -> name; `others` those that it has or pulls. `removal` are
    commands that take away whatever may be left of the stack, in order.
    """

    program: str
    network: str
    admin_token: str = field(repr=False)
    built: dict[str, str]
    others: tuple[str, ...]
    removal: tuple[tuple[str, ...], ...]


@dataclass(frozen=True, slots=True)
class Environment:
    """What to install: the project's lock with the runtime, or one MCP server's package."""

    name: str
    path: str
    requirement: str | None = None
    script: str | None = None
    kind: Literal["python", "npm"] = "python"


@dataclass(frozen=True, slots=True)
class LocalPlan:
    """Everything that `shipway up` does. `secrets` are file names and values."""

    name: str
    root: str
    ports: Ports
    processes: tuple[Process, ...]
    environments: tuple[Environment, ...]
    setups: tuple[Setup, ...]
    files: dict[str, str]
    secrets: dict[str, str] = field(repr=False)
    directories: tuple[str, ...]
    """Made when they are not there."""
    remarks: tuple[str, ...]
    """What differs from the container, in one line each."""
    replayed: str | None = None
    """The directory that the model is replayed from; None when the real one is asked."""
    recorded: str | None = None
    """The directory that it is recorded into, when it is."""
    containers: Containers | None = None
    """Where the processes are containers."""
