"""The clients that agents use, through the relay: they go on unchanged while servers die and come back."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from tests.installing import from_pypi
from tests.ports import free_port
from tests.relaying import BOUND, answering, process, running, until

from shipway_runtime.contract import McpServer, ToolFilter

pytestmark = pytest.mark.network

PROGRAM = Path(__file__).with_name("agents_client.py")
OLD = ("mcp 1", "fastmcp", "openai-agents", "pydantic-ai")
NEW = ("mcp 2", "mcp 2, legacy")

SERVER = """
import sys
from mcp.server.fastmcp import FastMCP
server = FastMCP("adder", port=int((sys.argv + ["0"])[1]), log_level="WARNING")

@server.tool()
def add(a: int, b: int) -> str:
    return str(a + b)

@server.tool()
def forbidden() -> str:
    return "never"

server.run(transport="streamable-http" if len(sys.argv) > 1 else "stdio")
"""


@pytest.fixture(scope="module")
def old(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The interpreter of an environment with mcp 1.x and the frameworks that agents are made with."""
    packages = ("mcp<2", "fastmcp", "openai-agents", "pydantic-ai-slim[mcp,openai]")
    return from_pypi(tmp_path_factory.mktemp("clients") / "venv", *packages) / "python"


class Clients:
    """All kinds of clients of one server, in two processes: one for each generation of the SDK."""

    def __init__(self, *processes: asyncio.subprocess.Process) -> None:
        self._processes = processes

    async def each(self, step: list[Any] | None) -> dict[str, Any]:
        """What every client gets, by kind."""
        await asyncio.gather(*(self._write(process, step) for process in self._processes))
        got = await asyncio.gather(*(self.line(process) for process in self._processes))
        return {kind: answer for answers in got for kind, answer in answers.items()}

    async def all(self, step: list[Any] | None) -> Any:
        """What every client gets, which is the same."""
        got = await self.each(step)
        assert set(got) == {*OLD, *NEW}
        first = got["mcp 1"]
        assert all(answer == first for answer in got.values()), got
        return first

    async def _write(self, process: asyncio.subprocess.Process, step: list[Any] | None) -> None:
        assert process.stdin
        process.stdin.write(json.dumps(step).encode() + b"\n")
        await process.stdin.drain()

    async def line(self, process: asyncio.subprocess.Process) -> Any:
        assert process.stdout
        async with asyncio.timeout(3 * BOUND):
            return json.loads(await process.stdout.readline())


@asynccontextmanager
async def connected(url: str, old: Path) -> AsyncIterator[Clients]:
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    groups = ((old, OLD), (sys.executable, NEW))
    async with AsyncExitStack() as stack:
        processes = []
        for python, kinds in groups:
            process = await asyncio.create_subprocess_exec(str(python), str(PROGRAM), url, *kinds, **pipes)
            stack.push_async_callback(end, process)
            processes.append(process)
        clients = Clients(*processes)
        for process in processes:
            assert await clients.line(process) == "connected"
        yield clients


async def end(process: asyncio.subprocess.Process) -> None:
    """Close its input, which ends it with 0: no client is so broken that it cannot be closed."""
    assert process.stdin
    process.stdin.close()
    try:
        async with asyncio.timeout(BOUND):
            code = await process.wait()
    except TimeoutError:
        process.kill()
        code = await process.wait()
    assert code == 0


def test_clients_of_a_stdio_server_that_is_killed(old: Path) -> None:
    async def scenario() -> None:
        command = (str(old), "-c", SERVER)
        server = McpServer("adder", "inside", command, tools=ToolFilter(deny=("forbidden",)))
        async with running(server) as (relay, url), connected(url + "adder", old) as clients:
            assert await clients.all(None) == ["add"]
            for restarts in (1, 2):
                assert await clients.all(["add", {"a": restarts, "b": 40}]) == str(restarts + 40)
                pid = relay.states()["adder"].pid
                assert pid
                os.kill(pid, signal.SIGKILL)
                await until(lambda restarts=restarts: relay.states()["adder"].restarts == restarts)
            assert await clients.all(["add", {"a": 1, "b": 1}]) == "2"
            refused = await clients.each(["forbidden", {}])
            assert all("not allowed by mcp.adder.tools" in answer["error"] for answer in refused.values())
            assert await clients.all(None) == ["add"]

    asyncio.run(scenario())


def test_clients_of_an_http_server_that_is_killed_and_forgets_their_sessions(old: Path) -> None:
    async def scenario() -> None:
        port = free_port()
        server = McpServer("adder", "service", url=f"http://127.0.0.1:{port}/mcp")
        async with running(server) as (_, url), AsyncExitStack() as stack:
            async with http_server(old, port):
                clients = await stack.enter_async_context(connected(url + "adder", old))
                assert await clients.all(None) == ["add", "forbidden"]
                assert await clients.all(["add", {"a": 1, "b": 2}]) == "3"
            for _ in range(2):
                down = await clients.each(["add", {"a": 1, "b": 2}])
                assert all("cannot be reached" in answer["error"] for answer in down.values()), down
            async with http_server(old, port):
                assert await clients.all(["add", {"a": 20, "b": 3}]) == "23"
                assert await clients.all(None) == ["add", "forbidden"]
            async with http_server(old, port):
                assert await clients.all(["add", {"a": 5, "b": 3}]) == "8"

    asyncio.run(scenario())


@asynccontextmanager
async def http_server(python: Path, port: int) -> AsyncIterator[None]:
    async with process(python, "-c", SERVER, port):
        await answering(f"http://127.0.0.1:{port}/mcp")
        yield
