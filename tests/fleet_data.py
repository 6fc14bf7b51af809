"""A fleet as control hears of it: replicas, turns and policies that are made up."""

from __future__ import annotations

import contextlib
import json
import threading
import time
from typing import TYPE_CHECKING, Any

import httpx2

if TYPE_CHECKING:
    from tests.controlling import ControlProcess

STABLE, CANARY = "r-4be1c09d22f1", "r-77aa02e9f0c3"
DEPLOYMENT = {"name": "support", "environment": "prod"}
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


def outcomes(revision: str, conversations: int, *, failing: int = 0, before_s: float = 3000.0) -> list[dict]:
    """Two turns for each conversation, spread over `before_s` seconds; the last `failing` of them fail."""
    begin = time.time() - before_s
    made = []
    for number in range(conversations):
        at = begin + number * before_s / max(1, conversations) * 0.6
        for turn in (1, 2):
            failed = turn == 2 and number >= conversations - failing
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
    """A stable revision of four replicas, of which one is not ready, and a canary of one."""
    launch: dict[str, Any] = {"limits": {"requests": [60, 60], "tokens": [2_000_000, 86_400]}}
    incident = {"kill": {"tools": ["git/git_reset"]}, "tenants": {"acme": {"requests": [600, 60]}}}
    put_policy(control, launch, "limits for launch")
    etag = put_policy(control, launch | incident, "INC-7: tool loops")
    fleet = Fleet(control)
    for number in range(3):
        fleet.report(f"support-{number}", policy=etag)
    fleet.report("support-3", policy=etag, down={"mcp:git": REFUSED})
    fleet.report("canary-0", CANARY, policy=etag)
    send_lines(control, "/v1/outcomes", outcomes(STABLE, 190, failing=2))
    send_lines(control, "/v1/outcomes", outcomes(CANARY, 10, failing=3))
    return fleet
