"""What `shipway deploy` shows after the machine was told: how it comes up, the paired suite, the addresses.

In: what was deployed. Out: lines on stderr, and an exit code. The machine needs none of this but the suite:
whoever interrupts it leaves everything going on.
"""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING

import click

from shipway.deploy import following
from shipway.errors import StackError
from shipway.plan.placement import EVERYWHERE, LOOPBACK

if TYPE_CHECKING:
    from collections.abc import Iterator

    from shipway.deploy.controller import Controller
    from shipway.deploy.deploying import Deployed
    from shipway.deploy.following import Came
    from shipway.rollout.service.messages import PortSeen, Status

EVERY_S = 1.0
FIRST_S = 180.0
"""For a first revision to be ready. A canary has its own patience, the machine's."""

LOG_LINES = 15
CODES: dict[Came, int] = {"ready": 0, "users": 0, "promoted": 0, "aborted": 3, "paused": 4}


def follow(deployed: Deployed, wait: bool) -> int:
    """Until the revision has users, or `wait`: until the end. Returns the exit code."""
    say(deployed.applied.words)
    if deployed.at_once and deployed.applied.what == "goes-on":
        environment = deployed.deployment.environment
        say(f"it began with steps: shipway rollout promote --env {environment} gives it to everybody")
    wanted = following.Wanted(deployed.applied.revision, end=wait)
    try:
        came, status = _watch(deployed, wanted)
    except KeyboardInterrupt:
        say(_interrupted(deployed))
        return 130
    if came in (None, "failing"):
        raise _failure(deployed.controller, status)
    _end(deployed, came, status)
    return CODES[came]


def follow_back(controller: Controller, before: Status) -> int:
    """Until a rollback has ended; stdout is who everybody is with then. Returns the exit code."""
    deadline = time.monotonic() + FIRST_S
    telling = following.Telling(following.Wanted(""))
    while time.monotonic() < deadline:
        status = controller.status()
        if status.stable and following.is_back(before, status):
            click.echo(status.stable.revision)
            return 0
        _say_all(telling, status)
        time.sleep(EVERY_S)
    raise StackError(
        f"the rollback has not ended after {FIRST_S:.0f} s; it goes on", "shipway status --env E shows it"
    )


def _watch(deployed: Deployed, wanted: following.Wanted) -> tuple[Came | None, Status]:
    """Say what happens; None where a first revision has had its time."""
    telling = following.Telling(wanted)
    deadline = time.monotonic() + FIRST_S
    while True:
        status = deployed.controller.status()
        _say_all(telling, status)
        if came := following.came_to(status, wanted):
            return came, status
        if status.suite_wanted and status.canary and status.canary.revision == wanted.revision:
            from shipway.cli import deploy_suite

            deploy_suite.run(deployed, status)
        elif deployed.applied.what == "first" and time.monotonic() > deadline:
            return None, status
        time.sleep(EVERY_S)


def _say_all(telling: following.Telling, status: Status) -> None:
    for line in telling.lines(status, time.monotonic()):
        say(f"  {line}")


def _interrupted(deployed: Deployed) -> str:
    environment = deployed.deployment.environment
    if deployed.applied.what == "first":
        return "it goes on coming up by itself: shipway status --env " + environment
    return (
        f"the rollout goes on by itself: shipway rollout status --env {environment}; "
        f"shipway rollout abort --env {environment} ends it"
    )


def _failure(controller: Controller, status: Status) -> StackError:
    """The causes, and what the container said last that has one."""
    revision = status.stable
    if revision is None:
        return StackError("\n".join(("nothing is there", *status.trouble)))
    router = (status.router.cause,) if status.router and status.router.cause else ()
    causes = following.causes(revision) or status.trouble or router
    told = [f"{revision.revision} is not ready", *(f"  {cause}" for cause in causes)]
    wrong = following.suspect(revision)
    if log := controller.log(LOG_LINES, revision.revision, wrong):
        told += [f"the log of {wrong} ends so:", *(f"  {line}" for line in following.readable(log))]
    return StackError(
        "\n".join(told), "the machine goes on trying; deploy another one, and it takes its place"
    )


def _end(deployed: Deployed, came: Came, status: Status) -> None:
    environment = deployed.deployment.environment
    rollout = status.rollout
    match came:
        case "ready" | "promoted":
            for line in addresses(deployed.engine.machine, status.ports):
                say(line)
            say(f"control's page wants a token: shipway rollout token --env {environment}")
        case "users":
            share = rollout.percent if rollout else 0
            say(f"{share} % of new conversations go to it; it goes on by itself:")
            say(f"    shipway rollout watch --env {environment}")
        case "paused":
            say(f"paused: {rollout.why if rollout else ''}")
            say(f"shipway rollout resume | promote | abort --env {environment}")
        case "aborted":
            say(f"rolled back; everybody is with {rollout.stable.revision if rollout else 'stable'}")


def addresses(machine: str, ports: tuple[PortSeen, ...]) -> Iterator[str]:
    """Where users and operators go."""
    for port in ports:
        if port.of == "router":
            host = machine if port.address in (EVERYWHERE, LOOPBACK) else port.address
            yield f"api      {'https' if port.tls else 'http'}://{host}:{port.port}"
        elif machine == "localhost":
            yield f"control  http://localhost:{port.port}"
        else:
            yield f"control  ssh -L {port.port}:127.0.0.1:{port.port} {machine}, then http://localhost:{port.port}"


def say(message: str) -> None:
    """Talk: to stderr, so that stdout stays data."""
    click.echo(message, file=sys.stderr)
