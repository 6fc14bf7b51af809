"""What a deployment has, as processes of this machine: control, a router, the controller, revisions.

In: a directory, a project for each revision, the plan. Out: rounds of the controller; control is told how the
rollout stands, and what people order on its page is done. Everything ends with the stack that it was given.
"""

from __future__ import annotations

import contextlib
import dataclasses
import os
import secrets
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx2

from shipway.control_client import ControlClient
from shipway.deploy.processes import routers
from shipway.deploy.processes.stacks import Stacks
from shipway.errors import ControlError, RolloutError, StackError
from shipway.local.ports import LOOPBACK, next_free
from shipway.rollout.controller import Controller
from shipway.rollout.judge import Judge
from shipway.rollout.machine import begin
from shipway.rollout.service.snapshots import revision, snapshot
from shipway.rollout.state import Asked, Run, Weigh
from shipway.rollout.store import Store
from shipway.rollout.world import OneMachine
from shipway.rollout_snapshot import ORDERS_PATH, PATH
from shipway_runtime.contract import env

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from shipway.plan.rollout import RolloutPlan
    from shipway.rollout.state import Notice, State
    from shipway.rollout.store import Rollout
    from shipway.rollout.traffic.split import Traffic

START_S = 120.0
ROUND_S = 0.5


class Machine:
    """One deployment. `url` is where users come to; `page` is control, which `token` opens."""

    def __init__(
        self,
        place: Path,
        projects: Mapping[str, Path],
        plan: RolloutPlan,
        idle_s: float,
        tell: Callable[[tuple[Notice, ...]], None],
        wanted: str | None,
        stack: contextlib.ExitStack,
    ) -> None:
        self._plan, self._heard = plan, 0
        control, tokens = stack.enter_context(_control(place))
        self.page, self.token = f"{control}/#/{plan.name}/{plan.environment}/rollout", tokens["operate"]
        self._client = ControlClient(control, self.token, plan.name, plan.environment)
        stack.callback(self._client.close)
        judge = Judge(control, self.token, plan, idle_s)
        stack.callback(judge.close)
        port = next_free(8090, set())
        self.url = f"http://{LOOPBACK}:{port}"
        self._traffic = stack.enter_context(_router(wanted, port, place))
        variables = {env.CONTROL_URL: control, env.CONTROL_TOKEN: tokens["report"]}
        self._stacks = Stacks(projects, place / "volume", variables, port=8300)
        stack.callback(self._stacks.close)
        self._store = Store(place / "rollouts.db")
        self._world = OneMachine(self._stacks, self._traffic, judge, tell, self._store)
        stack.callback(self._world.close)
        self._controller = Controller(self._store, self._world, time.time)

    @property
    def router(self) -> str:
        return type(self._traffic).__name__

    @property
    def stable(self) -> str:
        """The revision that was settled last."""
        return self._stacks.stable

    def serve(self, first: str, later: str) -> None:
        """Have a revision before any rollout. Raises RolloutError where it does not get ready."""
        deadline = time.monotonic() + START_S
        while not _answers(f"{self.url}/readyz"):
            for action in (Run(first), Weigh(later, first, 0)):
                self._world.do(action)
            if time.monotonic() > deadline:
                raise RolloutError(f"{first} is not ready after {START_S:.0f} s")
            time.sleep(ROUND_S)

    def roll_out(self, canary: str, stable: str) -> Iterator[State]:
        """One rollout, from its begin to its end: how it stands after each round."""
        self._store.begin(self._plan, begin(canary, stable, time.time()), "demo")
        more = True
        while more:
            more = self._controller.tick()
            rollout = self._store.last()
            assert rollout
            with contextlib.suppress(ControlError):  # no rollout waits for control
                self._report(rollout)
            yield rollout.state
            time.sleep(ROUND_S)

    def gate(self, canary: str) -> dict[str, Any]:
        """What the gate says, and its evidence over time, as the page has them."""
        found: dict[str, Any] = self._client.ask("GET", f"/v1/gates/{canary}").json()
        return found

    @property
    def was_ordered(self) -> bool:
        """Whether somebody has used the page's buttons."""
        return self._heard > 0

    def _report(self, rollout: Rollout) -> None:
        """Tell control how it stands; take what people have ordered there."""
        for order in self._client.ask("GET", ORDERS_PATH, query={"after": str(self._heard)}).json():
            self._world.order(Asked(time.time(), order["what"], order["by"], order["reason"]))
            self._heard = order["number"]
        names = rollout.state.canary, rollout.state.stable
        canary, stable = (revision(name, self._world.health(name), ()) for name in names)
        now = snapshot(
            rollout,
            canary,
            stable,
            gate=self._world.opinion.gate,
            trail=self._store.history(rollout),
            trouble=self._controller.trouble,
            heard=self._heard,
            now=time.time(),
        )
        self._client.ask("PUT", PATH, json=dataclasses.asdict(now))


@contextlib.contextmanager
def _control(place: Path) -> Iterator[tuple[str, dict[str, str]]]:
    """Control as a process: its address, and a token for each role."""
    tokens = {role: secrets.token_hex(16) for role in ("report", "operate")}
    lines = "\n".join(f"{role} demo-{role} {token}" for role, token in tokens.items())
    port = next_free(8083, set())
    command = (sys.executable, "-m", "shipway.control", "--port", str(port), "--data", str(place / "control"))
    with (
        (place / "control.log").open("wb") as log,
        subprocess.Popen(
            command, env={**os.environ, env.CONTROL_TOKENS: lines}, stderr=log, start_new_session=True
        ) as process,
    ):
        try:
            _wait_for(f"http://{LOOPBACK}:{port}/readyz", process)
            yield f"http://{LOOPBACK}:{port}", tokens
        finally:
            process.terminate()


def _router(wanted: str | None, port: int, place: Path) -> contextlib.AbstractContextManager[Traffic]:
    if wanted == "haproxy":
        return routers.haproxy("haproxy", LOOPBACK, port, place)
    return routers.embedded(LOOPBACK, port) if wanted else routers.router(LOOPBACK, port, place)


def _wait_for(url: str, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + START_S
    while process.poll() is None and time.monotonic() < deadline:
        if _answers(url):
            return
        time.sleep(0.1)
    raise StackError(f"control is not ready at {url}")


def _answers(url: str) -> bool:
    with contextlib.suppress(httpx2.HTTPError):
        return httpx2.get(url, trust_env=False).status_code == 200
    return False
