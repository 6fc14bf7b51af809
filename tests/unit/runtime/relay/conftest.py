"""A relay that serves on a free port, and a client of both worlds that knows no SDK."""

import asyncio
import contextlib
import dataclasses
import itertools
import json
import os
import pathlib
import socket
import sys

import httpx2
import pytest
import uvicorn
from tests.processes import alive as alive

from shipway_runtime.contract import McpServer
from shipway_runtime.relay import Relay
from shipway_runtime.secrets.declared import Secrets

TOY = pathlib.Path(__file__).with_name("toy_server.py")
BOUND = 20.0  # seconds; no test waits that long unless something is wrong
VERSION = "2026-07-28"
LEGACY = {"accept": "application/json, text/event-stream"}


class Server(uvicorn.Server):
    """Leaves signals alone, and stops at once instead of at its next look at the clock."""

    def __init__(self, config):
        super().__init__(config)
        self.stop = asyncio.Event()

    @contextlib.contextmanager
    def capture_signals(self):
        yield

    async def main_loop(self):
        await self.stop.wait()

    async def shutdown(self, sockets=None):
        for server in self.servers:
            server.close()
        for connection in list(self.server_state.connections):
            connection.transport.abort()


@contextlib.asynccontextmanager
async def serving(app):
    """Serve an ASGI application on a free port of this loop. Gives its URL."""
    # With its protocol spelled out: asyncio turns Nagle's algorithm off for no other sockets.
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.bind(("127.0.0.1", 0))
    config = uvicorn.Config(app, lifespan="off", log_config=None, timeout_graceful_shutdown=1)
    server = Server(config)
    task = asyncio.create_task(server.serve(sockets=[listener]))
    try:
        while not server.started:
            await asyncio.sleep(0.005)
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        server.stop.set()
        await task


@dataclasses.dataclass
class Client:
    """Sends JSON-RPC to one URL. `session` is filled by `open`."""

    http: httpx2.AsyncClient
    url: str
    session: dict = dataclasses.field(default_factory=dict)
    numbers: itertools.count = dataclasses.field(default_factory=lambda: itertools.count(1))

    async def open(self):
        params = {
            "protocolVersion": "2025-06-18",
            "capabilities": {},
            "clientInfo": {"name": "test", "version": "1"},
        }
        response = await self.post("initialize", params)
        self.session = {
            "mcp-session-id": response.headers["mcp-session-id"],
            "mcp-protocol-version": "2025-06-18",
        }
        await self.tell("notifications/initialized")
        return response.json()["result"]

    async def post(self, method, params=None, number=None, **headers):
        body = {"jsonrpc": "2.0", "id": number or next(self.numbers), "method": method}
        if params is not None:
            body["params"] = params
        headers = LEGACY | self.session | {k.replace("_", "-"): v for k, v in headers.items()}
        return await self.http.post(self.url, json=body, headers=headers)

    async def tell(self, method, params=None):
        body = {"jsonrpc": "2.0", "method": method, "params": params or {}}
        return await self.http.post(self.url, json=body, headers=LEGACY | self.session)

    async def modern(self, method, params=None, **headers):
        """A request of the modern world, with its envelope and headers."""
        params = params or {}
        prefix = "io.modelcontextprotocol/"
        meta = {
            prefix + "protocolVersion": VERSION,
            prefix + "clientCapabilities": {},
            **params.get("_meta", {}),
        }
        sent = {"mcp_protocol_version": VERSION, "mcp_method": method}
        if name := params.get("name", params.get("uri")):
            sent["mcp_name"] = name
        return await self.post(method, {**params, "_meta": meta}, **(sent | headers))

    async def call(self, tool, **arguments):
        """The text that a tool gives; AssertionError when there is none."""
        response = await self.post("tools/call", {"name": tool, "arguments": arguments})
        assert "result" in response.json(), response.text
        return response.json()["result"]["content"][0]["text"]

    async def failure(self, tool, **arguments):
        """The error that the call of a tool gives."""
        response = await self.post("tools/call", {"name": tool, "arguments": arguments})
        assert response.status_code == 200
        return response.json()["error"]


class Running:
    def __init__(self, relay, url, http):
        self.relay, self.url, self.http = relay, url, http

    def client(self, name="toy"):
        return Client(self.http, f"{self.url}/mcp/{name}")

    async def up(self, name="toy"):
        """Wait until a server is up. Gives its state."""
        return await until(lambda: (state := self.relay.states()[name]).state == "up" and state)


async def until(condition):
    """Wait for something to become true, and give it."""
    async with asyncio.timeout(BOUND):
        while not (value := condition()):
            await asyncio.sleep(0.01)
    return value


def toy_server(*options, name="toy", **settings):
    command = (sys.executable, str(TOY), *(str(option) for option in options))
    return McpServer(name, "inside", command, **settings)


@contextlib.asynccontextmanager
async def running(*servers, environ=None, secrets=None, grace=5.0):
    secrets = secrets if secrets is not None else {}
    environ = {"PATH": os.environ["PATH"]} if environ is None else environ
    value, renew = (secrets.value, secrets.renew) if isinstance(secrets, Secrets) else (secrets.get, None)
    relay = Relay(servers, secret=value, renew=renew, environ=environ)
    async with httpx2.AsyncClient(timeout=BOUND, trust_env=False, verify=False) as http:
        await relay.start()
        try:
            async with serving(relay.app) as url:
                yield Running(relay, url, http)
        finally:
            await relay.close(grace)


def events_of(text):
    """The messages of a stream of events."""
    return [json.loads(line[6:]) for line in text.splitlines() if line.startswith("data: ")]


@pytest.fixture(scope="session")
def harness():
    """This module's names, for tests: there are no packages among tests to import from."""
    return sys.modules[__name__]
