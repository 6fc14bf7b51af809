"""shipway.lock: what an image is made of beyond the project's own lock; read and written.

In: the file. Out: `ShipwayLock`, frozen; and back to text, the same bytes for the same value, one line a
Debian package, a package from npm and a hash, so that a diff shows what moved. It holds no host name and no
address: it is committed, also by those whose mirrors and indexes are private. Nothing is resolved here.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from shipway.errors import Finding, SpecError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

NAME = "shipway.lock"
VERSION = 1
"""Of the format. A newer one is refused: an older shipway cannot know what it would leave out."""

_HEAD = """\
# What the image is made of, beyond the project's own lock. Written by `shipway lock`: commit it as it is.
"""


@dataclass(frozen=True, slots=True)
class LockedDeb:
    """One Debian package. `filename` is its path below whichever mirror has it; `size` in bytes."""

    name: str
    version: str
    architecture: str
    filename: str
    sha256: str
    size: int


@dataclass(frozen=True, slots=True)
class LockedBase:
    """The packages of a base by architecture, "amd64" and "arm64"; or an image's digest, "sha256:…".

    `inputs` is a digest of what was asked.
    """

    name: str
    inputs: str
    debs: Mapping[str, tuple[LockedDeb, ...]] = field(default_factory=dict)
    digest: str = ""


@dataclass(frozen=True, slots=True)
class Pin:
    """One distribution. `hashes` are "sha256:…"; none where the project's own lock has them."""

    name: str
    version: str
    hashes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Resolution:
    """One environment on one platform.

    `built` are the pins that have no wheel and are built from their source; `local` are distributions of
    the project itself, by name, with their directories relative to it.
    """

    pins: tuple[Pin, ...] = ()
    built: tuple[str, ...] = ()
    local: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class LockedEnvironment:
    """An environment by platform, such as "linux/amd64"."""

    name: str
    inputs: str
    resolved: Mapping[str, Resolution]


@dataclass(frozen=True, slots=True)
class LockedNpm:
    """The packages of an MCP server from npm, on every platform.

    `packages` are by their path below the server, such as `node_modules/which`; of each what npm's own lock
    says, without addresses: `version`, `integrity`, `dependencies`, …
    """

    name: str
    inputs: str
    packages: Mapping[str, Mapping[str, Any]]


@dataclass(frozen=True, slots=True)
class ShipwayLock:
    """`tools` are the versions of what wrote it. Entries are found by the digest of what they were made from,
    so one that is stale is never found."""

    tools: Mapping[str, str] = field(default_factory=dict)
    bases: tuple[LockedBase, ...] = ()
    environments: tuple[LockedEnvironment, ...] = ()
    npm: tuple[LockedNpm, ...] = ()

    def base(self, inputs: str) -> LockedBase | None:
        return next((base for base in self.bases if base.inputs == inputs), None)

    def environment(self, inputs: str) -> LockedEnvironment | None:
        return next((e for e in self.environments if e.inputs == inputs), None)

    def npm_server(self, inputs: str) -> LockedNpm | None:
        return next((server for server in self.npm if server.inputs == inputs), None)


# -- Reading ---------------------------------------------------------------------------------------------


def read_shipway_lock(root: Path) -> ShipwayLock | None:
    """The lock in a project's directory; None where there is none. Raises SpecError when it is unusable."""
    try:
        document = tomllib.loads((root / NAME).read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, OSError) as error:
        raise _unusable(f"this file cannot be read: {error}") from None
    version = document.get("version")
    if version != VERSION:
        raise _unusable(f"its format is version {version}, this shipway reads version {VERSION}")
    try:
        return _parse(document)
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise _unusable(f"this is not a lock that shipway wrote: {error!r}") from None


def _unusable(message: str) -> SpecError:
    fix = "bring back the committed file, or remove it and run `shipway lock`"
    return SpecError([Finding("lock", message, fix, NAME)])


def _parse(document: Mapping[str, Any]) -> ShipwayLock:
    return ShipwayLock(
        dict(document.get("tools", {})),
        tuple(_base(table) for table in document.get("base", ())),
        tuple(_environment(table) for table in document.get("environment", ())),
        tuple(_npm(table) for table in document.get("npm", ())),
    )


def _base(table: Mapping[str, Any]) -> LockedBase:
    found = table.get("debs", {}).items()
    debs = {arch: tuple(LockedDeb(**deb) for deb in packages) for arch, packages in found}
    return LockedBase(table["name"], table["inputs"], debs, table.get("digest", ""))


def _environment(table: Mapping[str, Any]) -> LockedEnvironment:
    resolved = {
        platform: _resolution(found) for found in table.get("resolved", ()) for platform in found["platforms"]
    }
    return LockedEnvironment(table["name"], table["inputs"], resolved)


def _resolution(table: Mapping[str, Any]) -> Resolution:
    pins = table.get("pins", {}).items()
    return Resolution(
        tuple(Pin(name, pin["version"], tuple(pin.get("hashes", ()))) for name, pin in pins),
        tuple(table.get("built", ())),
        dict(table.get("local", {})),
    )


def _npm(table: Mapping[str, Any]) -> LockedNpm:
    packages = {path: dict(entry) for path, entry in table["packages"].items()}
    if unversioned := [path for path, entry in packages.items() if not isinstance(entry["version"], str)]:
        raise TypeError(f"the version of {unversioned[0]}")
    return LockedNpm(table["name"], table["inputs"], packages)


# -- Writing ---------------------------------------------------------------------------------------------


def to_text(lock: ShipwayLock) -> str:
    """The file's content: TOML in one fixed form."""
    lines = [f"{_HEAD}version = {VERSION}", "", "[tools]"]
    lines += [f"{name} = {_text(version)}" for name, version in sorted(lock.tools.items())]
    for base in sorted(lock.bases, key=lambda base: base.name):
        lines += ["", *_base_lines(base)]
    for environment in sorted(lock.environments, key=lambda environment: environment.name):
        lines += ["", *_environment_lines(environment)]
    for server in sorted(lock.npm, key=lambda server: server.name):
        lines += ["", *_npm_lines(server)]
    return "\n".join(lines) + "\n"


def _base_lines(base: LockedBase) -> Iterator[str]:
    yield from ("[[base]]", f"name = {_text(base.name)}", f"inputs = {_text(base.inputs)}")
    if base.digest:
        yield f"digest = {_text(base.digest)}"
        return
    yield from ("", "[base.debs]")
    for arch, debs in sorted(base.debs.items()):
        yield f"{arch} = ["
        for deb in sorted(debs, key=lambda deb: deb.name):
            texts = ("name", "version", "architecture", "filename", "sha256")
            values = ", ".join(f"{key} = {_text(getattr(deb, key))}" for key in texts)
            yield f"    {{ {values}, size = {deb.size} }},"
        yield "]"


def _environment_lines(environment: LockedEnvironment) -> Iterator[str]:
    yield "[[environment]]"
    yield f"name = {_text(environment.name)}"
    yield f"inputs = {_text(environment.inputs)}"
    for platforms, resolution in _alike(environment.resolved):
        yield from ("", "[[environment.resolved]]", f"platforms = {_list(platforms)}")
        if resolution.built:
            yield f"built = {_list(resolution.built)}"
        if resolution.local:
            places = (f"{name} = {_text(path)}" for name, path in sorted(resolution.local.items()))
            yield f"local = {{ {', '.join(places)} }}"
        yield from ("", "[environment.resolved.pins]")
        for pin in sorted(resolution.pins, key=lambda pin: pin.name):
            yield from _pin_lines(pin)


def _alike(resolved: Mapping[str, Resolution]) -> list[tuple[list[str], Resolution]]:
    """Platforms that came to the same are written once."""
    groups: list[tuple[list[str], Resolution]] = []
    for platform, resolution in sorted(resolved.items()):
        same = next((platforms for platforms, other in groups if other == resolution), None)
        if same is None:
            groups.append(([platform], resolution))
        else:
            same.append(platform)
    return groups


def _pin_lines(pin: Pin) -> Iterator[str]:
    if not pin.hashes:
        yield f"{pin.name} = {{ version = {_text(pin.version)} }}"
        return
    yield f"{pin.name} = {{ version = {_text(pin.version)}, hashes = ["
    yield from (f"    {_text(value)}," for value in sorted(pin.hashes))
    yield "] }"


def _npm_lines(server: LockedNpm) -> Iterator[str]:
    yield from ("[[npm]]", f"name = {_text(server.name)}", f"inputs = {_text(server.inputs)}")
    yield from ("", "[npm.packages]")
    yield from (f"{_text(path)} = {_value(entry)}" for path, entry in sorted(server.packages.items()))


def _value(value: object) -> str:
    """Any value of npm's lock, on one line; version and hash come first."""
    if isinstance(value, Mapping):
        keys = sorted(value, key=lambda key: (key != "version", key != "integrity", key))
        pairs = ", ".join(f"{_key(key)} = {_value(value[key])}" for key in keys)
        return f"{{ {pairs} }}" if pairs else "{}"
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(_value, value))}]"
    return str(value).lower() if isinstance(value, bool) else _text(str(value))


def _key(name: str) -> str:
    return name if re.fullmatch(r"[A-Za-z0-9_-]+", name) else _text(name)


def _list(values: Sequence[str]) -> str:
    return f"[{', '.join(map(_text, values))}]"


def _text(value: str) -> str:
    """A basic string; TOML's escapes are those that JSON has, and one more."""
    escaped = value.replace("\\", "\\\\").replace('"', '\\"')
    return '"' + "".join(c if c.isprintable() else f"\\U{ord(c):08x}" for c in escaped) + '"'
