"""A base that already has distributions -> what an agent on it still needs.

In: an agent's pins, and those that a shared base says it has (/app/base.txt). Out: the pins that are left to
install; findings for those that the base has in another version, which nothing in a higher layer can mend.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from shipway.build.environments.pins import lines_by_name, version_of
from shipway.errors import Finding, SpecError
from shipway.spec.shipwaylock import Pin, Resolution

if TYPE_CHECKING:
    from collections.abc import Iterator

PINS = "base.txt"
"""Below /app of a shared base: the distributions of its environment, as a requirements file."""


def lacking(pins: str, there: str, base: str) -> str:
    """The lines of `pins` that are not `there`. Raises SpecError when versions conflict."""
    if findings := conflicts(pins, there, base):
        raise SpecError(findings)
    has = lines_by_name(there)
    return "".join(f"{line}\n" for name, line in lines_by_name(pins).items() if name not in has)


def conflicts(pins: str, there: str, base: str) -> list[Finding]:
    """A finding for each distribution that the base has otherwise than the agent wants it."""
    return list(_conflicts(lines_by_name(pins), lines_by_name(there), base))


def preferred(there: str, before: Resolution | None = None) -> Resolution | None:
    """The versions for whoever may still choose: the base's, then those of `before`; None without any."""
    pins = {pin.name: pin for pin in before.pins} if before else {}
    pins |= {name: Pin(name, version_of(line)) for name, line in lines_by_name(there).items()}
    return Resolution(tuple(pins.values())) if pins else None


def merged(pins: str, there: str) -> str:
    """What a base on top of a shared base has, by name."""
    both = lines_by_name(there) | lines_by_name(pins)
    return "".join(f"{both[name]}\n" for name in sorted(both))


def _conflicts(wanted: dict[str, str], has: dict[str, str], base: str) -> Iterator[Finding]:
    for name in sorted(wanted.keys() & has.keys()):
        here, there = version_of(wanted[name]), version_of(has[name])
        if here != there:
            message = f"the project wants {name} {here}, and the base {base} has {there}"
            fix = f"lock {name}=={there} (`uv lock --upgrade-package {name}=={there}`), or make the base anew"
            yield Finding("base-conflict", message, fix, "agent.toml")
        elif not set(wanted[name].split()[1:]) & set(has[name].split()[1:]):
            message = f"{name} {here} of the base {base} was made from another file than the project locks"
            yield Finding(
                "base-conflict", message, "make the base anew from the project's index", "agent.toml"
            )
