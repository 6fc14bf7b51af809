"""`shipway build`: make the image, and the images of sidecars; stdout is the agent's reference."""

from __future__ import annotations

import dataclasses
import importlib
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from shipway.build.image import BuiltImage
    from shipway.build.oci import PlatformImage
    from shipway.plan.image import ImagePlan


PLATFORMS = ("linux/amd64", "linux/arm64")


def _platforms(_: click.Context, __: click.Parameter, value: str | None) -> tuple[str, ...]:
    platforms = tuple(value.split(",")) if value else ()
    if unknown := [platform for platform in platforms if platform not in PLATFORMS]:
        raise click.BadParameter(f"{unknown[0]}; expected {' or '.join(PLATFORMS)}")
    return platforms


@click.command("build")
@click.argument("directory", type=click.Path(path_type=Path), default=".")
@click.option("-t", "--tag", metavar="REF", help="Name of the agent's image; default: [image] repository.")
@click.option(
    "--platform",
    metavar="P,…",
    callback=_platforms,
    help="linux/amd64, linux/arm64; default: [image] platforms.",
)
@click.option("--locked", is_flag=True, help="Refuse to build when shipway.lock is missing or stale.")
@click.option("--explain", is_flag=True, help="Say for each layer why it was made again.")
@click.option("--push", "pushed", is_flag=True, help="Send the images to their registry.")
@click.option("--load", is_flag=True, help="Give the images to Docker or Podman as well.")
@click.option("-o", "--output", type=click.Path(path_type=Path), help="OCI layout; default: .shipway/images.")
def command(
    directory: Path,
    tag: str | None,
    platform: tuple[str, ...],
    locked: bool,
    explain: bool,
    pushed: bool,
    load: bool,
    output: Path | None,
) -> None:
    """Make the agent's image and the images of its sidecars, without a container engine.

    Writes an OCI layout and .shipway/release.json. stdout is the agent's image with its digest.
    """
    from shipway.build.cache import Cache, default_root
    from shipway.build.explain import explain as reasons
    from shipway.build.explain import read_record, write_record
    from shipway.build.image import build_image
    from shipway.build.locking import plan_lock, use_lock
    from shipway.build.oci import write_layout
    from shipway.build.release import make_release, write_release
    from shipway.plan.image import list_unbuilt, plan_images
    from shipway.spec.load import load as load_spec
    from shipway.spec.lock import read_lock
    from shipway.spec.project import read_project
    from shipway.spec.shipwaylock import read_shipway_lock

    loaded = load_spec(directory / "agent.toml")
    project = read_project(loaded)
    own = read_lock(project.root)
    plans = [_chosen(p, tag, platform) for p in plan_images(loaded, project, own)]
    pinned = use_lock(plan_lock(plans, own), read_shipway_lock(project.root), own, locked, say)
    for name in list_unbuilt(loaded.spec):
        say(f"mcp-{name}: no image of ours, a command of yours starts it")
    cache = Cache(default_root())
    if pushed:  # HTTP takes 60 ms to import, in which the build waits for other processes anyway
        threading.Thread(target=importlib.import_module, args=("shipway.build.push",)).start()
    images = []
    for plan in plans:
        started = time.monotonic()
        image = build_image(plan, project.root, cache, say, pinned)
        _report(plan, image, time.monotonic() - started)
        images.append(image)
    layout = output or project.root / ".shipway/images"
    write_layout(layout, {_tagged(image): image.platforms for image in images}, cache)
    release = write_release(make_release(loaded.spec.name, images, project), project.root / ".shipway")
    say(f"wrote {layout} and {release}")
    if explain:
        record = read_record(release.parent)
        say("\n".join(line for image in images for line in reasons(image, record)))
    write_record(release.parent, images)
    if load:
        from shipway.build import engine

        say(engine.load(layout))
    if pushed:
        from shipway.build.push import push

        for image in images:
            say(str(push(image.platforms, _remote(image), cache, say)))
    click.echo(images[0].reference)


def say(message: str) -> None:
    """Talk: to stderr, so that stdout stays data."""
    click.echo(message, err=True)


def _chosen(plan: ImagePlan, tag: str | None, platforms: tuple[str, ...]) -> ImagePlan:
    """The plan with what the command line says instead."""
    repository = tag if tag and plan.role == "agent" else plan.repository
    return dataclasses.replace(plan, platforms=platforms or plan.platforms, repository=repository)


def _tagged(image: BuiltImage) -> str:
    name = image.repository.rpartition("/")[2]
    return image.repository if ":" in name else f"{image.repository}:latest"


def _remote(image: BuiltImage) -> str:
    """The name to push to: one that says where, because a bare name would mean Docker Hub's library."""
    if "/" not in image.repository:
        raise click.UsageError(
            f"--push: {image.repository!r} names no registry; set [image] repository, or give -t REF"
        )
    return _tagged(image)


def _report(plan: ImagePlan, image: BuiltImage, seconds: float) -> None:
    from shipway.build.size import large

    for made in image.platforms:
        say(f"\n{plan.role}: {plan.repository} {made.platform}, {seconds:.1f} s")
        say(f"  {'layer':<44}{'unpacked':>12}{'compressed':>12}")
        for layer in made.layers:
            state = "  cached" if layer.cached else ""
            say(f"  {layer.name:<44}{_mb(layer.unpacked):>12}{_mb(layer.size):>12}{state}")
        if finding := large(plan.repository, made.unpacked):
            say(str(finding))
        say(f"  {'total' + _limit(plan, made):<44}{_mb(made.unpacked):>12}{_mb(made.compressed):>12}")


def _limit(plan: ImagePlan, made: PlatformImage) -> str:
    if plan.size_limit is None:
        return ""
    return f", {made.unpacked / plan.size_limit:.0%} of the limit of {_mb(plan.size_limit)}"


def _mb(size: int) -> str:
    return f"{size / 1e6:.1f} MB"
