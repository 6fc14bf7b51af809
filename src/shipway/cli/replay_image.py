"""`shipway replay image`: make the replay's own image; stdout is its reference."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from shipway.cli import own_image
from shipway.cli.delivery import load_option, output_option, platform_option, push_option

if TYPE_CHECKING:
    from pathlib import Path


@click.command("image")
@click.option("-t", "--tag", metavar="REF", help="Name of the image; default: shipway-replay:VERSION.")
@platform_option("that of this machine")
@push_option
@load_option
@output_option(".shipway/replay-image")
@click.pass_context
def image(
    context: click.Context,
    tag: str | None,
    platform: tuple[str, ...],
    push: bool,
    load: bool,
    output: Path | None,
) -> None:
    """Make the replay's image, without a container engine: the same for every project.

    It serves the directory that is mounted at /replays, on port 8090. stdout is the image with its digest.
    """
    from shipway.plan.own_image import REPLAY

    click.echo(own_image.make(REPLAY, tag, platform, output, context, push=push, load=load))
