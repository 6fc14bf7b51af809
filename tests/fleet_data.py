"""A fleet as control hears of it: replicas, turns and policies that are made up."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import threading
import time
from typing import TYPE_CHECKING, Any

import httpx2
from tests.snapshots import snapshot

from shipway.evals.mark import Mark
from shipway.evals.results import Result, Run, document
from shipway.rollout_snapshot import GateSeen, Line, RevisionSeen
from shipway_runtime import contract

if TYPE_CHECKING:
    from tests.controlling import ControlProcess

    from shipway.rollout_snapshot import Snapshot

STABLE, CANARY = "r-4be1c09d22f1", "r-77aa02e9f0c3"
DEPLOYMENT = {"name": "support", "environment": "prod"}
SPAN_S = 7000.0  # that turns are spread over
EVERY_S = 3.0
MOST = 20  # replicas that go on reporting
REFUSED = "MCP server 'git' at http://127.0.0.1:8100/mcp cannot be reached: Connection refused"


def report(replica: str, revision: str = STABLE, *, down: dict[str, str] | None = None, **more: Any) -> dict:
    """A ReplicaReport. `down`: check -> error."""
    now = time.time()
    names = ("agent", "model", "secrets", "storage", "mcp:git", "mcp:time")
    checks: dict[str, Any] = {name: {"state": "up", "since": now - 4000, "error": None} for name in names}
    checks |= {
        name: {"state": "down", "since": now - 1500, "error": error} for name, error in (down or {}).items()
    }
    said = {"replica": replica, "revision": revision, "started": now - 90_000, "ready": not down}
    return said | {"checks": checks, "policy": None} | more


def outcomes(revision: str, conversations: int, *, every: int, before_s: float = SPAN_S) -> list[dict]:
    """Two turns a conversation, over `before_s` seconds until now; of each `every`-th the last one fails."""
    begin = time.time() - before_s
    made = []
    for number in range(conversations):
        at = begin + number * before_s / conversations * 0.99
        for turn in (1, 2):
            failed = turn == 2 and number % every == every - 1
            made.append(
                {
                    "conversation": f"{revision}-{number}",
                    "turn": turn,
                    "revision": revision,
                    "tenant": "acme" if number % 3 == 0 else "globex",
                    "first_seen": at,
                    "started": at + turn,
                    "finished": at + turn + 1.5,
                    "status": "error" if failed else "ok",
                    "latency_s": 1.1 + number % 7 / 4,
                    "cost": 0.0031,
                    "tool_calls": 2,
                    "tool_errors": int(failed),
                }
            )
    return made


def send(control: ControlProcess, path: str, **more: Any) -> None:
    """A POST as a runtime makes it; raises AssertionError where it is refused."""
    answer = control.ask("report", "POST", path, params=DEPLOYMENT, **more)
    assert answer.is_success, answer.text


def send_lines(control: ControlProcess, path: str, documents: list[dict]) -> None:
    send(control, path, content=b"".join(json.dumps(one).encode() + b"\n" for one in documents))


def put_policy(control: ControlProcess, policy: dict, reason: str) -> str:
    """A new version, whatever was there; gives its ETag."""
    body = {"policy": policy, "reason": reason}
    headers = {"if-match": "*"}
    answer = control.ask("operate", "PUT", "/v1/policy", params=DEPLOYMENT, json=body, headers=headers)
    assert answer.is_success, answer.text
    return answer.headers["etag"]


class Fleet:
    """Replicas that report until `close`, so often that none is away on a busy machine."""

    def __init__(self, control: ControlProcess) -> None:
        self._control = control
        self._reports: dict[str, dict] = {}
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def report(self, replica: str, revision: str = STABLE, **more: Any) -> None:
        """One more, or another word of one that is there."""
        said = report(replica, revision, **more)
        send(self._control, "/v1/replicas", json=said)
        self._reports[replica] = said

    def _run(self) -> None:
        while not self._closing.wait(EVERY_S):
            for said in list(self._reports.values())[:MOST]:
                with contextlib.suppress(httpx2.TransportError):  # a test has ended its control
                    self._control.ask("report", "POST", "/v1/replicas", params=DEPLOYMENT, json=said)

    def close(self) -> None:
        self._closing.set()
        self._thread.join()


def fill(control: ControlProcess) -> Fleet:
    """A stable revision of four replicas, of which one is not ready, and a canary of one, half of whose
    conversations fail."""
    launch: dict[str, Any] = {"limits": {"requests": [60, 60], "tokens": [2_000_000, 86_400]}}
    incident = {"kill": {"tools": ["git/git_reset"]}, "tenants": {"acme": {"requests": [600, 60]}}}
    put_policy(control, launch, "limits for launch")
    etag = put_policy(control, launch | incident, "INC-7: tool loops")
    fleet = Fleet(control)
    for number in range(3):
        fleet.report(f"support-{number}", policy=etag)
    fleet.report("support-3", policy=etag, down={"mcp:git": REFUSED})
    fleet.report("canary-0", CANARY, policy=etag)
    turns = outcomes(STABLE, 600, every=40) + outcomes(CANARY, 60, every=2)
    send_lines(control, "/v1/outcomes", sorted(turns, key=lambda one: one["finished"]))
    return fleet


def judge(control: ControlProcess) -> None:
    """A gate on the turns of `fill`; it fails."""
    plan = {"stable": STABLE, "share": 0.1, "metrics": {"errors": {}, "latency": {}, "cost": {}, "live": {}}}
    since = {"since": time.time() - 2 * SPAN_S}
    place = f"/v1/gates/{CANARY}"
    answer = control.ask("operate", "PUT", place, params=DEPLOYMENT, json=plan | since)
    assert answer.is_success, answer.text


def evaluate(control: ControlProcess, *, runs: int = 4, cases: int = 40) -> None:
    """Runs of one suite, a day between two of them; the last is compared with the one before."""
    for number in range(runs):
        failed = 9 if number == runs - 1 else 3 - number % 3
        send(control, "/v1/evals", json=run(STABLE, cases, failed, time.time() - 86_400 * (runs - number)))


def run(revision: str, cases: int, failed: int, at: float, *, answer: str = "I cannot help.") -> dict:
    """A run as `shipway eval --json` prints it: the first `failed` cases failed."""
    results = tuple(
        Result(
            id=f"refund-{number:03}",
            status="failed" if number < failed else "passed",
            score=float(number >= failed),
            marks=(Mark("contains", number >= failed, "" if number >= failed else "it has no “refund”"),),
            text=answer,
            latency_s=1.2,
            cost=0.003,
            revisions=(revision,),
            tools=("crm/find",),
            file="evals/refunds.jsonl",
            line=number + 1,
        )
        for number in range(cases)
    )
    made = Run("support", "prod", "evals/*.jsonl", results, at, at + 75, required=0.9)
    return json.loads(json.dumps(document(made)))


def say(control: ControlProcess, text: str = "Where is my order?") -> None:
    """What was said in a turn that failed."""
    [failed] = [one for one in outcomes(CANARY, 1, every=1, before_s=500) if one["status"] == "error"]
    failed["conversation"] = "told"
    kept = {key: failed[key] for key in ("conversation", "turn", "revision", "tenant", "started", "status")}
    call = {
        "name": "find",
        "arguments": '{"order": 7}',
        "output": "no such order",
        "error": True,
        "server": "crm",
    }
    said = {
        "messages": [{"role": "user", "content": text}],
        "answer": f"Sorry. {text}",
        "tool_calls": [call],
        "error": f"TimeoutError: {text}",
    }
    send_lines(control, "/v1/outcomes", [failed])
    send_lines(control, "/v1/turns", [kept | said])


def roll_out(control: ControlProcess, **more: Any) -> Snapshot:
    """The canary's rollout, in the middle of its second step, as its controller tells of it; with what the
    gate says, where there is one."""
    now = time.time()
    asked = control.ask("read", "GET", "/v1/verdict", params=DEPLOYMENT | {"canary": CANARY})
    told = snapshot(
        canary=RevisionSeen(CANARY, "ready"),
        stable=RevisionSeen(STABLE, "unready", (f"mcp git: {REFUSED}",), now - 1500),
        begun=now - 7200,
        since=now - 1800,
        at=now,
        suite=True,
        step=1,
        percent=25,
        held_s=1800.0,
        gate=contract.decode(GateSeen, json.dumps(asked.json()), "gate") if asked.is_success else None,
        trail=(
            Line(now - 7200, "ann", f"{CANARY} is rolled out over {STABLE}"),
            Line(now - 5400, "shipway", f"5 % of new conversations go to {CANARY}"),
            Line(now - 1800, "shipway", f"25 % of new conversations go to {CANARY}"),
        ),
    )
    told = dataclasses.replace(told, **more)
    body = dataclasses.asdict(told)
    answer = control.ask("operate", "PUT", "/v1/rollout", params=DEPLOYMENT, json=body)
    assert answer.is_success, answer.text
    return told
