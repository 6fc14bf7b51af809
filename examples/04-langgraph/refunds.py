"""A refund desk as a graph: the model proposes, a person approves, and the state outlives the process."""

from __future__ import annotations

import contextlib
import os
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

from langchain_core.tools import tool
from langchain_openai import ChatOpenAI
from langgraph.checkpoint.sqlite.aio import AsyncSqliteSaver
from langgraph.graph import START, MessagesState, StateGraph
from langgraph.prebuilt import ToolNode, tools_condition
from langgraph.types import interrupt

from shipway_runtime.context import current

ORDERS = {"1001": ("a kettle", 39), "1002": ("a lamp", 75), "1003": ("a sofa", 890)}
LIMIT = 50  # euros that nobody has to approve


@tool
def find_order(number: str) -> str:
    """What was ordered, and what it cost in euros."""
    thing, price = ORDERS.get(number, ("nothing", 0))
    return f"order {number}: {thing}, {price} EUR"


@tool
def refund(number: str) -> str:
    """Pay an order back. A person is asked first where it is dear."""
    thing, price = ORDERS[number]
    if price > LIMIT:
        answer = interrupt(f"Shall I refund {price} EUR for {thing}? (yes or no)")
        if "yes" not in str(answer).lower():
            return f"order {number}: refund refused"
    return f"order {number}: {price} EUR refunded"


TOOLS = [find_order, refund]


async def think(state: MessagesState) -> dict[str, Any]:
    """Ask the model that agent.toml and the policy name at this moment."""
    ctx = current()
    model = ChatOpenAI(model=ctx.model.name, max_tokens=ctx.model.max_tokens, stream_usage=True)
    asked = [("system", ctx.prompt("system")), *state["messages"]]
    return {"messages": [await model.bind_tools(TOOLS).ainvoke(asked)]}


builder = StateGraph(MessagesState)
builder.add_node("think", think)
builder.add_node("tools", ToolNode(TOOLS))
builder.add_edge(START, "think")
builder.add_conditional_edges("think", tools_condition)
builder.add_edge("tools", "think")


@contextlib.asynccontextmanager
async def make() -> AsyncIterator[Any]:
    """The graph, for as long as its checkpoints are open."""
    place = Path(os.environ.get("SHIPWAY_STORAGE", "/data"))
    async with AsyncSqliteSaver.from_conn_string(str(place / "checkpoints.db")) as checkpoints:
        yield builder.compile(checkpointer=checkpoints)
