"""`shipway build`: make the image, and the images of sidecars; stdout is the agent's reference."""

from __future__ import annotations

import dataclasses
import time
from pathlib import Path
from typing import TYPE_CHECKING

import click

from shipway.cli import delivery
from shipway.cli.delivery import load_option, output_option, platform_option, push_option, say

if TYPE_CHECKING:
    from collections.abc import Sequence

    from shipway.build.cache import Cache
    from shipway.build.image import BuiltImage
    from shipway.build.registries.pool import Registries
    from shipway.build.registries.remote_cache import RemoteCache
    from shipway.plan.image import ImagePlan


@dataclasses.dataclass(frozen=True, slots=True)
class Options:
    """What the command line says. Names are those of the options."""

    directory: Path
    tag: str | None
    platform: tuple[str, ...]
    locked: bool
    explain: bool
    base_only: bool
    cache_from: tuple[str, ...]
    cache_to: str | None
    push: bool
    load: bool
    output: Path | None

    @property
    def is_local(self) -> bool:
        """Whether the image has to be on this machine, whole: not where it is only pushed."""
        return not self.push or self.load or self.output is not None


@click.command("build")
@click.argument("directory", type=click.Path(path_type=Path), default=".")
@click.option("-t", "--tag", metavar="REF", help="Name of the agent's image; default: [image] repository.")
@platform_option("[image] platforms")
@click.option("--locked", is_flag=True, help="Refuse to build when shipway.lock is missing or stale.")
@click.option("--explain", is_flag=True, help="Say for each layer why it was made again.")
@click.option("--base-only", is_flag=True, help="Make a base of the dependencies alone, for agents to share.")
@click.option("--cache-from", metavar="REF", multiple=True, help="A repository with layers of other builds.")
@click.option("--cache-to", metavar="REF", help="A repository to keep this build's layers in.")
@push_option
@load_option
@output_option(".shipway/images")
def command(**options: object) -> None:
    """Make the agent's image and the images of its sidecars, without a container engine.

    Writes an OCI layout and .shipway/release.json. stdout is the agent's image with its digest.
    """
    from shipway.build.cache import Cache, default_root
    from shipway.build.interruption import interruptible
    from shipway.build.registries.pool import Registries

    chosen = Options(**options)  # type: ignore[arg-type]
    click.get_current_context().with_resource(interruptible())
    with Registries() as registries:
        local = Cache(default_root())
        local.remove_stale()
        sources = tuple(_remote_cache(ref, local, registries) for ref in chosen.cache_from)
        cache = Cache(local.root, sources)
        kept_in = _remote_cache(chosen.cache_to, cache, registries) if chosen.cache_to else None
        images = _build(chosen, cache, registries)
        if kept_in:
            _keep(images, kept_in)
    click.echo(images[0].reference)


def _build(options: Options, cache: Cache, registries: Registries) -> list[BuiltImage]:
    """Read, plan, build; then everything that is done with the images."""
    from shipway.build.image import build_image
    from shipway.build.locking import plan_lock, use_lock
    from shipway.build.release import make_release, write_release
    from shipway.plan.image import base_alone, image_python, list_unbuilt, plan_images
    from shipway.spec.load import load as load_spec
    from shipway.spec.lock import read_lock
    from shipway.spec.project import read_project, without_files
    from shipway.spec.shipwaylock import read_shipway_lock

    nothing = "nothing:nothing" if options.base_only else None  # a base has no agent to start
    loaded = load_spec(options.directory / "agent.toml", entrypoint=nothing)
    project = without_files(loaded) if options.base_only else read_project(loaded)
    own = read_lock(project.root, image_python(loaded.spec))
    plans = [_chosen(p, options) for p in plan_images(loaded, project, own)]
    pinned = use_lock(plan_lock(plans, own), read_shipway_lock(project.root), own, options.locked, say)
    plans = [base_alone(plans[0])] if options.base_only else plans
    for name in [] if options.base_only else list_unbuilt(loaded.spec):
        say(f"mcp-{name}: no image of ours, a command of yours starts it")
    fix = "set [image] repository, or give -t REF"
    targets = delivery.look_ahead(plans, fix) if options.push else {}
    images = []
    for plan in plans:
        started = time.monotonic()
        image = build_image(plan, project.root, project.source, cache, say, pinned, registries)
        delivery.report(plan, image, time.monotonic() - started)
        images.append(image)
    state = project.root / ".shipway"
    layout = options.output or state / ("base" if options.base_only else "images")
    delivery.write_layout(layout, images, cache, load=options.load, needed=options.is_local)
    if not options.base_only:
        say(f"wrote {write_release(make_release(loaded.spec, images, project, cache), state)}")
    _explain(options, images, state)
    if options.push:
        delivery.push(images, targets, cache)
    return images


def _explain(options: Options, images: Sequence[BuiltImage], state: Path) -> None:
    from shipway.build.explain import explain, read_record, write_record

    state.mkdir(parents=True, exist_ok=True)
    if options.explain:
        record = read_record(state)
        say("\n".join(line for image in images for line in explain(image, record)))
    write_record(state, images)


# -- A registry as build cache -------------------------------------------------------------------------------


def _remote_cache(reference: str, cache: Cache, registries: Registries) -> RemoteCache:
    from shipway.build.registries.reference import parse_reference
    from shipway.build.registries.remote_cache import RemoteCache

    named = parse_reference(reference)
    if named.tag or named.digest:
        raise click.UsageError(f"{reference}: a build cache is a repository; leave out its tag")
    return RemoteCache(registries.repository(named), cache)


def _keep(images: Sequence[BuiltImage], remote: RemoteCache) -> None:
    layers = [layer for image in images for platform in image.platforms for layer in platform.layers]
    new = remote.store([layer for layer in layers if not layer.is_foreign], remote.local.facts)
    say(f"{remote.repository}: {new} new entries of the build cache")


def _chosen(plan: ImagePlan, options: Options) -> ImagePlan:
    """The plan with what the command line says instead."""
    repository = options.tag if options.tag and plan.role == "agent" else plan.repository
    return dataclasses.replace(plan, platforms=options.platform or plan.platforms, repository=repository)
