"""Agents of frameworks: recognised by the package of their class, and refused with what works today."""

from __future__ import annotations

from typing import Any, NoReturn

from ..errors import NotYetError

WRAPPERS = {
    "pydantic_ai": (
        "pydantic-ai",
        'result = await helper.run(messages[-1]["content"])\n        return result.output',
    ),
    "langgraph": (
        "langgraph",
        'state = await helper.ainvoke({"messages": messages})\n        return state["messages"][-1].content',
    ),
    "agents": (
        "openai-agents",
        "result = await Runner.run(helper, messages)\n        return result.final_output",
    ),
}
"""Package of the class -> the framework's name, and the body of a function that asks it."""


def recognises(agent: Any) -> bool:
    return _package(agent) in WRAPPERS


def adapt(agent: Any) -> NoReturn:
    name, body = WRAPPERS[_package(agent)]
    raise NotYetError(
        f"an agent of {name} as the entry point",
        "wrap it in an async function and name that (`helper` is your agent):\n\n"
        f"    async def agent(messages, ctx):\n        {body}\n",
    )


def _package(agent: Any) -> str:
    return type(agent).__module__.partition(".")[0]
