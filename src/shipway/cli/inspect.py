"""`shipway inspect`: what an image is made of, and what is large in it."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from collections.abc import Iterator

    from shipway.build.inspection.inspect import Inspection, LayerView, PackageView

LARGEST = 15
"""So many packages are listed; --json and --html have all."""


@click.command("inspect")
@click.argument("image", metavar="REF|DIR", default=".")
@click.option("--json", "as_json", is_flag=True, help="All figures, as one JSON object.")
@click.option("--html", type=click.Path(path_type=Path, dir_okay=False), help="Write a treemap to this file.")
@click.option(
    "--image", "name", metavar="NAME", help="Which of several images; default: the first, the agent's."
)
@click.option("--platform", metavar="P", help="Which of several platforms, as linux/arm64.")
def command(image: str, as_json: bool, html: Path | None, name: str | None, platform: str | None) -> None:
    """Show the layers of an image and its largest packages, with who requires them.

    REF|DIR is a project that was built, a directory with an OCI layout, a tar of an image, or the name of an
    image that Docker or Podman has here.
    """
    from shipway.build.inspection.image_source import open_image
    from shipway.build.inspection.inspect import inspect
    from shipway.build.size import large

    source = open_image(image, name, platform)
    if source.others and name is None:
        click.echo(f"shown: {source.reference}; also there (--image): {', '.join(source.others)}", err=True)
    found = inspect(source)
    if html:
        from shipway.build.inspection.treemap import treemap

        _write(html, treemap(found))
    if as_json:
        click.echo(json.dumps(asdict(found), indent=2, sort_keys=True))
    elif not html:
        for line in _lines(found):
            click.echo(line)
    if finding := large(found.reference, found.unpacked):
        click.echo(f"\n{finding}", err=True)


def _write(path: Path, page: str) -> None:
    from shipway.errors import ShipwayError

    try:
        path.write_text(page, encoding="utf-8")
    except OSError as error:
        raise ShipwayError(f"{path} cannot be written: {error.strerror}") from error
    click.echo(f"wrote {path}", err=True)


def _lines(image: Inspection) -> Iterator[str]:
    yield f"{image.reference}  {image.platform}"
    yield f"{image.digest or 'image id ' + image.image_id}\n"
    yield _row("LAYER", "UNPACKED", "COMPRESSED")
    for layer in image.layers:
        yield _row(layer.name, _mb(layer.unpacked), _packed(layer)) + _waste(layer)
    packed = all(layer.compression != "none" for layer in image.layers)
    yield _row("total", _mb(image.unpacked), _mb(image.compressed) if packed else "-")
    if image.wasted:
        yield f"\n{_mb(image.wasted)} are wasted: files that a later layer overwrites or removes"
    if image.packages:
        yield "\n" + _row("LARGEST PACKAGES", "UNPACKED", "COMPRESSED") + "  REQUIRED BY"
        for package in image.packages[:LARGEST]:
            yield _package(package, packed)
    if rest := image.packages[LARGEST:]:
        yield f"and {len(rest)} more, {_mb(sum(package.stated or package.size for package in rest))}"
    if image.referrers:
        yield "\nATTACHED"
        for attached in image.referrers:
            kind = attached.annotations.get("in-toto.io/predicate-type", "")
            yield f"{attached.artifact_type:<34} {attached.digest}  {kind}".rstrip()


def _package(package: PackageView, packed: bool) -> str:
    from shipway.build.inspection.inspect import environment

    users = package.required_by
    more = f" and {len(users) - 3} more" if len(users) > 3 else ""
    by = f"  {', '.join(users[:3])}{more}" if users else ""
    place = environment(package.place) or "Debian"
    size = f"~{_mb(package.stated)}" if package.stated else _mb(package.size)
    share = "-" if package.stated or not packed else f"~{_mb(package.compressed)}"
    return _row(f"{package.name} {package.version} ({place})", size, share) + by


def _row(name: str, unpacked: str, compressed: str) -> str:
    shown = name if len(name) <= 56 else f"{name[:55]}…"
    return f"{shown:<56}{unpacked:>12}{compressed:>12}"


def _packed(layer: LayerView) -> str:
    return _mb(layer.size) if layer.compression != "none" else "-"


def _waste(layer: LayerView) -> str:
    return f"  {_mb(layer.wasted)} of it wasted" if layer.wasted else ""


def _mb(size: int) -> str:
    return f"{size / 1e6:.1f} MB"
