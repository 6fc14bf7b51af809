"""How a deployment stands: what is remembered, what the engine says, what the agents say of themselves.

In: a Host. Out: `Status`, with a cause wherever something is not as it should be. Errors: RolloutError, where
the disk or the engine says nothing.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import httpx2

from shipway.errors import RolloutError
from shipway.plan.deployment import CERTIFICATES
from shipway.rollout.docker import parts
from shipway.rollout.docker.definition import Place
from shipway.rollout.judge import Judge
from shipway.rollout.service import beat, readiness
from shipway.rollout.service.messages import ContainerSeen, PartStatus, PortSeen, RevisionStatus, Status
from shipway.rollout.service.reporting import look
from shipway.rollout.traffic.haproxy import HAProxy

if TYPE_CHECKING:
    from shipway.plan.deployment import Container, Deployment
    from shipway.rollout.docker.containers import Found
    from shipway.rollout.service.host import Host
    from shipway.rollout.store import Rollout
    from shipway.rollout_snapshot import GateSeen

TIMEOUT_S = 3.0
_KILLED = 137
"""Exit code of a process that was ended by SIGKILL."""


def status(host: Host) -> Status:
    """How it stands now."""
    deployment, stable, last = host.records.newest, host.records.stable, beat.read(host.project)
    if deployment is None:
        return Status(host.project, trouble=last.trouble, at=last.at)
    rollout = host.store.last()
    going = rollout if rollout and not rollout.state.ended else None
    trouble = "; ".join(last.trouble)
    return Status(
        project=host.project,
        name=deployment.name,
        environment=deployment.environment,
        stable=_revision(host, stable) if stable else None,
        canary=_revision(host, going.state.canary) if going and going.state.canary != stable else None,
        ready_since=host.records.ready_since,
        rollout=look(host, rollout, _gate(host, deployment, going), trouble) if rollout else None,
        suite_wanted=bool(going and _wants_suite(host, going)),
        router=_router(host, deployment),
        control=_control(host, deployment),
        ports=_ports(deployment),
        secrets=tuple(sorted(host.values.names)),
        trouble=last.trouble,
        at=last.at,
    )


def _wants_suite(host: Host, rollout: Rollout) -> bool:
    return rollout.state.course == "evaluating" and host.records.suite_of(rollout.id) == "running"


def _gate(host: Host, deployment: Deployment, rollout: Rollout | None) -> GateSeen | None:
    """What the gate says; nothing where there is none, or control is away."""
    if rollout is None or not rollout.plan.watched or rollout.state.split_since is None:
        return None
    judge = Judge(host.control_url(deployment), host.values.own_token, rollout.plan)
    try:
        return judge.ask(rollout.state.canary)
    except RolloutError:
        return None
    finally:
        judge.close()


def _revision(host: Host, name: str) -> RevisionStatus:
    definition = host.records.definition(name)
    containers = tuple(_container(host, one, name) for one in definition.containers)
    address = host.pod(name)
    health, checks = readiness.ask(address)
    port = definition.port if address else None
    return RevisionStatus(name, definition.release, health, containers, checks, address, port)


def _container(host: Host, container: Container, revision: str = "") -> ContainerSeen:
    found = host.containers.find(Place(host.project, revision).name(container.name))
    if found is None:
        there = parts.has_images(host.engine, (container,))
        why = "not there yet" if there else "its image is gone from the engine: deploy this release again"
        return ContainerSeen(container.name, "absent", image=container.image, cause=why)
    return ContainerSeen(
        name=container.name,
        state=found.state,
        since=found.started if found.runs else found.finished,
        exit_code=None if found.runs else found.exit_code,
        out_of_memory=found.out_of_memory,
        restarts=found.restarts,
        image=found.image,
        cause=cause(found),
    )


def cause(found: Found) -> str:
    """What is wrong with a container, in words; nothing where it runs."""
    if found.runs:
        return ""
    if found.error:
        return f"{found.state}: {found.error}"
    why = f"exit code {found.exit_code}"
    if found.out_of_memory:
        why += ", out of memory"
    elif found.exit_code == _KILLED:
        why += ", killed"
    since = time.strftime("%H:%M:%S", time.gmtime(found.finished)) if found.finished else "its start"
    times = f", {found.restarts} times" if found.restarts > 1 else ""
    return f"{found.state} since {since} UTC: {why}{times}"


# -- What is there for all revisions -------------------------------------------------------------------------


def _router(host: Host, deployment: Deployment) -> PartStatus:
    seen = _container(host, deployment.router)
    if seen.cause:
        return PartStatus(seen, healthy=False, cause=seen.cause)
    try:
        served = HAProxy(host.site.socket).served()
    except RolloutError as error:
        return PartStatus(seen, healthy=False, cause=str(error))
    if any(slot.ready for slot in served.values()):
        return PartStatus(seen, healthy=True)
    return PartStatus(seen, healthy=False, cause="no revision is ready: users get 503")


def _control(host: Host, deployment: Deployment) -> PartStatus:
    seen = _container(host, deployment.control)
    if seen.cause:
        return PartStatus(seen, healthy=False, cause=seen.cause)
    try:
        with httpx2.Client(timeout=TIMEOUT_S, trust_env=False) as client:
            answer = client.get(f"{host.control_url(deployment)}/readyz")
    except httpx2.HTTPError as error:
        return PartStatus(seen, healthy=False, cause=f"does not answer: {error}")
    healthy = answer.status_code == 200
    return PartStatus(seen, healthy, cause="" if healthy else " ".join(answer.text.split())[:500])


def _ports(deployment: Deployment) -> tuple[PortSeen, ...]:
    return tuple(
        PortSeen(part.name, one.address, one.port, tls=CERTIFICATES in part.secrets)
        for part in (deployment.router, deployment.control)
        for one in part.published
    )
