from __future__ import annotations

import copy
import random
import uuid
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shipway.replay.apis import anthropic
from shipway.replay.exchange import Request
from shipway.replay.matching import canonical
from shipway.replay.tape import key

TOOLS = [
    {"name": "now", "description": "The time", "input_schema": {"type": "object", "properties": {}}},
    {"name": "log", "description": "The commits", "input_schema": {"type": "object", "properties": {}}},
]

words = st.text(st.characters(codec="utf-8", exclude_categories=("Cs",)), min_size=1, max_size=20)
scalars = st.none() | st.booleans() | st.integers() | words
inputs = st.dictionaries(
    words, st.recursive(scalars, lambda inner: st.lists(inner, max_size=3), max_leaves=5), max_size=3
)


@st.composite
def bodies(draw: st.DrawFn) -> dict[str, Any]:
    """A request in the middle of a tool loop, with one or two calls."""
    messages: list[dict[str, Any]] = [{"role": "user", "content": draw(words)}]
    for i in range(draw(st.integers(1, 2))):
        call = {"type": "tool_use", "id": f"toolu_{i}", "name": "now", "input": draw(inputs)}
        result = {
            "type": "tool_result",
            "tool_use_id": f"toolu_{i}",
            "content": [{"type": "text", "text": draw(words)}],
        }
        messages += [{"role": "assistant", "content": [call]}, {"role": "user", "content": [result]}]
    return {
        "model": "claude-sonnet-5",
        "max_tokens": 64,
        "system": draw(words),
        "messages": messages,
        "tools": TOOLS,
    }


def key_of(body: Any) -> str:
    return key(Request("POST", "/v1/messages", body))


def shuffled(value: Any, rng: random.Random) -> Any:
    """The same JSON with every object's keys in another order."""
    if isinstance(value, dict):
        items = [(k, shuffled(v, rng)) for k, v in value.items()]
        rng.shuffle(items)
        return dict(items)
    return [shuffled(item, rng) for item in value] if isinstance(value, list) else value


@given(bodies(), st.randoms(use_true_random=False))
def test_key_order_and_tool_order_never_matter(body: dict[str, Any], rng: random.Random) -> None:
    other = shuffled(body, rng) | {"tools": rng.sample(TOOLS, len(TOOLS))}
    assert key_of(other) == key_of(body)


@given(bodies(), st.uuids())
def test_generated_ids_never_matter(body: dict[str, Any], fresh: uuid.UUID) -> None:
    other = copy.deepcopy(body)
    for message in other["messages"][1:]:
        for name in ("id", "tool_use_id"):
            if name in message["content"][0]:
                message["content"][0][name] += fresh.hex
    assert key_of(other) == key_of(body)


@given(bodies())
def test_which_call_a_result_answers_matters(body: dict[str, Any]) -> None:
    other = copy.deepcopy(body)
    other["messages"][2]["content"][0]["tool_use_id"] = "toolu_unknown"
    assert key_of(other) != key_of(body)


def leaves(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    if isinstance(value, dict):
        return [leaf for k, v in value.items() for leaf in leaves(v, (*path, k))]
    if isinstance(value, list):
        return [leaf for i, v in enumerate(value) for leaf in leaves(v, (*path, i))]
    return [path]


@given(bodies(), st.data())
def test_any_other_change_matters(body: dict[str, Any], data: st.DataObject) -> None:
    candidates = [path for path in leaves(body) if path[-1] not in ("id", "tool_use_id")]
    path = data.draw(st.sampled_from(candidates))
    other = copy.deepcopy(body)
    holder = other
    for step in path[:-1]:
        holder = holder[step]
    holder[path[-1]] = f"{holder[path[-1]]} changed"
    assert key_of(other) != key_of(body)


@pytest.mark.parametrize(
    "moment",
    [
        "2026-11-24T03:25:30+09:00",
        "2026-11-24T03:25Z",
        "2026-11-24 03:25:30.123456",
        "2026-11-24 03:25:30 +0100",
    ],
)
def test_a_time_never_matters(moment: str) -> None:
    said = [
        {"messages": [{"role": "user", "content": f"at {when}, ok"}]}
        for when in (moment, "2025-01-02T03:04:05Z")
    ]
    assert key_of(said[0]) == key_of(said[1])
    assert "at <time>, ok" in key_of(said[0])


def test_a_uuid_never_matters() -> None:
    assert canonical.settle(f"order {uuid.uuid4()}") == "order <uuid>"


def test_dates_and_weekdays_matter_in_a_question() -> None:
    assert canonical.settle("open on Sunday, 2026-11-22?") == "open on Sunday, 2026-11-22?"


def test_a_tool_result_with_a_time_has_no_day_either() -> None:
    result = [{"type": "text", "text": '{"datetime": "2026-11-24T03:25:30+09:00", "day_of_week": "Tuesday"}'}]
    settled = canonical.settle_result(result)
    assert settled[0]["text"] == '{"datetime": "<time>", "day_of_week": "<weekday>"}'


def test_a_tool_result_without_a_time_keeps_its_days() -> None:
    assert canonical.settle_result("closed on Sunday") == "closed on Sunday"


def test_stream_and_metadata_do_not_take_part() -> None:
    body = {"model": "m", "messages": []}
    assert anthropic.canonical(body | {"stream": True, "metadata": {"user_id": "1"}}) == body


def test_whole_numbers_are_numbers() -> None:
    assert key_of({"temperature": 1.0}) == key_of({"temperature": 1}) != key_of({"temperature": 0.5})


@pytest.mark.parametrize("body", [None, "text", [], {"messages": None}, {"messages": ["x"], "tools": "y"}])
def test_any_json_has_a_key(body: Any) -> None:
    assert key_of(body) == key_of(copy.deepcopy(body))
