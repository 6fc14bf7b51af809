"""Shipway's own files -> the image of one of its servers, made once a version and then found in the cache.

In: the server, the name it gets, platforms. Out: `BuiltImage`. Nothing of a project goes in; of the directory
that is given only uv's settings count, which say where packages come from.
"""

from __future__ import annotations

import platform
from pathlib import Path
from typing import TYPE_CHECKING

import shipway
from shipway.build.image import BuiltImage, build_image
from shipway.build.locking import Locked
from shipway.plan.own_image import plan_own_image
from shipway.spec.lock import Lock
from shipway.spec.shipwaylock import ShipwayLock
from shipway_runtime import contract

if TYPE_CHECKING:
    from collections.abc import Callable

    from shipway.build.cache import Cache
    from shipway.build.registries.pool import Registries
    from shipway.plan.image import ImagePlan
    from shipway.plan.own_image import Server


def own_platform() -> str:
    """The platform of containers on this machine: that of its processor, whatever its system is."""
    machine = platform.machine()
    return "linux/arm64" if machine in ("arm64", "aarch64") else "linux/amd64"


def plan_own(server: Server, repository: str, platforms: tuple[str, ...]) -> ImagePlan:
    """The plan for the installed shipway."""
    found = (path for path in (_root() / "shipway").rglob("*") if path.is_file() and path.suffix != ".pyc")
    return plan_own_image(
        server, (path.relative_to(_root()).as_posix() for path in found), repository, platforms
    )


def build_own(
    plan: ImagePlan, directory: Path, cache: Cache, say: Callable[[str], None], registries: Registries
) -> BuiltImage:
    """Make the image, or find it in the cache. Raises BuildError and its kinds."""
    nothing = Locked(ShipwayLock(), Lock("none", "", None, None))
    unknown = contract.Source(revision=None, dirty=False)
    return build_image(plan, directory, unknown, cache, say, nothing, registries, files=_root())


def _root() -> Path:
    return Path(shipway.__file__).resolve().parent.parent
