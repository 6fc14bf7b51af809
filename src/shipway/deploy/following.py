"""How a deployment comes up, and how its rollout goes: one status after the other, in words.

In: statuses as the controller gives them. Out: lines for people, each said once, and what it has come to.
Pure: no engine, and no clock but to show times.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Iterator

    from shipway.rollout.service.messages import PartStatus, RevisionStatus, Status
    from shipway.rollout_snapshot import Snapshot

Came = Literal["ready", "users", "promoted", "aborted", "paused", "failing"]
"""ready: everybody has it. users: its first users. promoted, aborted: the rollout's end. paused: somebody has
to say how it goes on. failing: it starts and ends, again and again."""

RESTARTS = 3
"""A container of a first revision that has ended so often does not come up by itself."""


LATE_S = 30.0
"""Of a controller that ends a round each second or so."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which revision is waited for, and until when: the end, or its first users."""

    revision: str
    end: bool = False


def came_to(status: Status, wanted: Wanted) -> Came | None:
    """What it has come to; None while that is open."""
    rollout = status.rollout
    if rollout is None or rollout.canary.revision != wanted.revision:
        return _first(status, wanted)
    if rollout.phase == "promoted":
        return "promoted"
    if rollout.phase == "aborted":
        return "aborted"
    if rollout.phase == "paused" and not wanted.end:
        return "paused"
    steps = len(rollout.steps) > 1
    return "users" if steps and not wanted.end and rollout.phase == "stepping" and rollout.percent else None


def _first(status: Status, wanted: Wanted) -> Came | None:
    stable = status.stable
    if stable is None or stable.revision != wanted.revision:
        return None
    if status.ready_since is not None and stable.health == "ready":
        return "ready"
    endings = any(one.restarts >= RESTARTS for one in stable.containers)
    return "failing" if endings and status.ready_since is None else None


def is_back(before: Status, status: Status) -> bool:
    """Whether a rollback that was asked for `before` has ended: another stable, or a rollout less."""
    if status.stable is None or status.stable.health != "ready":
        return False
    goes_on = status.rollout is not None and not status.rollout.ended
    was = before.rollout is not None and not before.rollout.ended
    changed = before.stable is None or before.stable.revision != status.stable.revision
    return not goes_on and (changed or was)


# -- In words ------------------------------------------------------------------------------------------------


def lines(status: Status, wanted: Wanted) -> Iterator[str]:
    """What is worth saying of a status; who shows it leaves out what was said before."""
    for part in (status.router, status.control):
        yield from _part(part)
    for one in (status.stable, status.canary):
        if one and one.revision == wanted.revision and one.health != "ready":
            yield from (f"not ready: {cause}" for cause in causes(one))
    yield from (f"trouble: {trouble}" for trouble in status.trouble)
    if status.rollout and status.rollout.canary.revision == wanted.revision:
        yield from stages(status.rollout)


def causes(revision: RevisionStatus) -> list[str]:
    """Why it is not ready: its containers first, then its checks."""
    found = [f"{one.name}: {one.cause}" for one in revision.containers if one.cause]
    for check in revision.checks:
        if check.state != "up":
            since = f" since {clock(check.since)}" if check.since else ""
            found.append(f"{check.name}, {check.error or check.state}{since}")
    return found


def stages(rollout: Snapshot) -> Iterator[str]:
    """The lines of its audit trail."""
    yield from (
        line.words if line.who == "shipway" else f"{line.who}: {line.words}" for line in rollout.trail
    )


def clock(at: float) -> str:
    """12:04, of this machine's time."""
    return time.strftime("%H:%M", time.localtime(at))


def is_late(status: Status, now: float) -> bool:
    """Whether the controller's last round is so long ago that it does not do its work."""
    return status.at is not None and now - status.at > LATE_S


def _part(part: PartStatus | None) -> Iterator[str]:
    if part and not part.healthy and (cause := part.cause or part.container.cause):
        yield f"{part.container.name}: {cause}"
