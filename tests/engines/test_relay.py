"""The relay in front of real MCP servers, as the clients of both SDK generations see it."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx2
import pytest
from mcp import Client, MCPError
from tests.installing import from_pypi
from tests.ports import free_port
from tests.processes import alive
from tests.relaying import BOUND, answering, process, running, until

from shipway_runtime.contract import McpServer, ToolFilter

pytestmark = pytest.mark.network

UTC = {"timezone": "UTC"}

OLD_CLIENT = """
import asyncio, json, sys
from mcp import ClientSession, McpError
from mcp.client.streamable_http import streamablehttp_client

async def main(url, steps):
    async with streamablehttp_client(url) as (read, write, _), ClientSession(read, write) as session:
        await session.initialize()
        for step in steps:
            if step == "wait":
                print("waiting", flush=True)
                await asyncio.to_thread(sys.stdin.readline)
            elif step == "list":
                tools = (await session.list_tools()).tools
                print(json.dumps(sorted(tool.name for tool in tools)), flush=True)
            else:
                try:
                    result = await session.call_tool(step[0], step[1])
                    print(json.dumps(result.content[0].text), flush=True)
                except McpError as error:
                    print(json.dumps({"error": str(error)}), flush=True)

asyncio.run(main(sys.argv[1], json.loads(sys.argv[2])))
"""

OLD_SERVER = """
import sys
from mcp.server.fastmcp import FastMCP
server = FastMCP("old", port=int(sys.argv[1]), log_level="WARNING")

@server.tool()
def add(a: int, b: int) -> int:
    return a + b

server.run(transport="streamable-http")
"""


@pytest.fixture(scope="module")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return from_pypi(tmp_path_factory.mktemp("servers") / "venv", "mcp-server-time", "mcp-server-git")


@pytest.fixture(scope="module")
def old(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The interpreter of an environment with mcp 1.x, which most agents' images still have."""
    return from_pypi(tmp_path_factory.mktemp("old") / "venv", "mcp<2") / "python"


@pytest.fixture
def time_server(servers: Path) -> McpServer:
    return McpServer("time", "inside", (str(servers / "mcp-server-time"), "--local-timezone", "UTC"))


@pytest.fixture
def git_server(servers: Path, tmp_path: Path) -> McpServer:
    subprocess.run(["git", "init", "-q", tmp_path / "repo"], check=True)
    command = (str(servers / "mcp-server-git"), "--repository", str(tmp_path / "repo"))
    return McpServer("git", "inside", command, tools=ToolFilter(deny=("git_reset",)))


def text_of(result: Any) -> str:
    assert not result.is_error, result
    return str(result.content[0].text)


@contextlib.asynccontextmanager
async def old_client(python: Path, url: str, *steps: Any) -> AsyncIterator[asyncio.subprocess.Process]:
    process = await asyncio.create_subprocess_exec(
        python, "-c", OLD_CLIENT, url, json.dumps(steps), stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    try:
        async with asyncio.timeout(BOUND):
            yield process
            assert await process.wait() == 0
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


async def line_of(process: asyncio.subprocess.Process) -> Any:
    assert process.stdout
    line = (await process.stdout.readline()).decode().strip()
    return line if line == "waiting" else json.loads(line)


async def go_on(process: asyncio.subprocess.Process) -> None:
    assert process.stdin
    process.stdin.write(b"\n")
    await process.stdin.drain()


@pytest.mark.parametrize(
    ("mode", "version"), [("auto", "2026-07-28"), ("2026-07-28", "2026-07-28"), ("legacy", "2025-11-25")]
)
def test_the_new_sdk(mode: str, version: str, time_server: McpServer, git_server: McpServer) -> None:
    async def scenario() -> None:
        async with running(time_server, git_server) as (_, url):
            async with Client(url + "time", mode=mode) as client:
                assert client.session.protocol_version == version
                assert {tool.name for tool in (await client.list_tools()).tools} >= {"get_current_time"}
                assert (
                    json.loads(text_of(await client.call_tool("get_current_time", UTC)))["timezone"] == "UTC"
                )
            async with Client(url + "git", mode=mode) as client:
                tools = {tool.name for tool in (await client.list_tools()).tools}
                assert "git_status" in tools
                assert "git_reset" not in tools

    asyncio.run(scenario())


def test_the_old_sdk_goes_on_in_its_session_when_the_server_is_killed(
    old: Path, time_server: McpServer
) -> None:
    async def scenario() -> None:
        async with running(time_server) as (relay, url):
            call = ["get_current_time", UTC]
            async with old_client(old, url + "time", "list", call, "wait", call) as client:
                assert await line_of(client) == ["convert_time", "get_current_time"]
                assert "UTC" in await line_of(client)
                assert await line_of(client) == "waiting"
                pid = relay.states()["time"].pid
                assert pid
                os.kill(pid, signal.SIGKILL)
                await until(lambda: relay.states()["time"].restarts == 1)
                await go_on(client)
                assert "UTC" in await line_of(client)
            assert relay.states()["time"].restarts == 1

    asyncio.run(scenario())


@pytest.mark.parametrize("mode", ["auto", "legacy"])
def test_the_new_sdk_goes_on_when_the_server_is_killed(mode: str, time_server: McpServer) -> None:
    async def scenario() -> None:
        async with running(time_server) as (relay, url), Client(url + "time", mode=mode) as client:
            for restarts in (1, 2):
                assert "UTC" in text_of(await client.call_tool("get_current_time", UTC))
                pid = relay.states()["time"].pid
                assert pid
                os.kill(pid, signal.SIGKILL)
                await until(lambda restarts=restarts: relay.states()["time"].restarts == restarts)
            assert "UTC" in text_of(await client.call_tool("get_current_time", UTC))

    asyncio.run(scenario())


def test_two_clients_at_once_get_their_own_answers(time_server: McpServer) -> None:
    zones = ["Europe/Berlin", "Asia/Tokyo"]

    async def ask(url: str, zone: str, mode: str) -> None:
        async with Client(url, mode=mode) as client:
            for _ in range(20):
                answer = json.loads(text_of(await client.call_tool("get_current_time", {"timezone": zone})))
                assert answer["timezone"] == zone

    async def scenario() -> None:
        async with running(time_server) as (_, url):
            asks = [ask(url + "time", zone, mode) for zone in zones for mode in ("auto", "legacy")]
            await asyncio.gather(*asks)

    asyncio.run(scenario())


def test_a_relay_that_is_killed_leaves_no_server_behind(time_server: McpServer) -> None:
    async def scenario() -> None:
        port = free_port()
        words = ["-m", "shipway_runtime.relay", "time", "--port", str(port), "--", *time_server.command]
        process = await asyncio.create_subprocess_exec(sys.executable, *words)
        try:
            await answering(f"http://127.0.0.1:{port}/readyz")
            async with Client(f"http://127.0.0.1:{port}/mcp") as client:
                assert "UTC" in text_of(await client.call_tool("get_current_time", UTC))
            async with httpx2.AsyncClient(trust_env=False) as http:
                state = (await http.get(f"http://127.0.0.1:{port}/healthz")).json()
            pid = state["server"]["pid"]
            assert alive(pid)
        finally:
            process.kill()
            await process.wait()
        await until(lambda: not alive(pid))

    asyncio.run(scenario())


@contextlib.asynccontextmanager
async def old_server(python: Path, port: int) -> AsyncIterator[None]:
    async with process(python, "-c", OLD_SERVER, port):
        await answering(f"http://127.0.0.1:{port}/mcp")
        yield


def test_sessions_survive_the_restart_of_an_old_http_server(old: Path) -> None:
    async def scenario() -> None:
        port = free_port()
        service = McpServer("old", "service", url=f"http://127.0.0.1:{port}/mcp")
        add = ["add", {"a": 1, "b": 2}]
        async with running(service) as (relay, url), contextlib.AsyncExitStack() as clients:
            async with old_server(old, port):
                client = await clients.enter_async_context(
                    old_client(old, url + "old", add, "wait", add, "wait", add)
                )
                new_client = await clients.enter_async_context(Client(url + "old"))
                assert new_client.session.protocol_version == "2025-11-25"
                assert text_of(await new_client.call_tool("add", {"a": 3, "b": 4})) == "7"
                assert await line_of(client) == "3"
                assert await line_of(client) == "waiting"
                assert await relay.probe("old") is None
            assert "cannot be reached" in str(await relay.probe("old"))
            await go_on(client)
            assert "cannot be reached" in (await line_of(client))["error"]
            assert await line_of(client) == "waiting"
            with pytest.raises(MCPError, match="cannot be reached"):
                await new_client.call_tool("add", {"a": 3, "b": 4})
            async with old_server(old, port):
                assert text_of(await new_client.call_tool("add", {"a": 5, "b": 6})) == "11"
                await go_on(client)
                assert await line_of(client) == "3"
                assert await relay.probe("old") is None

    asyncio.run(scenario())
