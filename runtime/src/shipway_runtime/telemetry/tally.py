"""What one turn costs: tokens, tool calls, tool errors; counted while it runs.

In: usage, calls and results as the agent gives them. Out: numbers. `read_usage` understands the usage objects
of the providers' own SDKs by the names of their fields.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Literal

from ..dialogue import ToolCall, ToolResult, Usage

if TYPE_CHECKING:
    from ..health.faults import Fault

INPUT = ("input_tokens", "prompt_tokens", "prompt_token_count")
OUTPUT = ("output_tokens", "completion_tokens", "candidates_token_count")
"""Anthropic's and OpenAI Responses' names, OpenAI Chat Completions', Gemini's."""


class ToolUse:
    """One call of a tool. Times are of time.time_ns(); `ended` is None as long as there is no result."""

    __slots__ = ("began", "call", "ended", "failed")

    def __init__(self, call: ToolCall) -> None:
        self.call = call
        self.began = time.time_ns()
        self.ended: int | None = None
        self.failed = False

    @property
    def outcome(self) -> Literal["ok", "error", "unfinished"]:
        if self.ended is None:
            return "unfinished"
        return "error" if self.failed else "ok"


class Tally:
    """Sums over one turn. `usages` keeps each report, for what differs between models; `tools` each call."""

    __slots__ = (
        "cached",
        "fault",
        "input",
        "output",
        "reasoning",
        "tool_calls",
        "tool_errors",
        "tools",
        "usages",
    )

    def __init__(self) -> None:
        self.input = self.output = self.cached = self.reasoning = self.tool_calls = self.tool_errors = 0
        self.usages: list[Usage] = []
        self.fault: Fault | None = None
        """What was wrong with the last request to the model that is over; None where nothing was."""
        self.tools: list[ToolUse] = []

    def use(self, usage: Usage) -> None:
        self.input += usage.input
        self.output += usage.output
        self.cached += usage.cached
        self.reasoning += usage.reasoning
        self.usages.append(usage)

    def note(self, piece: ToolCall | ToolResult) -> None:
        if isinstance(piece, ToolCall):
            self.tool_calls += 1
            self.tools.append(ToolUse(piece))
            return
        self.tool_errors += piece.error
        for use in reversed(self.tools):
            if use.call.id == piece.id and use.ended is None:
                use.ended, use.failed = time.time_ns(), piece.error
                return


def read_usage(given: Any, model: str | None = None) -> Usage:
    """A provider's usage object, or its JSON, as `Usage`. Raises TypeError when there are no counts in it."""
    if isinstance(given, Usage):
        return given
    found = [_count(given, names) for names in (INPUT, OUTPUT)]
    if None in found:
        raise TypeError(
            f"no token counts in a {type(given).__qualname__}; expected the `usage` of a model's response, "
            "with input_tokens and output_tokens (or prompt_tokens and completion_tokens)"
        )
    cached = _count(given, ("cache_read_input_tokens",)) or 0
    written = _count(given, ("cache_creation_input_tokens",)) or 0
    # Anthropic's input_tokens leaves out what came from and went into its cache.
    return Usage((found[0] or 0) + cached + written, found[1] or 0, cached=cached, model=model)


def _count(given: Any, names: tuple[str, ...]) -> int | None:
    for name in names:
        value = given.get(name) if isinstance(given, Mapping) else getattr(given, name, None)
        if isinstance(value, int):
            return value
    return None
