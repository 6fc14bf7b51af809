from __future__ import annotations

from types import SimpleNamespace

import anthropic.types
import pytest

from shipway_runtime.dialogue import ToolCall, ToolResult, Usage
from shipway_runtime.telemetry.tally import Tally, _tell_doubts, read_usage


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


@pytest.mark.parametrize(
    ("given", "counted", "said"),
    [
        ({"input_tokens": -1000, "output_tokens": 5}, (0, 5, 0, 0), "input tokens: a negative number"),
        ({"input_tokens": "12", "output_tokens": 5}, (0, 5, 0, 0), "input tokens: a str"),
        ({"input_tokens": 3}, (3, 0, 0, 0), "output tokens: missing"),
        ({"input_tokens": 10**12, "output_tokens": 5}, (0, 5, 0, 0), "input tokens: more than 100,000,000"),
        ({"input_tokens": 3, "output_tokens": float("nan")}, (3, 0, 0, 0), "output tokens: a float"),
        ({"input_tokens": 0, "output_tokens": 0}, (0, 0, 0, 0), "no tokens at all"),
        (None, (0, 0, 0, 0), "no tokens at all"),
        (Usage(3, 5, cached=-1, reasoning=9), (3, 5, 0, 5), "cached tokens: a negative number"),
    ],
)
def test_what_cannot_be_true_is_not_counted(given, counted, said, caplog):
    _tell_doubts.cache_clear()
    tally = Tally()
    for _ in range(2):
        tally.use(read_usage(given))
    found = (tally.input, tally.output, tally.cached, tally.reasoning)
    assert found == tuple(2 * count for count in counted)
    assert tally.doubtful
    assert caplog.text.count(said) == 1, "it is said once"


def test_a_usage_of_an_sdk_without_its_counts_is_one():
    assert not Tally().doubtful
    assert read_usage(anthropic.types.Usage.model_construct()) == Usage(None, None)


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
