"""Databases and caches of a local stack, in containers of their images.

In: the stack's services, and URLs that this machine's environment gives. Out: what is started, and the URL of
each. A given URL wins, and its service is not started; unless its host is the service's own name.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import urlsplit

from shipway.errors import StackError
from shipway.local.addresses import from_container
from shipway.local.ports import SERVICE_PORTS
from shipway.render.databases import database

if TYPE_CHECKING:
    from shipway.local.plan import Machine
    from shipway.plan.stack import Service, StackPlan


@dataclass(frozen=True, slots=True)
class Started:
    """A service that runs. `port` is the container's; `volumes` are names, and where they are mounted."""

    name: str
    image: str
    port: int | None
    variables: dict[str, str]
    volumes: dict[str, str]
    probe: tuple[str, ...]
    stop: Literal["SIGTERM", "SIGINT"]


@dataclass(frozen=True, slots=True)
class Services:
    started: tuple[Started, ...] = ()
    urls: dict[str, str] = field(default_factory=dict, repr=False)
    remarks: tuple[str, ...] = ()


def plan_services(stack: StackPlan, machine: Machine) -> Services:
    """Raises StackError for a service of whose kind we know no URL, and nobody gives one."""
    started, urls, remarks = [], {}, []
    for service in stack.services:
        known = database(service)
        given = machine.value(service.env_url)
        if given and urlsplit(given).hostname != service.name:
            urls[service.env_url] = from_container(given)
            remarks.append(f"{service.name}: not started, {service.env_url} says where it is")
            continue
        url = given or known.url
        if url is None:
            what = f"[services.{service.name}] {service.image}"
            raise StackError(
                f"{what} is neither PostgreSQL nor Redis: its URL is not known",
                f"give it, with {service.name} as the host: {service.env_url}=SCHEME://USER@{service.name}/…",
            )
        urls[service.env_url] = url
        started.append(_started(service, known.service))
    return Services(tuple(started), urls, tuple(remarks))


def _started(service: Service, described: dict[str, Any]) -> Started:
    test = described.get("healthcheck", {}).get("test", [])
    return Started(
        name=service.name,
        image=service.image,
        port=SERVICE_PORTS.get(service.kind),
        variables=described.get("environment", {}),
        volumes=dict(volume.split(":", 1) for volume in described.get("volumes", ())),
        probe=tuple(test[1:]),
        stop="SIGINT" if service.kind == "postgres" else "SIGTERM",  # "fast": waits for no client
    )
