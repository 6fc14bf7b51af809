"""Five hundred conversations at once for ten minutes, and in the middle every replica is restarted.

    python rolling.py [--seconds 600] [--conversations 500]

Each conversation asks, waits, and asks again, half of the turns as streams; each answer says how many
questions the agent has seen, so a turn that was lost shows in the next. The balancer looks at /readyz and
sends a request again only where no connection came about, as one has to that must not run an agent twice.
Out: a table, bench/results/rolling.json and the page. Exit code 1 when something was lost.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import statistics
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import httpx2
from fleet import Fleet, fleet
from table import Row, report

if TYPE_CHECKING:
    from collections.abc import Mapping

TURNS = 10  # of one conversation
PAUSE_S = 2.5  # between two of its turns, on average
AGENT_S = 0.3  # that the agent takes


@dataclass
class Tally:
    """What the turns were like. Seconds are of turns that were answered."""

    turns: Counter[str] = field(default_factory=Counter)
    odd: list[str] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)

    def lose(self, what: str) -> None:
        self.turns["lost"] += 1
        self.odd.append(what[:300])


async def converse(http: httpx2.AsyncClient, tally: Tally, stop: asyncio.Event) -> None:
    """One conversation after another, until told to stop; each ends with its turn."""
    await asyncio.sleep(random.uniform(0, PAUSE_S))  # noqa: S311 - not all in step
    while not stop.is_set():
        previous: dict[str, str] = {}
        for number in range(1, TURNS + 1):
            stream = random.random() < 0.5  # noqa: S311
            began = time.perf_counter()
            try:
                document = await ask(http, {"input": "and now?", "stream": stream, **previous})
            except (httpx2.HTTPError, ValueError) as error:
                tally.lose(f"turn {number}, stream {stream}: {type(error).__name__}: {error}")
                break
            tally.seconds.append(time.perf_counter() - began)
            said = document["output"][0]["content"][0]["text"]
            if said != f"question number {number}":
                tally.lose(f"turn {number}: the agent said {said!r}")
                break
            tally.turns["answered"] += 1
            previous = {"previous_response_id": document["id"]}
            if stop.is_set():
                return
            await asyncio.sleep(random.uniform(0.5, 1.5) * PAUSE_S)  # noqa: S311


async def ask(http: httpx2.AsyncClient, body: Mapping[str, object]) -> dict:
    """The response object. Raises ValueError for an answer that is none, or a stream that ends early."""
    async with http.stream("POST", "/v1/responses", json=body) as response:
        text = (await response.aread()).decode()
    if response.status_code != 200:
        raise ValueError(f"HTTP {response.status_code}: {text}")
    if not body["stream"]:
        return json.loads(text)
    events = [json.loads(line[6:]) for line in text.splitlines() if line.startswith("data: ")]
    if not events or events[-1]["type"] != "response.completed":
        raise ValueError(f"the stream ended with {text[-200:]!r}")
    return events[-1]["response"]


@dataclass(frozen=True)
class Result:
    tally: Tally
    codes: list[int]
    rss_mb: tuple[float, float]  # of the replica that uses most, after a minute and at the end
    rolled_s: float


async def load(stack: Fleet, options: argparse.Namespace) -> Result:
    tally, stop = Tally(), asyncio.Event()
    limits = httpx2.Limits(max_connections=None, max_keepalive_connections=options.conversations)
    http = httpx2.AsyncClient(
        base_url=f"http://127.0.0.1:{stack.port}", timeout=60, trust_env=False, limits=limits
    )
    async with http, asyncio.TaskGroup() as group:
        for _ in range(options.conversations):
            group.create_task(converse(http, tally, stop))
        early = min(60.0, options.seconds / 4)
        await asyncio.sleep(early)
        before = max(replica.rss_mb() for replica in stack.replicas)
        await asyncio.sleep(options.seconds / 2 - early)
        began = time.monotonic()
        codes = await stack.roll()
        rolled = time.monotonic() - began
        await asyncio.sleep(max(0.0, options.seconds / 2 - rolled))
        after = max(replica.rss_mb() for replica in stack.replicas)
        stop.set()
    return Result(tally, codes, (before, after), rolled)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--seconds", type=float, default=600)
    parser.add_argument("--conversations", type=int, default=500)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name, fleet(Path(name)) as stack:
        result = asyncio.run(load(stack, options))
        logs = [
            line for r in stack.replicas for line in r.log().splitlines() if '"level": "info"' not in line
        ]
    report("rolling", rows(result, options), "shipway-runtime", "uvicorn", "psycopg", "httpx2")
    lost = result.tally.turns["lost"] or any(result.codes)
    said = [*result.tally.odd[:10], *logs[-30:]] if lost else ["nothing lost"]
    print("\n".join(["", *said]))
    sys.exit(1 if lost else 0)


def rows(result: Result, options: argparse.Namespace) -> list[Row]:
    tally = result.tally
    beyond = [(seconds - AGENT_S) * 1e3 for seconds in tally.seconds]
    return [
        Row("length", "min", options.seconds / 60, ""),
        Row("conversations at once", "", options.conversations, ""),
        Row("turns answered", "", tally.turns["answered"], ""),
        Row("turns lost, or answered without what went before", "", tally.turns["lost"], "0"),
        Row("turns a second", "", tally.turns["answered"] / options.seconds, ""),
        Row("beyond the agent's own time, p50", "ms", statistics.median(beyond), ""),
        Row("beyond the agent's own time, p99", "ms", statistics.quantiles(beyond, n=100)[98], ""),
        Row("both replicas restarted, one after the other", "s", result.rolled_s, ""),
        Row("exit codes other than 0", "", sum(map(bool, result.codes)), "0"),
        Row("RSS of a replica, early", "MB", result.rss_mb[0], ""),
        Row("RSS of a replica, at the end", "MB", result.rss_mb[1], ""),
    ]


main()
