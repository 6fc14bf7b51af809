"""What an image stands on: one interface for every kind of base, and where each kind is found.

In: the plan's base, a platform, what shipway.lock says of it. Out: `Base`. Of a base as little as possible is
brought to this machine: its layers go from one registry to the other, and its files are looked at only when
its Python has something to compile.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Protocol

from shipway.build.bases.minimal import find_minimal
from shipway.build.debian.debs import find_mirrors
from shipway.errors import BuildError
from shipway.plan.image import ImagePlan, settle
from shipway.spec.lock import check_python

if TYPE_CHECKING:
    from pathlib import Path

    from shipway.build.cache import Cache
    from shipway.build.debian.debs import Deb
    from shipway.build.environments.bytecode import Interpreter
    from shipway.build.layers import Entry, Layer
    from shipway.build.locking import Locked
    from shipway.build.registries.pool import Registries
    from shipway.plan.image import Base as PlannedBase
    from shipway.plan.image import BaseFacts

MakeLayer = Callable[[str, Mapping[str, str], Callable[[], "Iterable[Entry]"]], "Layer"]
"""A cache's or a toolchain's `layer`."""


class Base(Protocol):
    """One platform's base. `key` identifies its content; `compiled_by` is the Python that compiles for it.

    `debs` are the packages of `minimal`; what other bases have is in their own layers.
    """

    @property
    def facts(self) -> BaseFacts: ...
    @property
    def arch(self) -> str: ...
    @property
    def key(self) -> str: ...
    @property
    def compiled_by(self) -> str: ...
    @property
    def debs(self) -> tuple[Deb, ...]: ...
    @property
    def compiler(self) -> Interpreter:
        """The Python that compiles for it: its own, or that of its sibling for this host."""

    def tree(self) -> Path:
        """Its root file system on this machine, made when it is not there."""

    def layers(self, make: MakeLayer) -> list[Layer]:
        """Its layers, lowest first."""


def find_bases(
    unsettled: ImagePlan,
    root: Path,
    cache: Cache,
    say: Callable[[str], None],
    locked: Locked,
    registries: Registries,
) -> tuple[ImagePlan, dict[str, Base]]:
    """The base of each platform, and the plan on them. Raises BuildError and its kinds, SpecError."""
    found = {
        platform: find_base(unsettled.base, platform, root, cache, say, locked, registries)
        for platform in unsettled.platforms
    }
    pythons = {f"{base.facts.python.path} ({base.facts.python.version})" for base in found.values()}
    if len(pythons) > 1:
        seen = ", ".join(sorted(pythons))
        raise BuildError(
            f"the base {unsettled.base.reference} has another Python on each platform: {seen}",
            "build one platform at a time, or take another base",
        )
    facts = found[unsettled.platforms[0]].facts
    check_python(locked.own, facts.python.version)
    return settle(unsettled, facts), found


def find_base(
    base: PlannedBase,
    platform: str,
    root: Path,
    cache: Cache,
    say: Callable[[str], None],
    locked: Locked,
    registries: Registries,
) -> Base:
    """The base for a platform, pinned by shipway.lock where that has it. Raises BuildError and its kinds."""
    if base.kind == "minimal":
        arch = platform.partition("/")[2]
        mirrors = find_mirrors(base.mirror, os.environ)
        return find_minimal(arch, base.packages, mirrors, cache.root, say, locked.debs(base))
    from shipway.build.bases.image import find_image, find_layout  # brings an HTTP client

    if base.kind == "layout":
        return find_layout(root / base.reference, base.reference, platform, cache, say, locked.digest(base))
    return find_image(base.reference, platform, cache, say, locked.digest(base), registries)
