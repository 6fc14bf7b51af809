"""A meeting planner, as people write agents with pydantic-ai: tools, typed dependencies, an MCP server."""

from __future__ import annotations

import os
import zlib

from pydantic_ai import Agent, RunContext
from pydantic_ai.mcp import MCPToolset

from shipway_runtime.context import Context

agent = Agent(
    "openai:gpt-5",
    deps_type=Context,  # ctx.deps is the turn's: its prompts, secrets, settings, conversation
    toolsets=[MCPToolset(os.environ["SHIPWAY_MCP_TIME_URL"], id="time")],
)


@agent.instructions
def instructions(ctx: RunContext[Context]) -> str:
    return ctx.deps.prompt("system")


@agent.tool
def rooms(ctx: RunContext[Context], day: str) -> str:
    """The meeting rooms that are free on a day, such as Monday."""
    free = [room for room in ctx.deps.config["rooms"] if zlib.crc32(f"{room} {day}".encode()) % 3]
    return f"free on {day}: {', '.join(free) or 'none'}"
