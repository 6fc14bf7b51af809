"""What one turn costs: tokens, tool calls, tool errors; counted while it runs.

In: usage, calls and results as the agent gives them. Out: numbers. `read_usage` understands the usage objects
of the providers' own SDKs by the names of their fields.
"""

from __future__ import annotations

import functools
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Literal

from ..dialogue import ToolCall, ToolResult, Usage
from . import log

if TYPE_CHECKING:
    from ..health.faults import Fault

INPUT = ("input_tokens", "prompt_tokens", "prompt_token_count")
OUTPUT = ("output_tokens", "completion_tokens", "candidates_token_count")
"""Anthropic's and OpenAI Responses' names, OpenAI Chat Completions', Gemini's."""


KINDS = ("input", "output", "cached", "reasoning")
MOST = 100_000_000
"""Tokens that one report can speak of."""


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
        "answered",
        "cached",
        "doubtful",
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
        self.doubtful = False
        """Whether a report was missing, or could not be true: it says less than was used."""
        self.answered = False
        """Whether the model began to answer a request, as far as that is watched."""
        self.fault: Fault | None = None
        """What was wrong with the last request to the model that is over; None where nothing was."""
        self.tools: list[ToolUse] = []

    def use(self, usage: Usage) -> None:
        """Count a report, as far as it can be true; what cannot be is said once on the log."""
        usage, doubts = _credible(usage)
        if doubts:
            self.doubtful = True
            _tell_doubts(", ".join(doubts))
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
    """A provider's usage object, or its JSON, as `Usage`, whatever its counts are worth; None is what an SDK
    gives when the model sent none. Raises TypeError for what is no usage at all."""
    if isinstance(given, Usage):
        return given
    if given is None:
        return Usage(model=model)
    found = [_count(given, names) for names in (INPUT, OUTPUT)]
    if found == [None, None] and not any(_declares(given, name) for name in INPUT):
        raise TypeError(
            f"no token counts in a {type(given).__qualname__}; expected the `usage` of a model's response, "
            "with input_tokens and output_tokens (or prompt_tokens and completion_tokens)"
        )
    cached = _count(given, ("cache_read_input_tokens",)) or 0
    written = _count(given, ("cache_creation_input_tokens",)) or 0
    # Anthropic's input_tokens leaves out what came from and went into its cache.
    among = [part for part in (found[0], cached, written) if isinstance(part, int)]
    total = sum(among) if isinstance(found[0], int) else found[0]
    return Usage(total, found[1], cached=cached, model=model)


def _count(given: Any, names: tuple[str, ...]) -> Any:
    """The first of these that is there, of whatever type."""
    for name in names:
        value = given.get(name) if isinstance(given, Mapping) else getattr(given, name, None)
        if value is not None:
            return value
    return None


def _declares(given: Any, name: str) -> bool:
    """Whether a usage could have this count: SDKs leave out what the model did not send."""
    return name in given if isinstance(given, Mapping) else name in getattr(type(given), "model_fields", ())


def _credible(usage: Usage) -> tuple[Usage, list[str]]:
    """The usage with counts that can be true, and what was wrong with the others."""
    doubts: list[str] = []
    counts = {kind: _number(kind, getattr(usage, kind), doubts) for kind in KINDS}
    if not doubts and not counts["input"] and not counts["output"]:
        doubts.append("no tokens at all")  # what SDKs and frameworks make of a usage that is missing
    counts["cached"] = min(counts["cached"], counts["input"])
    counts["reasoning"] = min(counts["reasoning"], counts["output"])
    return Usage(**counts, model=usage.model), doubts


def _number(kind: str, value: Any, doubts: list[str]) -> int:
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, int) and 0 <= value <= MOST:
        return value
    seen = f"more than {MOST:,}" if isinstance(value, int) and value > 0 else None
    seen = seen or ("a negative number" if isinstance(value, int) else f"a {type(value).__name__}")
    doubts.append(f"{kind} tokens: {'missing' if value is None else seen}")
    return 0


@functools.cache
def _tell_doubts(doubts: str) -> None:
    log.warning(
        "the usage that the model reports is not credible (%s); budgets count what it may have used at most",
        doubts,
    )
