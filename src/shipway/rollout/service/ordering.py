"""People's words to a rollout, and the way back.

In: what is asked, by whom. Out: Done, in words. It is looked at whether it can be before it is kept; the next
round does it. Errors: RolloutError, where it cannot be.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from shipway.errors import RolloutError
from shipway.plan.deployment import CERTIFICATES
from shipway.rollout import machine
from shipway.rollout.docker import parts
from shipway.rollout.service.applying import at_once
from shipway.rollout.service.certificates import arrange
from shipway.rollout.service.messages import Done, ReleaseRow, Releases
from shipway.rollout.state import Asked

if TYPE_CHECKING:
    from collections.abc import Iterator

    from shipway.rollout.service.host import Host
    from shipway.rollout.state import Suite
    from shipway.rollout.store import Rollout
    from shipway.rollout_snapshot import What


def order(host: Host, what: What, by: str, reason: str) -> Done:
    """A person's word to the rollout that goes on."""
    rollout = _going(host)
    machine.step(rollout.plan, rollout.state, Asked(time.time(), what, by, reason))
    host.records.order(rollout.id, what, by, reason)
    done = {"pause": "paused", "resume": "resumed", "promote": "promoted", "abort": "aborted"}[what]
    return Done(f"the rollout of {rollout.state.canary} is {done}")


def suite(host: Host, verdict: Suite, canary: str) -> Done:
    """What the paired suite of a canary came to."""
    rollout = _going(host)
    if rollout.state.canary != canary:
        raise RolloutError(f"the rollout that goes on is of {rollout.state.canary}, not of {canary}")
    host.records.tell_suite(rollout.id, verdict)
    return Done(f"the paired suite of {canary}: {verdict}")


def rollback(host: Host, revision: str | None, by: str) -> Done:
    """To a revision that was deployed before, at once; without one to that before the one that users have."""
    current, stable = host.store.current(), host.records.stable
    if current and current.state.phase not in ("promoting", "aborting") and revision in (None, stable):
        return order(host, "abort", by, "rollback")
    if current and current.state.phase == "promoting" and revision in (None, current.state.stable):
        host.records.wish(current.state.stable, by)
        return Done(
            f"{current.state.stable} is finishing its turns; after that it comes up again, for all users"
        )
    if current:
        raise RolloutError(
            f"the rollout of {current.state.canary} goes on ({current.state.phase})",
            "wait until it has ended, or abort it first: shipway rollback without a revision",
        )
    wanted = revision or _former(host)
    if wanted == stable:
        return Done(f"{stable} is the stable revision already")
    found = host.records.find(wanted)
    if found is None:
        raise RolloutError(f"{wanted} was never deployed here", "shipway releases names what was")
    if not parts.has_images(host.engine, found.deployment.revision.containers):
        raise RolloutError(
            f"images of {wanted} are not on this machine any more", "deploy its release again: shipway deploy"
        )
    plan, now = at_once(found.deployment.rollout), time.time()
    host.records.keep(found.deployment, by, now)  # as one that is deployed: the newest, whose images stay
    host.store.begin(plan, machine.begin(wanted, stable or "", now), by)
    return Done(f"{wanted} comes up; all users are with it as soon as it is ready")


def certificates(host: Host, text: str) -> Done:
    """The router shows these from now on; nobody is disconnected."""
    newest = host.records.newest
    if newest is None or CERTIFICATES not in newest.router.secrets:
        raise RolloutError(
            "the router speaks plain HTTP", "deploy with certificates once: shipway deploy --tls"
        )
    try:
        rotated = host.values.put({CERTIFICATES: arrange(text)})
    except ValueError as error:
        raise RolloutError(str(error), "pipe in the certificate, those above it, and its key") from None
    return Done("the router shows them now" if rotated else "the router shows these already")


def grant(host: Host) -> None:
    """Go back, if somebody wished it while the one to go back to was ending."""
    if wish := host.records.wished:
        try:
            rollback(host, *wish)
        finally:
            host.records.wish(None, "")


def releases(host: Host) -> Releases:
    """What was deployed, the newest first."""
    rows = sorted(_rows(host), key=lambda row: row.at, reverse=True)
    return Releases(tuple(rows))


def _rows(host: Host) -> Iterator[ReleaseRow]:
    stable = host.records.stable
    known = {one.revision: one for one in host.records.all()}
    there = {
        name
        for name, one in known.items()
        if parts.has_images(host.engine, one.deployment.revision.containers)
    }

    def row(revision: str, at: float, by: str, ended: str, why: str = "") -> ReleaseRow:
        release = known[revision].deployment.revision.release if revision in known else ""
        return ReleaseRow(
            revision, release, at, by, ended, why, stable=revision == stable, kept=revision in there
        )

    for first in host.records.firsts():
        yield row(first.revision, first.at, first.by, "first")
    for rollout in host.store.all():
        by = next((line.who for line in host.store.history(rollout)), "")
        state = rollout.state
        yield row(state.canary, rollout.begun, by, state.phase, state.why)


def _former(host: Host) -> str:
    """The one that users had before."""
    stable = host.records.stable
    had = [rollout.state.stable for rollout in host.store.all() if rollout.state.phase == "promoted"]
    former = next((name for name in had if name != stable), None)
    if former is None:
        raise RolloutError("there is no revision to go back to: users never had another one")
    return former


def _going(host: Host) -> Rollout:
    rollout = host.store.current()
    if rollout is None:
        raise RolloutError("no rollout goes on")
    return rollout
