"""Containers as they are defined: what is there and the same stays, what differs is replaced.

In: a name, a definition. Out: nothing, or how things are. Errors: RolloutError.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from shipway.errors import RolloutError
from shipway.plan.deployment import LABEL
from shipway.rollout.docker.api import labelled, seconds
from shipway.rollout.docker.definition import DEFINITION, REVISION

if TYPE_CHECKING:
    from shipway.rollout.docker.api import Engine

RENAME = "remove or rename it: docker rm, docker rename"

State = Literal["created", "running", "paused", "restarting", "removing", "exited", "dead"]


@dataclass(frozen=True, slots=True)
class Found:
    """A container that is there; times in seconds since the epoch. `address` is empty while it has none."""

    id: str
    name: str
    state: State
    image: str
    labels: Mapping[str, str]
    address: str
    network: str
    """Its network's id."""
    joins: str
    """The id of the container whose network it shares; empty where it has its own."""
    started: float | None
    finished: float | None
    exit_code: int
    out_of_memory: bool
    restarts: int
    error: str

    @property
    def runs(self) -> bool:
        return self.state == "running"


class Containers:
    """Those of one project."""

    def __init__(self, engine: Engine, project: str) -> None:
        self.engine, self._project = engine, project

    def find(self, name: str) -> Found | None:
        """The container of this name, if there is one."""
        seen = self.engine.find(f"/containers/{name}/json")
        return _found(seen, self._project) if seen else None

    def of_revision(self, revision: str) -> tuple[str, ...]:
        """Names of all that a revision has, running or not."""
        labels = {LABEL: self._project, REVISION: revision}
        seen = self.engine.do("GET", "/containers/json", all=True, filters=labelled(labels))
        return tuple(str(one["Names"][0]).removeprefix("/") for one in seen)

    def ensure(self, name: str, body: Mapping[str, Any], network: str, pod: Found | None = None) -> Found:
        """A container of this definition runs; `pod` is the one whose network it joins.

        One whose pod has started later than itself is started again: its network is gone.
        """
        found = self.find(name)
        if found and found.labels.get(LABEL) != self._project:
            raise RolloutError(f"there is a container {name} that is none of {self._project}", RENAME)
        if found and _differs(found, body, network, pod):
            self.remove(name, body["StopTimeout"])
            found = None
        if found and _is_well(found, pod):
            return found
        if found is None:
            self.engine.do("POST", "/containers/create", body, name=name)
        self._start(name, found.state if found else "created")
        return self.find(name) or self._vanished(name)

    def _start(self, name: str, state: State) -> None:
        match state:
            case "paused":
                self.engine.do("POST", f"/containers/{name}/unpause")
            case "running":
                self.engine.do("POST", f"/containers/{name}/restart", t=1)
            case _:
                self.engine.do("POST", f"/containers/{name}/start")

    def stop(self, name: str, grace_s: float) -> None:
        """Stop one and wait for it; one that is not there has stopped."""
        timeout_s = grace_s + 60.0
        self.engine.do("POST", f"/containers/{name}/stop", absent=True, timeout_s=timeout_s, t=int(grace_s))

    def remove(self, name: str, grace_s: float = 0.0) -> None:
        """Stop one and remove it, with the volumes that nobody named."""
        self.stop(name, grace_s)
        self.engine.do("DELETE", f"/containers/{name}", absent=True, v=True, force=True)

    def _vanished(self, name: str) -> Found:
        raise RolloutError(f"somebody removed {name} while it was started; it is tried again")


def _is_well(found: Found, pod: Found | None) -> bool:
    """It runs, in the network that it should; or the engine starts it again by itself."""
    if found.state == "restarting":
        return True
    return found.runs and (pod is None or (found.started or 0.0) >= (pod.started or 0.0))


def _differs(found: Found, body: Mapping[str, Any], network: str, pod: Found | None) -> bool:
    if found.state in ("removing", "dead") or found.labels.get(DEFINITION) != body["Labels"][DEFINITION]:
        return True
    if pod:
        return found.joins != pod.id
    return bool(found.network) and found.network != network  # one that never ran has none yet


def _found(seen: Mapping[str, Any], network: str) -> Found:
    state, mode = seen["State"], str(seen["HostConfig"]["NetworkMode"])
    own = (seen["NetworkSettings"]["Networks"] or {}).get(network) or {}
    return Found(
        id=seen["Id"],
        name=str(seen["Name"]).removeprefix("/"),
        state=state["Status"],
        image=seen["Image"],
        labels=seen["Config"]["Labels"] or {},
        address=own.get("IPAddress") or "",
        network=own.get("NetworkID") or "",
        joins=mode.removeprefix("container:") if mode.startswith("container:") else "",
        started=seconds(state["StartedAt"]),
        finished=seconds(state["FinishedAt"]),
        exit_code=state["ExitCode"],
        out_of_memory=state["OOMKilled"],
        restarts=seen["RestartCount"],
        error=state["Error"],
    )
