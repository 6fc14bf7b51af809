"""The images of shipway's own servers in an engine: made once for each version, and given to it once.

In: the engine. Out: an id for each role: control, rollout (the controller), router. Errors: BuildError and
its kinds, StackError.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from shipway.build import engine as giving
from shipway.build import oci
from shipway.build.cache import Cache, default_root
from shipway.build.interruption import temporary
from shipway.build.own_image import build_own, plan_own
from shipway.build.registries.pool import Registries
from shipway.errors import StackError
from shipway.plan.control import CONTROL
from shipway.plan.controller import PROGRAM
from shipway.plan.router import plan_router

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from shipway.build.image import BuiltImage
    from shipway.deploy.engine import Engine
    from shipway.plan.image import ImagePlan

    Say = Callable[[str], None]


def provide(engine: Engine, root: Path, say: Say) -> dict[str, str]:
    """The engine's id for each role. Of the directory only uv's settings count."""
    here = (engine.platform,)
    servers = [plan_own(server, server.reference, here) for server in (CONTROL, PROGRAM)]
    return make(engine, (*servers, plan_router(here)), root, say)


def make(engine: Engine, plans: Iterable[ImagePlan], root: Path, say: Say) -> dict[str, str]:
    """The same of these images."""
    cache = Cache(default_root())
    cache.remove_stale()
    with Registries() as registries:
        images = [build_own(plan, root, cache, say, registries) for plan in plans]
    there = _look(engine, images)
    lacking = [image for image in images if image.role not in there]
    if lacking:
        with temporary(lambda: Path(tempfile.mkdtemp(prefix="shipway-deploy-"))) as made:
            layout = made / "layout"
            oci.write_layout(layout, {image.repository: image.platforms for image in lacking}, cache)
            say(giving.give(engine.program, layout, is_far=not engine.is_local))
        there = _look(engine, images)
    if lost := [image.repository for image in images if image.role not in there]:
        raise StackError(f"{lost[0]} was given to Docker at {engine.host}, which does not know it")
    return there


def _look(engine: Engine, images: Iterable[BuiltImage]) -> dict[str, str]:
    """Those that the engine has: by their config's digest, or, with containerd's store, their manifest's."""
    found = {}
    for image in images:
        (made,) = image.platforms
        for one in engine.inspect("image", [image.repository]):
            if one["Id"] in (image.digest, made.digest, made.config):
                found[image.role] = str(one["Id"])
    return found
