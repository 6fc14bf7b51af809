"""`shipway down`: end the stack that runs here, or a deployment."""

from __future__ import annotations

from pathlib import Path

import click


@click.command("down")
@click.option("--env", "environment", metavar="E", help="The deployment, not what `up` has started.")
@click.option(
    "--volumes",
    is_flag=True,
    help="With --env: conversations, secrets, records and images of revisions go, too.",
)
@click.option("-C", "--directory", type=click.Path(path_type=Path), default=".", help="The project.")
def command(environment: str | None, directory: Path, *, volumes: bool) -> None:
    """End the stack that runs here, in order; nothing is left when it returns.

    With --env a deployment on the machine that docker talks to: users get nothing any more. Its volumes are
    kept, and the next deploy goes on with them.
    """
    if environment:
        _remove(directory, environment, volumes=volumes)
        return
    if volumes:
        raise click.UsageError("--volumes is for a deployment: say which, --env E")
    from shipway.local.down import down

    ended = down(directory, lambda text: click.echo(text, err=True))
    click.echo("stopped" if ended else f"no stack runs in {directory.resolve()}", err=True)


def _remove(directory: Path, environment: str, *, volumes: bool) -> None:
    from shipway.deploy.engine import connect
    from shipway.deploy.removal import remove
    from shipway.errors import StackError
    from shipway.plan.deployment import project
    from shipway.spec.load import load

    engine, called = connect(), project(load(directory / "agent.toml").spec.name, environment)
    if not remove(engine, called, lambda text: click.echo(text, err=True), volumes=volumes):
        raise StackError(f"there is nothing of {called} in Docker at {engine.host}")
    click.echo(f"{called} is removed", err=True)
