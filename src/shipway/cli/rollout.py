"""`shipway rollout`: how a revision comes to its users, watched, and told what to do."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from shipway.cli import deployed
from shipway_runtime.contract import encode, env

if TYPE_CHECKING:
    from collections.abc import Callable

    from shipway.cli.rollout_source import Source
    from shipway.rollout_snapshot import What


@click.group("rollout")
def command() -> None:
    """See how a revision comes to its users, step by step, and tell the rollout what to do.

    Of a deployment on the machine that docker talks to; or of any, through its control.
    """


def _where(function: Callable[..., None]) -> Callable[..., None]:
    """The options that say which deployment is meant."""
    for option in (
        click.option("-C", "--directory", type=click.Path(path_type=Path), default=".", help="The project."),
        click.option("--name", metavar="NAME", help="The agent; default: as agent.toml says."),
        click.option(
            "--env", "environment", metavar="E", help="The environment; default: the only one in Docker."
        ),
        click.option(
            "--url",
            metavar="URL",
            help="Its control; default: SHIPWAY_CONTROL_URL, else its controller in Docker. The token is in "
            "SHIPWAY_CONTROL_TOKEN.",
        ),
    ):
        function = option(function)
    return function


@command.command("watch")
@_where
def watch(url: str | None, environment: str | None, name: str | None, directory: Path) -> None:
    """Watch a rollout until it has ended.

    On a terminal the view is drawn again in its place; elsewhere what changes is a line each. Exits with 0
    when the revision was promoted, and with 3 when it was rolled back.
    """
    from shipway.cli import rollout_watch

    title, found = _source(url, environment, name, directory)
    with found:
        code = rollout_watch.watch(title, found.known)
    sys.exit(code)


@command.command("status")
@click.option("--json", "as_json", is_flag=True, help="What control knows, as one JSON object.")
@_where
def status(
    url: str | None, environment: str | None, name: str | None, directory: Path, as_json: bool
) -> None:
    """Show how the rollout that goes on stands, or how the last one ended."""
    from shipway.cli import rollout_watch

    title, found = _source(url, environment, name, directory)
    with found:
        known = found.known()
    if as_json:
        click.echo(encode(known), nl=False)
    else:
        rollout_watch.show(title, known)


def _order(what: What, words: str) -> None:
    """A command that orders it."""

    @command.command(what, help=words)
    @click.option("--reason", default="", metavar="TEXT", help="Why, for the audit trail.")
    @_where
    def order(
        reason: str, url: str | None, environment: str | None, name: str | None, directory: Path
    ) -> None:
        _, found = _source(url, environment, name, directory)
        with found:
            click.echo(found.order(what, reason), err=True)


_order("pause", "Keep the canary's share as it is until somebody says more.")
_order("resume", "Go on where it was paused; a gate that asked for the pause is overruled.")
_order("promote", "Give the canary to everybody now, whatever the gates say.")
_order("abort", "Bring everybody back to the stable revision, now.")


@command.command("token")
@deployed.which
def token(environment: str | None, directory: Path) -> None:
    """Print the token that control's page and `shipway policy` want, of a deployment in Docker."""
    click.echo(deployed.find(directory, environment).tokens().operate)


def _source(
    url: str | None, environment: str | None, name: str | None, directory: Path
) -> tuple[str, Source]:
    """What it is called, and where it is heard of. Raises ControlError, StackError and SpecError."""
    from shipway.cli.rollout_source import AtControl, AtController
    from shipway.control_client import ControlClient
    from shipway.errors import StackError

    url = url or os.environ.get(env.CONTROL_URL)
    if not url:
        try:
            controller = deployed.find(directory, environment, name)
        except StackError as error:
            raise StackError(str(error), f"{error.hint}; or give --url, its control's") from None
        return controller.project, AtController(controller)
    if environment is None:
        raise click.UsageError(f"control at {url} keeps several apart: say which, --env E")
    name = name or _name(directory)
    client = ControlClient(url, os.environ.get(env.CONTROL_TOKEN), name, environment)
    return f"{name}, {environment}", AtControl(client)


def _name(directory: Path) -> str:
    from shipway.spec.load import load

    return load(directory / "agent.toml").spec.name
