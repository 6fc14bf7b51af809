"""A stack with a rollout, as engines get it; and users whose conversations control hears of."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

from tests.controlling import ControlProcess
from tests.kubernetes import stack

from shipway.plan.rollout import RolloutPlan, plan_rollout
from shipway.plan.stack import StackPlan
from shipway.spec.load import load

BOUND_S = 60.0
AGENT = """\
name = "support"
entrypoint = "support:agent"
[api]
auth = "none"
[image]
repository = "registry.example.com/support"
[secrets]
DATABASE_URL = "env"
[storage]
url = { secret = "DATABASE_URL" }
[evals]
suite = "evals/*.jsonl"
[rollout]
steps = [{ weight = 5, hold = "30m" }, { weight = 25 }, { weight = 100 }]
gates = { evals = {}, errors = { margin = 0.2 } }
[env.prod.resources]
replicas = 3
[env.prod.kubernetes]
namespace = "agents"
"""
STEPS = 'steps = [{ weight = 5, hold = "30m" }, { weight = 25 }, { weight = 100 }]'
GATES = "gates = { evals = {}, errors = { margin = 0.2 } }"
DEPLOYMENT = {"name": "support", "environment": "prod"}
STABLE = "r-stable"
BEFORE_S = 1800.0
"""How long ago the users of these tests began: their conversations have closed."""


def planned(directory: Path, *changes: tuple[str, str]) -> tuple[StackPlan, RolloutPlan]:
    """The stack and the rollout of `prod`, with texts of agent.toml replaced; each has to be there."""
    text = AGENT
    for old, new in changes:
        assert old in text, old
        text = text.replace(old, new)
    plan = stack(directory, text)
    return plan, plan_rollout(load(directory / "agent.toml", "prod").spec, "prod")


class Users:
    """Conversations of stable and of a canary, half an hour ago, and a gate that has judged since then."""

    def __init__(self, control: ControlProcess, canary: str, body: dict[str, Any]) -> None:
        self._control, self._canary, self._body = control, canary, body
        self._since = time.time() - BEFORE_S

    def converse(self, stable: int, canary: int, canary_fails: bool = False) -> None:
        """So many conversations of each, one after the other."""
        lines = [
            self._turn(number, revision, "error" if revision == self._canary and canary_fails else "ok")
            for revision, count in ((STABLE, stable), (self._canary, canary))
            for number in range(count)
        ]
        answer = self._control.ask(
            "report", "POST", "/v1/outcomes", content="\n".join(lines), params=DEPLOYMENT
        )
        assert answer.status_code == 204, answer.text

    def begin(self, share: float | None = 0.5) -> None:
        """A gate, as an engine begins it, but half an hour ago."""
        body = self._body | {"since": self._since - 1, "share": share}
        path = f"/v1/gates/{self._canary}"
        answer = self._control.ask("operate", "PUT", path, json=body, params=DEPLOYMENT)
        assert answer.status_code == 200, answer.text

    def wait(self, why: str) -> None:
        """Until control says so of the canary."""
        end = time.monotonic() + BOUND_S
        query = DEPLOYMENT | {"canary": self._canary}
        while True:
            told = self._control.ask("read", "GET", "/v1/verdict", params=query).json()
            if told.get("why") == why:
                return
            assert time.monotonic() < end, told
            time.sleep(0.1)

    def _turn(self, number: int, revision: str, status: str) -> str:
        at = self._since + number
        return json.dumps(
            {
                "conversation": f"{revision}-{number}",
                "turn": 1,
                "revision": revision,
                "tenant": None,
                "first_seen": at,
                "started": at,
                "finished": at + 1,
                "status": status,
                "latency_s": 1.0,
            }
        )
