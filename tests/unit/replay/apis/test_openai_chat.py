from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.replay.apis.cutting import cut, cuts, ends

from shipway.replay.apis import openai_chat, sse
from shipway.replay.apis.provider import Call, ConversionError, Demands, ErrorEventError, LastMessage
from shipway.replay.exchange import Request

WITH_USAGE = Request("POST", "/v1/chat/completions", {"stream_options": {"include_usage": True}})
texts = st.text(st.characters(codec="utf-8"), max_size=60)
functions = st.builds(
    lambda name, value: {
        "id": "call_1",
        "type": "function",
        "function": {"name": name, "arguments": json.dumps(value)},
    },
    texts,
    st.dictionaries(texts, texts, max_size=3),
)
customs = st.builds(
    lambda text: {"id": "call_2", "type": "custom", "custom": {"name": "run", "input": text}}, texts
)
messages = st.fixed_dictionaries(
    {"role": st.just("assistant"), "content": st.none() | texts, "refusal": st.none() | texts},
    optional={
        "tool_calls": st.lists(functions | customs, min_size=1, max_size=3),
        "annotations": st.just([]) | st.just([{"type": "url_citation", "url_citation": {"url": "u"}}]),
        "reasoning_content": texts,
        "reasoning": texts,
        "reasoning_details": st.just([{"type": "reasoning.text", "text": "hm", "index": 0}]),
        "audio": st.just({"id": "audio_1", "data": "AAAA", "transcript": "t", "expires_at": 1}),
    },
)
logprobs = st.none() | st.just({"content": [{"token": "a", "logprob": -0.1}], "refusal": None})
answers = st.builds(
    lambda told, usage: {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "created": 1,
        "model": "gpt-5",
        "service_tier": None,
        "choices": [
            {"index": index, "message": message, "logprobs": probable, "finish_reason": "stop"}
            for index, (message, probable) in enumerate(told)
        ],
        **usage,
    },
    st.lists(st.tuples(messages, logprobs), min_size=1, max_size=3),
    st.sampled_from([{}, {"usage": {"prompt_tokens": 3, "completion_tokens": 4, "total_tokens": 7}}]),
)


def request(body: dict[str, Any]) -> Request:
    return Request("POST", "/v1/chat/completions", body)


@given(answers, cuts, ends)
def test_a_completion_survives_being_streamed_and_cut(
    answer: dict[str, Any], places: list[int], end: str
) -> None:
    events = openai_chat.to_events(answer, WITH_USAGE)
    assert openai_chat.to_body(events) == answer
    assert openai_chat.to_body(cut(events, places, end)) == answer


@pytest.mark.parametrize(("asked", "usages"), [({}, 0), ({"stream_options": {"include_usage": True}}, 1)])
def test_usage_is_streamed_only_when_asked_for(asked: dict[str, Any], usages: int) -> None:
    answer = openai_chat.synthesise(request({"model": "gpt-5"}), "words to say", [Call("log", {})])
    events = openai_chat.to_events(answer, request(asked))
    chunks = list(sse.values(events))
    assert len([chunk for chunk in chunks if chunk.get("usage")]) == usages
    assert len([chunk for chunk in chunks if not chunk["choices"]]) == usages
    assert events[-1][1] == "data: [DONE]\n\n"
    text = "".join(c["choices"][0]["delta"].get("content") or "" for c in chunks if c["choices"])
    assert text == "words to say"


def stream(*chunks: dict[str, Any]) -> list[tuple[float, str]]:
    return [(0.0, sse.frame(chunk)) for chunk in chunks]


def part(delta: dict[str, Any] | None, reason: str | None = None, **more: Any) -> dict[str, Any]:
    return {"choices": [{"index": 0, "delta": delta, "finish_reason": reason, **more}]}


def test_what_servers_do_differently_is_put_together_all_the_same() -> None:
    """Azure's first chunk, repeated names and roles, usage in every chunk, padding, no [DONE]."""
    call = {"index": 1, "id": "call_1", "type": "function", "function": {"name": "now", "arguments": ""}}
    more = {"index": 1, "id": "", "type": "function", "function": {"name": "now", "arguments": '{"a"'}}
    last = {"index": 1, "function": {"arguments": ": 1}"}}
    body = openai_chat.to_body(
        stream(
            {"id": "", "model": "", "choices": [], "prompt_filter_results": [{"prompt_index": 0}]},
            {"id": "c1", "model": "m", "obfuscation": "xx", "usage": {"total_tokens": 1}}
            | part({"role": "assistant", "content": None}),
            part({"role": "assistant", "tool_calls": [call]}),
            part({"tool_calls": [more], "unheard_of": [1]}),
            part({"tool_calls": [last], "unheard_of": [2]}),
            {"usage": {"total_tokens": 9}} | part(None, "tool_calls", content_filter_results={"hate": 0}),
        )
    )
    (choice,) = body["choices"]
    function = {"name": "now", "arguments": '{"a": 1}'}
    assert choice["message"] == {
        "role": "assistant",
        "content": None,
        "tool_calls": [{"id": "call_1", "type": "function", "function": function}],
        "unheard_of": [1, 2],
    }
    assert (choice["finish_reason"], choice["content_filter_results"]) == ("tool_calls", {"hate": 0})
    assert {key: body[key] for key in ("id", "model", "object")} == {
        "id": "c1",
        "model": "m",
        "object": "chat.completion",
    }
    assert body["usage"] == {"total_tokens": 9}
    assert "obfuscation" not in body


def test_log_probabilities_of_all_chunks_are_kept() -> None:
    told = [part({"content": token}, logprobs={"content": [{"token": token}]}) for token in ("a", "b")]
    body = openai_chat.to_body(stream(*told, part({}, "stop")))
    assert body["choices"][0]["logprobs"] == {"content": [{"token": "a"}, {"token": "b"}]}


@pytest.mark.parametrize("chunks", [[], [part({"content": "cut off"})]])
def test_a_cut_stream_has_no_other_form(chunks: list[dict[str, Any]]) -> None:
    with pytest.raises(ConversionError, match="without finish_reason"):
        openai_chat.to_body(stream(*chunks))


@pytest.mark.parametrize(
    ("error", "status"),
    [
        ({"message": "no", "type": "server_error", "code": None}, 500),
        ({"message": "no", "type": "requests", "code": "rate_limit_exceeded"}, 429),
        ({"message": "no", "type": "invalid_request_error"}, 400),
        ({"message": "no", "code": 429}, 429),
        ({"message": "no", "code": 7}, 500),
    ],
)
def test_an_error_in_the_stream_is_the_error_answer(error: dict[str, Any], status: int) -> None:
    with pytest.raises(ErrorEventError) as raised:
        openai_chat.to_body(stream(part({"content": "half"}), {"error": error}))
    assert (raised.value.status, raised.value.body) == (status, {"error": error})


def conversation(call_id: str, **changes: Any) -> dict[str, Any]:
    function = {"name": "now", "arguments": "{}"}
    said = [
        {"role": "user", "content": "the time?"},
        {"role": "assistant", "tool_calls": [{"id": call_id, "type": "function", "function": function}]},
        {"role": "tool", "tool_call_id": call_id, "content": "12:00"},
    ]
    return {"model": "gpt-5", "messages": said} | changes


def test_ids_and_how_it_is_sent_never_matter_but_the_model_does() -> None:
    same = openai_chat.canonical(conversation("call_1"))
    changes = {"stream": True, "user": "u", "metadata": {"a": "b"}, "service_tier": "flex", "store": True}
    kept = {"prompt_cache_key": "k", "prompt_cache_retention": "24h", "safety_identifier": "s"}
    assert openai_chat.canonical(conversation("call_2", **changes, **kept)) == same
    assert openai_chat.canonical(conversation("call_1", model="gpt-5-mini")) != same
    assert "call_1" not in json.dumps(same)


def test_the_last_message() -> None:
    assert openai_chat.last_message(conversation("call_1")) == LastMessage("the time?", {"now": "12:00"})
    developer = [{"role": "user", "content": "hello"}, {"role": "developer", "content": "be brief"}]
    assert openai_chat.last_message({"messages": developer}) == LastMessage("hello")


TOOLS = [{"type": "function", "function": {"name": name}} for name in ("log", "now")]
ALLOWED = {"type": "allowed_tools", "allowed_tools": {"mode": "required", "tools": TOOLS[:1]}}


@pytest.mark.parametrize(
    ("choice", "tools", "call"),
    [
        ("auto", {"log", "now"}, False),
        ("none", set(), False),
        ("required", {"log", "now"}, True),
        (TOOLS[1], {"now"}, True),
        (ALLOWED, {"log"}, True),
    ],
)
def test_the_choice_of_tools(choice: Any, tools: set[str], call: bool) -> None:
    body = {"tools": TOOLS, "tool_choice": choice}
    assert (openai_chat.tools(body), openai_chat.demands(body).call) == (tools, call)


def test_json_is_demanded_by_the_response_format() -> None:
    schema = {"name": "s", "schema": {"properties": {"city": {}, "time": {}}}}
    asked = {"response_format": {"type": "json_schema", "json_schema": schema}}
    assert openai_chat.demands(asked) == Demands(json=True, keys=("city", "time"))
    assert openai_chat.demands({"response_format": {"type": "json_object"}}) == Demands(json=True)
    assert openai_chat.demands({"response_format": {"type": "text"}}) == Demands()


@pytest.mark.parametrize("body", [None, [], "x", {"messages": "x"}, {"tools": [1], "tool_choice": 1}])
def test_any_json_is_a_body(body: Any) -> None:
    openai_chat.canonical(body)
    assert openai_chat.last_message(body) is None
    assert openai_chat.tools(body) == frozenset()
    assert openai_chat.demands(body) == Demands()
