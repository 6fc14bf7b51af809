"""`shipway plan image|stack`: print a plan, as the pure functions made it."""

from __future__ import annotations

from pathlib import Path

import click


@click.group("plan")
def command() -> None:
    """Print the plan of the image or of the stack."""


@command.command("stack")
@click.argument("directory", type=click.Path(path_type=Path), default=".")
@click.option("--env", "environment", help="The environment, as in [env.NAME]; default: development.")
def stack(directory: Path, environment: str | None) -> None:
    """What runs beside what, as JSON."""
    from shipway.plan import codec
    from shipway.plan.stack import DEVELOPMENT, plan_stack
    from shipway.spec.load import load

    loaded = load(directory / "agent.toml", environment)
    click.echo(codec.encode(plan_stack(loaded, environment or DEVELOPMENT)), nl=False)


@command.command("image")
@click.argument("directory", type=click.Path(path_type=Path), default=".")
def image(directory: Path) -> None:
    """What goes into the images, layer by layer, as JSON."""
    from shipway.plan import codec
    from shipway.plan.image import plan_images
    from shipway.spec.load import load
    from shipway.spec.lock import read_lock
    from shipway.spec.project import read_project

    loaded = load(directory / "agent.toml")
    plan = plan_images(loaded, read_project(loaded), read_lock(directory))
    click.echo(codec.encode(plan), nl=False)
