"""Ten minutes in which nothing stays alive: does the agent, and does it leak?

    python soak.py [--seconds 600] [--every 4] [--seed 1] [--conversations 8] [--quiet 8] [--late 8] [--json]

Conversations go on through /v1/responses while, every few seconds, one MCP server is killed, hung (SIGSTOP
for a while) or restarted with its container. Each turn calls all three servers and says how each call went:
with its answer, with a proper error, or otherwise. Before (after a warm-up that has seen every kind of end)
and after, with the load gone, the processes are counted.
Out: a table, bench/results/soak.json and the page; with `--json` only a document on stdout. Exit code 1 when
something was lost or leaks.
"""

from __future__ import annotations

import argparse
import asyncio
import functools
import json
import os
import random
import signal
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import httpx2
from soak_stack import TIMEOUT_S, Census, Stack, running
from table import Row, report

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

LATE_S = TIMEOUT_S + 5.0  # a turn above it was not answered in time: on a machine of its own
TURNS = 6  # of one conversation
BACK_S = 30.0  # for readiness, when nobody disturbs any more
MARGINS = {"processes": 0, "threads": 2, "descriptors": 5, "zombies": 0, "rss_mb": 10.0}


@dataclass
class Tally:
    """What the turns were like."""

    turns: Counter[str] = field(default_factory=Counter)
    calls: Counter[str] = field(default_factory=Counter)
    odd: list[str] = field(default_factory=list)
    ends: Counter[str] = field(default_factory=Counter)
    longest_s: float = 0.0

    def add(self, server: str, said: str) -> None:
        if said not in ("ok", "error"):
            self.odd.append(f"{server}: {said}"[:300])
            said = "odd"
        self.calls[said] += 1


# -- Load ----------------------------------------------------------------------------------------------------


async def converse(http: httpx2.AsyncClient, tally: Tally, late: float, stop: asyncio.Event) -> None:
    """One conversation after another, until told to stop."""
    while not stop.is_set():
        previous: dict[str, str] = {}
        for _ in range(TURNS):
            body = {"input": "go on", **previous}
            began = time.monotonic()
            response = await http.post("/v1/responses", json=body)
            taken = time.monotonic() - began
            tally.longest_s = max(tally.longest_s, taken)
            if response.status_code != 200 or taken > late:
                tally.turns["failed"] += 1
                tally.odd.append(
                    f"turn: HTTP {response.status_code} after {taken:.1f} s: {response.text}"[:300]
                )
                break
            tally.turns["answered"] += 1
            document = response.json()
            previous = {"previous_response_id": document["id"]}
            for server, said in json.loads(document["output"][0]["content"][0]["text"]).items():
                tally.add(server, said)
            await asyncio.sleep(0.05)


async def under_load(
    stack: Stack, tally: Tally, options: argparse.Namespace, work: Callable[[], Awaitable[None]]
) -> None:
    """Do `work` while conversations go on; then let each finish its turns."""
    stop = asyncio.Event()
    async with (
        httpx2.AsyncClient(base_url=stack.api, timeout=60, trust_env=False) as http,
        asyncio.TaskGroup() as group,
    ):
        for _ in range(options.conversations):
            group.create_task(converse(http, tally, options.late, stop))
        await work()
        stop.set()


# -- Ends ----------------------------------------------------------------------------------------------------


class Reaper:
    """Ends servers, in every way and at random."""

    def __init__(self, stack: Stack, tally: Tally, chance: random.Random) -> None:
        self._stack, self._tally, self._chance = stack, tally, chance
        self.ways = (
            ("inside server killed", lambda: self._kill(stack.inside_server())),
            ("inside server hung", lambda: self._hang(stack.inside_server())),
            ("sidecar's server killed", lambda: self._kill(stack.sidecar_server())),
            ("sidecar's server hung", lambda: self._hang(stack.sidecar_server())),
            ("sidecar restarted", lambda: stack.sidecar.restart(self._pause(1.0))),
            ("service restarted", lambda: stack.service.restart(self._pause(2.0))),
            ("service hung", lambda: self._hang(stack.service.process.pid)),
        )

    async def each_once(self, every: float) -> None:
        async with asyncio.TaskGroup() as group:
            for name, end in self.ways:
                self._tally.ends[name] += 1
                group.create_task(end())
                await asyncio.sleep(every)

    async def at_random(self, seconds: float, every: float) -> None:
        end = time.monotonic() + seconds
        async with asyncio.TaskGroup() as group:
            while time.monotonic() < end:
                await asyncio.sleep(self._chance.uniform(0.5, 1.5) * every)
                name, do = self._chance.choice(self.ways)
                self._tally.ends[name] += 1
                group.create_task(do())

    def _pause(self, most: float) -> float:
        return self._chance.uniform(0.1, most)

    async def _kill(self, pid: int | None) -> None:
        _signal(pid, signal.SIGKILL)

    async def _hang(self, pid: int | None) -> None:
        """Long enough, sometimes, that calls run into their timeout."""
        _signal(pid, signal.SIGSTOP)
        await asyncio.sleep(self._chance.uniform(0.5, 2 * TIMEOUT_S))
        _signal(pid, signal.SIGCONT)


def _signal(pid: int | None, number: signal.Signals) -> None:
    if pid is not None:  # else it is between two lives already
        try:
            os.kill(pid, number)
        except ProcessLookupError:
            return


# -- The whole -----------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Result:
    tally: Tally
    before: dict[str, Census]
    after: dict[str, Census]
    alive: bool
    ready: bool
    sound: bool  # all servers answered in the end
    exit_code: int | None
    left: list[int]

    def failures(self) -> list[str]:
        """What must not have happened, in words."""
        found = [f"unexpected: {odd}" for odd in self.tally.odd[:10]]
        for name, before in self.before.items():
            was, now = before.document(), self.after[name].document()
            found += [
                f"{name}: {what} grew from {was[what]:g} to {now[what]:g}"
                for what, margin in MARGINS.items()
                if now[what] > was[what] + margin
            ]
        said = {
            "the runtime process was lost": self.alive,
            f"not ready within {BACK_S:g} s": self.ready,
            "not every server answered in the end": self.sound,
            f"SIGTERM: exit code {self.exit_code}": self.exit_code == 0,
            f"processes left behind: {self.left}": not self.left,
        }
        return found + [what for what, well in said.items() if not well]


async def soak(stack: Stack, options: argparse.Namespace) -> Result:
    tally, chance = Tally(), random.Random(options.seed)  # noqa: S311 - to be repeated, not to be secret
    reaper = Reaper(stack, tally, chance)
    warm_up = functools.partial(reaper.each_once, options.every / 4)
    await under_load(stack, Tally(), options, warm_up)
    await stack.ready(BACK_S)
    before = await count(stack, options.quiet)
    tally.ends.clear()
    work = functools.partial(reaper.at_random, options.seconds, options.every)
    await under_load(stack, tally, options, work)
    ready, sound = await stack.ready(BACK_S), await answers_soundly(stack, options)
    after = await count(stack, options.quiet)
    alive = stack.runtime.poll() is None
    code, left = await asyncio.to_thread(stack.stop)
    return Result(tally, before, after, alive, ready, sound, code, left)


async def answers_soundly(stack: Stack, options: argparse.Namespace) -> bool:
    """Whether conversations end without any error, in time: the last server may just be starting."""
    end = time.monotonic() + BACK_S
    while time.monotonic() < end:
        tally = Tally()
        await under_load(stack, tally, options, lambda: asyncio.sleep(0.01))
        if tally.calls.keys() == {"ok"}:
            return True
    return False


async def count(stack: Stack, quiet: float) -> dict[str, Census]:
    """The processes, once idle connections have been closed."""
    await asyncio.sleep(quiet)
    return {"runtime": Census.of(stack.runtime.pid), "sidecar": Census.of(stack.sidecar.process.pid)}


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--seconds", type=float, default=600)
    parser.add_argument("--every", type=float, default=4, help="seconds between two ends, on average")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--conversations", type=int, default=8)
    parser.add_argument("--quiet", type=float, default=8, help="seconds without load before each count")
    parser.add_argument("--late", type=float, default=LATE_S, help="seconds that a turn may take")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name, running(Path(name)) as stack:
        result = asyncio.run(soak(stack, options))
        failures, log = result.failures(), stack.log.read_text(errors="replace")
    if options.json:
        print(json.dumps({"failures": failures, "log": log[-3000:] if failures else "", **document(result)}))
    else:
        report("soak", rows(result, options), "shipway-runtime", "uvicorn", "httpx2")
        print(
            "\n".join(["", *failures, *log.splitlines()[-30:]] if failures else ["", "nothing lost, no leak"])
        )
    sys.exit(1 if failures else 0)


def document(result: Result) -> dict[str, object]:
    tally = result.tally
    return {
        "turns": tally.turns,
        "calls": tally.calls,
        "ends": tally.ends,
        "longest_s": round(tally.longest_s, 2),
        "before": {name: census.document() for name, census in result.before.items()},
        "after": {name: census.document() for name, census in result.after.items()},
    }


def rows(result: Result, options: argparse.Namespace) -> list[Row]:
    tally = result.tally
    found = [
        Row("length", "min", options.seconds / 60, ""),
        *(Row(name, "x", number, "") for name, number in sorted(tally.ends.items())),
        Row("turns answered", "", tally.turns["answered"], ""),
        Row("turns without an answer, or too late", "", tally.turns["failed"], "0"),
        Row("longest turn", "s", tally.longest_s, f"<= {options.late:g} s"),
        Row("calls with a result", "", tally.calls["ok"], ""),
        Row("calls with a proper error", "", tally.calls["error"], ""),
        Row("calls that ended otherwise", "", tally.calls["odd"], "0"),
    ]
    for name, census in result.before.items():
        was, now = census.document(), result.after[name].document()
        units = {what: "MB" if what == "rss_mb" else "" for what in was}
        found += [
            Row(f"{name}: {what.removesuffix('_mb')}", units[what], now[what], f"+ {MARGINS[what]:g} at most",
                was[what], "before")
            for what in was
        ]  # fmt: skip
    return found


main()
