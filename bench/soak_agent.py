"""The agent of the soak: in each turn it calls all of its MCP servers, and tells how each call went.

In: anything. Out: JSON, server -> "ok", "error" (a proper JSON-RPC error) or what else it saw. Odd turns are
calls of 2026-07-28, without a session; even ones go on in a session of 2025-06-18 that is opened once and
never again, whatever happens to servers and relays meanwhile.
"""

import asyncio
import json

import httpx2

VERSION, MODERN = "2025-06-18", "2026-07-28"
HEADERS = {"accept": "application/json, text/event-stream"}
META = {f"io.modelcontextprotocol/{name}": value for name, value in (
    ("protocolVersion", MODERN), ("clientCapabilities", {}), ("clientInfo", {"name": "soak", "version": "1"})
)}  # fmt: skip
PATIENCE_S = 20.0  # far beyond the servers' own timeout: the relay has to answer first
HTTP = httpx2.AsyncClient(timeout=PATIENCE_S, trust_env=False, verify=False)
SESSIONS: dict[str, asyncio.Task[dict[str, str]]] = {}


async def agent(messages, ctx):
    text = f"{ctx.conversation}-{ctx.turn}"
    calls = (call(url, text, modern=ctx.turn % 2 == 1) for url in ctx.mcp.values())
    return json.dumps(dict(zip(ctx.mcp, await asyncio.gather(*calls), strict=True)))


async def call(url: str, text: str, *, modern: bool) -> str:
    params = {"name": "echo", "arguments": {"text": text}}
    try:
        if modern:
            params["_meta"] = META
            headers = {"mcp-protocol-version": MODERN, "mcp-method": "tools/call", "mcp-name": "echo"}
        else:
            headers = await session(url)
        response = await post(url, "tools/call", params, headers)
        return judge(response.status_code, response.json(), text)
    except (httpx2.HTTPError, ValueError) as error:
        return f"{type(error).__name__}: {error}"


def judge(status: int, answer: dict, text: str) -> str:
    if "error" in answer:
        return "error" if isinstance(answer["error"], dict) and "code" in answer["error"] else str(answer)
    said = answer.get("result", {}).get("content", [{}])[0].get("text")
    return "ok" if status == 200 and said == text else f"HTTP {status}: {answer}"


async def session(url: str) -> dict[str, str]:
    """The headers of the one session with a server. While it cannot be opened, ValueError says so."""
    if url not in SESSIONS:
        SESSIONS[url] = asyncio.create_task(open_session(url))
    try:
        return await asyncio.shield(SESSIONS[url])
    except BaseException:
        SESSIONS.pop(url, None)
        raise


async def open_session(url: str) -> dict[str, str]:
    params = {"protocolVersion": VERSION, "capabilities": {}, "clientInfo": {"name": "soak", "version": "1"}}
    response = await post(url, "initialize", params, {})
    if "result" not in response.json():
        raise ValueError(f"initialize: {response.text}")
    headers = {"mcp-protocol-version": VERSION, "mcp-session-id": response.headers["mcp-session-id"]}
    body = {"jsonrpc": "2.0", "method": "notifications/initialized"}
    await HTTP.post(url, json=body, headers=HEADERS | headers)
    return headers


async def post(url: str, method: str, params: dict, headers: dict[str, str]) -> httpx2.Response:
    body = {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}
    return await HTTP.post(url, json=body, headers=HEADERS | headers)
