"""`shipway status --env E`: what runs on a machine, and what is not well there, with its cause.

In: a controller. Out: tables; the exit code is 1 where something is not ready.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import click

from shipway.cli import tables
from shipway.cli.deploy_follow import addresses
from shipway.deploy import following
from shipway_runtime.contract import encode

if TYPE_CHECKING:
    from collections.abc import Iterator

    from shipway.deploy.controller import Controller
    from shipway.rollout.service.messages import ContainerSeen, RevisionStatus, Status


def show(controller: Controller, *, as_json: bool) -> int:
    """Print it; returns the exit code."""
    status = controller.status()
    now = time.time()
    if as_json:
        click.echo(encode(status), nl=False)
    else:
        click.echo(f"{status.name or status.project}, {status.environment}, on {controller.engine.machine}")
        for line in addresses(controller.engine.machine, status.ports):
            click.echo(line)
        for role, revision in (("stable", status.stable), ("canary", status.canary)):
            if revision:
                _revision(role, revision, status, now)
        _parts(status, now)
    wrong = list(troubles(status, now))
    if wrong and not as_json:
        click.echo()
        for line in wrong:
            click.echo(line)
    return 1 if wrong else 0


def troubles(status: Status, now: float) -> Iterator[str]:
    """What is not well, a line each; nothing where everything is."""
    if status.stable is None:
        yield "nothing is deployed there yet"
    for revision in (status.stable, status.canary):
        if revision and revision.health != "ready":
            why = following.causes(revision) or ["nobody knows why yet"]
            yield from (f"{revision.revision} is not ready: {cause}" for cause in why)
    for part in (status.router, status.control):
        if part and not part.healthy:
            yield f"{part.container.name}: {part.cause or part.container.cause or 'does not answer'}"
    yield from status.trouble
    if status.at is not None and following.is_late(status, now):
        yield f"the controller has done nothing for {tables.age(now - status.at)}"


def _revision(role: str, revision: RevisionStatus, status: Status, now: float) -> None:
    rollout = status.rollout
    share = ""
    if rollout and not rollout.ended:
        percent = rollout.percent if role == "canary" else 100 - rollout.percent
        share = f", {percent} % of new conversations"
    click.echo(f"\n{role} {revision.revision}, {revision.health}{share}")
    tables.show(_containers(revision.containers, now))


def _parts(status: Status, now: float) -> None:
    parts = [part.container for part in (status.router, status.control) if part]
    if parts:
        click.echo()
        tables.show(_containers(parts, now))


def _containers(
    containers: tuple[ContainerSeen, ...] | list[ContainerSeen], now: float
) -> Iterator[tuple[str, ...]]:
    yield "CONTAINER", "STATE", "FOR", "RESTARTS", "CAUSE"
    for one in containers:
        since = tables.age(now - one.since) if one.since else "-"
        yield one.name, one.state, since, str(one.restarts), one.cause or "-"
