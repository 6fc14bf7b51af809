"""MCP clients that agents use, connected to one server at once, and told what to do line by line.

    python agents_client.py URL KIND…

In: lines of JSON on stdin, null (list the tools) or [tool, arguments]. Out: a line of JSON for each: what
every kind of client got, by kind; {"error": text} where it was an error. Runs with the packages of the kinds.
"""

import asyncio
import json
import sys
from contextlib import AsyncExitStack

PATIENCE_S = 20


async def old_sdk(url, stack):
    from mcp import ClientSession
    from mcp.client.streamable_http import streamablehttp_client

    read, write, _ = await stack.enter_async_context(streamablehttp_client(url))
    session = await stack.enter_async_context(ClientSession(read, write))
    await session.initialize()

    async def names():
        return [tool.name for tool in (await session.list_tools()).tools]

    async def call(tool, arguments):
        return (await session.call_tool(tool, arguments)).content[0].text

    return names, call


def new_sdk(mode):
    async def connect(url, stack):
        from mcp import Client

        client = await stack.enter_async_context(Client(url, mode=mode))

        async def names():
            return [tool.name for tool in (await client.list_tools(cache_mode="refresh")).tools]

        async def call(tool, arguments):
            return (await client.call_tool(tool, arguments)).content[0].text

        return names, call

    return connect


async def fastmcp(url, stack):
    from fastmcp import Client

    client = await stack.enter_async_context(Client(url))

    async def names():
        return [tool.name for tool in await client.list_tools()]

    async def call(tool, arguments):
        return (await client.call_tool(tool, arguments)).content[0].text

    return names, call


async def openai_agents(url, stack):
    from agents.mcp import MCPServerStreamableHttp

    server = MCPServerStreamableHttp({"url": url}, client_session_timeout_seconds=PATIENCE_S)
    await stack.enter_async_context(server)

    async def names():
        return [tool.name for tool in await server.list_tools()]

    async def call(tool, arguments):
        return (await server.call_tool(tool, arguments)).content[0].text

    return names, call


async def pydantic_ai(url, stack):
    from pydantic_ai.mcp import MCPToolset

    toolset = await stack.enter_async_context(MCPToolset(url, cache_tools=False))

    async def names():
        return [tool.name for tool in await toolset.list_tools()]

    async def call(tool, arguments):
        result = await toolset.direct_call_tool(tool, arguments)
        return result if isinstance(result, str) else json.dumps(result)

    return names, call


KINDS = {
    "mcp 1": old_sdk,
    "mcp 2": new_sdk("auto"),
    "mcp 2, legacy": new_sdk("legacy"),
    "fastmcp": fastmcp,
    "openai-agents": openai_agents,
    "pydantic-ai": pydantic_ai,
}


async def attempt(client, step):
    names, call = client
    try:
        async with asyncio.timeout(PATIENCE_S):
            return sorted(await names()) if step is None else await call(*step)
    except Exception as error:  # noqa: BLE001 - each kind has errors of its own
        return {"error": f"{type(error).__name__}: {error}"}


async def main(url, kinds):
    async with AsyncExitStack() as stack:
        clients = {kind: await KINDS[kind](url, stack) for kind in kinds}
        print(json.dumps("connected"), flush=True)
        while line := await asyncio.to_thread(sys.stdin.readline):
            got = {kind: await attempt(client, json.loads(line)) for kind, client in clients.items()}
            print(json.dumps(got), flush=True)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], sys.argv[2:]))
