"""The relay beside mcp-proxy and fastmcp's proxy: what a call costs more than without any of them.

    python relay.py [--quick]

The same clients, without an SDK, reach the same small server directly and through each relay; then the real
SDK on both sides. `--quick` is a short run that prints and writes nothing.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import statistics
import sys
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import load
import relays
from conversations import Conversation, Http, Pipe
from loopback import free_port
from mcp import Client, StdioServerParameters
from relays import Relay, Start, Target
from table import Row, report, show

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

PYTHON = sys.executable
TOY = (PYTHON, "-S", relays.TOY)
SDK_SERVER = """
import sys
from mcp.server import MCPServer

server = MCPServer("echo", log_level="ERROR")

@server.tool()
def echo(text: str) -> str:
    return text

if len(sys.argv) > 1:
    server.run("streamable-http", host="127.0.0.1", port=int(sys.argv[1]))
server.run()
"""


@dataclass(frozen=True)
class Bench:
    """What is compared, and how long. `starts`: how each relay is started, ours first."""

    place: Path
    starts: Mapping[str, Start]
    rounds: int
    seconds: float

    def row(self, metric: str, unit: str, values: Mapping[str, float | None], target: str = "") -> list[Row]:
        """One row for each peer; None is a server that did not come back."""
        ours = values["shipway"]
        peers = {name: value for name, value in values.items() if name != "shipway"}
        if ours is None:
            raise SystemExit(f"{metric}: shipway did not recover")
        note = "not in 10 s"
        return [
            Row(metric, unit, ours, target, value, name, note if value is None else "")
            for name, value in peers.items()
        ] or [Row(metric, unit, ours, target)]

    @contextlib.contextmanager
    def relays(self, target: Target) -> Iterator[dict[str, Relay]]:
        """All relays at once, each in front of a server of its own or the same URL."""
        with contextlib.ExitStack() as stack:
            yield {n: stack.enter_context(s(self.place, {"toy": target})) for n, s in self.starts.items()}


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--quick", action="store_true")
    quick = parser.parse_args().quick
    with tempfile.TemporaryDirectory() as name:
        peers = relays.Peers.install(Path(name))
        starts = {
            "shipway": relays.shipway,
            "mcp-proxy": relays.mcp_proxy(peers),
            "fastmcp": relays.fastmcp(peers),
        }
        bench = Bench(Path(name), starts, 1 if quick else 5, 0.5 if quick else 2.0)
        rows = [*calls(bench), *recovery(bench), *memory(bench), *sdk(bench)]
    if quick:
        show("relay", rows)
    else:
        programs = dict(peers.versions.items())
        report("relay", rows, "shipway-runtime", "uvicorn", "httpx2", "mcp", **programs)


# -- Calls ---------------------------------------------------------------------------------------------------


def calls(bench: Bench) -> list[Row]:
    rows = []
    pipe = Pipe(TOY)
    with bench.relays(TOY) as found:
        rows += asyncio.run(call_rows(bench, "stdio", lambda: pipe, found))
    port = free_port()
    with relays.toy_over_http(port), bench.relays(url(port)) as found:
        rows += asyncio.run(call_rows(bench, "HTTP", lambda: Http(port), found))
    return rows


def url(port: int) -> str:
    return f"http://127.0.0.1:{port}/mcp"


async def call_rows(
    bench: Bench, kind: str, direct: Callable[[], Conversation], found: Mapping[str, Relay]
) -> list[Row]:
    ways: dict[str, Callable[[], Conversation]] = {"direct": direct}
    ways |= {name: relay.converse for name, relay in found.items()}
    modern = {"modern": lambda: found["shipway"].converse(modern=True)}
    taken = await load.latencies(ways | modern, bench.rounds)
    rates = await load.rates(ways, max(1, bench.rounds // 2), bench.seconds)
    added = {name: latency.beyond(taken["direct"]) for name, latency in taken.items() if name != "direct"}
    newer = added.pop("modern")
    whole = {name: taken[name].p50 * 1e3 for name in ways}
    return [
        *bench.row(f"{kind}: a call, p50", "ms", whole),
        *bench.row(f"{kind}: added, p50", "ms", {n: a.p50 * 1e3 for n, a in added.items()}, "<= 1 ms"),
        *bench.row(f"{kind}: added, p99", "ms", {n: a.p99 * 1e3 for n, a in added.items()}),
        Row(f"{kind}: added, p50, client of 2026-07-28", "ms", newer.p50 * 1e3, "<= 1 ms"),
        *bench.row(f"{kind}: {load.CONVERSATIONS} conversations", "calls/s", rates),
    ]


# -- Recovery ------------------------------------------------------------------------------------------------


def recovery(bench: Bench) -> list[Row]:
    stdio: dict[str, float | None] = {"direct": statistics.median(start_seconds() for _ in range(5))}
    http: dict[str, float | None] = {}
    for name, start in bench.starts.items():
        stdio[name] = median([lambda s=start: after_kill_stdio(bench, s)] * min(3, bench.rounds))
        http[name] = median([lambda s=start: after_kill_http(bench, s)] * min(3, bench.rounds))
    return [
        *bench.row("stdio: from kill -9 to the next answer", "ms", stdio, "<= 1 s after `direct`"),
        *bench.row("HTTP: from the server's own first answer to ours", "ms", http, "<= 1 s"),
    ]


def median(measures: Sequence[Callable[[], float | None]]) -> float | None:
    """Milliseconds; None as soon as one is None."""
    values = []
    for measure in measures:
        if (value := measure()) is None:
            return None
        values.append(value * 1e3)
    return statistics.median(values)


def start_seconds() -> float:
    """What the server itself takes from its start to its first answer, in milliseconds."""

    async def measure() -> float:
        pipe, began = Pipe(TOY), time.perf_counter()
        await pipe.open()
        taken = time.perf_counter() - began
        await pipe.close()
        return taken * 1e3

    return asyncio.run(measure())


def after_kill_stdio(bench: Bench, start: Start) -> float | None:
    with start(bench.place, {"toy": TOY}) as relay:

        def server() -> int:
            return next(pid for pid in relays.family(relay.process.pid) if relays.runs_toy(pid))

        return asyncio.run(load.recovery(relay.converse, server, None))


def after_kill_http(bench: Bench, start: Start) -> float | None:
    """The server's own supervisor takes 0.3 s to start it again."""
    port = free_port()
    with contextlib.ExitStack() as stack:
        server = stack.enter_context(relays.toy_over_http(port))
        relay = stack.enter_context(start(bench.place, {"toy": url(port)}))

        async def restart() -> float:
            await asyncio.sleep(0.3)
            stack.enter_context(relays.running((*TOY, str(port))))
            return await load.answering(lambda: Http(port))

        return asyncio.run(load.recovery(relay.converse, lambda: server.pid, restart))


# -- Memory --------------------------------------------------------------------------------------------------


def memory(bench: Bench) -> list[Row]:
    """Idle relays after one call to each server, the servers themselves not counted."""
    one = {name: idle_mb(bench, start, 1) for name, start in bench.starts.items()}
    five = {name: idle_mb(bench, start, 5) for name, start in bench.starts.items()}
    return [
        *bench.row("RSS with 1 stdio server", "MB", {name: rss for name, (rss, _) in one.items()}),
        *bench.row("RSS with 5 stdio servers", "MB", {name: rss for name, (rss, _) in five.items()}),
        *bench.row("PSS with 1 stdio server", "MB", {name: pss for name, (_, pss) in one.items()}),
        *bench.row("PSS with 5 stdio servers", "MB", {name: pss for name, (_, pss) in five.items()}),
        *bench.row("RSS for each further one", "MB", {n: (five[n][0] - one[n][0]) / 4 for n in one}),
    ]


def idle_mb(bench: Bench, start: Start, servers: int) -> tuple[float, float]:
    async def call_each(relay: Relay) -> None:
        for name in relay.paths:
            conversation = relay.converse(name)
            await conversation.call("echo", text=load.TEXT)
            await conversation.close()

    names = [f"toy{number}" for number in range(servers)]
    with start(bench.place, dict.fromkeys(names, TOY)) as relay:
        asyncio.run(call_each(relay))
        time.sleep(1)
        return relays.memory_mb(relay.process.pid)


# -- The real SDK --------------------------------------------------------------------------------------------


def sdk(bench: Bench) -> list[Row]:
    """mcp 2.x as client and as server."""
    script, port = bench.place / "sdk_server.py", free_port()
    script.write_text(SDK_SERVER)
    command = (PYTHON, str(script))
    direct = StdioServerParameters(command=PYTHON, args=[str(script)])
    with bench.relays(command) as found:
        rows = asyncio.run(sdk_rows(bench, "stdio", direct, found))
    with relays.running((*command, str(port))):
        relays.listening(port)
        with bench.relays(url(port)) as found:
            rows += asyncio.run(sdk_rows(bench, "HTTP", url(port), found))
    return rows


async def sdk_rows(
    bench: Bench, kind: str, direct: StdioServerParameters | str, found: Mapping[str, Relay]
) -> list[Row]:
    targets = {"direct": direct} | {
        name: f"http://127.0.0.1:{relay.port}{relay.paths['toy']}" for name, relay in found.items()
    }
    samples: dict[str, list[float]] = {name: [] for name in targets}
    for nth in range(bench.rounds + 1):
        for name, target in targets.items():
            async with Client(target) as client:
                taken = await sdk_turn(client)
            samples[name] += taken if nth else []
    p50 = {name: statistics.median(values) * 1e3 for name, values in samples.items()}
    return bench.row(f"{kind}: a call from SDK to SDK, p50", "ms", p50)


async def sdk_turn(client: Client) -> list[float]:
    taken = []
    tool = next(tool.name for tool in (await client.list_tools()).tools)
    for _ in range(30):
        began = time.perf_counter()
        result = await client.call_tool(tool, {"text": load.TEXT})
        taken.append(time.perf_counter() - began)
        if result.is_error:
            raise SystemExit(f"{tool}: {result}")
    return taken[5:]


main()
