"""`shipway plan image|stack`: print a plan, as the pure functions made it."""

from __future__ import annotations

from pathlib import Path

import click

_directory = click.argument("directory", type=click.Path(path_type=Path), default=".")
_json = click.option("--json", "as_json", is_flag=True, help="The whole plan, as golden files hold it.")


@click.group("plan")
def command() -> None:
    """Print the plan of the image or of the stack."""


@command.command("image")
@_directory
@_json
def image(directory: Path, as_json: bool) -> None:
    """What goes into the images, layer by layer. Nothing is resolved, downloaded or built."""
    from shipway.plan import codec
    from shipway.plan.image import image_python, plan_images
    from shipway.plan.outline import outline
    from shipway.spec.load import load
    from shipway.spec.lock import read_lock
    from shipway.spec.project import read_project

    loaded = load(directory / "agent.toml")
    plans = plan_images(loaded, read_project(loaded), read_lock(directory, image_python(loaded.spec)))
    click.echo(codec.encode(plans) if as_json else outline(plans), nl=False)


@command.command("stack")
@_directory
@click.option("--env", "environment", help="The environment, as in [env.NAME]; default: development.")
@_json
def stack(directory: Path, environment: str | None, as_json: bool) -> None:
    """What runs beside what; each setting says where it was written."""
    from shipway.plan import codec
    from shipway.plan.outline import outline
    from shipway.plan.stack import DEVELOPMENT, plan_stack
    from shipway.spec.load import load

    loaded = load(directory / "agent.toml", environment)
    plan = plan_stack(loaded, environment or DEVELOPMENT)
    click.echo(codec.encode(plan) if as_json else outline(plan, loaded.provenance), nl=False)
