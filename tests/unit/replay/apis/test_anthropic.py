from __future__ import annotations

import json
from typing import Any

import pytest
from anthropic.lib.streaming._messages import accumulate_event
from anthropic.types import Message
from hypothesis import given, settings
from hypothesis import strategies as st

from shipway.replay.apis import anthropic
from shipway.replay.apis.provider import Call, ConversionError, ErrorEventError, LastMessage
from shipway.replay.exchange import Request

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
        "usage": {"input_tokens": 11, "output_tokens": 7},
        **extra,
    },
    st.lists(blocks, max_size=4),
    st.sampled_from(["end_turn", "tool_use", "max_tokens"]),
    st.sampled_from([{}, {"stop_details": None}, {"container": None}]),
)


def asked(body: dict[str, Any]) -> Request:
    return Request("POST", "/v1/messages", body)


@given(answers)
def test_a_message_survives_being_streamed(answer: dict[str, Any]) -> None:
    assert anthropic.to_body(anthropic.to_events(answer, asked({}))) == answer


@settings(max_examples=40)
@given(answers)
def test_the_sdk_reads_our_stream_as_the_same_message(answer: dict[str, Any]) -> None:
    snapshot: Any = None
    buffers: dict[int, bytes] = {}
    for _, text in anthropic.to_events(answer, asked({})):
        event = json.loads(text.partition("data: ")[2])
        snapshot = accumulate_event(event=event, current_snapshot=snapshot, json_bufs=buffers)
    assert snapshot.to_dict(exclude_none=True) == Message.construct(**answer).to_dict(exclude_none=True)


def test_chunks_may_be_cut_anywhere() -> None:
    answer = anthropic.synthesise(asked({"model": "m"}), "some words to say", [Call("log", {"n": 3})])
    stream = "".join(text for _, text in anthropic.to_events(answer, asked({}))).replace("\n", "\r\n")
    assert anthropic.to_body([(0, character) for character in stream]) == answer


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


def test_counting_tokens_is_no_turn() -> None:
    assert anthropic.last_message({"messages": [{"role": "user", "content": "hello"}]}) is None
