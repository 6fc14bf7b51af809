"""What an agent answered to a case, as every check sees it.

In: response objects of /v1/responses. Out: frozen values. Calls of tools are the response's `mcp_call` and
`function_call` items; an agent that does not tell of its tools has none here.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Call:
    """One call of a tool. `error` is what went wrong, None where nothing did or nobody says."""

    name: str
    arguments: Mapping[str, Any]
    server: str | None = None
    error: str | None = None


@dataclass(frozen=True, slots=True)
class Reply:
    """The answer to one turn. `cost` is in US dollars, None where usage or a price is missing; `error` says
    how the agent failed to answer."""

    text: str
    calls: tuple[Call, ...] = ()
    latency_s: float = 0.0
    cost: float | None = None
    tokens: int = 0
    error: str | None = None
    revision: str | None = None
    identity: str | None = None
    """The response's id, by which the next turn goes on from it."""


@dataclass(frozen=True, slots=True)
class Answer:
    """The answers to a case's turns, as far as they were asked. `missing` says why there is nothing to judge:
    the agent was not reached, or its limits refused the turn."""

    replies: tuple[Reply, ...] = ()
    missing: str | None = None

    @property
    def text(self) -> str:
        """What was said last."""
        return self.replies[-1].text if self.replies else ""

    @property
    def calls(self) -> tuple[Call, ...]:
        return tuple(call for reply in self.replies for call in reply.calls)

    @property
    def latency_s(self) -> float:
        """Of the slowest turn."""
        return max((reply.latency_s for reply in self.replies), default=0.0)

    @property
    def cost(self) -> float | None:
        """Of all turns; None where that of one is unknown."""
        costs = [reply.cost for reply in self.replies]
        return sum(cost for cost in costs if cost is not None) if None not in costs else None

    @property
    def error(self) -> str | None:
        return next((reply.error for reply in self.replies if reply.error), None)

    @property
    def revisions(self) -> tuple[str, ...]:
        found = (reply.revision for reply in self.replies)
        return tuple(dict.fromkeys(revision for revision in found if revision))


def text_of(response: Mapping[str, Any]) -> str:
    """All that a response says."""
    items = [item for item in response.get("output") or () if item.get("type") == "message"]
    parts = (part for item in items for part in item.get("content") or ())
    return "".join(part.get("text") or part.get("refusal") or "" for part in parts)


def calls_of(response: Mapping[str, Any]) -> tuple[Call, ...]:
    """The tools that a response tells of, in the order in which they were called."""
    items = (item for item in response.get("output") or () if isinstance(item, dict))
    return tuple(_call(item) for item in items if item.get("type") in ("mcp_call", "function_call"))


def _call(item: Mapping[str, Any]) -> Call:
    error = item.get("error")
    return Call(
        str(item.get("name", "")),
        _arguments(item.get("arguments")),
        item.get("server_label"),
        None if error is None else _words(error),
    )


def _arguments(text: Any) -> Mapping[str, Any]:
    try:
        value = json.loads(text) if isinstance(text, str) and text else text
    except ValueError:
        value = None
    return value if isinstance(value, dict) else {}


def _words(error: Any) -> str:
    """An item's error: a text, or `{"content": [{"text": …}]}`."""
    if isinstance(error, dict):
        content = error.get("content")
        texts = [str(part.get("text", "")) for part in content] if isinstance(content, list) else []
        return " ".join(texts) or str(error.get("message") or error)
    return str(error)
