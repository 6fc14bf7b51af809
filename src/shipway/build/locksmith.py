"""What a lock lacks -> asked of mirrors, registries and indexes.

In: `Wanted`, and shipway.lock as it is. Out: a lock that holds all that is wanted and nothing else; what was
locked already stays as it was.
"""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from shipway.build.answers import FRESH_S
from shipway.build.bases.base import Base as FoundBase
from shipway.build.bases.base import find_base
from shipway.build.bases.minimal import ARCHES, BASE, LEFT_OUT
from shipway.build.bases.shared import preferred
from shipway.build.cache import Cache
from shipway.build.debian.debs import FRESH_S as DEBIAN_FRESH_S
from shipway.build.debian.debs import Selection, find_mirrors, select_debs
from shipway.build.debian.pinned import locked_debs
from shipway.build.environments import npm
from shipway.build.environments.node import provide_here
from shipway.build.environments.requirements import resolution, resolve, target_options
from shipway.build.locking import CHECKED, Locked, Wanted, WantedBase, WantedEnvironment, WantedNpm, versions
from shipway.build.registries.pool import Registries
from shipway.plan.image import NODE, Base, BaseFacts
from shipway.spec.lock import Lock, check_python
from shipway.spec.shipwaylock import LockedBase, LockedEnvironment, LockedNpm, ShipwayLock
from shipway_runtime import contract

if TYPE_CHECKING:
    from shipway.build.environments.node import Node


@dataclass(frozen=True, slots=True)
class Locksmith:
    """Asks mirrors, registries and indexes for what a lock lacks; with `anew` for all of it."""

    root: Path
    own: Lock
    cache: Cache
    say: Callable[[str], None]
    registries: Registries
    anew: bool = False

    def complete(self, wanted: Wanted, lock: ShipwayLock | None) -> ShipwayLock:
        """A lock that holds all that is wanted and nothing else. Raises BuildError and its kinds."""
        known = lock or ShipwayLock()
        bases = tuple(self._base(base, known) for base in wanted.bases)
        so_far = ShipwayLock(known.tools, bases)
        environments = tuple(self._environment(e, known, so_far) for e in wanted.environments)
        so_far = dataclasses.replace(so_far, environments=environments)
        servers = tuple(self._npm(server, wanted, known, so_far) for server in wanted.npm)
        new = dataclasses.replace(so_far, npm=servers)
        checked = {tool: known.tools.get(tool) for tool in CHECKED}
        same = new == known and checked == {tool: versions()[tool] for tool in CHECKED}
        return new if same else dataclasses.replace(new, tools=versions())

    def _base(self, wanted: WantedBase, lock: ShipwayLock) -> LockedBase:
        known = None if self.anew else lock.base(wanted.inputs)
        if wanted.base.kind != "minimal":
            if known and known.digest:
                return known
            self.say(f"locking base {wanted.name}")
            found = self._find(wanted.base, wanted.platforms[0], Locked(ShipwayLock(), self.own))
            return LockedBase(wanted.name, wanted.inputs, digest=found.facts.digest)
        if known and set(ARCHES) <= set(known.debs):
            return dataclasses.replace(known, name=wanted.name)
        self.say(f"locking base {wanted.name}")
        mirrors = find_mirrors(wanted.base.mirror, os.environ)
        fresh_s = 0 if self.anew else DEBIAN_FRESH_S
        debs = {}
        for arch in ARCHES:
            selection = Selection(arch, BASE, sorted(set(wanted.base.packages)), LEFT_OUT)
            selected = select_debs(selection, mirrors, self.cache.root, self.say, fresh_s)
            debs[arch] = locked_debs(selected, mirrors)
        return LockedBase(wanted.name, wanted.inputs, debs)

    def _find(self, base: Base, platform: str, locked: Locked) -> FoundBase:
        return find_base(base, platform, self.root, self.cache, self.say, locked, self.registries)

    def _facts(self, base: Base, platform: str, so_far: ShipwayLock) -> BaseFacts:
        if base.kind == "minimal":
            return BaseFacts()
        facts = self._find(base, platform, Locked(so_far, self.own)).facts
        check_python(self.own, facts.python.version)
        return facts

    def _environment(
        self, wanted: WantedEnvironment, lock: ShipwayLock, so_far: ShipwayLock
    ) -> LockedEnvironment:
        known = None if self.anew else lock.environment(wanted.inputs)
        before = next((e for e in lock.environments if e.name == wanted.name and not self.anew), None)
        resolved = {}
        for platform in wanted.platforms:
            if known and platform in known.resolved:
                resolved[platform] = known.resolved[platform]
                continue
            self.say(f"locking {wanted.name} for {platform}")
            facts = self._facts(wanted.base, platform, so_far)
            options = target_options(facts.python, platform)
            there = facts.pins if wanted.environment.path == contract.VENV else ""
            previous = preferred(there, before.resolved.get(platform) if before else None)
            fresh_s = 0 if self.anew else FRESH_S
            resolved[platform] = resolution(
                wanted.environment, self.root, options, self.cache, self.say, previous, fresh_s
            )
        return LockedEnvironment(wanted.name, wanted.inputs, resolved)

    def _npm(
        self,
        server: WantedNpm,
        wanted: Wanted,
        lock: ShipwayLock,
        so_far: ShipwayLock,
    ) -> LockedNpm:
        known = None if self.anew else lock.npm_server(server.inputs)
        if known:
            return dataclasses.replace(known, name=server.name)
        self.say(f"locking {server.name}")
        before = next((s for s in lock.npm if s.name == server.name and not self.anew), None)
        previous, fresh_s = before.packages if before else None, 0 if self.anew else FRESH_S
        host = self._host_node(wanted, so_far)
        packages = npm.resolve(server.package, host, self.cache, self.say, previous, fresh_s)
        return LockedNpm(server.name, server.inputs, packages)

    def _host_node(self, wanted: Wanted, so_far: ShipwayLock) -> Node:
        """The Node that was just locked: what resolves is of the version that will install."""
        asked = next(e for e in wanted.environments if e.environment == NODE)
        resolved = next(e.resolved for e in so_far.environments if e.inputs == asked.inputs)
        platform, found = next(iter(resolved.items()))
        options = target_options(self._facts(asked.base, platform, so_far).python, platform)
        pins = resolve(NODE, self.root, options, self.cache, self.say, found)
        return provide_here(pins, self.root, self.cache, self.say)
