"""The images of a local stack: built, and given to the engine; those of others are pulled.

In: a plan with containers, and its project. Out: the engine has every image by the name that the plan gives
it. What it has already is not sent again, and an image that a newer one replaces is removed.
"""

from __future__ import annotations

import dataclasses
import subprocess
import sys
import time
from typing import TYPE_CHECKING

from shipway.build import engine, oci
from shipway.build.cache import Cache, default_root
from shipway.build.image import build_image
from shipway.build.locking import plan_lock, use_lock
from shipway.build.own_image import build_own, own_platform, plan_own
from shipway.build.registries.pool import Registries
from shipway.errors import StackError
from shipway.local.plan import STATE
from shipway.plan.image import image_python, plan_images
from shipway.plan.own_image import REPLAY
from shipway.spec.lock import read_lock
from shipway.spec.shipwaylock import read_shipway_lock

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from shipway.build.image import BuiltImage
    from shipway.local.plan import Containers
    from shipway.spec.load import Loaded
    from shipway.spec.project import Project

_LAYOUT = "engine"


def provide(containers: Containers, loaded: Loaded, project: Project, say: Callable[[str], None]) -> None:
    """Raises BuildError and its kinds, SpecError, and StackError for an image that cannot be pulled."""
    for image in containers.others:
        if not _ids(containers.program, [image]):
            _pull(containers.program, image, say)
    cache = Cache(default_root())
    cache.remove_stale()
    began = time.monotonic()
    images = _build(containers, loaded, project, cache, say)
    say(f"images: built or found in {time.monotonic() - began:.1f} s")
    _load(containers.program, images, project, cache, say)


def _build(
    containers: Containers, loaded: Loaded, project: Project, cache: Cache, say: Callable[[str], None]
) -> list[BuiltImage]:
    """For this machine's platform, under the names of this directory."""
    root, here = project.root, (own_platform(),)
    own = read_lock(root, image_python(loaded.spec))
    plans = [
        dataclasses.replace(plan, platforms=here, repository=containers.built[plan.role])
        for plan in plan_images(loaded, project, own)
    ]
    locked = use_lock(plan_lock(plans, own), read_shipway_lock(root), own, False, say)
    images: list[BuiltImage] = []
    with Registries() as registries:
        for plan in plans:
            images.append(build_image(plan, root, project.source, cache, say, locked, registries))
            _tell(images[-1], say)
        if name := containers.built.get("replay"):
            images.append(build_own(plan_own(REPLAY, name, here), root, cache, say, registries))
            _tell(images[-1], say)
    return images


def _tell(image: BuiltImage, say: Callable[[str], None]) -> None:
    """What was made, as soon as it is; nothing of an image that was in the cache."""
    (made,) = image.platforms
    if new := [layer.name for layer in made.layers if not layer.cached]:
        say(f"{image.role}: made {len(new)} of {len(made.layers)} layers: {', '.join(new)}")


def _load(
    program: str, images: Sequence[BuiltImage], project: Project, cache: Cache, say: Callable[[str], None]
) -> None:
    there = _ids(program, [image.repository for image in images])
    lacking = [image for image in images if not _is(there.get(image.repository), image)]
    if not lacking:
        return
    layout = project.root / STATE / _LAYOUT
    oci.write_layout(layout, {image.repository: image.platforms for image in lacking}, cache)
    say(engine.load(layout))
    for image in lacking:
        if old := there.get(image.repository):
            # Fails where somebody else still uses it, under another name.
            subprocess.run((program, "rmi", old), capture_output=True, check=False)


def _is(identity: str | None, image: BuiltImage) -> bool:
    """An engine names an image by its config, or, with containerd's store, by its manifest."""
    return identity in {image.digest, *(platform.config for platform in image.platforms)}


def _ids(program: str, references: Sequence[str]) -> dict[str, str]:
    """What the engine has under these names."""
    found = {}
    for reference in references:
        command = (program, "image", "inspect", "--format", "{{.Id}}", reference)
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode == 0:
            found[reference] = done.stdout.strip()
    return found


def _pull(program: str, image: str, say: Callable[[str], None]) -> None:
    """A terminal shows how far Docker is."""
    say(f"pulling {image}")
    shown = sys.stderr if sys.stderr.isatty() else subprocess.DEVNULL
    done = subprocess.run(
        (program, "pull", image), stdout=shown, stderr=subprocess.PIPE, text=True, check=False
    )
    if done.returncode:
        raise StackError(
            f"{image} is not on this machine and cannot be pulled: {done.stderr.strip()}",
            "look at its name; docker login, if its registry wants to know you; give the engine the image; "
            "or --engine processes, which needs none",
        )
