"""`shipway policy … --env E`: the policy of a whole environment, through its control.

In: the environment, the project, control's address. Out: what control holds, and which replicas enforce it;
the exit code is 1 where one does not. What is set so is the base until somebody sets another: it has no end.
"""

from __future__ import annotations

import json
import os
import sys
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import click

from shipway.cli import policy_words as words
from shipway.cli import tables
from shipway.errors import ControlError, StackError
from shipway_runtime.contract import Kill, Policy, encode, env

if TYPE_CHECKING:
    from collections.abc import Callable

    from shipway.local.fleet import Enforced, Fleet, Put


ARRIVE_S = 15.0
"""A replica asks for its policy each second, or each four after control was away, and says when it has it."""


REASON_LENGTH = 400
"""Of a reason that is made up; control takes 500 characters."""


@dataclass(frozen=True, slots=True)
class Asked:
    """Which environment is meant, of which project, and how it is answered for."""

    environment: str
    directory: Path
    control: str | None
    as_json: bool


def show(asked: Asked) -> NoReturn:
    """What control holds, since when, and who enforces it."""
    fleet, _ = _open(asked)
    with fleet:
        put = fleet.policy()
        replicas = fleet.enforced(put.etag)
    _finish(asked, put, replicas, wanted=False)


def join(asked: Asked, more: Policy, reason: str) -> NoReturn:
    """Add to what control holds; at first that is what agent.toml says."""
    from shipway.local.replicas import join as joined

    _change(asked, lambda held, own: joined(held, more), reason or f"set {_words(more)}")


def clear(asked: Asked, kill: Kill, reason: str) -> NoReturn:
    """Take these kills away; without any, go back to what agent.toml says."""
    from shipway.local.replicas import revive

    what = _words(Policy(kill)) if kill != Kill() else "all that was set"
    _change(asked, lambda held, own: own if kill == Kill() else revive(held, kill), reason or f"clear {what}")


def _words(policy: Policy) -> str:
    """What a change is about: who has to stop something now need not say why as well."""
    return words.say(json.loads(encode(policy)))[:REASON_LENGTH]


def _change(asked: Asked, change: Callable[[Policy, Policy], Policy], reason: str) -> NoReturn:
    """Put what `change` makes of the policy that holds, and of agent.toml's own."""
    fleet, own = _open(asked)
    with fleet:
        put = fleet.change(lambda before: change(before.policy if before.version else own, own), reason)
        if not asked.as_json:
            click.echo(f"version {put.version}; waiting for the replicas", err=True)
        replicas = fleet.arrive(put.etag, ARRIVE_S)
    _finish(asked, put, replicas, wanted=True)


def _open(asked: Asked) -> tuple[Fleet, Policy]:
    """The fleet, and the policy that agent.toml has for it. Raises ControlError and SpecError."""
    from shipway.local.fleet import Fleet
    from shipway.plan.settings import settings
    from shipway.spec.load import load

    url, token = asked.control or os.environ.get(env.CONTROL_URL), os.environ.get(env.CONTROL_TOKEN)
    if not url:
        url, token = _in_docker(asked)
    file = asked.directory / "agent.toml"
    spec = load(file).spec
    if asked.environment in spec.env:
        spec = load(file, asked.environment).spec
    fleet = Fleet(url, token, spec.name, asked.environment)
    return fleet, Policy(limits=settings(spec).limits)


def _in_docker(asked: Asked) -> tuple[str, str]:
    """Control of a deployment on the machine that docker talks to, and people's token."""
    from shipway.cli import deployed

    try:
        return deployed.reach_control(asked.directory, asked.environment)
    except StackError as error:
        raise ControlError(
            f"--env {asked.environment}: where its control is, nobody says: {error}",
            f"set {env.CONTROL_URL} and {env.CONTROL_TOKEN}, or give --control URL",
        ) from None


# -- What came of it -----------------------------------------------------------------------------------------


def _finish(asked: Asked, put: Put, replicas: list[Enforced], *, wanted: bool) -> NoReturn:
    """`wanted`: it was changed just now, so that nobody who enforces it is a failure, too: a kill switch of a
    misspelt environment would look as if it held."""
    behind = [one for one in replicas if one.state == "behind"]
    if asked.as_json:
        said: dict[str, Any] = asdict(put) | {"policy": json.loads(encode(put.policy))}
        click.echo(json.dumps(said | {"replicas": [asdict(one) for one in replicas]}, indent=2))
    else:
        _describe(put, replicas)
    if behind:
        click.echo(
            f"{len(behind)} of {len(replicas)} replicas are behind: they enforce another policy; "
            "their logs and `shipway policy show --url` say why",
            err=True,
        )
    there = any(one.state != "away" for one in replicas)
    if not there:
        what = ": nobody enforces it" if wanted else ""
        click.echo(f"control hears of no replica in {asked.environment}{what}", err=True)
    sys.exit(1 if behind or (wanted and not there) else 0)


def _describe(put: Put, replicas: list[Enforced]) -> None:
    if put.version:
        why = f": {put.reason}" if put.reason else ""
        click.echo(f"version {put.version}, {words.clock(put.at)}, {put.by}{why}")
        click.echo(words.say(json.loads(encode(put.policy))))
    else:
        click.echo("nobody has put a policy there: each agent goes by its own")
    if replicas:
        click.echo()
        rows = [(one.replica, one.revision, one.state) for one in replicas]
        tables.show([("REPLICA", "REVISION", "POLICY"), *rows])
