"""What containers of a deployment need around them: its network, its volumes, the names of its images.

In: a project. Out: the network's id. Each can be asked for again. Errors: RolloutError.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from shipway.errors import RolloutError
from shipway.plan.deployment import LABEL

if TYPE_CHECKING:
    from collections.abc import Iterable

    from shipway.plan.deployment import Container
    from shipway.rollout.docker.api import Engine


def ensure_network(engine: Engine, project: str) -> str:
    """The deployment's network is there; returns its id."""
    found = engine.find(f"/networks/{project}")
    if found is None:
        body = {"Name": project, "CheckDuplicate": True, "Labels": {LABEL: project}}
        found = engine.do("POST", "/networks/create", body)
    elif found["Labels"].get(LABEL) != project:
        raise RolloutError(
            f"there is a network {project} that is not of this deployment", "remove it: docker network rm"
        )
    return str(found["Id"])


def join_network(engine: Engine, project: str, container: str) -> None:
    """This container is in the deployment's network; one that is not there need not be."""
    seen = engine.find(f"/containers/{container}/json")
    if seen and project not in seen["NetworkSettings"]["Networks"]:
        engine.do("POST", f"/networks/{project}/connect", {"Container": container})


def ensure_volumes(engine: Engine, project: str, containers: Iterable[Container]) -> None:
    """The volumes of these containers are there, and say whose they are."""
    for volume in sorted({mount.volume for one in containers for mount in one.mounts}):
        engine.do("POST", "/volumes/create", {"Name": f"{project}-{volume}", "Labels": {LABEL: project}})


def name_images(engine: Engine, project: str, revision: str, containers: Iterable[Container]) -> None:
    """Images of a revision have a name for as long as it may run again: `docker image prune` spares them."""
    for one in containers:
        repository, tag = image_name(project, one, revision)
        engine.do("POST", f"/images/{one.image}/tag", absent=True, repo=repository, tag=tag)


def forget_images(engine: Engine, project: str, revision: str, containers: Iterable[Container]) -> None:
    """Take the names away; what has no other name, and no container, is gone from the engine."""
    for one in containers:
        engine.do("DELETE", f"/images/{':'.join(image_name(project, one, revision))}", absent=True)


def has_images(engine: Engine, containers: Iterable[Container]) -> bool:
    """Whether all images that these containers start from are in the engine."""
    return all(engine.find(f"/images/{image}/json") is not None for image in {c.image for c in containers})


def image_name(project: str, container: Container, revision: str) -> tuple[str, str]:
    """Repository and tag."""
    return f"{project}/{container.name}", revision.replace("@", "-").replace(":", "-").replace("+", "-")


def mounted_from(engine: Engine, container: str, path: str) -> str | None:
    """Where on the machine that is which a container has at a path; None where there is no such container."""
    seen: dict[str, Any] | None = engine.find(f"/containers/{container}/json")
    mounts = seen["Mounts"] if seen else ()
    return next((str(mount["Source"]) for mount in mounts if mount["Destination"] == path), None)
