"""What rules look at: a project, read and planned, and where further facts come from.

In: the project's directory. Out: `Subject`. Reading it raises SpecError with what is wrong so early that no
rule could say more.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from shipway.build.cache import Cache
from shipway.build.locking import Wanted, plan_lock
from shipway.build.registries.pool import Registries
from shipway.plan.image import ImagePlan, image_python, plan_images
from shipway.spec.load import load
from shipway.spec.lock import Lock, read_lock
from shipway.spec.project import read_project
from shipway.spec.shipwaylock import ShipwayLock, read_shipway_lock


@dataclass(frozen=True, slots=True)
class Subject:
    """A project under check. `lock` is its shipway.lock, None where there is none."""

    root: Path
    plans: tuple[ImagePlan, ...]
    own: Lock
    wanted: Wanted
    lock: ShipwayLock | None
    cache: Cache
    registries: Registries
    say: Callable[[str], None]


def read_subject(
    directory: Path, cache: Cache, registries: Registries, say: Callable[[str], None]
) -> Subject:
    """Read the project. Raises SpecError with every finding of agent.toml and of the project's files."""
    loaded = load(directory / "agent.toml")
    project = read_project(loaded)
    own = read_lock(project.root, image_python(loaded.spec))
    plans = plan_images(loaded, project, own)
    lock = read_shipway_lock(project.root)
    return Subject(project.root, plans, own, plan_lock(plans, own), lock, cache, registries, say)
