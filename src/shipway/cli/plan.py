"""`shipway plan image|stack|rollout`: print a plan, as the pure functions made it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from shipway.plan.rollout import AT_ONCE

if TYPE_CHECKING:
    from collections.abc import Iterator

    from shipway.plan.rollout import RolloutPlan

_directory = click.argument("directory", type=click.Path(path_type=Path), default=".")
_json = click.option("--json", "as_json", is_flag=True, help="The whole plan, as golden files hold it.")


@click.group("plan")
def command() -> None:
    """Print the plan of the image, of the stack, or of a rollout."""


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


@command.command("rollout")
@_directory
@click.option("--env", "environment", help="The environment, as in [env.NAME]; default: development.")
@_json
def rollout(directory: Path, environment: str | None, as_json: bool) -> None:
    """How a revision gets to its users: steps, what it is judged by, and who hears of it."""
    from shipway.plan import codec
    from shipway.plan.rollout import plan_rollout
    from shipway.plan.stack import DEVELOPMENT
    from shipway.spec.load import load

    plan = plan_rollout(load(directory / "agent.toml", environment).spec, environment or DEVELOPMENT)
    click.echo(codec.encode(plan) if as_json else "".join(f"{line}\n" for line in _words(plan)), nl=False)


def _words(plan: RolloutPlan) -> Iterator[str]:
    from shipway.cli.tables import age

    yield f"{plan.name}, {plan.environment}"
    if plan.suite:
        yield "   0 %  until the evals have compared it with stable, case by case"
    for step in plan.steps:
        until = "until the gates have decided" if plan.metrics else "and on at once"
        until = "then it is stable" if step.weight == AT_ONCE else until
        yield f"{step.weight:4} %  {f'for {age(step.hold_s)} at least' if step.hold_s else until}"
    judges = [
        name if margin is None else f"{name} (margin {margin:g})" for name, margin in plan.metrics.items()
    ]
    yield f"judged by {', '.join(judges)}; alpha {plan.alpha:g}" if judges else "judged by nothing"
    yield f"told to the webhook in {plan.notify}" if plan.notify else "told to nobody"
