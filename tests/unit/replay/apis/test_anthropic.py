from __future__ import annotations

import json
from typing import Any

import httpx2
import pytest
from anthropic.lib.streaming._beta_messages import accumulate_event
from anthropic.types.beta import BetaMessage
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.unit.replay.apis.cutting import cut, cuts, ends

from shipway.replay.apis import anthropic, sse
from shipway.replay.apis.provider import Call, ConversionError, Demands, ErrorEventError, LastMessage
from shipway.replay.exchange import Request

FOUND = {
    "type": "web_search_result",
    "url": "https://example.com",
    "title": "t",
    "encrypted_content": "e",
    "page_age": "1 day",
}
texts = st.text(st.characters(codec="utf-8"), max_size=60)
blocks = st.one_of(
    st.builds(lambda text: {"type": "text", "text": text}, texts),
    st.builds(
        lambda text, cited: {"type": "text", "text": text, "citations": cited},
        texts,
        st.lists(
            st.fixed_dictionaries({"type": st.just("char_location"), "cited_text": texts}),
            min_size=1,
            max_size=2,
        ),
    ),
    st.builds(
        lambda name, value: {"type": "tool_use", "id": "toolu_1", "name": name, "input": value},
        texts,
        st.dictionaries(texts, texts | st.integers() | st.lists(texts, max_size=2), max_size=3),
    ),
    st.builds(lambda text, s: {"type": "thinking", "thinking": text, "signature": s}, texts, texts),
    st.builds(lambda data: {"type": "redacted_thinking", "data": data}, texts),
    st.builds(
        lambda kind, value: {"type": kind, "id": "srvtoolu_1", "name": "web_search", "input": value},
        st.sampled_from(["server_tool_use", "mcp_tool_use"]),
        st.dictionaries(texts, texts, max_size=2),
    ),
    st.just({"type": "web_search_tool_result", "tool_use_id": "srvtoolu_1", "content": [FOUND]}),
    st.builds(
        lambda summary: {"type": "compaction", "content": summary, "encrypted_content": "e"},
        st.none() | texts,
    ),
)
answers = st.builds(
    lambda content, reason, extra: {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": "claude-sonnet-5",
        "content": content,
        "stop_reason": reason,
        "stop_sequence": None,
        "usage": {
            "input_tokens": 11,
            "cache_read_input_tokens": 3,
            "output_tokens": 7,
            "server_tool_use": {"web_search_requests": 1},
            "service_tier": "standard",
        },
        **extra,
    },
    st.lists(blocks, max_size=4),
    st.sampled_from(["end_turn", "tool_use", "max_tokens"]),
    st.sampled_from(
        [
            {},
            {"stop_details": None},
            {"stop_reason": "refusal", "stop_details": {"type": "refusal", "category": "cyber"}},
            {"container": {"id": "container_1", "expires_at": "2026-01-01T00:00:00Z"}},
        ]
    ),
)


def asked(body: dict[str, Any]) -> Request:
    return Request("POST", "/v1/messages", body)


@given(answers, cuts, ends)
def test_a_message_survives_being_streamed_and_cut(
    answer: dict[str, Any], places: list[int], end: str
) -> None:
    events = anthropic.to_events(answer, asked({}))
    assert anthropic.to_body(events) == answer
    assert anthropic.to_body(cut(events, places, end)) == answer


@settings(max_examples=40)
@given(answers)
def test_the_sdk_reads_our_stream_as_the_same_message(answer: dict[str, Any]) -> None:
    snapshot: Any = None
    buffers: dict[int, bytes] = {}
    for _, text in anthropic.to_events(answer, asked({})):
        event = json.loads(text.partition("data: ")[2])
        if event["type"] != "ping":
            snapshot = accumulate_event(
                event=event, current_snapshot=snapshot, json_bufs=buffers, request_headers=httpx2.Headers()
            )
    assert snapshot.to_dict(exclude_none=True) == BetaMessage.construct(**answer).to_dict(exclude_none=True)


def test_a_stream_that_was_cut_has_no_other_form() -> None:
    events = anthropic.to_events(anthropic.synthesise(asked({}), "hi", ()), asked({}))
    with pytest.raises(ConversionError, match="without message_stop"):
        anthropic.to_body(events[:-1])


def test_an_error_event_becomes_the_error_answer() -> None:
    event = {"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}}
    with pytest.raises(ErrorEventError) as raised:
        anthropic.to_body([(0, f"event: error\ndata: {json.dumps(event)}\n\n")])
    assert (raised.value.status, raised.value.body) == (529, event)


def test_the_same_request_gets_the_same_ids_and_another_one_others() -> None:
    one, again, other = (
        anthropic.synthesise(
            asked({"messages": [{"role": "user", "content": text}]}), "hi", [Call("log", {})]
        )
        for text in ("a", "a", "b")
    )
    assert one == again
    assert one["id"] != other["id"]
    assert one["content"][1]["id"] != other["content"][1]["id"]


TOOLS = [{"name": "log", "input_schema": {}}, {"name": "now", "input_schema": {}}]
USE = {"type": "tool_use", "id": "toolu_1", "name": "now", "input": {}}
RESULT = {"type": "tool_result", "tool_use_id": "toolu_1", "content": [{"type": "text", "text": "12:00"}]}


@pytest.mark.parametrize(
    ("messages", "expected"),
    [
        ([{"role": "user", "content": "hello"}], LastMessage("hello")),
        ([{"role": "user", "content": [{"type": "text", "text": "hello"}]}], LastMessage("hello")),
        ([{"role": "user", "content": "hello"}, {"role": "assistant", "content": "{"}], LastMessage("hello")),
        (
            [{"role": "assistant", "content": [USE]}, {"role": "user", "content": [RESULT]}],
            LastMessage("", {"now": "12:00"}),
        ),
        ([], None),
    ],
)
def test_the_last_message(messages: list[Any], expected: LastMessage | None) -> None:
    assert anthropic.last_message({"max_tokens": 1, "messages": messages}) == expected


def test_counting_tokens_is_no_turn_and_is_done_by_a_rule_of_thumb() -> None:
    body = {"messages": [{"role": "user", "content": "hello " * 40}]}
    assert anthropic.last_message(body) is None
    counted = anthropic.count(Request("POST", "/v1/messages/count_tokens", body))
    assert counted["input_tokens"] == pytest.approx(60, abs=20)
    assert anthropic.count(asked(body)) is None


def test_several_results_of_one_tool_are_its_lines() -> None:
    uses = [USE, USE | {"id": "toolu_2"}]
    results = [RESULT, RESULT | {"tool_use_id": "toolu_2", "content": "13:00"}]
    messages = [{"role": "assistant", "content": uses}, {"role": "user", "content": results}]
    last = anthropic.last_message({"max_tokens": 1, "messages": messages})
    assert last == LastMessage("", {"now": "12:00\n13:00"})


def test_counts_that_come_late_replace_those_of_the_start() -> None:
    events: list[dict[str, Any]] = [
        {
            "type": "message_start",
            "message": {"content": [], "usage": {"input_tokens": 1, "output_tokens": 1}},
        },
        {
            "type": "message_delta",
            "delta": {"stop_reason": "end_turn", "container": None},
            "context_management": {"applied_edits": []},
            "usage": {"input_tokens": 5, "cache_read_input_tokens": None, "output_tokens": 9},
        },
        {"type": "message_stop"},
    ]
    body = anthropic.to_body([(0, "".join(sse.frame(event, event["type"]) for event in events))])
    assert body["usage"] == {"input_tokens": 5, "cache_read_input_tokens": None, "output_tokens": 9}
    assert body["context_management"] == {"applied_edits": []}


def test_a_delta_that_nobody_knows_has_no_other_form() -> None:
    answer = {"type": "message", "content": [{"type": "text", "text": "hi"}], "usage": {}}
    stream = "".join(text for _, text in anthropic.to_events(answer, asked({})))
    with pytest.raises(ConversionError, match="unknown type new_delta"):
        anthropic.to_body([(0, stream.replace('"text_delta"', '"new_delta"'))])


def test_an_input_that_was_cut_has_no_other_form() -> None:
    answer = {"type": "message", "content": [USE | {"input": {"city": "Tokyo"}}], "usage": {}}
    stream = "".join(text for _, text in anthropic.to_events(answer, asked({})))
    with pytest.raises(ConversionError, match="an input of a tool that is no JSON"):
        anthropic.to_body([(0, stream.replace('Tokyo\\"}', "To"))])


@pytest.mark.parametrize(
    "change",
    [
        {"metadata": {"user_id": "u"}, "service_tier": "auto", "speed": "fast", "inference_geo": "eu"},
        {"stream": True, "cache_control": {"type": "ephemeral"}},
        {"diagnostics": {"previous_message_id": "msg_1"}},
        {"system": [{"type": "text", "text": "be brief", "cache_control": {"type": "ephemeral"}}]},
        {"tools": [TOOLS[1] | {"cache_control": {"type": "ephemeral"}}, TOOLS[0]]},
        {"container": {"id": "container_2", "skills": []}},
        {"mcp_servers": [{"type": "url", "url": "u", "authorization_token": "secret"}]},
        {"messages": [{"role": "assistant", "content": [USE | {"id": "toolu_9"}]}]},
    ],
)
def test_what_does_not_change_the_answer_does_not_count(change: dict[str, Any]) -> None:
    body = {
        "model": "m",
        "system": [{"type": "text", "text": "be brief"}],
        "tools": TOOLS,
        "container": {"id": "container_1", "skills": []},
        "mcp_servers": [{"type": "url", "url": "u"}],
        "messages": [{"role": "assistant", "content": [USE]}],
    }
    assert anthropic.canonical(body | change) == anthropic.canonical(body)


@pytest.mark.parametrize("body", [None, [], "x", {"messages": "x"}, {"messages": [1, {"content": [2]}]}])
def test_any_json_is_a_body(body: Any) -> None:
    anthropic.canonical(body)
    assert anthropic.last_message(body) is None
    assert anthropic.tools(body) == frozenset()
    assert anthropic.demands(body) == Demands()
