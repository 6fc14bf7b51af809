"""`shipway rollout`: how a revision comes to its users, watched."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from shipway_runtime.contract import encode, env

if TYPE_CHECKING:
    from collections.abc import Callable

    from shipway.cli.rollout_source import AtControl


@click.group("rollout")
def command() -> None:
    """See how a revision comes to its users, step by step, and what the gates say of it."""


def _where(function: Callable[..., None]) -> Callable[..., None]:
    """The options that say which deployment is meant."""
    for option in (
        click.option("-C", "--directory", type=click.Path(path_type=Path), default=".", help="The project."),
        click.option("--name", metavar="NAME", help="The agent; default: as agent.toml says."),
        click.option("--env", "environment", metavar="E", required=True, help="The environment."),
        click.option(
            "--url",
            metavar="URL",
            help="Its control; default: SHIPWAY_CONTROL_URL. The token, of the role read or operate, is in "
            "SHIPWAY_CONTROL_TOKEN.",
        ),
    ):
        function = option(function)
    return function


@command.command("watch")
@_where
def watch(url: str | None, environment: str, name: str | None, directory: Path) -> None:
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
def status(url: str | None, environment: str, name: str | None, directory: Path, as_json: bool) -> None:
    """Show how the rollout that goes on stands, or how the last one ended."""
    from shipway.cli import rollout_watch

    title, found = _source(url, environment, name, directory)
    with found:
        known = found.known()
    if as_json:
        click.echo(encode(known), nl=False)
    else:
        rollout_watch.show(title, known)


def _source(url: str | None, environment: str, name: str | None, directory: Path) -> tuple[str, AtControl]:
    """What it is called, and where it is heard of. Raises ControlError and SpecError."""
    from shipway.cli.rollout_source import AtControl
    from shipway.control_client import ControlClient
    from shipway.errors import ControlError

    url = url or os.environ.get(env.CONTROL_URL)
    if not url:
        raise ControlError(
            "where control is, nobody says", f"set {env.CONTROL_URL} and {env.CONTROL_TOKEN}, or give --url"
        )
    name = name or _name(directory)
    client = ControlClient(url, os.environ.get(env.CONTROL_TOKEN), name, environment)
    return f"{name}, {environment}", AtControl(client)


def _name(directory: Path) -> str:
    from shipway.spec.load import load

    return load(directory / "agent.toml").spec.name
