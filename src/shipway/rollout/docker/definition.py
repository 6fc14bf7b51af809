"""(Container, where it is) -> what the engine is asked to create: pure.

In: a container of a plan, the deployment's project, values of its secrets. Out: the body of the request,
whose label says what it was made of; a container whose label says the same is the same.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from shipway.plan.deployment import LABEL
from shipway_runtime import contract

if TYPE_CHECKING:
    from shipway.plan.deployment import Container

CONTAINER, REVISION, DEFINITION = (f"dev.shipway.{word}" for word in ("container", "revision", "definition"))
"""Labels: which of a plan's containers it is, whose, and the digest of what it was made of."""

LOGS = {"Type": "local", "Config": {"max-size": "10m", "max-file": "3"}}
"""Compressed, and the oldest go: at most some 30 MB of a container."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a container belongs: its deployment, and its revision, which is empty for what all of them share.

    `binds` are directories of the machine: where the container has one -> where it is.
    """

    project: str
    revision: str = ""
    binds: Mapping[str, str] = field(default_factory=dict)

    def name(self, container: str) -> str:
        """What the engine calls one of its containers."""
        return "-".join(part for part in (self.project, self.revision, container) if part)

    def volume(self, volume: str) -> str:
        """What the engine calls a volume of the deployment."""
        return f"{self.project}-{volume}"


def define(container: Container, place: Place, secrets: Mapping[str, str]) -> dict[str, Any]:
    """The body of `POST /containers/create`. `secrets` are values; those of the environment are taken."""
    env = container.env | {
        name: secrets[name] for name, way in container.secrets.items() if way == "env" and name in secrets
    }
    body = {
        "Image": container.image,
        "Env": [f"{name}={value}" for name, value in sorted(env.items())],
        "ExposedPorts": {_port(p.inner): {} for p in container.published},
        "StopTimeout": math.ceil(container.grace_s),
        "HostConfig": _host(container, place),
        **({"Entrypoint": list(container.entrypoint)} if container.entrypoint else {}),
        **({"Cmd": list(container.command)} if container.command else {}),
        **({} if container.joins else _network(container, place)),
    }
    digest = hashlib.sha256(json.dumps(body, sort_keys=True).encode()).hexdigest()[:16]
    labels = {LABEL: place.project, CONTAINER: container.name, REVISION: place.revision, DEFINITION: digest}
    return body | {"Labels": labels}


def _host(container: Container, place: Place) -> dict[str, Any]:
    memory = container.memory
    return {
        "Mounts": [*_mounts(container, place)],
        "NetworkMode": f"container:{place.name(container.joins)}" if container.joins else place.project,
        "PortBindings": {
            _port(p.inner): [{"HostIp": p.address, "HostPort": str(p.port)}] for p in container.published
        },
        "RestartPolicy": {"Name": "unless-stopped"},
        "LogConfig": LOGS,
        "SecurityOpt": ["no-new-privileges:true"],
        **({"Memory": memory, "MemorySwap": memory} if memory else {}),  # the same: no swap
        **(_hardening() if container.hardened else {}),
    }


def _hardening() -> dict[str, Any]:
    return {"ReadonlyRootfs": True, "Tmpfs": {"/tmp": ""}, "CapDrop": ["ALL"]}  # noqa: S108 - the container's


def _mounts(container: Container, place: Place) -> list[dict[str, Any]]:
    volumes = [
        {"Type": "volume", "Source": place.volume(m.volume), "Target": m.path} for m in container.mounts
    ]
    binds = [
        {"Type": "bind", "Source": source, "Target": target, "ReadOnly": target == contract.SECRETS}
        for target, source in sorted(place.binds.items())
    ]
    return [*volumes, *binds]


def _network(container: Container, place: Place) -> dict[str, Any]:
    return {"NetworkingConfig": {"EndpointsConfig": {place.project: {"Aliases": list(container.aliases)}}}}


def _port(inner: int) -> str:
    return f"{inner}/tcp"
