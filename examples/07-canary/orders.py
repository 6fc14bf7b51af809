"""An order desk: Claude, one tool, and a prompt of which a single line decides whether it is any good."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any

from anthropic import AsyncAnthropic

from shipway_runtime.dialogue import ToolCall, ToolResult

client = AsyncAnthropic()
ROUNDS = 4
STATES = ("is being packed", "left us this morning", "is with the carrier", "was delivered yesterday")
TOOL = {
    "name": "order",
    "description": "Where an order is.",
    "input_schema": {"type": "object", "properties": {"number": {"type": "string"}}, "required": ["number"]},
}


async def agent(messages: list[dict[str, Any]], ctx: Any) -> AsyncIterator[str | ToolCall | ToolResult]:
    """Answer the conversation; orders are looked up where the model wants to."""
    history: list[Any] = list(messages)
    for _ in range(ROUNDS):
        async with client.messages.stream(
            model=ctx.model.name,
            max_tokens=ctx.model.max_tokens,
            timeout=ctx.model.timeout_s,
            system=ctx.prompt("system"),
            messages=history,
            tools=[TOOL],
        ) as stream:
            async for text in stream.text_stream:
                yield text
            answer = await stream.get_final_message()
        results = []
        for call in answer.content:
            if call.type == "tool_use":
                found = order(call.input["number"])
                yield ToolCall(call.id, call.name, json.dumps(call.input))
                yield ToolResult(call.id, found)
                results.append({"type": "tool_result", "tool_use_id": call.id, "content": found})
        if not results:
            return
        history += [answer.to_param(), {"role": "user", "content": results}]


def order(number: str) -> str:
    """What the shop's database would say."""
    return f"order {number} {STATES[sum(map(ord, number)) % len(STATES)]}"
