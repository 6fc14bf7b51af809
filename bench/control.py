"""Control: outcomes a second into each database, memory with a million of them, how long a policy takes to
reach a hundred processes that poll as the runtime does.

In one run: control as a process, senders as processes of their own. There is no peer that does the same.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

import httpx2
from table import Row, report

sys.path.insert(0, str(Path(__file__).parents[1]))
from tests.controlling import TOKENS, ControlProcess
from tests.ports import free_port
from tests.postgres import PostgresServer

from shipway_runtime.policy.remote import pause

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

QUERY = {"name": "support", "environment": "prod"}
POSTGRES = "/usr/lib/postgresql/15/bin/postgres"
LINES = 500  # of a request, as the runtime sends them
SENDERS = 4
POLLERS = 100
CHANGES = 5
TURNS = 4  # of a conversation
"""Outcomes of a measurement, and how many there are in the end."""
MEASURED, MANY = 60_000, 1_000_000


def main() -> None:
    many = int(sys.argv[1]) if len(sys.argv) > 1 else MANY
    with tempfile.TemporaryDirectory() as name:
        rows = [*sqlite(Path(name), many), *postgres(Path(name))]
    report("control", rows, "shipway")


def sqlite(place: Path, many: int) -> list[Row]:
    control = ControlProcess(place)
    try:
        speed = asyncio.run(sent(control, 0, MEASURED))
        waits = asyncio.run(propagation(control))
        before = resident(control)
        asyncio.run(sent(control, MEASURED, many - MEASURED))
        asked = asyncio.run(answer(control, "/v1/fleet"))
        return [
            Row("outcomes into SQLite", "1/s", speed, ""),
            Row(f"a policy at {POLLERS} pollers: median", "ms", statistics.median(waits), ""),
            Row(f"a policy at {POLLERS} pollers: the last one", "ms", max(waits), "<= 1.5 s"),
            Row(f"resident after {MEASURED} outcomes", "MB", before, ""),
            Row(f"resident after {many} outcomes", "MB", resident(control), ""),
            Row(f"SQLite's file after {many} outcomes", "MB", size(place / "control"), ""),
            Row(f"GET /v1/fleet with {many} outcomes", "ms", asked, ""),
        ]
    finally:
        control.close()


def postgres(place: Path) -> list[Row]:
    server = PostgresServer(POSTGRES, free_port())
    (place / "other").mkdir()
    control = ControlProcess(place / "other", server.url)
    try:
        return [Row("outcomes into PostgreSQL", "1/s", asyncio.run(sent(control, 0, MEASURED)), "")]
    finally:
        control.close()
        server.close()


async def sent(control: ControlProcess, start: int, amount: int) -> float:
    """Send so many, each sender one request after the other; returns outcomes a second."""
    bodies = batches(start, amount)
    async with clients("report", control) as client:
        began = time.perf_counter()
        await asyncio.gather(*(send(client, bodies) for _ in range(SENDERS)))
    return amount / (time.perf_counter() - began)


async def send(client: httpx2.AsyncClient, bodies: Iterator[bytes]) -> None:
    for body in bodies:
        answer = await client.post("/v1/outcomes", params=QUERY, content=body)
        assert answer.status_code == 204, answer.text


def batches(start: int, amount: int) -> Iterator[bytes]:
    now = time.time()
    for first in range(start, start + amount, LINES):
        yield b"\n".join(outcome(number, now) for number in range(first, min(first + LINES, start + amount)))


def outcome(number: int, now: float) -> bytes:
    """Some time in the last day, one of two revisions."""
    conversation, turn = divmod(number, TURNS)
    began = now - 80_000 + conversation % 70_000
    return json.dumps(
        {
            "conversation": f"conv_{conversation:024x}",
            "turn": turn + 1,
            "revision": f"r-{conversation % 2}",
            "tenant": f"tenant-{conversation % 50}",
            "first_seen": began,
            "started": began + turn,
            "finished": began + turn + 0.8,
            "status": "ok" if number % 50 else "error",
            "latency_s": 0.2 + number % 97 / 50,
            "first_token_s": 0.1,
            "tokens": {"input": 900, "output": 120},
            "cost": 0.004,
            "tool_calls": 2,
            "tool_errors": 0,
        }
    ).encode()


async def propagation(control: ControlProcess) -> list[float]:
    """Milliseconds from a change until each of the pollers has it."""
    seen: dict[int, str] = {}
    waits: list[float] = []
    async with clients("operate", control) as operator, clients("report", control) as client:
        polling = [asyncio.create_task(poll(client, number, seen)) for number in range(POLLERS)]
        for change in range(CHANGES):
            body = {"policy": {"kill": {"tools": [f"tool-{change}"]}}, "reason": "bench"}
            put = await operator.put("/v1/policy", params=QUERY, json=body, headers={"if-match": "*"})
            waits += await until(seen, put.headers["etag"], time.perf_counter())
        for task in polling:
            task.cancel()
        await asyncio.wait(polling)
    return waits


async def poll(client: httpx2.AsyncClient, number: int, seen: dict[int, str]) -> None:
    """As shipway_runtime.policy.remote does."""
    while True:
        headers = {"if-none-match": seen[number]} if number in seen else {}
        answer = await client.get("/v1/policy", params=QUERY, headers=headers)
        if answer.status_code == 200:
            seen[number] = answer.headers["etag"]
        await asyncio.sleep(pause(0))


async def until(seen: dict[int, str], etag: str, began: float) -> list[float]:
    waits: dict[int, float] = {}
    while len(waits) < POLLERS:
        for number, known in seen.items():
            if known == etag:
                waits.setdefault(number, (time.perf_counter() - began) * 1e3)
        await asyncio.sleep(0.005)
    return list(waits.values())


async def answer(control: ControlProcess, path: str) -> float:
    """Milliseconds for an answer: the median of some."""
    taken = []
    async with clients("read", control) as client:
        for _ in range(5):
            began = time.perf_counter()
            (await client.get(path, params=QUERY)).raise_for_status()
            taken.append((time.perf_counter() - began) * 1e3)
    return statistics.median(taken)


@contextlib.asynccontextmanager
async def clients(role: str, control: ControlProcess) -> AsyncIterator[httpx2.AsyncClient]:
    headers = {"authorization": f"Bearer {TOKENS[role]}"}
    limits = httpx2.Limits(max_connections=POLLERS)
    async with httpx2.AsyncClient(
        base_url=control.url, headers=headers, timeout=60, trust_env=False, limits=limits
    ) as client:
        yield client


def resident(control: ControlProcess) -> float:
    """Megabytes of memory that it has now."""
    assert control.process
    pages = int(Path(f"/proc/{control.process.pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


def size(directory: Path) -> float:
    return sum(file.stat().st_size for file in directory.iterdir()) / 1e6


main()
