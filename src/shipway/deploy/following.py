"""How a deployment comes up, and how its rollout goes: one status after the other, in words.

In: statuses as the controller gives them. Out: lines for people, each said once, and what it has come to.
Pure: no engine, and no clock but to show times.
"""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from shipway.plan.deployment import AGENT

if TYPE_CHECKING:
    from collections.abc import Iterator

    from shipway.rollout.service.messages import ContainerSeen, RevisionStatus, Status

Came = Literal["ready", "users", "promoted", "aborted", "paused", "failing"]
"""ready: everybody has it. users: its first users. promoted, aborted: the rollout's end. paused: somebody has
to say how it goes on. failing: it starts and ends, again and again."""

RESTARTS = 3
"""A container of a first revision that has ended so often does not come up by itself."""


LASTING_S = 5.0
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
    """Ready is what users would find so: through the router, which has its own mind of who is."""
    stable = status.stable
    if stable is None or stable.revision != wanted.revision:
        return None
    served = status.router is not None and status.router.healthy
    if status.ready_since is not None and stable.health == "ready" and served:
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


def stages(status: Status, wanted: Wanted) -> tuple[str, ...]:
    """The lines of the rollout's audit trail, which are said at once."""
    rollout = status.rollout
    if rollout is None or rollout.canary.revision != wanted.revision:
        return ()
    return tuple(one.words if one.who == "shipway" else f"{one.who}: {one.words}" for one in rollout.trail)


def troubles(status: Status, wanted: Wanted) -> tuple[str, ...]:
    """What is not well. While containers start that is a lot, and passes: worth saying when it lasts."""
    parts = [part for part in (status.router, status.control) if part and not part.healthy]
    if status.ready_since is None:  # a router in front of nobody says no more than that
        parts = [part for part in parts if part is not status.router or part.container.cause]
    revisions = [one for one in (status.stable, status.canary) if one and one.revision == wanted.revision]
    return (
        *(f"{part.container.name}: {part.cause or part.container.cause}" for part in parts),
        *(f"not ready: {cause}" for one in revisions if one.health != "ready" for cause in causes(one)),
        *(f"trouble: {trouble}" for trouble in status.trouble),
    )


class Telling:
    """Which lines are new; troubles are told once they have lasted for LASTING_S."""

    def __init__(self, wanted: Wanted) -> None:
        self._wanted = wanted
        self._said: set[str] = set()
        self._since: dict[str, float] = {}

    def lines(self, status: Status, now: float) -> Iterator[str]:
        """What is to be said of this status now."""
        lasting = troubles(status, self._wanted)
        self._since = {line: self._since.get(line, now) for line in lasting}
        told = [line for line in lasting if now - self._since[line] >= LASTING_S]
        for line in (*stages(status, self._wanted), *told):
            if line not in self._said:
                self._said.add(line)
                yield line


def causes(revision: RevisionStatus) -> list[str]:
    """Why it is not ready: its containers first, then its checks."""
    found = [f"{one.name}: {why}" for one in revision.containers if (why := one.cause or _again(one))]
    for check in revision.checks:
        if check.state not in ("up", "no"):  # `draining` is "no" as long as all is well
            since = f" since {clock(check.since)}" if check.since else ""
            found.append(f"{check.name.replace(':', ' ')}, {check.error or check.state}{since}")
    return found


def suspect(revision: RevisionStatus) -> str:
    """The container whose log may say more: one that does not run, one whose check is down, or the agent."""
    names = [one.name for one in revision.containers]
    ended = [one.name for one in revision.containers if one.cause]
    down = [check.name.replace(":", "-") for check in revision.checks if check.state == "down"]
    return next((name for name in (*ended, *down) if name in names), AGENT)


def _again(container: ContainerSeen) -> str:
    """Of one that runs at the moment."""
    return f"ended and was started again, {container.restarts} times so far" if container.restarts > 1 else ""


def readable(log: str) -> list[str]:
    """The lines of a log, each once: of ours, which are JSON, what they say."""
    return list(dict.fromkeys(line for entry in log.splitlines() for line in _said(entry)))


def _said(entry: str) -> list[str]:
    try:
        said = json.loads(entry)
        return [f"{said['level']}: {said['message']}", *said.get("exception", "").splitlines()]
    except (ValueError, KeyError, TypeError, AttributeError):
        return [entry]


def clock(at: float) -> str:
    """12:04, of this machine's time."""
    return time.strftime("%H:%M", time.localtime(at))


def is_late(status: Status, now: float) -> bool:
    """Whether the controller's last round is so long ago that it does not do its work."""
    return status.at is not None and now - status.at > LATE_S
