"""A small MCP server without an SDK, over stdio or HTTP: what it costs itself is next to nothing.

    python toy_mcp.py [PORT]

Tools: echo (its text), pid (this process's). It speaks both worlds over HTTP, and the legacy one over stdio.
Sessions are in memory, as in every server: a new process knows none of the old one's.
"""

import asyncio
import json
import os
import sys

TOOLS = [
    {"name": name, "description": name, "inputSchema": {"type": "object", "properties": {}}}
    for name in ("echo", "pid")
]
INFO = {"name": "toy", "version": "1"}
MODERN = {"supportedVersions": ["2026-07-28"], "capabilities": {"tools": {}}, "resultType": "complete"}
SESSIONS = set()


def answer(message: dict) -> dict:
    """The message that answers a request."""
    method, params = message["method"], message.get("params") or {}
    modern = "io.modelcontextprotocol/protocolVersion" in (params.get("_meta") or {})
    if method == "initialize":
        result = {"protocolVersion": params["protocolVersion"], "capabilities": {"tools": {}}}
        result["serverInfo"] = INFO
    elif method == "server/discover" and modern:
        result = MODERN
    elif method == "ping":
        result = {}
    elif method == "tools/list":
        result = {"tools": TOOLS}
        if modern:
            result |= {"resultType": "complete", "ttlMs": 0, "cacheScope": "private"}
    elif method == "tools/call":
        text = params["arguments"]["text"] if params["name"] == "echo" else str(os.getpid())
        result = {"content": [{"type": "text", "text": text}]}
        if modern:
            result["resultType"] = "complete"
    else:
        error = {"code": -32601, "message": f"no {method} here"}
        return {"jsonrpc": "2.0", "id": message["id"], "error": error}
    return {"jsonrpc": "2.0", "id": message["id"], "result": result}


def serve_stdio() -> None:
    for line in sys.stdin.buffer:
        message = json.loads(line)
        if "id" in message and "method" in message:
            sys.stdout.buffer.write(json.dumps(answer(message)).encode() + b"\n")
            sys.stdout.buffer.flush()


class Face(asyncio.Protocol):
    """One HTTP connection, kept alive."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport
        self.buffer = b""

    def data_received(self, data: bytes) -> None:
        self.buffer += data
        while (end := self.buffer.find(b"\r\n\r\n")) >= 0:
            first, *lines = self.buffer[:end].decode("latin-1").split("\r\n")
            headers = {name.lower(): value.strip() for name, _, value in (s.partition(":") for s in lines)}
            length = end + 4 + int(headers.get("content-length", "0"))
            if len(self.buffer) < length:
                return
            body, self.buffer = self.buffer[end + 4 : length], self.buffer[length:]
            self.transport.write(reply(first.split()[0], headers, body))


def reply(method: str, headers: dict, body: bytes) -> bytes:
    session = headers.get("mcp-session-id")
    if method != "POST":
        return http("405 Method Not Allowed", b"")
    if session and session not in SESSIONS:
        return http("404 Not Found", b'{"error": "Session not found"}')
    message = json.loads(body)
    if "id" not in message or "method" not in message:
        return http("202 Accepted", b"")
    extra = ""
    if message["method"] == "initialize":
        SESSIONS.add(session := os.urandom(8).hex())
        extra = f"mcp-session-id: {session}\r\n"
    return http("200 OK", json.dumps(answer(message)).encode(), extra)


def http(status: str, body: bytes, extra: str = "") -> bytes:
    head = f"HTTP/1.1 {status}\r\ncontent-type: application/json\r\ncontent-length: {len(body)}\r\n{extra}"
    return head.encode() + b"\r\n" + body


async def serve_http(port: int) -> None:
    server = await asyncio.get_running_loop().create_server(Face, "127.0.0.1", port)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(serve_http(int(sys.argv[1]))) if len(sys.argv) > 1 else serve_stdio()
