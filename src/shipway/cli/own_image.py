"""`shipway replay image` and `shipway control image`: make a server's own image; stdout is its reference."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING

from shipway.cli import delivery

if TYPE_CHECKING:
    import click

    from shipway.build.image import BuiltImage
    from shipway.plan.own_image import Server


def make(
    server: Server,
    tag: str | None,
    platforms: tuple[str, ...],
    output: Path | None,
    context: click.Context,
    *,
    push: bool,
    load: bool,
) -> str:
    """Make the image and bring it where it was asked for; returns its name with the digest.

    Raises UsageError for a name that cannot be pushed, BuildError and its kinds.
    """
    from shipway.build.cache import Cache, default_root
    from shipway.build.interruption import interruptible
    from shipway.build.own_image import build_own, own_platform, plan_own
    from shipway.build.registries.pool import Registries

    context.with_resource(interruptible())
    cache = Cache(default_root())
    cache.remove_stale()
    plan = plan_own(server, tag or server.reference, platforms or (own_platform(),))
    targets = delivery.look_ahead([plan], "give -t REF") if push else {}
    started = time.monotonic()
    with Registries() as registries:
        made: BuiltImage = build_own(plan, Path.cwd(), cache, delivery.say, registries)
    delivery.report(plan, made, time.monotonic() - started)
    if output or load or not push:
        layout = output or Path(f".shipway/{server.role}-image")
        delivery.write_layout(layout, [made], cache, load=load, needed=True)
    if push:
        delivery.push([made], targets, cache)
    return made.reference
