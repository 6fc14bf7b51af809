"""An agent that needs no model: it greets, and counts what was said."""

from collections.abc import AsyncIterator
from typing import Any


async def agent(messages: list[dict[str, str]], ctx: Any) -> AsyncIterator[str]:
    said = messages[-1]["content"]
    yield "Hello! "
    yield f"You said: {said} "
    yield f"(turn {ctx.turn}, {len(messages)} messages so far)"
