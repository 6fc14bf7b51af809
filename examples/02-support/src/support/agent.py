"""The agent: Claude in a loop with the tools of two MCP servers.

Nothing here knows where it runs. The SDK finds its key and its address in the environment; the MCP servers
are URLs, whatever their shape; the repository is a directory of the storage.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from typing import Any

from anthropic import AsyncAnthropic
from mcp import Client

from shipway_runtime.dialogue import ToolCall, ToolResult

logger = logging.getLogger(__name__)
client = AsyncAnthropic()


@dataclass(frozen=True)
class Tool:
    """A tool as the model sees it, its server, and the arguments that are not the model's to choose."""

    definition: dict[str, Any]
    server: str
    url: str
    fixed: Mapping[str, str]


async def agent(messages: list[dict[str, Any]], ctx: Any) -> AsyncIterator[str | ToolCall | ToolResult]:
    """Answer the conversation, piece by piece."""
    tools = await find_tools(ctx)
    history = list(messages)
    for _ in range(ctx.config["tool_rounds"]):
        async with client.messages.stream(
            model=ctx.model.name,
            max_tokens=ctx.model.max_tokens,
            timeout=ctx.model.timeout_s,
            system=ctx.prompt("system").format(greeting=ctx.config["greeting"]),
            messages=history,
            tools=[tool.definition for tool in tools.values()],
        ) as stream:
            async for text in stream.text_stream:
                yield text
            answer = await stream.get_final_message()
        calls = [block for block in answer.content if block.type == "tool_use"]
        if not calls:
            return
        if answer.content[0].type == "text":
            yield "\n\n"  # between what was said before the call and what comes after
        for call in calls:
            yield ToolCall(call.id, call.name, json.dumps(call.input), server_of(tools, call))
        results = await asyncio.gather(*(call_tool(tools, call) for call in calls))
        for result in results:
            text = result["content"][0]["text"]
            yield ToolResult(result["tool_use_id"], text, result["is_error"])
        history += [answer.to_param(), {"role": "user", "content": results}]
    yield "I could not finish this with the tools I have. Please ask a narrower question."


# A client is open for one request only, and never across a `yield`: its task group must close in the task
# that opened it, which a caller who goes away in the middle of a stream does not grant.


async def find_tools(ctx: Any) -> dict[str, Tool]:
    """The tools of every server that answers, by name. One that does not is missing from this turn."""
    fixed = {"repo_path": str(ctx.storage / ctx.config["repository"])}
    found = await asyncio.gather(*(list_tools(name, url) for name, url in ctx.mcp.items()))
    return {
        tool.name: Tool(
            describe(tool, fixed), name, url, {k: v for k, v in fixed.items() if k in properties(tool)}
        )
        for (name, url), tools in zip(ctx.mcp.items(), found, strict=True)
        for tool in tools
    }


async def list_tools(name: str, url: str) -> list[Any]:
    try:
        async with Client(url) as server:
            return (await server.list_tools()).tools
    except Exception:
        logger.exception("MCP server %s does not answer: going on without its tools", name)
        return []


def describe(tool: Any, fixed: Mapping[str, str]) -> dict[str, Any]:
    """The tool for the model, without the arguments that are fixed: no path of this machine in a prompt."""
    schema = tool.input_schema | {
        "properties": {name: value for name, value in properties(tool).items() if name not in fixed},
        "required": [name for name in tool.input_schema.get("required", ()) if name not in fixed],
    }
    return {"name": tool.name, "description": tool.description or "", "input_schema": schema}


def properties(tool: Any) -> dict[str, Any]:
    return tool.input_schema.get("properties", {})


def server_of(tools: Mapping[str, Tool], call: Any) -> str | None:
    return tools[call.name].server if call.name in tools else None


async def call_tool(tools: Mapping[str, Tool], call: Any) -> dict[str, Any]:
    """The result for the model. A tool that fails is a result, too: the model can say so, or try another."""
    try:
        tool = tools[call.name]
        async with Client(tool.url) as server:
            result = await server.call_tool(call.name, {**call.input, **tool.fixed})
        text = "\n".join(block.text for block in result.content if block.type == "text")
        failed = bool(result.is_error)
    except Exception as error:
        logger.exception("tool %s failed", call.name)
        text, failed = f"{call.name} is not available: {type(error).__name__}", True
    return {
        "type": "tool_result",
        "tool_use_id": call.id,
        "content": [{"type": "text", "text": text}],
        "is_error": failed,
    }
