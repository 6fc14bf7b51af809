"""Users while a rollout ends: whether a turn is lost when one of two revisions is taken away.

In: nothing. Out: rows. Two real agents that share a volume, the real controller and its store, our routers;
people in conversations of several turns, half of them streamed, who check that the agent knows what was said
before. At half of the traffic each, somebody promotes the canary, or aborts.
"""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import threading
import time
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import httpx2
from loopback import free_port
from table import Row

from shipway.deploy.processes import routers
from shipway.plan.rollout import RolloutPlan, Step
from shipway.rollout.controller import Controller
from shipway.rollout.machine import begin
from shipway.rollout.state import ENDED, Asked
from shipway.rollout.store import Store
from shipway.rollout.world import OneMachine

if TYPE_CHECKING:
    from collections.abc import Iterator

    from shipway.rollout.state import Suite

PEOPLE, TURNS, PAUSE_S = 24, 4, 0.15
BEFORE_S, AFTER_S, PATIENCE_S = 5.0, 3.0, 60.0
PLAN = RolloutPlan("bench", "development", (Step(50, 3600.0), Step(100)))
AGENT = """
import asyncio
async def agent(messages):
    for word in ("said", str(sum(message["role"] == "user" for message in messages))):
        await asyncio.sleep(0.05)
        yield word + " "
"""


@dataclass
class Agents:
    """A runner: each revision is a process of the runtime."""

    place: Path
    processes: dict[str, tuple[subprocess.Popen[bytes], int]] = field(default_factory=dict)
    ending: set[str] = field(default_factory=set)

    def run(self, revision: str) -> None:
        if revision in self.processes:
            return
        port = free_port()
        own = {
            "SHIPWAY_ENV": "development",
            "SHIPWAY_REVISION": revision,
            "SHIPWAY_HOST": "127.0.0.1",
            "SHIPWAY_MANIFEST": str(self.place / "shipway.json"),
            "SHIPWAY_SOURCE": str(self.place),
            "SHIPWAY_STORAGE": str(self.place / "data"),
            "SHIPWAY_API_PORT": str(port),
            "SHIPWAY_ADMIN_PORT": str(free_port()),
        }
        quiet = subprocess.DEVNULL
        command = (sys.executable, "-m", "shipway_runtime")
        process = subprocess.Popen(command, env=os.environ | own, cwd=self.place, stdout=quiet, stderr=quiet)
        self.processes[revision] = process, port

    def end(self, revision: str) -> None:
        """Once: a second signal would not wait for turns."""
        if revision not in self.ending:
            self.ending.add(revision)
            self.processes[revision][0].send_signal(signal.SIGTERM)

    def address(self, revision: str) -> tuple[str, int] | None:
        found = self.processes.get(revision)
        return ("127.0.0.1", found[1]) if found and found[0].poll() is None else None

    def settle(self, revision: str) -> None: ...

    def evaluate(self, canary: str, stable: str) -> Suite:
        return "broken"

    def close(self) -> None:
        for process, _ in self.processes.values():
            process.kill()
            process.wait()


@dataclass
class People:
    """Who talk until `stop` is set; everything that they were told wrongly is in `lost`."""

    url: str
    stop: threading.Event = field(default_factory=threading.Event)
    answered: list[float] = field(default_factory=list)
    lost: list[str] = field(default_factory=list)

    def begin(self) -> list[threading.Thread]:
        threads = [threading.Thread(target=self._live, args=(number,)) for number in range(PEOPLE)]
        for thread in threads:
            thread.start()
        return threads

    def _live(self, number: int) -> None:
        chance = random.Random(number)  # noqa: S311
        with httpx2.Client(base_url=self.url, timeout=30, trust_env=False) as http:
            while not self.stop.is_set():
                known: dict[str, str] = {}
                for turn in range(1, TURNS + 1):
                    time.sleep(chance.uniform(0.5, 1.5) * PAUSE_S)
                    stream = chance.random() < 0.5
                    try:
                        said = ask(http, {"input": "hello", "stream": stream, **known})
                        text = said["output"][0]["content"][0]["text"].strip()
                    except (httpx2.HTTPError, ValueError, LookupError) as error:
                        self.lost.append(f"turn {turn}, stream {stream}: {type(error).__name__}: {error}")
                        break
                    if text != f"said {turn}":
                        self.lost.append(f"turn {turn}: the agent {text!r}")
                        break
                    self.answered.append(time.time())
                    known = {"previous_response_id": said["id"]}


def ask(http: httpx2.Client, body: dict[str, Any]) -> dict[str, Any]:
    """The response. Raises ValueError for an answer that is none, or a stream that ends early."""
    answer = http.post("/v1/responses", json=body)
    if answer.status_code != 200:
        raise ValueError(f"HTTP {answer.status_code}: {answer.text[:200]}")
    if not body["stream"]:
        return dict(answer.json())
    events = [json.loads(line[6:]) for line in answer.text.splitlines() if line.startswith("data: ")]
    if not events or events[-1]["type"] != "response.completed":
        raise ValueError(f"the stream ended with {answer.text[-200:]!r}")
    return dict(events[-1]["response"])


def scene(name: Literal["HAProxy", "embedded"], order: Literal["promote", "abort"]) -> People:
    """One rollout under one router, which a person ends."""
    with ExitStack() as stack:
        place = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="bench-")))
        (place / "agent.py").write_text(AGENT)
        (place / "shipway.json").write_text('{"name": "bench", "entrypoint": "agent:agent"}')
        port = free_port()
        traffic = stack.enter_context(
            routers.haproxy("haproxy", "127.0.0.1", port, place)
            if name == "HAProxy"
            else routers.embedded("127.0.0.1", port)
        )
        agents = Agents(place)
        stack.callback(agents.close)
        store = Store(place / "rollouts.db")
        world = OneMachine(agents, traffic, None, lambda notices: None, store)
        stack.callback(world.close)
        controller = Controller(store, world, time.time)
        store.begin(PLAN, begin("new", "old", time.time()), "bench")
        rounds(controller, lambda: phase(store) == "stepping" and world.health("old") == "ready")
        people = People(f"http://127.0.0.1:{port}")
        threads = people.begin()
        try:
            rounds(controller, after(BEFORE_S))
            world.order(Asked(time.time(), order, "bench"))
            rounds(controller, lambda: phase(store) in ENDED)
            rounds(controller, after(AFTER_S))
        finally:
            people.stop.set()
            for thread in threads:
                thread.join()
    return people


def phase(store: Store) -> str:
    last = store.last()
    return last.state.phase if last else ""


def rounds(controller: Controller, done: Any) -> None:
    """The controller's rounds, until that is so."""
    deadline = time.monotonic() + PATIENCE_S
    while not done():
        controller.tick()
        if time.monotonic() > deadline:
            raise SystemExit(f"the rollout does not get on: {controller.trouble}")
        time.sleep(0.2)


def after(seconds: float) -> Any:
    end = time.monotonic() + seconds
    return lambda: time.monotonic() > end


def rows() -> Iterator[Row]:
    """Turns that were answered and lost, for each router and each end."""
    words = {"promote": "promoted", "abort": "rolled back"}
    for name in ("HAProxy", "embedded"):
        for order, what in words.items():
            people = scene(name, order)  # type: ignore[arg-type]
            for lost in people.lost[:5]:
                print(f"{name}, {what}: {lost}", file=sys.stderr)
            yield Row(f"{name}: {what} under load, turns answered", "", float(len(people.answered)), "")
            yield Row(f"{name}: {what} under load, turns lost", "", float(len(people.lost)), "0")
