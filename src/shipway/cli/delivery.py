"""Images that were built -> where they were asked for: a layout on disk, an engine, a registry.

In: built images and the options that commands share. Out: the effects, and a table of the layers on stderr.
"""

from __future__ import annotations

import shutil
import threading
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import click

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from concurrent.futures import Future

    from shipway.build.cache import Cache
    from shipway.build.image import BuiltImage
    from shipway.build.oci import PlatformImage
    from shipway.build.registries.push import Target
    from shipway.plan.image import ImagePlan

T = TypeVar("T")

PLATFORMS = ("linux/amd64", "linux/arm64")


def say(message: str) -> None:
    """Talk: to stderr, so that stdout stays data."""
    click.echo(message, err=True)


# -- Options -------------------------------------------------------------------------------------------------


def _platforms(_: click.Context, __: click.Parameter, value: str | None) -> tuple[str, ...]:
    platforms = tuple(value.split(",")) if value else ()
    if unknown := [platform for platform in platforms if platform not in PLATFORMS]:
        raise click.BadParameter(f"{unknown[0]}; expected {' or '.join(PLATFORMS)}")
    return platforms


def platform_option(default: str) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """`--platform`; `default` says what it is when nobody says."""
    words = f"linux/amd64, linux/arm64; default: {default}."
    return click.option("--platform", metavar="P,…", callback=_platforms, help=words)


push_option = click.option("--push", is_flag=True, help="Send the images to their registry.")
load_option = click.option("--load", is_flag=True, help="Give the images to Docker or Podman as well.")


def output_option(default: str) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """`--output`, the directory of the OCI layout."""
    words = f"OCI layout; default: {default}."
    return click.option("-o", "--output", type=click.Path(path_type=Path), help=words)


# -- A layout, and an engine ---------------------------------------------------------------------------------


def write_layout(
    layout: Path, images: Sequence[BuiltImage], cache: Cache, *, load: bool, needed: bool
) -> None:
    """The layout on disk, and in an engine. Unless it is `needed`, nothing is downloaded to fill it."""
    from shipway.build import oci

    digests = {layer.digest for image in images for p in image.platforms for layer in p.layers}
    away = [digest for digest in digests if not cache.blob(digest).exists()]
    if away and not needed:
        shutil.rmtree(layout, ignore_errors=True)  # an older one would be taken for this build's
        say(f"no layout written: {len(away)} layers are in registries, and were not needed here")
        return
    oci.write_layout(layout, {_tagged(image): image.platforms for image in images}, cache)
    say(f"wrote {layout}")
    if load:
        from shipway.build import engine

        say(engine.load(layout))


# -- A registry ----------------------------------------------------------------------------------------------


def look_ahead(plans: Sequence[ImagePlan], fix: str) -> dict[str, Future[Target]]:
    """Begin to ask the registries what they have, by role, while the images are made.

    Raises UsageError with this `fix` for a name without a registry.
    """
    names = {plan.role: _remote(plan, fix) for plan in plans}
    return {role: _early(_look_at, name) for role, name in names.items()}


def push(images: Sequence[BuiltImage], targets: Mapping[str, Future[Target]], cache: Cache) -> None:
    """Send what the registries lack. Raises BuildError and its kinds."""
    from shipway.build.registries.push import push_to

    for image in images:
        with targets[image.role].result() as target:
            say(str(push_to(target, image.platforms, cache, say)))


def _look_at(reference: str) -> Target:
    from shipway.build.registries.push import look_at  # HTTP takes 60 ms to import

    return look_at(reference)


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


def _tagged(image: BuiltImage | ImagePlan) -> str:
    name = image.repository.rpartition("/")[2]
    return image.repository if ":" in name else f"{image.repository}:latest"


def _remote(plan: ImagePlan, fix: str) -> str:
    """The name to push to: one that says where, because a bare name would mean Docker Hub's library."""
    if "/" not in plan.repository:
        raise click.UsageError(f"--push: {plan.repository!r} names no registry; {fix}")
    return _tagged(plan)


# -- Words ---------------------------------------------------------------------------------------------------


def report(plan: ImagePlan, image: BuiltImage, seconds: float) -> None:
    """The layers of each platform, and their sizes."""
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
