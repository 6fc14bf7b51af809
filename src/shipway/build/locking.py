"""Image plans -> what shipway.lock has to hold, what in it is stale, and what builds take from it.

In: plans, the project's own lock, shipway.lock as it is. Out: `Wanted`, a pure value; findings that name what
is missing or stale, known without any network; what moved between two locks. Entries are found by a digest of
what was asked, so an entry that is stale is never used. locksmith.py makes what is missing.
"""

from __future__ import annotations

import importlib.metadata
from dataclasses import dataclass
from typing import TYPE_CHECKING

import shipway
from shipway.build.bases.minimal import ARCHES, BASE, LEFT_OUT
from shipway.build.cache import digest_of
from shipway.build.environments.requirements import runtime_requirements
from shipway.errors import Finding, SpecError
from shipway.plan.image import PYTHON, Base, Environment, ImagePlan, NodeEnvironment
from shipway.spec.lock import Lock
from shipway.spec.shipwaylock import (
    NAME,
    LockedDeb,
    Resolution,
    ShipwayLock,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from shipway.build.environments.npm import Packages

FIX = f"run `shipway lock`, and commit {NAME}"
CHECKED = ("shipway", "shipway-runtime")
"""Tools whose version has to be the lock's: they are, or decide, what is in the image."""


@dataclass(frozen=True, slots=True)
class WantedBase:
    """A base that some image stands on."""

    name: str
    inputs: str
    base: Base
    platforms: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class WantedEnvironment:
    """An environment that some image has; those of several images that ask for the same are one."""

    name: str
    inputs: str
    environment: Environment
    base: Base
    platforms: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class WantedNpm:
    """An MCP server from npm that some image has; `package` may end in `@VERSION`."""

    name: str
    inputs: str
    package: str


@dataclass(frozen=True, slots=True)
class Wanted:
    """All that a lock has to hold."""

    bases: tuple[WantedBase, ...]
    environments: tuple[WantedEnvironment, ...]
    npm: tuple[WantedNpm, ...] = ()


# -- The plan: what is wanted, and what of it is there ------------------------------------------------------


def plan_lock(plans: Sequence[ImagePlan], lock: Lock) -> Wanted:
    """What the images need to be locked, each thing once."""
    bases = {base_inputs(plan.base): plan for plan in reversed(plans)}
    environments: dict[str, WantedEnvironment] = {}
    for plan in plans:
        for environment in plan.installed:
            inputs = environment_inputs(environment, plan.base, lock)
            name = f"{plan.role}, {environment.name}"
            wanted = WantedEnvironment(name, inputs, environment, plan.base, plan.platforms)
            environments.setdefault(inputs, wanted)
    return Wanted(
        tuple(
            WantedBase(_base_name(p.base), inputs, p.base, p.platforms)
            for inputs, p in reversed(bases.items())
        ),
        tuple(environments.values()),
        tuple(_npm_servers(plans).values()),
    )


def _npm_servers(plans: Sequence[ImagePlan]) -> dict[str, WantedNpm]:
    """By inputs, each under the name of the first image that has it."""
    servers: dict[str, WantedNpm] = {}
    for plan in plans:
        for node in plan.node:
            inputs = npm_inputs(node)
            servers.setdefault(inputs, WantedNpm(f"{plan.role}, {node.name}", inputs, node.package))
    return servers


def base_inputs(base: Base) -> str:
    """A digest of what the base is asked to be; where its packages come from is no part of it."""
    if base.kind != "minimal":
        return f"sha256:{digest_of('base', base.kind, base.reference)}"
    parts = [base.kind, base.suite, sorted(set(base.packages)), sorted(BASE), sorted(LEFT_OUT)]
    return f"sha256:{digest_of('base', parts)}"


def environment_inputs(environment: Environment, base: Base, lock: Lock) -> str:
    """A digest of what the environment is asked to hold: agent.toml's part, the lock's and the runtime's.

    Of the base its Python counts: that of `minimal` is known, another's is that of its reference.
    """
    python = PYTHON if base.kind == "minimal" else base_inputs(base)
    asked = [sorted(environment.requirements), python]
    own = [lock.kind, lock.digest, environment.groups, environment.extras] if environment.lock else []
    runtime = sorted(runtime_requirements(environment.runtime_extras)) if environment.runtime else []
    return f"sha256:{digest_of('environment', asked, own, runtime)}"


def npm_inputs(server: NodeEnvironment) -> str:
    """A digest of what the server is asked to be."""
    return f"sha256:{digest_of('npm', server.package)}"


def find_stale(wanted: Wanted, lock: ShipwayLock | None) -> list[Finding]:
    """What is missing or stale, without asking any index or mirror."""
    if lock is None:
        return [Finding("lock-stale", f"there is no {NAME}", FIX, NAME)]
    return [Finding("lock-stale", message, FIX, NAME) for message in _stale(wanted, lock)]


def _stale(wanted: Wanted, lock: ShipwayLock) -> Iterator[str]:
    for tool in CHECKED:
        if lock.tools.get(tool) != (here := versions()[tool]):
            yield f"it was made with {tool} {lock.tools.get(tool, 'of no version')}; this is {here}"
    bases = {base.name for base in lock.bases}
    names = {*(e.name for e in lock.environments), *(server.name for server in lock.npm)}
    for base in wanted.bases:
        if not (known := lock.base(base.inputs)):
            yield _reason(f"base {base.name}", base.name in bases)
        elif base.base.kind == "minimal" and (missing := sorted(set(ARCHES) - set(known.debs))):
            yield f"base {base.name} is not locked for {', '.join(missing)}"
    for environment in wanted.environments:
        found = lock.environment(environment.inputs)
        if not found:
            yield _reason(environment.name, environment.name in names)
        elif missing := sorted(set(environment.platforms) - set(found.resolved)):
            yield f"{environment.name} is not locked for {', '.join(missing)}"
    for server in wanted.npm:
        if not lock.npm_server(server.inputs):
            yield _reason(server.name, server.name in names)


def _reason(name: str, is_there: bool) -> str:
    return f"{name}: what it is made from has changed since" if is_there else f"{name} is not in it"


def versions() -> dict[str, str]:
    """Of the tools that make a lock."""
    others = {name: importlib.metadata.version(name) for name in ("shipway-runtime", "uv")}
    return {"shipway": shipway.__version__, **others}


def _base_name(base: Base) -> str:
    if base.kind != "minimal":
        return base.reference
    return " + ".join([base.kind, *sorted(set(base.packages))])


# -- Using it --------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Locked:
    """What builds ask of shipway.lock; nothing for what is missing or stale."""

    lock: ShipwayLock
    own: Lock

    def debs(self, base: Base) -> Mapping[str, tuple[LockedDeb, ...]] | None:
        """The base's packages by architecture; both, as the other one's bytecode is made by this host's."""
        found = self.lock.base(base_inputs(base))
        return found.debs if found and set(ARCHES) <= set(found.debs) else None

    def digest(self, base: Base) -> str | None:
        """The image that a base's reference means."""
        found = self.lock.base(base_inputs(base))
        return found.digest or None if found else None

    def resolution(self, environment: Environment, base: Base, platform: str) -> Resolution | None:
        found = self.lock.environment(environment_inputs(environment, base, self.own))
        return found.resolved.get(platform) if found else None

    def npm(self, server: NodeEnvironment) -> Packages | None:
        found = self.lock.npm_server(npm_inputs(server))
        return found.packages if found else None


def use_lock(
    wanted: Wanted, lock: ShipwayLock | None, own: Lock, strict: bool, say: Callable[[str], None]
) -> Locked:
    """The lock for a build. `strict` refuses one that is missing or stale with SpecError; else it is said."""
    findings = find_stale(wanted, lock)
    if strict and findings:
        raise SpecError(findings)
    if lock is not None:
        for finding in findings:
            say(f"{NAME}: {finding.message}; resolved anew for this build: run `shipway lock`")
    return Locked(lock or ShipwayLock(), own)


# -- What moved ------------------------------------------------------------------------------------------


def moves(before: ShipwayLock | None, after: ShipwayLock) -> list[str]:
    """`ENTRY: NAME OLD -> NEW` for each version that differs; what came has no OLD, what went no NEW."""
    old, new = _versions_in(before or ShipwayLock()), _versions_in(after)
    return [
        f"{entry}: {name} {old.get((entry, name), '(none)')} -> {new.get((entry, name), '(none)')}"
        for entry, name in sorted(old.keys() | new.keys())
        if old.get((entry, name)) != new.get((entry, name))
    ]


def _versions_in(lock: ShipwayLock) -> dict[tuple[str, str], str]:
    found: dict[tuple[str, str], set[str]] = {}
    for base in lock.bases:
        if base.digest:
            found.setdefault((f"base {base.name}", "image"), set()).add(base.digest[:19])
        for deb in (deb for debs in base.debs.values() for deb in debs):
            found.setdefault((f"base {base.name}", deb.name), set()).add(deb.version)
    for environment in lock.environments:
        for pin in (pin for found_there in environment.resolved.values() for pin in found_there.pins):
            found.setdefault((environment.name, pin.name), set()).add(pin.version)
    for server in lock.npm:
        for path, package in server.packages.items():
            name = path.rpartition("node_modules/")[2]
            found.setdefault((server.name, name), set()).add(package["version"])
    return {key: ", ".join(sorted(values)) for key, values in found.items()}
