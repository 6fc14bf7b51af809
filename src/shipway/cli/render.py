"""`shipway render`: files for engines that people already have; stdout is what was written."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import click

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from shipway.build.bases.base import Base
    from shipway.plan.rollout import RolloutPlan
    from shipway.plan.stack import StackPlan
    from shipway.render.emit import Rendered
    from shipway.render.targets.expressions import Engine, Target

MARK = "# Written by shipway"
"""How a rendered file begins; one that begins otherwise is somebody's, and stays."""


@click.group("render")
def command() -> None:
    """Write files for engines that people already have."""


@command.command("dockerfile")
@click.argument("directory", type=click.Path(path_type=Path), default=".")
@click.option("-o", "--output", type=click.Path(path_type=Path), help="A whole build context; default: DIR.")
def dockerfile(directory: Path, output: Path | None) -> None:
    """Write Dockerfiles that make the same images as `shipway build`, and what they take along.

    Without -o the project's directory becomes the build context: Dockerfile, Dockerfile.mcp-NAME for
    sidecars, .dockerignore, and .shipway/docker with pins, uv and bases. With -o the project's files are
    copied as well.
    stdout is the paths of the Dockerfiles.
    """
    from shipway.build.bases.base import find_bases
    from shipway.build.cache import Cache, default_root
    from shipway.build.context import build_context
    from shipway.build.locking import plan_lock, use_lock
    from shipway.build.registries.pool import Registries
    from shipway.plan.image import image_python, plan_images
    from shipway.render import dockerfile as render
    from shipway.render.emit import Content, emit
    from shipway.spec.load import load
    from shipway.spec.lock import read_lock
    from shipway.spec.project import read_project
    from shipway.spec.shipwaylock import read_shipway_lock

    loaded = load(directory / "agent.toml")
    project = read_project(loaded)
    own = read_lock(project.root, image_python(loaded.spec))
    plans = plan_images(loaded, project, own)
    locked = use_lock(plan_lock(plans, own), read_shipway_lock(project.root), own, False, say)
    cache = Cache(default_root())
    with Registries() as registries:
        found = [find_bases(plan, project.root, cache, say, locked, registries) for plan in plans]
        plans, bases = tuple(plan for plan, _ in found), {plan.role: base for plan, base in found}
        beside = build_context(plans, project.root, cache, say, locked, bases)
    texts = render.render(plans, {role: name for role, base in bases.items() if (name := _pinned(base))})
    files: dict[str, Content] = {f"{render.CONTEXT}/{name}": content for name, content in beside.items()}
    if output:
        files |= {f.source: project.root / f.source for plan in plans for f in plan.files}
    marked = [*map(render.dockerfile_name, plans), ".dockerignore"]
    emit(output or directory, files | texts, render.MARK, marked)
    for plan in plans:
        click.echo((output or directory) / render.dockerfile_name(plan))


_directory = click.argument("directory", type=click.Path(path_type=Path), default=".")
_environment = click.option("--env", "environment", help="As in [env.NAME]; default: development.")
_release = click.option(
    "--release",
    type=click.Path(path_type=Path),
    metavar="F",
    help="Default: .shipway/release.json; in development images by their names on this machine.",
)
_output = click.option(
    "-o", "--output", type=click.Path(path_type=Path), help="Default: deploy/TARGET/ENVIRONMENT."
)


@command.command("compose")
@_directory
@_environment
@_release
@_output
def compose(directory: Path, environment: str | None, release: Path | None, output: Path | None) -> None:
    """Write compose.yaml, and what it mounts: the agent and its sidecars, as in a pod.

    In development a replayed model and the databases run beside them. What is yours (.env, etc/policy.json,
    secrets/) is written once. stdout is the paths of the files.
    """
    from shipway.render.compose import render

    project = os.path.relpath(directory, output) if output else ""
    write_stack(
        "compose",
        lambda plan, _: render(plan, project) if project else render(plan),
        directory,
        environment,
        release,
        output,
    )


@command.command("kubernetes")
@_directory
@_environment
@_release
@_output
@click.option(
    "--plain-sidecars", "plain", is_flag=True, help="For clusters before 1.30: sidecars as plain containers."
)
@click.option(
    "--rollout", "by", type=click.Choice(["argo"]), help="Who carries out [rollout]: Argo Rollouts."
)
def kubernetes(
    directory: Path,
    environment: str | None,
    release: Path | None,
    output: Path | None,
    plain: bool,
    by: Literal["argo"] | None,
) -> None:
    """Write a Kustomize base, and once an overlay that is yours.

    The agent and its sidecars are a Deployment, MCP servers apart another. With --rollout argo the agent is a
    Rollout, with the steps of [rollout], an HTTPRoute, and analyses that ask control. stdout is the paths of
    the files.
    """
    from shipway.render.kubernetes import render

    write_stack(
        "kubernetes",
        lambda plan, rollout: render(plan, plain=plain, rollout=rollout if by else None),
        directory,
        environment,
        release,
        output,
        by,
    )


@command.command("ecs")
@_directory
@_environment
@_release
@_output
def ecs(directory: Path, environment: str | None, release: Path | None, output: Path | None) -> None:
    """Write what Amazon ECS takes on Fargate, one JSON file a call, and the script that makes the calls.

    account.env is written once: fill in what your account has, then `sh deploy.sh`. stdout is the paths of
    the files.
    """
    from shipway.render.ecs.files import render

    write_stack("ecs", render, directory, environment, release, output)


@command.command("nomad")
@_directory
@_environment
@_release
@_output
def nomad(directory: Path, environment: str | None, release: Path | None, output: Path | None) -> None:
    """Write Nomad's jobs: the agent with its sidecars, and one for each MCP server apart.

    stdout is the paths of the files, in the order in which they are to be run.
    """
    from shipway.render.nomad.files import render

    write_stack("nomad", render, directory, environment, release, output)


def write_stack(
    target: Target,
    render: Callable[[StackPlan, RolloutPlan | None], Rendered],
    directory: Path,
    environment: str | None,
    release: Path | None,
    output: Path | None,
    by: Engine | None = None,
) -> None:
    """Plan the stack, say what the target has in another way, write its files, print their paths. `by` is who
    carries out a rollout, where that is not the target itself.

    Raises SpecError for what the target cannot have, and for an environment that has no release.
    """
    from shipway.plan.rollout import plan_rollout
    from shipway.plan.stack import DEVELOPMENT
    from shipway.render.emit import emit_rendered
    from shipway.render.released import plan_released
    from shipway.render.targets.judging import judge
    from shipway.spec.load import load

    environment = environment or DEVELOPMENT
    loaded = load(directory / "agent.toml", environment)
    plan = plan_released(loaded, environment, directory, release)
    rollout = plan_rollout(loaded.spec, environment) if loaded.spec.rollout else None
    if by and rollout is None:
        raise click.UsageError(f"--rollout {by} needs steps: add [rollout] to agent.toml")
    for remark in judge(plan, target, rollout, by):
        say(remark)
    place = output or directory / "deploy" / target / environment
    for path in emit_rendered(place, render(plan, rollout), MARK):
        click.echo(path)


def _pinned(bases: Mapping[str, Base]) -> str:
    """The image that a Dockerfile starts from, by digest; empty for `minimal`."""
    from shipway.build.registries.reference import parse_reference

    facts = next(iter(bases.values())).facts
    return str(parse_reference(facts.name).at(facts.digest)) if facts.name else ""


def say(message: str) -> None:
    """Talk: to stderr, so that stdout stays data."""
    click.echo(message, err=True)
