"""Clients of MCP servers without an SDK, so that what is measured is the server's side and not theirs.

In: an address, or a command. Out: the texts that tools give; Failed when there is none. `Http` is one
conversation on one kept-alive connection, in either world; `Pipe` is a process whose pipes any number of
conversations share.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
from asyncio.subprocess import PIPE, Process
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence

VERSION, MODERN = "2025-06-18", "2026-07-28"
_OPENING = {"protocolVersion": VERSION, "capabilities": {}, "clientInfo": {"name": "bench", "version": "1"}}
_PREFIX = "io.modelcontextprotocol/"
_ENVELOPE = {
    f"{_PREFIX}protocolVersion": MODERN,
    f"{_PREFIX}clientCapabilities": {},
    f"{_PREFIX}clientInfo": {"name": "bench", "version": "1"},
}
_MOST = 2**24  # bytes of one line

Answer = tuple[int, dict[str, str], dict[str, Any]]
"""Status, headers and message."""


class Failed(Exception):
    """A call without a result. `code` is JSON-RPC's when there was a proper error, else None."""

    def __init__(self, said: object, code: int | None = None) -> None:
        super().__init__(str(said))
        self.code = code


class Conversation(Protocol):
    async def open(self) -> None: ...

    async def call(self, tool: str, **arguments: str) -> str: ...

    async def close(self) -> None: ...


def text_of(answer: dict[str, Any]) -> str:
    """The text of a tool's result. Raises Failed."""
    if error := answer.get("error"):
        raise Failed(error.get("message") if isinstance(error, dict) else error, _code(error))
    if "result" not in answer or answer["result"].get("isError"):
        raise Failed(answer)
    return str(answer["result"]["content"][0]["text"])


def _code(error: object) -> int | None:
    return error.get("code") if isinstance(error, dict) else None


class Http:
    """One conversation over streamable HTTP. A session that is gone is opened again at the next call."""

    def __init__(self, port: int, path: str = "/mcp", *, modern: bool = False) -> None:
        self._port, self._path, self._modern = port, path, modern
        self._numbers = itertools.count(1)
        self._session: dict[str, str] = {}
        self._opened = False
        self._tools: dict[str, str] = {}
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def open(self) -> None:
        """Connect, introduce itself, and find the tools: proxies in front of many servers rename them."""
        if not self._modern:
            await self._initialize()
        listed = (await self._ask("tools/list", {})).get("result", {}).get("tools", ())
        for name in ("echo", "pid"):
            self._tools[name] = next((tool["name"] for tool in listed if tool["name"].endswith(name)), name)
        self._opened = True

    async def call(self, tool: str, **arguments: str) -> str:
        if not self._opened:
            await self.open()
        return text_of(
            await self._ask("tools/call", {"name": self._tools.get(tool, tool), "arguments": arguments})
        )

    async def close(self) -> None:
        if self._streams:
            self._streams[1].close()
            with contextlib.suppress(ConnectionError):
                await self._streams[1].wait_closed()
            self._streams = None

    async def _initialize(self) -> None:
        self._session = {}
        number = next(self._numbers)
        status, headers, answer = await self._post(
            {"jsonrpc": "2.0", "id": number, "method": "initialize", "params": _OPENING}
        )
        if status != 200 or "result" not in answer:
            raise Failed(f"initialize: HTTP {status}, {answer}")
        self._session = {"mcp-protocol-version": VERSION}
        if session := headers.get("mcp-session-id"):
            self._session["mcp-session-id"] = session
        await self._post({"jsonrpc": "2.0", "method": "notifications/initialized"})

    async def _ask(self, method: str, params: dict[str, Any]) -> dict[str, Any]:
        message = {"jsonrpc": "2.0", "id": next(self._numbers), "method": method, "params": params}
        headers = self._session
        if self._modern:
            message["params"] = {**params, "_meta": _ENVELOPE}
            headers = {"mcp-protocol-version": MODERN, "mcp-method": method}
            if "name" in params:
                headers["mcp-name"] = params["name"]
        status, _, answer = await self._post(message, headers)
        if status == 404 and self._session:
            self._opened = False
        if "result" not in answer and "error" not in answer:
            raise Failed(f"HTTP {status}, {answer}")
        return answer

    async def _post(self, message: dict[str, Any], headers: dict[str, str] | None = None) -> Answer:
        """The server's answer. Raises Failed when the connection breaks, which is made anew then."""
        body = json.dumps(message).encode()
        lines = [
            f"POST {self._path} HTTP/1.1",
            f"host: 127.0.0.1:{self._port}",
            f"content-length: {len(body)}",
            "content-type: application/json",
            "accept: application/json, text/event-stream",
            *(f"{name}: {value}" for name, value in (self._session if headers is None else headers).items()),
        ]
        request = "\r\n".join([*lines, "", ""]).encode() + body
        kept = self._streams is not None
        try:
            return await self._exchange(request, message.get("id"))
        except Failed:
            if not kept:
                raise
            return await self._exchange(request, message.get("id"))  # closed while it was idle

    async def _exchange(self, request: bytes, number: int | None) -> Answer:
        try:
            if self._streams is None:
                self._streams = await asyncio.open_connection("127.0.0.1", self._port, limit=_MOST)
            reader, writer = self._streams
            writer.write(request)
            return await _read(reader, number)
        except (OSError, asyncio.IncompleteReadError) as error:
            await self.close()
            raise Failed(f"{type(error).__name__}: {error}") from None
        except BaseException:  # what is still to come on this connection belongs to nobody
            await self.close()
            raise


async def _read(reader: asyncio.StreamReader, number: int | None) -> Answer:
    first, *lines = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    if headers.get("transfer-encoding") == "chunked":
        body = b""
        while size := int(await reader.readuntil(b"\r\n"), 16):
            body += (await reader.readexactly(size + 2))[:-2]
        await reader.readexactly(2)
    else:
        body = await reader.readexactly(int(headers.get("content-length", "0")))
    return int(first.split()[1]), headers, _message(body, headers.get("content-type", ""), number)


def _message(body: bytes, kind: str, number: int | None) -> dict[str, Any]:
    """The answer to `number` in a body of JSON or events; empty when there is none."""
    events = kind.startswith("text/event-stream")
    texts = (line[5:] for line in body.splitlines() if line.startswith(b"data:")) if events else (body,)
    for text in texts:
        with contextlib.suppress(ValueError):
            message = json.loads(text)
            if isinstance(message, dict) and message.get("id") in (number, None):
                return message
    return {}


class Pipe:
    """A stdio server, started by this client: what a direct connection is."""

    def __init__(self, command: Sequence[str]) -> None:
        self._command = command
        self._numbers = itertools.count(1)
        self._waiting: dict[int, asyncio.Future[dict[str, Any]]] = {}
        self._process: Process | None = None
        self._reading: asyncio.Task[None] | None = None

    async def open(self) -> None:
        """Start the server, unless another conversation has done it."""
        if self._process:
            return
        self._process = await asyncio.create_subprocess_exec(
            *self._command, stdin=PIPE, stdout=PIPE, limit=_MOST
        )
        self._reading = asyncio.create_task(self._read())
        await self._ask("initialize", _OPENING)
        self._write({"jsonrpc": "2.0", "method": "notifications/initialized"})

    async def call(self, tool: str, **arguments: str) -> str:
        return text_of(await self._ask("tools/call", {"name": tool, "arguments": arguments}))

    async def close(self) -> None:
        if self._process and self._reading:
            self._process.kill()
            await self._process.wait()
            await self._reading
            self._process = None

    async def _ask(self, method: str, params: dict[str, Any]) -> dict[str, Any]:
        number = next(self._numbers)
        future = self._waiting[number] = asyncio.get_running_loop().create_future()
        self._write({"jsonrpc": "2.0", "id": number, "method": method, "params": params})
        return await future

    def _write(self, message: dict[str, Any]) -> None:
        assert self._process
        assert self._process.stdin
        self._process.stdin.write(json.dumps(message).encode() + b"\n")

    async def _read(self) -> None:
        assert self._process
        assert self._process.stdout
        async for line in self._process.stdout:
            answer = json.loads(line)
            if waiting := self._waiting.pop(answer.get("id"), None):
                waiting.set_result(answer)
