"""Two rollouts, from end to end: `make demo-rollout`.

07-canary has users. First a revision with a worse prompt is rolled out: the gate finds it by the
conversations that it had, and it is rolled back. Then one with a better prompt goes all the way. Everything
but the users is what a deployment has: the controller and its store, control, HAProxy (the embedded router
where there is none), agents and their replayed model; revisions are stacks of `shipway up`, so that no
container engine is needed. Exits with 0 only if the first one was rolled back, the second one promoted, and
no turn was lost and no conversation moved while its revision had users.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
import textwrap
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx2
from demo_users import Users

from shipway.control_client import ControlClient
from shipway.deploy.processes import routers
from shipway.deploy.processes.stacks import Stacks
from shipway.errors import ControlError, RolloutError, ShipwayError, StackError
from shipway.local.ports import LOOPBACK, next_free
from shipway.plan.rollout import RolloutPlan, Step
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
    from collections.abc import Iterator

    from shipway.rollout.state import Notice, State
    from shipway.rollout.traffic.split import Traffic

EXAMPLE = Path(__file__).parent / "07-canary"
PROMPT = "prompts/system.md"
NAME, ENVIRONMENT = "orders", "development"
GOOD, WORSE, BETTER = "r1", "r2", "r3"
GUIDED = "Look an order up with the tool `order` before you say where it is. Never guess."
PROMPTS = {
    GOOD: (GUIDED, GUIDED),
    WORSE: (GUIDED, "Answer at once. Nobody likes to wait for the tool `order`."),
    BETTER: ("a shop for gardeners.", "a shop for gardeners. Be kind."),
}
IDLE_S = 8.0
"""A conversation is over when nothing was said for so long; outside a demonstration, five minutes. It is
longer than a live score takes on a machine that is busy with all of this."""

MARGIN = 0.1
"""How much worse a canary may be. Less takes more conversations than a demonstration has time for."""

PATIENCE_S = 240.0
ROUND_S = 0.5
SHOW_S = 5.0
REPORT_S = 1.0
INDENT = " " * 10
START_S = 20.0


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument(
        "--router", choices=["haproxy", "embedded"], help="default: HAProxy where it is on PATH"
    )
    parser.add_argument("--users", type=int, default=8, help="how many people talk at once")
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    place = Path(tempfile.mkdtemp(prefix="shipway-"))
    try:
        with contextlib.ExitStack() as stack:
            code = Demonstration(place, options, stack).run()
    except KeyboardInterrupt:
        say("ended")
        code = 130
    except ShipwayError as error:
        code = fail(f"{error}\n{error.hint}".strip())
    if code == 1:
        print(f"what every process said is in {place}", file=sys.stderr)
    else:
        shutil.rmtree(place)
    return code


@dataclass(frozen=True)
class Ended:
    """What became of a rollout: its last state, when it was decided, and the gate of then."""

    state: State
    decided: float
    gate: dict[str, Any]


class Demonstration:
    """Everything that runs; what `stack` is given ends with it."""

    def __init__(self, place: Path, options: argparse.Namespace, stack: contextlib.ExitStack) -> None:
        self.began = time.monotonic()
        self.plan = RolloutPlan(
            name=NAME,
            environment=ENVIRONMENT,
            steps=(Step(25, 20.0), Step(50), Step(100)),
            metrics={"live": MARGIN, "errors": MARGIN},
        )
        self.control, tokens = stack.enter_context(control(place))
        self.gates = ControlClient(self.control, tokens["operate"], NAME, ENVIRONMENT)
        stack.callback(self.gates.close)
        self.judge = Judge(self.control, tokens["operate"], self.plan, IDLE_S)
        stack.callback(self.judge.close)
        variables = {env.CONTROL_URL: self.control, env.CONTROL_TOKEN: tokens["report"]}
        port = next_free(8090, set())
        self.traffic = stack.enter_context(router(options.router, port, place))
        self.stacks = Stacks(projects(place), place / "volume", variables)
        stack.callback(self.stacks.close)
        self.store = Store(place / "rollouts.db")
        self.world = OneMachine(self.stacks, self.traffic, self.judge, self.tell, self.store)
        stack.callback(self.world.close)
        self.controller = Controller(self.store, self.world, time.time)
        self.users = Users(f"http://{LOOPBACK}:{port}", options.users)
        stack.callback(self.users.close)
        self.token = tokens["operate"]
        self.heard = 0

    def run(self) -> int:
        self.serve_stable()
        say(f"{WORSE} is rolled out over {GOOD}; its prompt is worse:")
        show_change(WORSE)
        worse = self.roll_out(WORSE, GOOD)
        if worse.state.phase != "aborted":
            return fail(f"expected {WORSE} to be rolled back, and it is {worse.state.phase}")
        say(f"{BETTER} is rolled out over {GOOD}:")
        show_change(BETTER)
        better = self.roll_out(BETTER, GOOD)
        self.users.close()
        if better.state.phase != "promoted" or self.stacks.stable != BETTER:
            return fail(
                f"expected {BETTER} to be promoted, and it is {better.state.phase}: {better.state.why}"
            )
        return self.conclude(worse, better)

    def serve_stable(self) -> None:
        """What was there before any rollout, and its users."""
        deadline = time.monotonic() + PATIENCE_S
        while not answers(f"{self.users.url}/readyz"):
            for action in (Run(GOOD), Weigh(WORSE, GOOD, 0)):
                self.world.do(action)
            if time.monotonic() > deadline:
                raise RolloutError(f"{GOOD} is not ready after {PATIENCE_S:.0f} s")
            time.sleep(ROUND_S)
        say(f"{GOOD} serves users at {self.users.url}, through {type(self.traffic).__name__}")
        page = f"{self.control}/#/{NAME}/{ENVIRONMENT}/rollout"
        say(f"control's page, where you may also pause and abort: {page}, token: {self.token}")
        self.users.come()

    def roll_out(self, canary: str, stable: str) -> Ended:
        """The controller's rounds, until the rollout has ended."""
        self.store.begin(self.plan, begin(canary, stable, time.time()), "demo")
        decided, gate, shown, told = 0.0, {}, 0.0, 0.0
        deadline = time.monotonic() + PATIENCE_S
        while self.controller.tick():
            state = self.state
            if state.phase in ("aborting", "promoting") and not decided:
                decided, gate = state.since, self.gate(canary)
            if state.phase == "stepping" and time.monotonic() - shown > SHOW_S:
                shown = time.monotonic()
                self.show(self.gate(canary)["judgement"])
            if time.monotonic() - told > REPORT_S:
                told = time.monotonic()
                self.report()
            if state.phase == "paused" and not state.why.startswith("by "):
                raise RolloutError(f"nobody is here to look at what paused it: {state.why}")
            if time.monotonic() > deadline:
                raise RolloutError(
                    f"after {PATIENCE_S:.0f} s {canary} is {state.phase}; {self.controller.trouble}"
                )
            time.sleep(ROUND_S)
        self.report()
        return Ended(self.state, decided, gate)

    def report(self) -> None:
        """How the rollout stands, for control's page and `shipway rollout watch`; what people order there is
        for the next round. No rollout waits for control."""
        rollout, now = self.store.last(), time.time()
        assert rollout
        state = rollout.state
        with contextlib.suppress(ControlError, RolloutError):
            for order in self.gates.ask("GET", ORDERS_PATH, query={"after": str(self.heard)}).json():
                self.world.order(Asked(now, order["what"], order["by"], order["reason"]))
                self.heard = order["number"]
            seen = self.world.look(state, now)
            told = snapshot(
                rollout,
                revision(state.canary, seen.canary, ()),
                revision(state.stable, seen.stable, ()),
                gate=self.judge.opinion(state.canary).gate if state.split_since else None,
                trail=self.store.history(rollout),
                trouble=self.controller.trouble,
                heard=self.heard,
                now=now,
            )
            self.gates.ask("PUT", PATH, json=asdict(told))

    @property
    def state(self) -> State:
        last = self.store.last()
        assert last
        return last.state

    def gate(self, canary: str) -> dict[str, Any]:
        """What the gate says now, and its evidence over time, as control's page has them."""
        return self.gates.ask("GET", f"/v1/gates/{canary}").json()

    def tell(self, notices: tuple[Notice, ...]) -> None:
        """What a webhook would get."""
        for notice in notices:
            say(notice.words)

    def show(self, judgement: dict[str, Any]) -> None:
        users, canary, stable = self.users, judgement["canary"], judgement["stable"]
        print(
            f"{INDENT}{users.turns} turns, {len(users.lost)} lost; judged by {canary} conversations of the "
            f"canary, {stable} of stable: evidence {amount(judgement)}",
            flush=True,
        )

    def conclude(self, worse: Ended, better: Ended) -> int:
        """The summary, and whether anything was lost."""
        allowed = {WORSE: worse.decided, BETTER: float("inf"), GOOD: better.decided}
        moved = [move for move in self.users.moves if move.at < allowed[move.left]]
        went_on = len(self.users.moves) - len(moved)
        print(f"""
  {WORSE}, a worse prompt     rolled back; {words(worse.gate)}
  {BETTER}, a better prompt    promoted; {words(better.gate)}
  conversations          {self.users.conversations}, moved: {len(moved)}
                         ({went_on} went on with the other one when their revision was taken away)
  turns                  {self.users.turns}, lost: {len(self.users.lost)}
  time                   {time.monotonic() - self.began:.0f} s
""")
        for what in self.users.lost[:5]:
            print(f"lost: {what}", file=sys.stderr)
        return fail("turns were lost, or conversations moved") if self.users.lost or moved else 0


def words(gate: dict[str, Any]) -> str:
    """What decided: of a canary that was found, the moment when it was; of another what is known."""
    judgement, points = gate["judgement"], gate["points"]
    found = next((point for point in points if point["evidence"] >= judgement["threshold"]), points[-1])
    what = "found after" if judgement["verdict"] == "fail" else "no worse in"
    return f"{what} {found['canary']} of its conversations, evidence {amount(judgement | found)}"


def amount(judgement: dict[str, Any]) -> str:
    return f"{judgement['evidence']:.1f} against {judgement['threshold']:.0f}"


# -- What runs beside the agents -----------------------------------------------------------------------------


@contextlib.contextmanager
def control(place: Path) -> Iterator[tuple[str, dict[str, str]]]:
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
            wait_for(f"http://{LOOPBACK}:{port}/readyz", process)
            yield f"http://{LOOPBACK}:{port}", tokens
        finally:
            process.terminate()


def wait_for(url: str, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + START_S
    while process.poll() is None and time.monotonic() < deadline:
        if answers(url):
            return
        time.sleep(0.1)
    raise StackError(f"control is not ready at {url}")


def answers(url: str) -> bool:
    with contextlib.suppress(httpx2.HTTPError):
        return httpx2.get(url, trust_env=False).status_code == 200
    return False


def router(wanted: str | None, port: int, place: Path) -> contextlib.AbstractContextManager[Traffic]:
    if wanted == "haproxy":
        return routers.haproxy("haproxy", LOOPBACK, port, place)
    return routers.embedded(LOOPBACK, port) if wanted else routers.router(LOOPBACK, port, place)


def projects(place: Path) -> dict[str, Path]:
    """A copy of the example for each revision, with its own prompt."""
    return {revision: project(place / revision, *change) for revision, change in PROMPTS.items()}


def project(copy: Path, before: str, after: str) -> Path:
    shutil.copytree(EXAMPLE, copy, ignore=shutil.ignore_patterns(".shipway", "golden", "__pycache__"))
    prompt = copy / PROMPT
    prompt.write_text(prompt.read_text().replace(before, after))
    return copy


def show_change(revision: str) -> None:
    before, after = PROMPTS[revision]
    print(f"{INDENT}- {before}\n{INDENT}+ {after}", flush=True)


def say(message: str) -> None:
    lines = textwrap.fill(
        message, 110, initial_indent=f"{time.strftime('%H:%M:%S')}  ", subsequent_indent=INDENT
    )
    print(lines, flush=True)


def fail(message: str) -> int:
    print(f"\ndemo failed: {message}", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main())
