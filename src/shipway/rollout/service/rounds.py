"""Rounds: again and again, all of a deployment is made so, and then its rollout goes on.

In: a Host. Out: whether a rollout goes on; what a round could not do is in `trouble`, and is tried again. No
part waits for another one that fails: users come before what judges, and control before nobody.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, TypeVar

from shipway.errors import RolloutError
from shipway.plan.deployment import LABEL
from shipway.rollout.controller import Controller
from shipway.rollout.docker import parts
from shipway.rollout.docker.api import labelled
from shipway.rollout.docker.definition import REVISION
from shipway.rollout.judge import Judge
from shipway.rollout.service.ordering import grant
from shipway.rollout.service.reporting import Reporting
from shipway.rollout.state import Run, Weigh
from shipway.rollout.traffic.haproxy import HAProxy
from shipway.rollout.world import OneMachine
from shipway_runtime import contract

if TYPE_CHECKING:
    from collections.abc import Callable

    from shipway.plan.deployment import Deployment
    from shipway.rollout.service.host import Host
    from shipway.rollout.service.notices import Notices
    from shipway.rollout.state import Notice
    from shipway.rollout.store import Rollout

T = TypeVar("T")

KEPT = 5
"""Revisions whose images stay, the stable one not counted: as far back as `rollback` takes seconds."""

NOBODY = ""
"""In the place of a canary where there is none."""


class Rounds:
    """Of one deployment."""

    def __init__(self, host: Host, notices: Notices) -> None:
        self._host, self._notices = host, notices
        self._reporting = Reporting(host)
        self._world: OneMachine | None = None
        self._judge: Judge | None = None
        self._known: object = None
        self._found: list[str] = []
        self.trouble: tuple[str, ...] = ()

    def round(self) -> bool:
        """One round; whether there is more to do soon."""
        self._found = []
        busy = self._attempt(self._make_all) or False
        if self._notices.trouble:
            self._found.append(self._notices.trouble)
        self.trouble = tuple(dict.fromkeys(self._found))
        return busy

    def close(self) -> None:
        """End its connections."""
        self._forget_world()
        self._reporting.close()

    def _attempt(self, what: Callable[..., T], *arguments: Any) -> T | None:
        """What it returns; None where it did not work, which is remembered."""
        try:
            return what(*arguments)
        except RolloutError as error:
            self._found.append(str(error))
            return None

    def _make_all(self) -> bool:
        host = self._host
        deployment = host.records.newest
        if deployment is None:
            return False
        self._attempt(self._join)
        self._attempt(host.site.ensure_control, deployment)
        self._attempt(host.site.ensure_router, deployment)
        rollout = host.store.last()
        if rollout is None:
            self._attempt(self._serve, deployment)
            self._attempt(self._end_others)
            return host.records.ready_since is None
        self._attempt(self._roll, deployment, rollout)
        rollout = host.store.last() or rollout
        self._attempt(self._report, deployment, rollout)
        if rollout.state.ended:
            self._attempt(self._end_others)
            self._attempt(self._prune)
            self._attempt(grant, host)
        return host.store.current() is not None

    def _join(self) -> None:
        self._host.revisions.network = self._host.site.ensure_network()

    def _report(self, deployment: Deployment, rollout: Rollout) -> None:
        gate = self._world.gate if self._world else None
        self._reporting.report(deployment, rollout, gate, "; ".join(self._found))

    # -- Revisions -------------------------------------------------------------------------------------------

    def _serve(self, deployment: Deployment) -> None:
        """The first revision has everybody, from the start."""
        records = self._host.records
        stable = records.stable
        if stable is None:
            return
        world = self._world_of(deployment, None)
        world.do(Run(stable))
        world.do(Weigh(NOBODY, stable, 0))
        if records.ready_since is None and world.health(stable) == "ready":
            records.was_ready(time.time())

    def _roll(self, deployment: Deployment, rollout: Rollout) -> None:
        world = self._world_of(deployment, rollout)
        number, orders = self._host.records.orders(rollout.id, time.time())
        for order in orders:
            world.order(order)
        rolling = Controller(self._host.store, world, time.time)
        rolling.tick()
        if number:
            self._host.records.take(number)
        if rolling.trouble:
            self._found.append(rolling.trouble)

    def _world_of(self, deployment: Deployment, rollout: Rollout | None) -> OneMachine:
        """The same as long as the rollout is the same, and control is where it was."""
        url = self._host.control_url(deployment)
        known = (url, rollout.id if rollout else None)
        if self._world is None or known != self._known:
            self._forget_world()
            if rollout and rollout.plan.watched:
                self._judge = Judge(url, self._host.secrets.own_token, rollout.plan)
            self._world = OneMachine(
                self._host.revisions,
                HAProxy(self._host.site.socket),
                self._judge,
                self._tell,
                self._host.store,
                health_port=contract.ADMIN_PORT,
            )
            self._known = known
        return self._world

    def _forget_world(self) -> None:
        for part in (self._world, self._judge):
            if part:
                part.close()
        self._world = self._judge = None

    def _tell(self, notices: tuple[Notice, ...]) -> None:
        rollout = self._host.store.last()
        if rollout and rollout.plan.notify:
            self._notices.keep(rollout, notices)

    # -- What is not needed any more -------------------------------------------------------------------------

    def _end_others(self) -> None:
        """While no rollout goes on, nothing runs but the stable revision."""
        host = self._host
        labels = labelled({LABEL: host.project})
        seen = host.engine.do("GET", "/containers/json", all=True, filters=labels)
        there = {str(one["Labels"].get(REVISION, "")) for one in seen}
        for revision in there - {"", host.records.stable}:
            host.revisions.end(revision)

    def _prune(self) -> None:
        """Images of revisions of long ago."""
        host = self._host
        stable = host.records.stable
        former = [one for one in host.records.kept() if one.revision != stable]
        for old in former[KEPT:]:
            containers = old.deployment.revision.containers
            parts.forget_images(host.engine, host.project, old.revision, containers)
            host.records.prune(old.revision)
