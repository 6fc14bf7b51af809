"""What agents of frameworks talk to in tests: a model API, and an MCP server with one tool."""

from __future__ import annotations

import asyncio
import json
import socket
import threading
import time
from abc import ABC, abstractmethod
from pathlib import Path
from typing import Any

import uvicorn

from shipway.replay.app import create_app
from shipway.replay.player import Player
from shipway.replay.tape import load

BOUND_S = 20.0


class Served(ABC):
    """An ASGI application on a free port of loopback, in a thread. A subclass says what it serves."""

    path = ""

    def __init__(self) -> None:
        listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{listener.getsockname()[1]}{self.path}"
        config = uvicorn.Config(
            self._serve, interface="asgi3", lifespan="off", log_level="error", timeout_graceful_shutdown=2
        )
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(
            target=lambda: asyncio.run(self._server.serve([listener])), daemon=True
        )
        self._thread.start()
        deadline = time.monotonic() + BOUND_S
        while not self._server.started:
            assert time.monotonic() < deadline
            time.sleep(0.01)

    def close(self) -> None:
        self._server.should_exit = True
        self._thread.join(BOUND_S)

    @abstractmethod
    async def _serve(self, scope: Any, receive: Any, send: Any) -> None: ...


class ModelServer(Served):
    """The replay, and before it what no replay does.

    It keeps the requests; it fails on "please fail" (400, which SDKs do not try again); and on "never end" it
    streams the beginning of an answer, then nothing, and notes when the client has left.
    """

    path = "/v1"

    def __init__(self, replays: Path) -> None:
        self.requests: list[dict[str, Any]] = []
        self.begun, self.left = threading.Event(), threading.Event()
        self._replay = create_app(Player(load(replays)))
        super().__init__()

    async def _serve(self, scope: Any, receive: Any, send: Any) -> None:
        body = await _read(receive)
        if body:
            self.requests.append(json.loads(body))
        last = _last_text(self.requests[-1]) if body else ""
        if "please fail" in last:
            await _answer(send, 400, b'{"error": {"message": "no such thing", "type": "invalid"}}')
        elif "never end" in last:
            await self._hang(scope["path"], receive, send)
        else:
            await self._replay(scope, _again(body, receive), send)

    async def _hang(self, path: str, receive: Any, send: Any) -> None:
        await _answer(send, 200, _beginning(path), more=True)
        self.begun.set()
        while (await receive())["type"] != "http.disconnect":
            pass
        self.left.set()


ANSWERS = {
    "convert": "noon, says the server",
    "convert_time": '{"target": {"timezone": "Asia/Tokyo", "datetime": "2026-11-25T18:00:00+09:00"}}',
}
"""Tools, and what they say."""


class ToolServer(Served):
    """MCP over streamable HTTP, as much of it as clients need to call tools whose answers are known."""

    path = "/mcp/time"

    async def _serve(self, scope: Any, receive: Any, send: Any) -> None:
        body = await _read(receive)
        request = json.loads(body) if body else {}
        if "id" not in request:
            await _answer(send, 202 if body else 405, b"")
            return
        method, schema = request["method"], {"type": "object", "properties": {"city": {"type": "string"}}}
        results: dict[str, Any] = {
            "initialize": {
                "protocolVersion": "2025-06-18",
                "capabilities": {"tools": {}},
                "serverInfo": {"name": "time", "version": "1"},
            },
            "ping": {},
            "tools/list": {
                "tools": [{"name": name, "description": name, "inputSchema": schema} for name in ANSWERS]
            },
        }
        if method == "tools/call":
            text = ANSWERS[request["params"]["name"]]
            results[method] = {"content": [{"type": "text", "text": text}]}
        unknown = {"error": {"code": -32601, "message": f"no {method} here"}}
        answer = {"result": results[method]} if method in results else unknown
        document = {"jsonrpc": "2.0", "id": request["id"], **answer}
        await _answer(send, 200, json.dumps(document).encode())


async def _read(receive: Any) -> bytes:
    body = b""
    while (message := await receive()).get("more_body"):
        body += message["body"]
    return body + bytes(message.get("body", b""))


async def _answer(send: Any, status: int, body: bytes, more: bool = False) -> None:
    kind = b"text/event-stream" if more else b"application/json"
    await send({"type": "http.response.start", "status": status, "headers": [(b"content-type", kind)]})
    await send({"type": "http.response.body", "body": body, "more_body": more})


def _last_text(request: dict[str, Any]) -> str:
    items = request.get("input") or request.get("messages") or []
    return items if isinstance(items, str) else json.dumps(items[-1:])


def _again(body: bytes, receive: Any) -> Any:
    given = iter([{"type": "http.request", "body": body, "more_body": False}])

    async def again() -> Any:
        return next(given, None) or await receive()

    return again


def _beginning(path: str) -> bytes:
    if path.endswith("/chat/completions"):
        delta = {"index": 0, "delta": {"role": "assistant", "content": "Once"}, "finish_reason": None}
        chunk = {"id": "c", "object": "chat.completion.chunk", "created": 0, "model": "m", "choices": [delta]}
        return b"data: " + json.dumps(chunk).encode() + b"\n\n"
    response = {
        "id": "resp_1",
        "object": "response",
        "created_at": 0,
        "status": "in_progress",
        "model": "m",
        "output": [],
        "parallel_tool_calls": True,
        "tool_choice": "auto",
        "tools": [],
    }
    item = {"id": "msg_1", "type": "message", "status": "in_progress", "role": "assistant", "content": []}
    part = {"type": "output_text", "text": "", "annotations": []}
    at = {"output_index": 0, "content_index": 0, "item_id": "msg_1"}
    events = [
        {"type": "response.created", "response": response},
        {"type": "response.output_item.added", "output_index": 0, "item": item},
        {"type": "response.content_part.added", **at, "part": part},
        {"type": "response.output_text.delta", **at, "delta": "Once", "logprobs": []},
    ]
    numbered = (json.dumps(event | {"sequence_number": n}) for n, event in enumerate(events))
    return "".join(
        f"event: {e['type']}\ndata: {text}\n\n" for e, text in zip(events, numbered, strict=True)
    ).encode()
