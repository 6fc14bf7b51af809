from __future__ import annotations

import os

from agents import Agent, RunContextWrapper, function_tool, set_tracing_disabled
from agents.mcp import MCPServerStreamableHttp
from pydantic import BaseModel

from shipway_runtime.context import Context, current

set_tracing_disabled(True)


@function_tool
def now(ctx: RunContextWrapper[Context], city: str) -> str:
    """The time in a city."""
    assert ctx.context is current()
    return f"noon in {city}, turn {ctx.context.turn}"


@function_tool
def broken() -> str:
    raise ValueError("the tool broke")


class Answer(BaseModel):
    city: str
    hour: int


agent = Agent("clock", instructions="You tell the time.", model="gpt-5", tools=[now, broken])
structured = Agent("clock", model="gpt-5", output_type=Answer)
with_server = Agent(
    "clock",
    model="gpt-5",
    mcp_servers=[MCPServerStreamableHttp({"url": os.environ["SHIPWAY_MCP_TIME_URL"]})],
)
triage = Agent("triage", model="gpt-5", handoffs=[agent])
