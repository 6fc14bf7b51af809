from __future__ import annotations

import copy
import random
import re
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
    assert canonical.settle(said[0]["messages"][0]["content"]) == "at <time>, ok"


def test_a_uuid_never_matters() -> None:
    assert canonical.settle(f"order {uuid.uuid4()}") == "order <uuid>"


def test_dates_and_weekdays_matter_in_a_question() -> None:
    assert canonical.settle("open on Sunday, 2026-11-22?") == "open on Sunday, 2026-11-22?"


def test_a_tool_result_with_a_time_has_no_day_either() -> None:
    result = [{"type": "text", "text": '{"datetime": "2026-11-24T03:25:30+09:00", "day_of_week": "Tuesday"}'}]
    settled = canonical.settle_result(result)
    assert settled[0]["text"] == '{"datetime":"<time>","day_of_week":"<weekday>"}'


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


def result_key(result: Any, **more: Any) -> str:
    """The key of a request whose last message is this result of a tool."""
    call = {"type": "tool_use", "id": "toolu_01", "name": "now", "input": {}}
    answer = {"type": "tool_result", "tool_use_id": "toolu_01", "content": result}
    messages = [
        {"role": "user", "content": "q"},
        {"role": "assistant", "content": [call]},
        {"role": "user", "content": [answer]},
    ]
    return key_of({"messages": messages} | more)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Today is Sunday, November 29, 2026.", "Today is Monday, November 30, 2026."),
        ("Today's date: 2026-11-29", "Today's date: 2026-12-01"),
        ("The current date and time is 2026-11-29 14:05.", "The current date and time is 2026-11-30 09:15."),
        ("Current time: 14:05:33", "Current time: 08:15:00"),
        ('{"current_time": "14:05:33", "x": 1}', '{"current_time": "08:15:00", "x": 1}'),
        ("Today is 11/29/2026", "Today is 12/1/2026"),
        ("Today's date is Sunday, 2026/11/29.", "Today's date is Monday, 2026/11/30."),
        ("current_date: 29 November 2026", "current_date: 1 December 2026"),
        ("It is now Sun Nov 29 19:51:09 UTC 2026", "It is now Mon Nov 30 08:00:00 UTC 2026"),
        ("Date: Sun, 29 Nov 2026 19:51:09 GMT", "Date: Mon, 30 Nov 2026 08:00:00 GMT"),
        ("cwd /tmp/tmpab12cd_x/repo", "cwd /tmp/tmpzz99yy_q/repo"),
        ("/private/var/folders/x1/abc_d/T/tmpab12cd_x/a", "/var/folders/y2/efg_h/T/tmpzz99yy_q/a"),
        ("~/.claude/projects/-tmp-tmp1g3uj0io/memory", "~/.claude/projects/-tmp-tmpfntxatur/memory"),
        ("/tmp/pytest-of-me/pytest-12/repo", "/tmp/pytest-of-me/pytest-13/repo"),
        ("see http://127.0.0.1:54321/mcp", "see http://127.0.0.1:43215/mcp"),
        ("default <object object at 0x7f3b2c0a>", "default <object object at 0x7faa00bb>"),
        ("run--0199a1b2-0000-7000-8000-000000000001-0", "run--0199a1b2-0000-7000-8000-000000000002-0"),
        ("one\r\ntwo\n", "one\ntwo"),
        ("x-anthropic-billing-header: cc_version=2.1; cch=36ee5;", "x-anthropic-billing-header: cch=0aaa9;"),
    ],
)
def test_what_changes_by_itself_never_matters(one: str, other: str) -> None:
    assert key_of({"system": one}) == key_of({"system": other})


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Book a room for 2026-12-24 14:00", "Book a room for 2026-12-25 14:00"),
        ("between now and 2026-12-24", "between now and 2026-12-25"),
        ("I was born on 29 November 1990", "I was born on 30 November 1990"),
        ("Today I met Anna, born 1990-01-01", "Today I met Anna, born 1991-01-01"),
        ("Today is Sunday", "Today is Monday"),
        ("is 11/29/2026 a Sunday?", "is 11/30/2026 a Sunday?"),
        ("is localhost:8080 up?", "is localhost:9090 up?"),
        ("order 1712345678", "order 1712345679"),
        ("wait 1.5 s", "wait 2.5 s"),
        ("read /tmp/report.txt", "read /tmp/letters.txt"),
        ("on Sunday at 14:05", "on Monday at 14:05"),
    ],
)
def test_what_people_ask_for_matters(one: str, other: str) -> None:
    assert key_of({"messages": [{"role": "user", "content": one}]}) != key_of(
        {"messages": [{"role": "user", "content": other}]}
    )


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ('{"created": 1764445869, "took_ms": 12}', '{"took_ms": 31, "created": 1764450000}'),
        ("done in 0.31 s (12 ms waiting)", "done in 1.29 s (9 ms waiting)"),
        ({"updated": 1764445869.25}, {"updated": 1764449999.5}),
        ('{"a": 1, "b": [1, 2]}', '{"b":[1,2],"a":1.0}'),
    ],
)
def test_what_tools_measure_never_matters(one: Any, other: Any) -> None:
    assert result_key(one) == result_key(other)
    assert result_key(one) != result_key("something else")


def test_an_id_that_a_text_quotes_is_that_id() -> None:
    def quoting(id_: str, quoted: str) -> str:
        call = {"type": "tool_use", "id": id_, "name": "now", "input": {}}
        said = {"type": "tool_result", "tool_use_id": id_, "content": f"result of {quoted}: 5"}
        messages = [{"role": "assistant", "content": [call]}, {"role": "user", "content": [said]}]
        return key_of({"messages": messages})

    same = quoting("toolu_aaaaaaaa", "toolu_aaaaaaaa")
    assert quoting("toolu_bbbbbbbb", "toolu_bbbbbbbb") == same
    assert quoting("toolu_bbbbbbbb", "toolu_unknown0") != same
    assert quoting("5", "5") != quoting("6", "6")  # too short to be told from a word


@pytest.mark.parametrize(
    "other",
    [
        {"system": [{"type": "text", "text": "Be brief."}]},
        {"system": [{"type": "text", "text": "Be brief.", "cache_control": {"type": "ephemeral"}}]},
        {"system": "Be brief.", "temperature": None},
    ],
)
def test_two_ways_to_write_the_same_are_the_same(other: dict[str, Any]) -> None:
    assert key_of(other) == key_of({"system": "Be brief."})


def test_a_project_adds_what_changes_only_there() -> None:
    one, other = ({"system": f"Heute ist der {day}. build {day}"} for day in ("29.11.2026", "30.11.2026"))
    asked = [Request("POST", "/v1/messages", body) for body in (one, other)]
    assert key(asked[0]) != key(asked[1])
    without = (re.compile(r"\d\d\.\d\d\.\d{4}"),)
    assert key(asked[0], without) == key(asked[1], without)
