"""Revisions on a container engine: pods that run, pods that end.

In: a revision's name, by which its definition is found. Out: `world.Runner`. An end takes as long as the
turns that are going on, so it is waited for beside the rounds; after a restart of the controller it is asked
for again. Errors: RolloutError.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Protocol

from shipway.errors import RolloutError
from shipway.plan.deployment import AGENT, POD
from shipway.rollout.docker import parts
from shipway.rollout.docker.definition import Place, define

if TYPE_CHECKING:
    from collections.abc import Mapping

    from shipway.plan.deployment import Container, Revision
    from shipway.rollout.docker.containers import Containers, Found
    from shipway.rollout.state import Suite

SOON_S = 10.0
"""What is left of a revision whose agent has ended may take this long."""


class Knowledge(Protocol):
    """What is remembered of revisions."""

    def definition(self, revision: str) -> Revision:
        """What it runs as. Raises RolloutError for one that was never deployed."""

    def settle(self, revision: str) -> None:
        """It is stable from now on."""

    def suite(self, canary: str) -> Suite:
        """What the paired suite of the rollout that goes on came to."""


class Values(Protocol):
    """Values of secrets."""

    def read(self) -> Mapping[str, str]:
        """All of them, by name."""

    def files(self, owner: str, container: Container) -> Mapping[str, str]:
        """Make the files of a container's secrets; its directory -> where that is on the machine."""

    def forget(self, owner: str) -> None:
        """Remove the files of a revision that is gone."""


class Revisions:
    """The revisions of one deployment; implements world.Runner."""

    def __init__(self, containers: Containers, project: str, known: Knowledge, values: Values) -> None:
        self._containers, self._project = containers, project
        self._known, self._values = known, values
        self._ending: dict[str, threading.Thread] = {}
        self.network = ""
        """Its network's id, as of this round."""

    def run(self, revision: str) -> None:
        """See Runner."""
        if self._ends(revision):
            raise RolloutError(f"{revision} is finishing its turns; it is started again after that")
        definition = self._known.definition(revision)
        if len(self._containers.of_revision(revision)) < len(definition.containers):
            engine = self._containers.engine
            parts.ensure_volumes(engine, self._project, definition.containers)
            parts.name_images(engine, self._project, revision, definition.containers)
        started: dict[str, Found] = {}
        for container in definition.containers:
            pod = started.get(container.joins) if container.joins else None
            started[container.name] = self._ensure(revision, container, pod)

    def end(self, revision: str) -> None:
        """See Runner."""
        if self._ends(revision) or not self._containers.of_revision(revision):
            return
        thread = threading.Thread(target=self._end, args=(revision,), name=f"end {revision}", daemon=True)
        self._ending[revision] = thread
        thread.start()

    def address(self, revision: str) -> tuple[str, int] | None:
        """See Runner. A pod that restarts has none."""
        pod = self._containers.find(self._place(revision).name(POD))
        return (pod.address, self._known.definition(revision).port) if pod and pod.address else None

    def settle(self, revision: str) -> None:
        """See Runner."""
        self._known.settle(revision)

    def evaluate(self, canary: str, stable: str) -> Suite:
        """See Runner. Whoever deploys runs the suite, and tells."""
        return self._known.suite(canary)

    def _place(self, revision: str, binds: Mapping[str, str] | None = None) -> Place:
        return Place(self._project, revision, binds or {})

    def _ensure(self, revision: str, container: Container, pod: Found | None) -> Found:
        place = self._place(revision, self._values.files(revision, container))
        body = define(container, place, self._values.read())
        try:
            return self._containers.ensure(place.name(container.name), body, self.network, pod)
        except RolloutError as error:
            gone = "no such image" in str(error).lower()
            words = "its image is gone from the engine: deploy this release again" if gone else str(error)
            raise RolloutError(f"{revision}: {container.name} is not started: {words}") from None

    def _ends(self, revision: str) -> bool:
        thread = self._ending.get(revision)
        return thread is not None and thread.is_alive()

    def _end(self, revision: str) -> None:
        """The agent first: its turns need what is beside it. What fails is tried again by a later round."""
        names = self._containers.of_revision(revision)
        agent = self._place(revision).name(AGENT)
        try:
            if agent in names:
                self._containers.remove(agent, self._grace_s(revision))
            for name in sorted(names, key=lambda name: name == self._place(revision).name(POD)):
                self._containers.remove(name, SOON_S if name != agent else 0.0)
        except RolloutError:
            return
        self._values.forget(revision)

    def _grace_s(self, revision: str) -> float:
        containers = self._known.definition(revision).containers
        return next((one.grace_s for one in containers if one.name == AGENT), SOON_S)
