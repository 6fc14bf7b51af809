"""`shipway render dockerfile`: files for engines that people already have; stdout is what was written."""

from __future__ import annotations

import re
from pathlib import Path

import click


@click.group("render")
def command() -> None:
    """Write files for engines that people already have."""


def _base(_: click.Context, __: click.Parameter, value: str | None) -> str | None:
    if value and not re.search(r"@sha256:[0-9a-f]{64}$|:(?!latest$)[\w][\w.-]*$", value):
        raise click.BadParameter(f"{value} has no version; expected NAME:TAG (not latest) or NAME@sha256:…")
    return value


@command.command("dockerfile")
@click.argument("directory", type=click.Path(path_type=Path), default=".")
@click.option("-o", "--output", type=click.Path(path_type=Path), help="A whole build context; default: DIR.")
@click.option("--base", metavar="REF", callback=_base, help="An image with the base's Python, pinned.")
def dockerfile(directory: Path, output: Path | None, base: str | None) -> None:
    """Write Dockerfiles that make the same images as `shipway build`, and what they take along.

    Without -o the project's directory becomes the build context: Dockerfile, Dockerfile.mcp-NAME for
    sidecars, .dockerignore, and .shipway/docker with pins, uv and bases. With -o the project's files are
    copied as well.
    stdout is the paths of the Dockerfiles.
    """
    from shipway.build.cache import Cache, default_root
    from shipway.build.context import build_context
    from shipway.build.locking import plan_lock, use_lock
    from shipway.plan.image import plan_images
    from shipway.render import dockerfile as render
    from shipway.render.emit import Content, emit
    from shipway.spec.load import load
    from shipway.spec.lock import read_lock
    from shipway.spec.project import read_project
    from shipway.spec.shipwaylock import read_shipway_lock

    loaded = load(directory / "agent.toml")
    project = read_project(loaded)
    own = read_lock(project.root)
    plans = plan_images(loaded, project, own)
    locked = use_lock(plan_lock(plans, own), read_shipway_lock(project.root), own, False, say)
    texts = render.render(plans, base)
    beside = build_context(
        plans, render.stage_name, project.root, Cache(default_root()), say, locked, bases=base is None
    )
    files: dict[str, Content] = {f"{render.CONTEXT}/{name}": content for name, content in beside.items()}
    if output:
        files |= {f.source: project.root / f.source for plan in plans for f in plan.files}
    marked = [*map(render.dockerfile_name, plans), ".dockerignore"]
    emit(output or directory, files | texts, render.MARK, marked)
    for plan in plans:
        click.echo((output or directory) / render.dockerfile_name(plan))


def say(message: str) -> None:
    """Talk: to stderr, so that stdout stays data."""
    click.echo(message, err=True)
