"""The machine of the demonstration without Docker: what a deployment has, as processes. Control, a router,
the controller's rounds; revisions are stacks of `shipway up`.

In: a directory, a project for each revision. Control is told how the rollout stands, and what people order on
its page is done.
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
from demo_machine import AGENT

from shipway.control_client import ControlClient
from shipway.deploy.processes import routers
from shipway.deploy.processes.stacks import Stacks
from shipway.errors import ControlError, RolloutError, StackError
from shipway.local.ports import LOOPBACK, next_free
from shipway.plan.rollout import plan_rollout
from shipway.rollout.controller import Controller
from shipway.rollout.judge import Judge
from shipway.rollout.machine import begin
from shipway.rollout.service.snapshots import revision, snapshot
from shipway.rollout.state import Asked, Run, Weigh
from shipway.rollout.store import Store
from shipway.rollout.world import OneMachine
from shipway.rollout_snapshot import ORDERS_PATH, PATH
from shipway.spec.load import DEVELOPMENT, load
from shipway_runtime.contract import env

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from shipway.rollout.store import Rollout
    from shipway.rollout.traffic.split import Traffic
    from shipway.rollout_snapshot import Snapshot

START_S = 120.0
ROUND_S = 0.5


class Processes:
    """See Machine. `wanted` is a kind of router."""

    def __init__(
        self,
        place: Path,
        projects: Mapping[str, Path],
        tell: Callable[[str], None],
        wanted: str | None,
        stack: contextlib.ExitStack,
    ) -> None:
        self._names, self._heard = tuple(projects), 0
        self._plan = plan = plan_rollout(load(projects[self._names[0]], DEVELOPMENT).spec, DEVELOPMENT)
        control, tokens = stack.enter_context(_control(place))
        self._page = f"{control}/#/{AGENT}/{DEVELOPMENT}/rollout", tokens["operate"]
        self._client = stack.enter_context(ControlClient(control, tokens["operate"], AGENT, DEVELOPMENT))
        judge = Judge(control, tokens["operate"], plan)
        stack.callback(judge.close)
        port = next_free(8090, set())
        self.url = f"http://{LOOPBACK}:{port}"
        self._traffic = stack.enter_context(_router(wanted, port, place))
        variables = {env.CONTROL_URL: control, env.CONTROL_TOKEN: tokens["report"]}
        self._stacks = Stacks(projects, place / "volume", variables, port=8300)
        stack.callback(self._stacks.close)
        self._store = Store(place / "rollouts.db")
        self._world = OneMachine(
            self._stacks,
            self._traffic,
            judge,
            lambda notices: [tell(notice.words) for notice in notices],
            self._store,
        )
        stack.callback(self._world.close)
        self._controller = Controller(self._store, self._world, time.time)

    def serve(self, first: str) -> str:
        """See Machine."""
        deadline = time.monotonic() + START_S
        while not _answers(f"{self.url}/readyz"):
            for action in (Run(first), Weigh(self._names[1], first, 0)):
                self._world.do(action)
            if time.monotonic() > deadline:
                raise RolloutError(f"{first} is not ready after {START_S:.0f} s")
            time.sleep(ROUND_S)
        self._stacks.settle(first)
        return f"{type(self._traffic).__name__}, on this machine"

    def roll_out(self, canary: str) -> Iterator[Snapshot]:
        """See Machine."""
        self._store.begin(self._plan, begin(canary, self._stacks.stable, time.time()), "demo")
        more = True
        while more:
            more = self._controller.tick()
            rollout = self._store.last()
            assert rollout
            now = self._look(rollout)
            with contextlib.suppress(ControlError):  # no rollout waits for control
                self._report(now)
            yield now
            time.sleep(ROUND_S)

    def gate(self, canary: str) -> dict[str, Any]:
        """See Machine."""
        found: dict[str, Any] = self._client.ask("GET", f"/v1/gates/{canary}").json()
        return found

    def revision(self, name: str) -> str:
        """See Machine."""
        return name

    def page(self) -> tuple[str, str]:
        """See Machine."""
        return self._page

    def _look(self, rollout: Rollout) -> Snapshot:
        names = rollout.state.canary, rollout.state.stable
        canary, stable = (revision(name, self._world.health(name), ()) for name in names)
        return snapshot(
            rollout,
            canary,
            stable,
            gate=self._world.gate,
            trail=self._store.history(rollout),
            trouble=self._controller.trouble,
            heard=self._heard,
            now=time.time(),
        )

    def _report(self, now: Snapshot) -> None:
        """Tell control how it stands; take what people have ordered there."""
        for order in self._client.ask("GET", ORDERS_PATH, query={"after": str(self._heard)}).json():
            self._world.order(Asked(time.time(), order["what"], order["by"], order["reason"]))
            self._heard = order["number"]
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
