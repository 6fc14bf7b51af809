"""docs/reference/metrics.md: every metric is on it with its labels, and its rules are rules."""

from __future__ import annotations

import asyncio
import re
import subprocess
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import get_args

from prometheus_client import REGISTRY, Metric

from shipway_runtime.api.auth.guard import Guard
from shipway_runtime.api.auth.proxies import ProxyAuth
from shipway_runtime.config import read
from shipway_runtime.contract import McpServer, Outcome
from shipway_runtime.dialogue import ToolCall, Usage
from shipway_runtime.health.heart import Heart
from shipway_runtime.health.readiness import Readiness
from shipway_runtime.live.scorer import Scorer
from shipway_runtime.live.scoring import Scoring
from shipway_runtime.model.watching import Watch
from shipway_runtime.policy.admission import Admission
from shipway_runtime.policy.families import families as policy
from shipway_runtime.policy.keeping import Keeping
from shipway_runtime.policy.standing import Standing
from shipway_runtime.relay import ServerState
from shipway_runtime.relay import families as relay
from shipway_runtime.relay.__main__ import about
from shipway_runtime.relay.calls import Calls
from shipway_runtime.relay.calls import Outcome as CallOutcome
from shipway_runtime.secrets.declared import Secret
from shipway_runtime.telemetry import families, vitals
from shipway_runtime.telemetry.counts import Counts
from shipway_runtime.telemetry.histogram import Histogram
from shipway_runtime.telemetry.outcomes import Ended
from shipway_runtime.telemetry.pushing import OUTCOMES, TEXTS, Pushing
from shipway_runtime.telemetry.requests import Requests
from shipway_runtime.telemetry.spool import Spool
from shipway_runtime.telemetry.tally import Tally

PAGE = Path("docs/reference/metrics.md").read_text(encoding="utf-8")
ROWS = {
    name: set(re.findall(r"`(\w+)`", row[2]))
    for row in re.findall(r"^\| (`.+?) \| *(\w*) *\| *(.*?) *\|", PAGE, re.MULTILINE)
    for name in re.findall(r"`(\w+)`", row[0])
}
"""Each documented metric and its labels."""


def exposed(tmp_path: Path) -> list[Metric]:
    (tmp_path / "shipway.json").write_text('{"name": "a", "entrypoint": "a:a"}')
    deployment = read({"SHIPWAY_MANIFEST": str(tmp_path / "shipway.json"), "SHIPWAY_ENV": "development"})
    server = McpServer("time", "inside", ("x",))
    calls = Calls(server)
    with calls.measure({"method": "ping"}, {}):
        pass
    readiness = Readiness(1.0, draining=lambda: False)
    own = vitals.families(deployment, Heart(), readiness, {"TOKEN": Token("TOKEN")})
    own = [*own, *about("time", "r-1")]
    found = [*REGISTRY.collect(), *own, *relay.families([(ServerState("time", "inside"), calls)])]
    guard = Guard(nobody, ProxyAuth(()), "")
    guard.refused["invalid_api_key"] += 1
    pushing = Pushing(OUTCOMES, "http://control", lambda: None, Spool(tmp_path), {})
    texts = Pushing(TEXTS, "http://control", lambda: None, Spool(tmp_path), {})
    standing = Standing(deployment, Keeping(tmp_path), {})
    standing.refused["kill.tools"] += 1
    return [
        *found,
        *of_turns(),
        *of_requests(),
        *of_models(),
        *guard.collect(),
        *policy(standing, Admission(lambda: None)),
        *pushing.collect(),
        *texts.collect(),
        *of_live(),
    ]


async def nobody(scope: object, receive: object, send: object) -> None:
    """An application that nobody asks."""


class Token(Secret):
    """A secret of which everything is known."""

    changed, expires = 1.0, 2.0

    def get(self) -> str:
        return "value"

    def problem(self) -> None:
        return None


class Idle:
    """Turns, none of which runs."""

    waiting = 0

    def __len__(self) -> int:
        return 0


def of_turns() -> Iterable[Metric]:
    tally = Tally()
    tally.use(Usage(1, 2))
    tally.note(ToolCall("1", "look", "{}"))
    outcome = Outcome("c", 1, "r", None, 0.0, 0.0, 1.0, "error", 1.0)
    counts = Counts()
    counts.take(Ended(outcome, tally, None, ValueError()))
    return families.of_turns(Idle(), counts)


def of_live() -> Iterable[Metric]:
    async def none() -> Scoring:
        return Scoring(Scorer(), str)

    return asyncio.run(none()).collect()


def of_models() -> Iterable[Metric]:
    watch = Watch(None, {}, None)
    watch.count("api.anthropic.com", "ok", 0.5)
    return watch.collect()


def of_requests() -> Iterable[Metric]:
    requests = Requests(None)
    requests.durations[200] = Histogram((1.0,))
    return requests.collect()


def name_of(metric: Metric) -> str:
    return metric.name + {"counter": "_total", "info": "_info"}.get(metric.type, "")


def test_every_metric_is_documented_and_every_documented_one_exists(tmp_path: Path) -> None:
    metrics = exposed(tmp_path)
    documented = {name for name in ROWS if name.startswith(("shipway_", "process_", "python_"))}
    assert documented == {name_of(metric) for metric in metrics}
    for metric in metrics:
        if name_of(metric).startswith("shipway_"):
            labels = {label for sample in metric.samples for label in sample.labels}
            assert ROWS[name_of(metric)] == labels - {"le"}, metric.name


def test_every_outcome_is_documented() -> None:
    table = PAGE.partition("| `outcome` | |")[2].partition("\n\n")[0]
    assert set(re.findall(r"^\| `(\w+)` \|", table, re.MULTILINE)) == set(get_args(CallOutcome))


def test_the_alerts_are_rules(tmp_path: Path, engine: Callable[[str], str]) -> None:
    (block,) = re.findall(r"```yaml\n(groups:\n.*?)```", PAGE, re.DOTALL)
    file = tmp_path / "rules.yml"
    file.write_text(block)
    done = subprocess.run([engine("promtool"), "check", "rules", str(file)], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    for name in re.findall(r"shipway_\w+", block):
        assert name.removesuffix("_bucket") in ROWS
