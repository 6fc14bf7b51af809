"""Two rollouts, from end to end: `make demo-rollout`.

07-canary has users. First a revision with a worse prompt is rolled out: the gate finds it by the
conversations that it had, and it is rolled back. Then one with a better prompt goes all the way. Everything
but the users and the model, which is replayed, is what a deployment has: where Docker answers it is one, made
by `shipway deploy`; elsewhere its parts run as processes. Exits with 0 only if the first one was rolled back,
the second one promoted, and no turn was lost and no conversation moved while its revision had users.
"""

from __future__ import annotations

import argparse
import contextlib
import shutil
import signal
import sys
import tempfile
import textwrap
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import demo_model
from demo_docker import ENVIRONMENT, Docker
from demo_processes import Processes
from demo_users import Users

from shipway.deploy.engine import connect
from shipway.errors import RolloutError, ShipwayError, StackError
from shipway.rollout_snapshot import DECIDED

if TYPE_CHECKING:
    from demo_machine import Machine

    from shipway.rollout_snapshot import GateSeen

EXAMPLE = Path(__file__).parent / "07-canary"
PROMPT = "prompts/system.md"
GOOD, WORSE, BETTER = "r1", "r2", "r3"
GUIDED = "Look an order up with the tool `order` before you say where it is. Never guess."
PROMPTS = {
    GOOD: (GUIDED, GUIDED),
    WORSE: (GUIDED, "Answer at once. Nobody likes to wait for the tool `order`."),
    BETTER: ("a shop for gardeners.", "a shop for gardeners. Be kind."),
}
PACE = f"""\
[rollout]
steps = [{{ weight = 25, hold = "30s" }}, {{ weight = 50 }}, {{ weight = 100 }}]

[rollout.gates]
live = {{ margin = 0.1 }}
errors = {{ margin = 0.1 }}

[env.{ENVIRONMENT}.model]
provider = "{demo_model.URL}"           # a model gateway
"""
"""Instead of hours half a minute, and then until the gates have decided. A canary may be so much worse:
to tell less takes more conversations than a demonstration has time for."""

PATIENCE_S = 240.0
SHOW_S = 5.0
INDENT = " " * 10


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--on", choices=["docker", "processes"], help="default: Docker where it answers")
    parser.add_argument("--router", choices=["haproxy", "embedded"], help="of processes; default: HAProxy")
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
    """What became of a rollout: how it ended and why, when that was decided, and the gate of then."""

    phase: str
    why: str
    decided: float
    gate: dict[str, Any]


class Demonstration:
    """The story; what `stack` is given ends with it."""

    def __init__(self, place: Path, options: argparse.Namespace, stack: contextlib.ExitStack) -> None:
        self.began = time.monotonic()
        projects = {revision: project(place / revision, *change) for revision, change in PROMPTS.items()}
        on = "processes" if options.router else options.on
        if on != "processes" and (on or _docker_answers()):
            self.machine: Machine = Docker(place, projects, stack)
        else:
            self.machine = Processes(place, projects, say, options.router, stack)
        self.users = Users(self.machine.url, options.users)
        stack.callback(self.users.close)

    def run(self) -> int:
        router = self.machine.serve(GOOD)
        say(f"{GOOD} serves users at {self.machine.url}, through {router}")
        page, token = self.machine.page()
        say(f"control's page, to look and to pause or abort: {page}, token: {token}")
        self.users.come()
        worse = self.roll_out(WORSE)
        if worse.phase != "aborted":
            return fail(f"expected {WORSE} to be rolled back, and it is {worse.phase}: {worse.why}")
        better = self.roll_out(BETTER)
        self.users.close()
        if better.phase != "promoted" or self.users.served_by() != self.machine.revision(BETTER):
            return fail(f"expected {BETTER} to be promoted, and it is {better.phase}: {better.why}")
        return self.conclude(worse, better)

    def roll_out(self, canary: str) -> Ended:
        """As it goes, until it has ended."""
        say(f"{canary} is rolled out over {GOOD}; what changes of its prompt:")
        print("{0}- {1}\n{0}+ {2}".format(INDENT, *PROMPTS[canary]), flush=True)
        phase, why, decided, gate, shown = "", "", 0.0, {}, 0.0
        deadline = time.monotonic() + PATIENCE_S
        for now in self.machine.roll_out(canary):
            phase, why = now.phase, now.why
            if phase in DECIDED and not decided:
                decided, gate = now.since, self.machine.gate(canary)
            if phase == "stepping" and now.gate and time.monotonic() - shown > SHOW_S:
                shown = time.monotonic()
                self.show(now.gate)
            if phase == "paused" and all(line.who == "shipway" for line in now.trail[1:]):  # after its begin
                raise RolloutError(f"nobody is here to look at what paused it: {why}")
            if time.monotonic() > deadline:
                raise RolloutError(f"after {PATIENCE_S:.0f} s {canary} is {phase}: {why}")
        return Ended(phase, why, decided, gate)

    def show(self, gate: GateSeen) -> None:
        users = self.users
        print(
            f"{INDENT}{users.turns} turns, {len(users.lost)} lost; judged by {gate.canary} conversations of "
            f"the canary, {gate.stable} of stable: evidence {amount(gate.evidence, gate.threshold)}",
            flush=True,
        )

    def conclude(self, worse: Ended, better: Ended) -> int:
        """The summary, and whether anything was lost."""
        ends = {WORSE: worse.decided, BETTER: float("inf"), GOOD: better.decided}
        allowed = {self.machine.revision(name): end for name, end in ends.items()}
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


def _docker_answers() -> bool:
    """Whether an engine is here: users are, too."""
    try:
        engine = connect()
    except StackError as error:
        say(f"{error}: on processes, then")
        return False
    if not engine.is_local:
        say(f"Docker is at {engine.host}, and users are here: on processes, then")
    return engine.is_local


def project(copy: Path, before: str, after: str) -> Path:
    """The example as a revision has it, with its own prompt; its rollouts have another pace."""
    shutil.copytree(EXAMPLE, copy, ignore=shutil.ignore_patterns(".shipway", "golden", "__pycache__"))
    prompt = copy / PROMPT
    prompt.write_text(prompt.read_text().replace(before, after))
    spec = copy / "agent.toml"
    spec.write_text(spec.read_text().partition("[[rollout.steps]]")[0] + PACE)
    return copy


def words(gate: dict[str, Any]) -> str:
    """What decided: of a canary that was found, the moment when it was; of another what is known."""
    judgement, points = gate["judgement"], gate["points"]
    found = next((point for point in points if point["evidence"] >= judgement["threshold"]), points[-1])
    what = "found after" if judgement["verdict"] == "fail" else "no worse in"
    evidence = amount(found["evidence"], judgement["threshold"])
    return f"{what} {found['canary']} of its conversations, evidence {evidence}"


def amount(evidence: float, threshold: float) -> str:
    return f"{evidence:.1f} against {threshold:.0f}"


def say(message: str) -> None:
    clock = f"{time.strftime('%H:%M:%S')}  "
    print(textwrap.fill(message, 110, initial_indent=clock, subsequent_indent=INDENT), flush=True)


def fail(message: str) -> int:
    print(f"\ndemo failed: {message}", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main())
