"""One deployment's controller, put together: its disk, its secrets, its engine.

In: the project, its directory, the engine's socket. Out: `Host`, by which a round and each command reach all
of it. Errors: RolloutError.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from shipway.errors import RolloutError
from shipway.plan.deployment import CONTROL, POD, SOCKET, STATE, controller
from shipway.rollout.docker import parts
from shipway.rollout.docker.api import Engine
from shipway.rollout.docker.containers import Containers
from shipway.rollout.docker.definition import Place
from shipway.rollout.docker.runner import Revisions
from shipway.rollout.service.records import Records
from shipway.rollout.service.secrets import Secrets
from shipway.rollout.service.site import Site
from shipway.rollout.store import Store
from shipway_runtime import contract

if TYPE_CHECKING:
    from shipway.plan.deployment import Deployment, Revision
    from shipway.rollout.state import Suite


PROJECT = "project"
"""A file in the controller's directory: whose controller it is. Commands touch it when they have written."""


@dataclass(frozen=True)
class Host:
    """What is at hand on this machine; what needs the engine is made when it is asked for first."""

    project: str
    state: Path = Path(STATE)
    socket: str = SOCKET

    @property
    def file(self) -> Path:
        """The database."""
        return self.state / "rollouts.db"

    @cached_property
    def store(self) -> Store:
        return Store(self.file)

    @cached_property
    def records(self) -> Records:
        return Records(self.file)

    @cached_property
    def engine(self) -> Engine:
        return Engine(self.socket)

    @cached_property
    def containers(self) -> Containers:
        return Containers(self.engine, self.project)

    @cached_property
    def source(self) -> str:
        """Where the machine has `state`: in a volume, or just there where no container runs this."""
        return parts.mounted_from(self.engine, controller(self.project), STATE) or str(self.state)

    @cached_property
    def values(self) -> Secrets:
        """Values of secrets, for whoever writes no files for containers."""
        return Secrets(self.state, str(self.state))

    @cached_property
    def secrets(self) -> Secrets:
        return Secrets(self.state, self.source)

    @cached_property
    def revisions(self) -> Revisions:
        return Revisions(self.containers, self.project, _Known(self.records, self.store), self.secrets)

    @cached_property
    def site(self) -> Site:
        return Site(self.containers, self.project, self.secrets, self.state, self.source)

    def pod(self, revision: str) -> str | None:
        """The address of a revision's pod; None while it has none."""
        found = self.containers.find(Place(self.project, revision).name(POD))
        return (found.address or None) if found else None

    def control_url(self, deployment: Deployment) -> str:
        """Control's; under its name in the network while it has no address, which says what is missing."""
        found = self.containers.find(Place(self.project).name(CONTROL))
        name = next(iter(deployment.control.aliases), CONTROL)
        return f"http://{(found.address if found else '') or name}:{contract.CONTROL_PORT}"

    def close(self) -> None:
        """End its connections."""
        if "engine" in self.__dict__:
            self.engine.close()


@dataclass(frozen=True, slots=True)
class _Known:
    """What revisions need to know; implements runner.Knowledge."""

    records: Records
    store: Store

    def definition(self, revision: str) -> Revision:
        return self.records.definition(revision)

    def settle(self, revision: str) -> None:
        self.records.settle(revision)

    def suite(self, canary: str) -> Suite:
        rollout = self.store.current()
        if rollout is None or rollout.state.canary != canary:
            raise RolloutError(f"no rollout of {canary} goes on")
        return self.records.suite_of(rollout.id)
