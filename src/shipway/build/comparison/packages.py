"""The packages of two sides -> which were added, removed and updated, and where: pure.

In: two `Side`s. Out: `VersionChange`s. Where both images were looked at they say more than releases: what a
base brought, how much larger a package became, and that one of the same version has other content.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from shipway.build.comparison.side import AGENT, placed, seen_packages
from shipway.build.comparison.values import compare_values

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from shipway.build.comparison.side import Side
    from shipway.build.inspection.difference import Difference, PackageChange


@dataclass(frozen=True, slots=True)
class VersionChange:
    """A package that differs: of which image, where in it; `place` is empty for the base's own.

    None where it is not there; equal versions say that its content changed. `grown` in bytes, where both
    images were looked at.
    """

    image: str
    place: str
    name: str
    before: str | None
    after: str | None
    grown: int | None = None


def compare_packages(before: Side, after: Side, image: Difference | None) -> Iterator[VersionChange]:
    """`image` is how the agent's images differ, if they were looked at."""
    old, new = _packages(before, bool(image)), _packages(after, bool(image))
    changes = image.packages if image else ()
    grown = {placed(change): change.size_after - change.size_before for change in changes}
    roles = old.keys() | new.keys() if before.images and after.images else {AGENT}
    for role in sorted(roles):
        was, now = old.get(role, {}), new.get(role, {})
        for place in sorted(was.keys() | now.keys()):
            for change in compare_values(was.get(place, {}), now.get(place, {})):
                size = grown.get((place, change.key)) if role == AGENT else None
                yield VersionChange(role, place, change.key, change.before, change.after, size)
    yield from (_rebuilt(change) for change in changes if change.before == change.after)


def _packages(side: Side, looked: bool) -> dict[str, Mapping[str, Mapping[str, str]]]:
    known: dict[str, Mapping[str, Mapping[str, str]]] = {}
    if side.contents:
        known |= side.contents.packages
    if looked and side.image:
        known[AGENT] = seen_packages(side.image)
    return known


def _rebuilt(change: PackageChange) -> VersionChange:
    place, name = placed(change)
    size = change.size_after - change.size_before
    return VersionChange(AGENT, place, name, change.before, change.after, size)
