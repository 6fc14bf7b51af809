from __future__ import annotations

import os

from pydantic import BaseModel
from pydantic_ai import Agent, NativeOutput, RunContext
from pydantic_ai.mcp import MCPToolset

from shipway_runtime.context import Context, current

agent = Agent("openai:gpt-5", deps_type=Context, system_prompt="You tell the time.")


@agent.instructions
def where(ctx: RunContext[Context]) -> str:
    return f"This is conversation {ctx.deps.conversation}."


@agent.tool_plain
def now(city: str) -> str:
    """The time in a city."""
    return f"noon in {city}, turn {current().turn}"


@agent.tool_plain
def broken() -> str:
    raise ValueError("the tool broke")


class Answer(BaseModel):
    city: str
    hour: int


structured = Agent("openai:gpt-5", output_type=NativeOutput(Answer))
by_tool = Agent("openai:gpt-5", output_type=Answer)
with_server = Agent("openai:gpt-5", toolsets=[MCPToolset(os.environ["SHIPWAY_MCP_TIME_URL"])])
