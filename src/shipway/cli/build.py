"""`shipway build`: make the image, and the images of sidecars; stdout is the agent's reference."""

from __future__ import annotations

import dataclasses
import shutil
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import click

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from concurrent.futures import Future

    from shipway.build.cache import Cache
    from shipway.build.image import BuiltImage
    from shipway.build.oci import PlatformImage
    from shipway.build.registries.pool import Registries
    from shipway.build.registries.push import Target
    from shipway.build.registries.remote_cache import RemoteCache
    from shipway.plan.image import ImagePlan

T = TypeVar("T")

PLATFORMS = ("linux/amd64", "linux/arm64")


def _platforms(_: click.Context, __: click.Parameter, value: str | None) -> tuple[str, ...]:
    platforms = tuple(value.split(",")) if value else ()
    if unknown := [platform for platform in platforms if platform not in PLATFORMS]:
        raise click.BadParameter(f"{unknown[0]}; expected {' or '.join(PLATFORMS)}")
    return platforms


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
@click.option(
    "--platform",
    metavar="P,…",
    callback=_platforms,
    help="linux/amd64, linux/arm64; default: [image] platforms.",
)
@click.option("--locked", is_flag=True, help="Refuse to build when shipway.lock is missing or stale.")
@click.option("--explain", is_flag=True, help="Say for each layer why it was made again.")
@click.option("--base-only", is_flag=True, help="Make a base of the dependencies alone, for agents to share.")
@click.option("--cache-from", metavar="REF", multiple=True, help="A repository with layers of other builds.")
@click.option("--cache-to", metavar="REF", help="A repository to keep this build's layers in.")
@click.option("--push", is_flag=True, help="Send the images to their registry.")
@click.option("--load", is_flag=True, help="Give the images to Docker or Podman as well.")
@click.option("-o", "--output", type=click.Path(path_type=Path), help="OCI layout; default: .shipway/images.")
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
    targets = {plan.role: _early(_look_at, _remote(plan)) for plan in plans if options.push}
    images = []
    for plan in plans:
        started = time.monotonic()
        image = build_image(plan, project.root, project.source, cache, say, pinned, registries)
        _report(plan, image, time.monotonic() - started)
        images.append(image)
    state = project.root / ".shipway"
    _write_layout(options, state / ("base" if options.base_only else "images"), images, cache)
    if not options.base_only:
        say(f"wrote {write_release(make_release(loaded.spec.name, images, project), state)}")
    _explain(options, images, state)
    if options.push:
        _push(images, targets, cache)
    return images


def _write_layout(options: Options, place: Path, images: Sequence[BuiltImage], cache: Cache) -> None:
    """The layout on disk, and in an engine. Without a use for it nothing is downloaded to fill it."""
    from shipway.build.oci import write_layout

    layout = options.output or place
    digests = {layer.digest for image in images for p in image.platforms for layer in p.layers}
    away = [digest for digest in digests if not cache.blob(digest).exists()]
    if away and not options.is_local:
        shutil.rmtree(layout, ignore_errors=True)  # an older one would be taken for this build's
        say(f"no layout written: {len(away)} layers are in registries, and were not needed here")
        return
    write_layout(layout, {_tagged(image): image.platforms for image in images}, cache)
    say(f"wrote {layout}")
    if options.load:
        from shipway.build import engine

        say(engine.load(layout))


def _explain(options: Options, images: Sequence[BuiltImage], state: Path) -> None:
    from shipway.build.explain import explain, read_record, write_record

    state.mkdir(parents=True, exist_ok=True)
    if options.explain:
        record = read_record(state)
        say("\n".join(line for image in images for line in explain(image, record)))
    write_record(state, images)


def _look_at(reference: str) -> Target:
    from shipway.build.registries.push import look_at  # HTTP takes 60 ms to import

    return look_at(reference)


def _push(images: Sequence[BuiltImage], targets: Mapping[str, Future[Target]], cache: Cache) -> None:
    from shipway.build.registries.push import push_to

    for image in images:
        with targets[image.role].result() as target:
            say(str(push_to(target, image.platforms, cache, say)))


def _early(work: Callable[[str], T], argument: str) -> Future[T]:
    """Begin to wait for somebody else while the image is made. What is not asked for is not waited for."""
    from concurrent.futures import Future

    future: Future[T] = Future()

    def run() -> None:
        try:
            future.set_result(work(argument))
        except BaseException as error:  # noqa: BLE001 - raised where the result is asked for
            future.set_exception(error)

    threading.Thread(target=run, daemon=True).start()
    return future


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


# -- Words ---------------------------------------------------------------------------------------------------


def say(message: str) -> None:
    """Talk: to stderr, so that stdout stays data."""
    click.echo(message, err=True)


def _chosen(plan: ImagePlan, options: Options) -> ImagePlan:
    """The plan with what the command line says instead."""
    repository = options.tag if options.tag and plan.role == "agent" else plan.repository
    return dataclasses.replace(plan, platforms=options.platform or plan.platforms, repository=repository)


def _tagged(image: BuiltImage | ImagePlan) -> str:
    name = image.repository.rpartition("/")[2]
    return image.repository if ":" in name else f"{image.repository}:latest"


def _remote(image: BuiltImage | ImagePlan) -> str:
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
            state = "" if not layer.cached else "  cached"
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
