"""Pinned lines of requirements files <-> pins: pure.

In: text such as `six==1.17.0 --hash=sha256:…`. Out: `Pin` values, and text again.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from packaging.utils import canonicalize_name

from shipway.spec.shipwaylock import Pin

if TYPE_CHECKING:
    from collections.abc import Iterable

_PIN = re.compile(
    r"(?P<name>[A-Za-z0-9][A-Za-z0-9._-]*)\s*(?:\[[^\]]*\])?\s*==\s*(?P<version>[^\s;,*()=]+)\s*(?:;|$)"
)


def lines_by_name(text: str) -> dict[str, str]:
    """The lines of pins as `to_text` writes them, one each, by name."""
    return {line.partition("==")[0]: line for line in text.splitlines() if "==" in line}


def version_of(line: str) -> str:
    """The version in such a line."""
    return line.partition("==")[2].partition(" ")[0]


def to_text(pins: Iterable[Pin]) -> str:
    """One line a pin, with its hashes."""
    return "".join(" ".join([key_of(pin), *(f"--hash={h}" for h in pin.hashes)]) + "\n" for pin in pins)


def key_of(pin: Pin) -> str:
    """`name==version`."""
    return f"{pin.name}=={pin.version}"


def _pin(requirement: str, hashes: Iterable[str]) -> Pin:
    name, _, version = requirement.partition("==")
    return Pin(name, version, tuple(sorted(h.removeprefix("--hash=") for h in hashes)))


def read_pins(text: str) -> list[Pin]:
    """Each pinned line of a requirements file."""
    return [_pin(requirement, hashes) for requirement, hashes in parse_pins(text)]


def hashes_in(text: str) -> dict[str, tuple[str, ...]]:
    """`name==version` -> its hashes, as the project's own lock gives them."""
    return {key_of(pin): pin.hashes for pin in read_pins(text) if pin.hashes}


def parse_pins(text: str) -> list[tuple[str, tuple[str, ...]]]:
    """`name==version` and its `--hash=…` options, for each pinned line of a requirements file."""
    pins = []
    for line in text.replace("\\\n", " ").splitlines():
        requirement, *options = re.split(r"\s+(?=--hash[= ])", line.partition(" #")[0].strip())
        if requirement and not requirement.startswith(("-", "#")) and "==" in requirement:
            pins.append((_bare(requirement), tuple(o.replace("--hash ", "--hash=") for o in options)))
    return [pin for pin in pins if "==" in pin[0]]


def _bare(requirement: str) -> str:
    """The pin without extras and marker, its name as indexes spell it; empty for what is none.

    A parser of all that a requirement may be takes 15 ms to import; uv says what is wrong with a line.
    """
    pin = _PIN.match(requirement)
    return f"{canonicalize_name(pin['name'])}=={pin['version']}" if pin else ""
