"""`shipway deploy`: a release to one machine with Docker, and to its users; stdout is the revision."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from shipway.deploy.ports import Port


def _port(_: click.Context, __: click.Parameter, value: str | None) -> Port | None:
    from shipway.deploy.ports import parse

    try:
        return parse(value) if value else None
    except ValueError as error:
        raise click.BadParameter(str(error)) from None


@click.command("deploy")
@click.argument("directory", type=click.Path(path_type=Path), default=".")
@click.option("--env", "environment", metavar="E", required=True, help="As in [env.NAME]; never development.")
@click.option(
    "--release", type=click.Path(path_type=Path), metavar="F", help="Default: .shipway/release.json."
)
@click.option("--at-once", is_flag=True, help="Everybody gets it as soon as it is ready: no steps, no gates.")
@click.option("--wait", is_flag=True, help="Until the rollout's end: 0 promoted, 3 rolled back.")
@click.option(
    "--port",
    metavar="[ADDRESS:]PORT",
    callback=_port,
    help="Where users reach it; default: as before, at first 8080.",
)
@click.option(
    "--tls",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    multiple=True,
    metavar="PEM",
    help="Certificates and their key, in one file or several; kept until others are given.",
)
@click.option(
    "--env-file",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="Values of secrets that are not in the environment; default: .env.E.",
)
def command(
    directory: Path,
    environment: str,
    release: Path | None,
    at_once: bool,
    wait: bool,
    port: Port | None,
    tls: tuple[Path, ...],
    env_file: Path | None,
) -> None:
    """Bring a release to one machine with Docker: there at first, then rolled out over what runs.

    The machine is the one that docker talks to: DOCKER_HOST and contexts count. It keeps running by itself,
    and a rollout goes on by itself. Exits with 0 when the revision has users, or with --wait when everybody
    has it; 3 when it was rolled back, 4 when it is paused.
    """
    from shipway.build.interruption import interruptible
    from shipway.cli import deploy_follow
    from shipway.deploy.deploying import Options, deploy

    options = Options(directory, environment, release, at_once, port, tls, env_file)
    with interruptible():
        deployed = deploy(options, say)
    click.echo(deployed.applied.revision)
    sys.exit(deploy_follow.follow(deployed, wait))


def say(message: str) -> None:
    """Talk: to stderr, so that stdout stays data."""
    click.echo(message, err=True)
