"""What the runtime costs: beside a bare uvicorn + starlette server, and beside other servers of agents.

The agent of the first table imports the Anthropic SDK, as most do; in the others it imports nothing, so that
what is measured is the server. Everything on loopback, one process each.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
import shutil
import statistics
import subprocess
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import streams
from loopback import wait
from servers import BY_HAND, NEW, Peers, Server, Start, adk, bare, bentoml, langgraph, shipway
from table import Row, medians, report

from processes import family, memory_mb

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

OURS = "shipway"
OPEN = 1000
HEAVY = "import anthropic"
POST = """
wrk.headers["Content-Type"] = "application/json"
local body, count = {body}, 0
request = function()
  count = count + 1
  return wrk.format("POST", nil, nil, (body:gsub("{new}", "s" .. count)))
end
"""


@dataclass(frozen=True)
class Bench:
    """The servers that are measured by name, ours first, and a place for their files."""

    place: Path
    starts: Mapping[str, Start]

    def row(self, metric: str, unit: str, values: Mapping[str, float], target: str = "") -> list[Row]:
        """One for each peer. The target is for the first of them."""
        own, peers = values[OURS], [name for name in values if name != OURS]
        return [
            Row(metric, unit, own, "" if nth else target, values[name], name)
            for nth, name in enumerate(peers)
        ]

    @contextlib.contextmanager
    def running(self) -> Iterator[dict[str, Server]]:
        with contextlib.ExitStack() as stack:
            servers = {name: stack.enter_context(start(self.place)) for name, start in self.starts.items()}
            for server in servers.values():
                await_server(server)
            yield servers


def await_server(server: Server) -> None:
    port, path = server.ready
    wait(f"http://127.0.0.1:{port}{path}")


def main() -> None:
    if shutil.which("wrk") is None:
        raise SystemExit("wrk is not on PATH: apt-get install wrk")
    with tempfile.TemporaryDirectory() as name:
        place = Path(name)
        peers = Peers.install(place / "peers")
        heavy = Bench(place, {OURS: shipway(HEAVY), "uvicorn + starlette": bare(HEAVY)})
        bench = Bench(
            place,
            {
                OURS: shipway(),
                "uvicorn + starlette": bare(),
                "the same by hand": bare(source=BY_HAND),
                "adk api_server": adk(peers),
                "BentoML": bentoml(peers),
                "langgraph dev": langgraph(peers),
            },
        )
        rows = [
            *starts(heavy, "with the Anthropic SDK, process start to /healthz", "<= 250 ms"),
            *starts(bench, "with a light agent, process start to /healthz"),
            *starts(bench, "with a light agent, process start to /readyz", ready=True),
            *memory(bench),
            *requests(bench),
            *first_pieces(bench),
        ]
    report("runtime", rows, "shipway-runtime", "uvicorn", "starlette", "anthropic", **peers.versions)


def starts(bench: Bench, metric: str, target: str = "", *, ready: bool = False) -> list[Row]:
    def measure(start: Start) -> Callable[[], float]:
        def once() -> float:
            began = time.perf_counter()
            with start(bench.place) as server:
                port, path = server.ready if ready else server.alive
                wait(f"http://127.0.0.1:{port}{path}")
                return time.perf_counter() - began

        return once

    found = medians([measure(start) for start in bench.starts.values()], runs=5)
    return bench.row(metric, "ms", {n: s * 1e3 for n, s in zip(bench.starts, found, strict=True)}, target)


# -- Memory --------------------------------------------------------------------------------------------------


def memory(bench: Bench) -> list[Row]:
    idle, busy = {}, {}
    for name, start in bench.starts.items():
        with start(bench.place) as server:
            await_server(server)
            asyncio.run(streams.first_piece(server))
            idle[name] = rss_mb(server)
            busy[name] = asyncio.run(with_streams(server))
    return [
        *bench.row("RSS, idle", "MB", idle, "<= 15 MB more"),
        *bench.row(f"RSS with {OPEN} open streams", "MB", busy, "<= 70 MB"),
    ]


async def with_streams(server: Server) -> float:
    async with streams.held(server, OPEN):
        return await asyncio.to_thread(rss_mb, server)


def rss_mb(server: Server) -> float:
    """Of the whole family: some servers start workers."""
    return memory_mb((server.process.pid, *family(server.process.pid)))[0]


# -- Requests ------------------------------------------------------------------------------------------------


def requests(bench: Bench) -> list[Row]:
    """By wrk: a client in Python would be the bottleneck."""
    found: dict[str, list[tuple[float, float]]] = {name: [] for name in bench.starts}
    with bench.running() as servers:
        for _ in range(4):
            for name, server in servers.items():
                found[name].append(hammer(server, bench.place))
    rates = {name: statistics.median(rate for rate, _ in values[1:]) for name, values in found.items()}
    slowest = {name: statistics.median(p99 for _, p99 in values[1:]) for name, values in found.items()}
    return [
        *bench.row("turns, 16 at once", "1/s", rates, ">= 0.8 x"),
        *bench.row("turns, 16 at once, p99", "ms", slowest),
    ]


def hammer(server: Server, place: Path) -> tuple[float, float]:
    """Requests per second, and the 99th percentile in milliseconds."""
    script = place / "post.lua"
    script.write_text(POST.format(body=json.dumps(json.dumps(server.ask.body("ping"))), new=NEW))
    url = f"http://127.0.0.1:{server.port}{server.ask.path}"
    command = ("wrk", "-t1", "-c16", "-d2s", "--timeout", "10s", "--latency", "-s", str(script), url)
    said = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    if "Non-2xx" in said:
        raise SystemExit(said)
    [(amount, unit)] = re.findall(r"99%\s+([0-9.]+)(us|ms|s)", said)
    rate = float(re.findall(r"Requests/sec:\s+([0-9.]+)", said)[0])
    return rate, float(amount) * {"us": 1e-3, "ms": 1.0, "s": 1e3}[unit]


def first_pieces(bench: Bench) -> list[Row]:
    found: dict[str, list[float]] = {name: [] for name in bench.starts}
    with bench.running() as servers:
        for _ in range(6):
            for name, server in servers.items():
                found[name] += asyncio.run(several(server))
    values = {name: statistics.median(taken) * 1e3 for name, taken in found.items()}
    return bench.row("request to the agent's first word", "ms", values)


async def several(server: Server) -> list[float]:
    return [await streams.first_piece(server) for _ in range(20)]


main()
