"""The images of shipway's own servers in an engine: made once for each version, and given to it once.

In: the servers, the engine. Out: an id for each. Errors: BuildError and its kinds, StackError.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from shipway.build import engine as giving
from shipway.build import oci
from shipway.build.cache import Cache, default_root
from shipway.build.own_image import build_own, plan_own
from shipway.build.registries.pool import Registries

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from shipway.build.image import BuiltImage
    from shipway.deploy.engine import Engine
    from shipway.plan.own_image import Server

    Say = Callable[[str], None]


def provide(engine: Engine, servers: Sequence[Server], root: Path, say: Say) -> dict[str, str]:
    """The engine's id for each role. Of the directory only uv's settings count."""
    cache = Cache(default_root())
    cache.remove_stale()
    with Registries() as registries:
        images = {
            server.role: build_own(
                plan_own(server, server.reference, (engine.platform,)), root, cache, say, registries
            )
            for server in servers
        }
    there = _there(engine, images.values())
    lacking = [image for image in images.values() if image.role not in there]
    if lacking:
        with tempfile.TemporaryDirectory(prefix="shipway-deploy-") as made:
            layout = Path(made) / "layout"
            oci.write_layout(layout, {image.repository: image.platforms for image in lacking}, cache)
            say(giving.give(engine.program, layout, is_far=not engine.is_local))
        there = _there(engine, images.values())
    return there


def _there(engine: Engine, images: Iterable[BuiltImage]) -> dict[str, str]:
    """Those that the engine has: by their config's digest, or, with containerd's store, their manifest's."""
    found = {}
    for image in images:
        (made,) = image.platforms
        for one in engine.inspect("image", [image.repository]):
            if one["Id"] in (image.digest, made.digest, made.config):
                found[image.role] = str(one["Id"])
    return found
