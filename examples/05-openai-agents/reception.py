"""A hotel's reception with the OpenAI Agents SDK: it hands over to two agents, one with an MCP server."""

from __future__ import annotations

import os
from typing import Any

from agents import Agent, RunContextWrapper, function_tool, set_tracing_disabled
from agents.mcp import MCPServerStreamableHttp

from shipway_runtime.context import Context

set_tracing_disabled(True)  # the SDK sends traces to OpenAI unless it is told not to


def prompt(name: str) -> Any:
    """Instructions that are read from prompts/ in each run."""
    return lambda wrapper, agent: wrapper.context.prompt(name)


@function_tool
def price(wrapper: RunContextWrapper[Context], room: str) -> str:
    """What a room costs for a night: single or double."""
    return f"{wrapper.context.config[room]} EUR"


bookings = Agent("bookings", instructions=prompt("bookings"), model="gpt-5", tools=[price])
concierge = Agent(
    "concierge",
    instructions=prompt("concierge"),
    model="gpt-5",
    mcp_servers=[MCPServerStreamableHttp({"url": os.environ["SHIPWAY_MCP_TIME_URL"]}, cache_tools_list=True)],
)
agent = Agent("reception", instructions=prompt("reception"), model="gpt-5", handoffs=[bookings, concierge])
