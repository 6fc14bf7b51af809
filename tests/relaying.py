"""A relay on a free port of loopback, for tests with real clients and servers."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import httpx2
import uvicorn

from shipway_runtime.contract import McpServer
from shipway_runtime.relay import Relay

BOUND = 90.0  # seconds; nothing waits that long unless something is wrong


class Server(uvicorn.Server):
    """Leaves signals to the test."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


@contextlib.asynccontextmanager
async def running(*servers: McpServer) -> AsyncIterator[tuple[Relay, str]]:
    """A relay in front of these servers. Gives it and the URL to which a server's name is added."""
    relay = Relay(servers, secret=lambda _: None, environ={"PATH": os.environ["PATH"]})
    # With its protocol spelled out: asyncio turns Nagle's algorithm off for no other sockets.
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.bind(("127.0.0.1", 0))
    http = Server(uvicorn.Config(relay.app, lifespan="off", log_config=None, timeout_graceful_shutdown=1))
    await relay.start()
    task = asyncio.create_task(http.serve(sockets=[listener]))
    try:
        yield relay, f"http://127.0.0.1:{listener.getsockname()[1]}/mcp/"
    finally:
        await relay.close(5.0)
        http.should_exit = True
        await task


@contextlib.asynccontextmanager
async def process(*command: object, env: dict[str, str] | None = None) -> AsyncIterator[int]:
    """A server that runs meanwhile, and is killed at the end. Gives its process id."""
    words = [str(word) for word in command]
    started = await asyncio.create_subprocess_exec(*words, env=env)
    try:
        yield started.pid
    finally:
        with contextlib.suppress(ProcessLookupError):
            started.kill()
        await started.wait()


async def until(condition: Callable[[], Any]) -> Any:
    """Wait for something to become true, and give it."""
    async with asyncio.timeout(BOUND):
        while not (value := condition()):
            await asyncio.sleep(0.02)
    return value


async def answering(url: str) -> None:
    """Wait until a URL answers with 200, or with anything that shows MCP."""
    async with asyncio.timeout(BOUND), httpx2.AsyncClient(trust_env=False) as http:
        while True:
            with contextlib.suppress(httpx2.TransportError):
                if (await http.get(url)).status_code in (200, 400, 405, 406):
                    return
            await asyncio.sleep(0.05)
