"""Pins with the hashes of all files of a version -> the hash of the one wheel that was installed.

In: pins, and the directory that uv filled from them. Out: digests by name. uv does not keep what it took: it
is asked once more which files of the index fit the platform, and where several do, the installed WHEEL file
tells by its tags. What stays in doubt, or is not among the pins' hashes, is left out.
"""

from __future__ import annotations

import tomllib
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

from packaging.utils import InvalidWheelFilename, canonicalize_name, parse_wheel_filename

from shipway.build.environments.distributions import Distribution
from shipway.build.environments.uv import run_uv
from shipway.errors import BuildError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

Offer = dict[str, dict[str, str]]
"""Name -> file -> SHA-256 (hex) of the wheels that an index has for the platform."""

_HASH = "--hash=sha256:"


def pinned_hashes(pins: str) -> dict[str, frozenset[str]]:
    """The hashes that each pin allows, by name; one line a pin."""
    lines = (line.split() for line in pins.splitlines() if "==" in line)
    return {
        canonicalize_name(pin.partition("==")[0]): frozenset(
            word.removeprefix(_HASH) for word in options if word.startswith(_HASH)
        )
        for pin, *options in lines
    }


def pinned_distributions(pins: str, environment: str) -> tuple[Distribution, ...]:
    """What a shared base has, by the list that it brings; a hash where that allows no other."""
    versions = (line.split()[0].partition("==")[::2] for line in pins.splitlines() if "==" in line)
    hashes = pinned_hashes(pins)
    return tuple(
        Distribution(name, version, environment, digest=_only(hashes[canonicalize_name(name)]))
        for name, version in versions
    )


def _only(hashes: frozenset[str]) -> str:
    return f"sha256:{next(iter(hashes))}" if len(hashes) == 1 else ""


def offered_wheels(
    pins: str, options: Sequence[str], root: Path, scratch: Path, say: Callable[[str], None]
) -> Offer:
    """Which wheels fit, by uv's options for the platform; nothing for pins that leave no choice.

    uv has had the index's answers just now, and keeps them. `scratch` is a directory for two files.
    """
    open_ = [name for name, hashes in pinned_hashes(pins).items() if len(hashes) != 1]
    if not open_:
        return {}
    wanted, out = scratch / "wanted.txt", scratch / "pylock.toml"
    lines = [line.split()[0] for line in pins.splitlines() if "==" in line]
    wanted.write_text("".join(f"{line}\n" for line in lines))
    form = ("--format", "pylock.toml", "--no-deps", "--no-header", "--output-file", str(out))
    try:
        run_uv(("pip", "compile", str(wanted), *form, *options), "tell which wheels were installed", cwd=root)
    except BuildError as error:
        say(f"{len(open_)} distributions have no hash in the bill of materials: {error}")
        return {}
    return {
        canonicalize_name(package["name"]): dict(_wheel(wheel) for wheel in package.get("wheels", ()))
        for package in tomllib.loads(out.read_text(encoding="utf-8")).get("packages", ())
    }


def _wheel(wheel: Mapping[str, Any]) -> tuple[str, str]:
    place = wheel.get("name") or PurePosixPath(urlsplit(wheel.get("url") or wheel["path"]).path).name
    return unquote(place), wheel["hashes"].get("sha256", "")


def chosen_wheels(pins: str, offer: Offer, packages: Path) -> dict[str, str]:
    """The digest, "sha256:…", of each installed wheel of which it is known; `packages` is where they are."""
    tags = {_name(file): _tags(file) for file in packages.glob("*.dist-info/WHEEL")}
    found = {
        name: _choose(allowed, offer.get(name, {}), tags.get(name, frozenset()))
        for name, allowed in pinned_hashes(pins).items()
    }
    return {name: f"sha256:{sha256}" for name, sha256 in found.items() if sha256}


def _choose(allowed: frozenset[str], wheels: Mapping[str, str], tags: frozenset[str]) -> str:
    candidates = [sha256 for sha256 in wheels.values() if sha256 in allowed]
    if len(allowed) == 1:
        candidates = list(allowed)
    if len(candidates) > 1:
        candidates = [sha256 for file, sha256 in wheels.items() if sha256 in allowed and _fits(file, tags)]
    return candidates[0] if len(candidates) == 1 else ""


def _fits(file: str, tags: frozenset[str]) -> bool:
    try:
        return {str(tag) for tag in parse_wheel_filename(file)[3]} == tags
    except InvalidWheelFilename:
        return False


def _name(file: Path) -> str:
    return canonicalize_name(file.parent.name.partition("-")[0])


def _tags(file: Path) -> frozenset[str]:
    """What the wheel says that it is for, one tag a line."""
    lines = file.read_text(encoding="utf-8", errors="replace").splitlines()
    return frozenset(line.partition(":")[2].strip() for line in lines if line.startswith("Tag:"))
