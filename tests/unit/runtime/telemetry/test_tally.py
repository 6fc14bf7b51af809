from __future__ import annotations

from types import SimpleNamespace

import pytest

from shipway_runtime.dialogue import ToolCall, ToolResult, Usage
from shipway_runtime.telemetry.tally import Tally, read_usage


@pytest.mark.parametrize(
    "given",
    [
        {"input_tokens": 3, "output_tokens": 5},
        {"prompt_tokens": 3, "completion_tokens": 5, "total_tokens": 8},
        SimpleNamespace(prompt_token_count=3, candidates_token_count=5),
        SimpleNamespace(input_tokens=3, output_tokens=5, cache_read_input_tokens=None),
        Usage(3, 5),
    ],
)
def test_the_usage_of_each_provider(given):
    usage = read_usage(given)
    assert (usage.input, usage.output) == (3, 5)


def test_input_from_anthropics_cache_is_input():
    given = {
        "input_tokens": 3,
        "output_tokens": 5,
        "cache_read_input_tokens": 100,
        "cache_creation_input_tokens": 20,
    }
    assert read_usage(given, "m") == Usage(123, 5, cached=100, model="m")


def test_no_count_is_below_zero():
    tally = Tally()
    tally.use(read_usage({"input_tokens": 3, "output_tokens": 5}))
    tally.use(read_usage({"input_tokens": -1000, "output_tokens": -1, "cache_read_input_tokens": -5}))
    tally.use(Usage(0, 0, cached=-1, reasoning=-1))
    assert (tally.input, tally.output, tally.cached, tally.reasoning) == (3, 5, 0, 0)


def test_something_else_is_refused():
    with pytest.raises(TypeError, match="no token counts in a str"):
        read_usage("12")


def test_a_turn_is_counted():
    tally = Tally()
    tally.use(Usage(1, 2, cached=1))
    tally.use(Usage(10, 20, reasoning=5))
    tally.note(ToolCall("a", "look", "{}"))
    tally.note(ToolResult("a", "gone", error=True))
    tally.note(ToolResult("b", "here"))
    assert (tally.input, tally.output, tally.cached, tally.reasoning) == (11, 22, 1, 5)
    assert (tally.tool_calls, tally.tool_errors) == (1, 1)
