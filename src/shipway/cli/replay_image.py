"""`shipway replay image`: make the replay's own image; stdout is its reference."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING

import click

from shipway.cli import delivery
from shipway.cli.delivery import load_option, output_option, platform_option, push_option

if TYPE_CHECKING:
    from shipway.build.image import BuiltImage

LAYOUT = Path(".shipway/replay-image")


@click.command("image")
@click.option("-t", "--tag", metavar="REF", help="Name of the image; default: shipway-replay:VERSION.")
@platform_option("that of this machine")
@push_option
@load_option
@output_option(str(LAYOUT))
def image(tag: str | None, platform: tuple[str, ...], push: bool, load: bool, output: Path | None) -> None:
    """Make the replay's image, without a container engine: the same for every project.

    It serves the directory that is mounted at /replays, on port 8090. stdout is the image with its digest.
    """
    from shipway.build.cache import Cache, default_root
    from shipway.build.interruption import interruptible
    from shipway.build.registries.pool import Registries
    from shipway.build.replay_image import build_replay, own_platform, plan_replay
    from shipway.plan.replay_image import REFERENCE

    click.get_current_context().with_resource(interruptible())
    cache = Cache(default_root())
    cache.remove_stale()
    plan = plan_replay(tag or REFERENCE, platform or (own_platform(),))
    targets = delivery.look_ahead([plan], "give -t REF") if push else {}
    started = time.monotonic()
    with Registries() as registries:
        made: BuiltImage = build_replay(plan, Path.cwd(), cache, delivery.say, registries)
    delivery.report(plan, made, time.monotonic() - started)
    if output or load or not push:
        delivery.write_layout(output or LAYOUT, [made], cache, load=load, needed=True)
    if push:
        delivery.push([made], targets, cache)
    click.echo(made.reference)
