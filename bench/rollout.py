"""Rollouts: what a router costs, whether conversations stay, whether turns are lost, how long a bad canary
has users. Beside: no router, a HAProxy without our rules, hashing, a stick-table on the header, gates with a
fixed threshold.

In: nothing. Out: bench/results/rollout.json, rollout_routers.json and rollout_gates.json. All on loopback.
"""

from __future__ import annotations

import re
import statistics
import subprocess
import sys
import tempfile
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import ramp
import routers
import turns
from gate_worlds import STABLE
from table import Row, medians, report

from rollouts import GATES, OURS, found

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from rollouts import Back
    from shipway.rollout.traffic.split import Backend, Slot

RUNS = 200
"""Rollouts of each kind of canary."""

POST = """
wrk.headers["Content-Type"] = "application/json"
local count = 0
request = function()
  count = count + 1
  local headers = {["x-conversation-id"] = "c" .. (count % 5000)}
  return wrk.format("POST", "/v1/responses", headers, '{"input": "hello"}')
end
"""
TABLE = ("balance roundrobin", "stick-table type string len 64 size 200k expire 24h")
PEERS = {
    "hashing": ("balance hdr(x-conversation-id)", "hash-type consistent"),
    "a table of the header": (*TABLE, "stick on req.hdr(x-conversation-id)"),
}
CANARIES = {"no worse (.92)": STABLE, "5 points worse (.87)": 0.87, "12 points worse (.80)": 0.80}


def main() -> None:
    with tempfile.TemporaryDirectory(prefix="bench-") as name, routers.backends(Path(name)) as two:
        cost, stay = list(costs(Path(name), two)), list(moves(Path(name), two))
    version = subprocess.run(("haproxy", "-v"), capture_output=True, text=True, check=True).stdout.split()[2]
    report("rollout_routers", cost, "shipway", "uvicorn", "httpx2", haproxy=version)
    report("rollout", [*stay, *turns.rows()], "shipway", "uvicorn", "httpx2", haproxy=version)
    report("rollout_gates", list(gates()), "shipway")


# -- What a router costs -------------------------------------------------------------------------------------


def costs(place: Path, two: dict[Slot, Backend]) -> Iterator[Row]:
    """By wrk, which sends new conversations and known ones."""
    script = place / "post.lua"
    script.write_text(POST)
    with (
        routers.direct(two, place) as direct,
        routers.other(two, "balance roundrobin")(place) as plain,
        routers.ours(two)(place) as ours,
        routers.embedded_alone(two)(place) as embedded,
    ):
        ports = [router.port for router in (direct, plain, ours, embedded)]
        rates = medians([partial(hammer, port, script, 16, "rate") for port in ports], 3)
        waits = medians([partial(hammer, port, script, 1, "p50") for port in ports], 3)
    for metric, unit, values, target in (
        ("requests, 16 at once", "1/s", rates, ""),
        ("one request at a time, p50", "ms", waits, ""),
    ):
        straight, bare, own, small = values
        yield Row(f"HAProxy: {metric}", unit, own, target, straight, "no router")
        yield Row(f"HAProxy: {metric}", unit, own, target, bare, "HAProxy, no rules")
        yield Row(f"embedded: {metric}", unit, small, "", straight, "no router")
        yield Row(f"embedded: {metric}", unit, small, "", bare, "HAProxy, no rules")


def hammer(port: int, script: Path, connections: int, wanted: str) -> float:
    """Requests per second, or the median in milliseconds."""
    options = ("-t1", f"-c{connections}", "-d2s", "--timeout", "10s", "--latency", "-s", str(script))
    command = ("wrk", *options, f"http://127.0.0.1:{port}")
    said = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    if "Non-2xx" in said or "Socket errors" in said:
        raise SystemExit(said)
    if wanted == "rate":
        return float(re.findall(r"Requests/sec:\s+([0-9.]+)", said)[0])
    [(amount, unit)] = re.findall(r"50%\s+([0-9.]+)(us|ms|s)", said)
    return float(amount) * {"us": 1e-3, "ms": 1.0, "s": 1e3}[unit]


# -- Whether conversations stay ------------------------------------------------------------------------------


def moves(place: Path, two: dict[Slot, Backend]) -> Iterator[Row]:
    """A ramp under each router, which begins with none of the pins of another kind."""
    total = len(ramp.WEIGHTS) * ramp.EACH
    for words, kind in ramp.KINDS.items():
        own = {"HAProxy": routers.ours(two), "embedded": routers.embedded(two)}
        peers = {name: routers.other(two, *rules) for name, rules in PEERS.items()}
        went: dict[str, int] = {}
        for name, start in (own | peers).items():
            with start(place) as router:
                went[name] = ramp.moved(router, kind)
        for router_name in own:
            metric = f"{router_name}: moved of {total}, {words}"
            for peer in peers:
                yield beside(metric, "", float(went[router_name]), float(went[peer]), peer, "0")


# -- How long a bad canary has users -------------------------------------------------------------------------


def gates() -> Iterator[Row]:
    """Every gate by the same made-up rollouts."""
    with ProcessPoolExecutor(2) as pool:
        for words, rate in CANARIES.items():
            seen = list(pool.map(partial(found, rate), range(RUNS), chunksize=10))
            print(f"{words}: {RUNS} rollouts", file=sys.stderr, flush=True)
            good = rate == 0.92
            went = {name: [one[name] for one in seen if one[name]] for name in GATES}
            share = {name: 100 * len(backs) / RUNS for name, backs in went.items()}
            yield from each(f"{words}: rolled back", "%", share, "<= 5 %" if good else "")
            if not good:
                minutes = {name: middle(backs, lambda back: back.minutes) for name, backs in went.items()}
                yield from each(f"{words}: time until then, median", "min", minutes, "")
                met = {name: middle(backs, lambda back: back.conversations) for name, backs in went.items()}
                yield from each(f"{words}: conversations until then, median", "", met, "")


def middle(backs: Sequence[Back], of: Callable[[Back], float]) -> float:
    return statistics.median(map(of, backs)) if backs else 0.0


def each(metric: str, unit: str, values: dict[str, float], target: str) -> Iterator[Row]:
    for name, value in values.items():
        if name != OURS:
            yield beside(metric, unit, values[OURS], value, name, target)


def beside(metric: str, unit: str, ours: float, peer: float, name: str, target: str) -> Row:
    """A peer that has zero makes no ratio."""
    if peer:
        return Row(metric, unit, ours, target, peer, name)
    return Row(metric, unit, ours, target, None, name, note=f"0 {unit}".strip())


if __name__ == "__main__":
    main()
