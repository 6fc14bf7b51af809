"""A deployment that is asked for: the first one, a rollout, or what is there already.

In: an Apply. Out: Applied. The rounds do the rest. Errors: RolloutError, where secrets are missing or another
rollout goes on; then nothing has changed.
"""

from __future__ import annotations

import dataclasses
import time
from typing import TYPE_CHECKING

from shipway.errors import RolloutError
from shipway.plan.deployment import MADE, needed_secrets
from shipway.plan.rollout import AT_ONCE, Step
from shipway.rollout import machine
from shipway.rollout.service.messages import Applied

if TYPE_CHECKING:
    from shipway.plan.deployment import Deployment
    from shipway.plan.rollout import RolloutPlan
    from shipway.rollout.service.host import Host
    from shipway.rollout.service.messages import Apply, What


def apply(host: Host, asked: Apply) -> Applied:
    """Take it."""
    deployment = asked.deployment
    _check(host, deployment, asked.secrets)
    revision, now = deployment.revision.id, time.time()
    what = _what(host, revision)
    rotated = host.values.put(asked.secrets)
    host.records.keep(deployment, asked.by, now)
    if what == "first":
        host.records.first(revision, asked.by, now)
    elif what == "rollout":
        plan = at_once(deployment.rollout) if asked.at_once else deployment.rollout
        stable = host.records.stable or ""
        host.store.begin(plan, machine.begin(revision, stable, now), asked.by)
    host.records.make_newest(revision)
    return Applied(what, revision, _words(host, what, revision, rotated), rotated)


def at_once(plan: RolloutPlan) -> RolloutPlan:
    """Everybody as soon as it is ready, and nothing that judges."""
    return dataclasses.replace(plan, steps=(Step(AT_ONCE),), metrics={}, suite=False)


def _check(host: Host, deployment: Deployment, secrets: dict[str, str]) -> None:
    if deployment.project != host.project:
        raise RolloutError(f"this is the controller of {host.project}, not of {deployment.project}")
    needed = {name: who for name, who in needed_secrets(deployment).items() if name not in MADE}
    missing = sorted(needed.keys() - secrets.keys() - host.values.names)
    if missing:
        names = ", ".join(f"{name} (for {', '.join(needed[name])})" for name in missing)
        raise RolloutError(f"secrets without a value: {names}", "give them one where you deploy from")


def _what(host: Host, revision: str) -> What:
    """What it comes to. Raises RolloutError where something else goes on."""
    current, stable = host.store.current(), host.records.stable
    if current and current.state.canary == revision:
        return "goes-on"
    if current:
        raise RolloutError(
            f"a rollout of {current.state.canary} goes on ({current.state.phase})",
            "wait for it, or end it: shipway rollout abort",
        )
    if stable == revision:
        return "same"
    never_ready = host.records.ready_since is None and host.store.last() is None
    return "first" if stable is None or never_ready else "rollout"


def _words(host: Host, what: What, revision: str, rotated: tuple[str, ...]) -> str:
    words = {
        "first": f"{revision} is the first revision here; it has all users as soon as it is ready",
        "rollout": f"{revision} is rolled out over {host.records.stable}",
        "goes-on": f"the rollout of {revision} goes on",
        "same": f"{revision} is the stable revision already",
    }[what]
    return f"{words}; secrets with a new value: {', '.join(rotated)}" if rotated else words
