from __future__ import annotations

import json
from typing import Any

import pytest

from shipway.replay.apis import openai_chat, openai_responses, sse
from shipway.replay.apis.provider import Call, ConversionError, ErrorEventError, LastMessage
from shipway.replay.exchange import Request

CALL = Call("log", {"count": 3, "path": "a b c d"})


def request(body: dict[str, Any]) -> Request:
    return Request("POST", "/v1/responses", body)


@pytest.mark.parametrize(
    ("say", "calls"), [("some words to say", ()), ("", [CALL]), ("words, then", [CALL, CALL])]
)
def test_a_response_survives_being_streamed(say: str, calls: list[Call]) -> None:
    answer = openai_responses.synthesise(request({"model": "gpt-5", "input": "hi"}), say, calls)
    events = openai_responses.to_events(answer, request({}))
    assert openai_responses.to_body(events) == answer
    numbers = [event["sequence_number"] for event in sse.values(events)]
    assert numbers == list(range(len(numbers)))


def test_a_response_of_unknown_items_is_streamed_with_them_complete() -> None:
    item = {"type": "reasoning", "id": "rs_1", "summary": []}
    answer = {"id": "resp_1", "status": "completed", "output": [item]}
    sent = [event for event in sse.values(openai_responses.to_events(answer, request({}))) if "item" in event]
    assert [event["item"] for event in sent] == [item, item]


@pytest.mark.parametrize(
    "event",
    [
        {"type": "response.failed", "response": {"error": {"code": "server_error", "message": "no"}}},
        {"type": "error", "code": "server_error", "message": "no"},
    ],
)
def test_a_failed_response_is_an_error(event: dict[str, Any]) -> None:
    with pytest.raises(ErrorEventError) as raised:
        openai_responses.to_body([(0, sse.frame(event))])
    assert (raised.value.status, raised.value.body["error"]["message"]) == (500, "no")


def test_a_cut_stream_has_no_other_form() -> None:
    events = openai_responses.to_events(openai_responses.synthesise(request({}), "hi", ()), request({}))
    with pytest.raises(ConversionError):
        openai_responses.to_body(events[:-1])


@pytest.mark.parametrize(("asked", "usages"), [({}, 0), ({"stream_options": {"include_usage": True}}, 1)])
def test_usage_is_streamed_only_when_asked_for(asked: dict[str, Any], usages: int) -> None:
    answer = openai_chat.synthesise(request({"model": "gpt-5"}), "words to say", [CALL])
    events = openai_chat.to_events(answer, request(asked))
    chunks = list(sse.values(events))
    assert len([chunk for chunk in chunks if chunk.get("usage")]) == usages
    assert len([chunk for chunk in chunks if not chunk["choices"]]) == usages
    assert events[-1][1] == "data: [DONE]\n\n"
    text = "".join(c["choices"][0]["delta"].get("content") or "" for c in chunks if c["choices"])
    assert text == "words to say"


def test_several_choices_are_not_made_into_a_stream() -> None:
    answer = openai_chat.synthesise(request({}), "hi", ())
    with pytest.raises(ConversionError, match="one choice, saw 2"):
        openai_chat.to_events(answer | {"choices": answer["choices"] * 2}, request({}))


def chat(call_id: str, **changes: Any) -> dict[str, Any]:
    function = {"name": "now", "arguments": "{}"}
    messages = [
        {"role": "user", "content": "the time?"},
        {"role": "assistant", "tool_calls": [{"id": call_id, "type": "function", "function": function}]},
        {"role": "tool", "tool_call_id": call_id, "content": "12:00"},
    ]
    return {"model": "gpt-5", "messages": messages} | changes


def responses(call_id: str, **changes: Any) -> dict[str, Any]:
    asked = [
        {"role": "user", "content": [{"type": "input_text", "text": "the time?"}]},
        {
            "type": "function_call",
            "id": f"fc_{call_id}",
            "call_id": call_id,
            "name": "now",
            "arguments": "{}",
        },
        {"type": "function_call_output", "call_id": call_id, "output": "12:00"},
    ]
    return {"model": "gpt-5", "input": asked} | changes


@pytest.mark.parametrize(("module", "body"), [(openai_chat, chat), (openai_responses, responses)])
def test_ids_and_how_it_is_sent_never_matter_but_the_model_does(module: Any, body: Any) -> None:
    same = module.canonical(body("call_1"))
    assert module.canonical(body("call_2", stream=True, user="u", metadata={"a": "b"})) == same
    assert module.canonical(body("call_1", model="gpt-5-mini")) != same
    assert "call_1" not in json.dumps(same)


def test_the_last_message() -> None:
    assert openai_chat.last_message(chat("call_1")) == LastMessage("the time?", {"now": "12:00"})
    assert openai_responses.last_message(responses("call_1")) == LastMessage("the time?", {"now": "12:00"})
    assert openai_responses.last_message({"input": "hello"}) == LastMessage("hello")
    developer = [{"role": "user", "content": "hello"}, {"role": "developer", "content": "be brief"}]
    assert openai_chat.last_message({"messages": developer}) == LastMessage("hello")


def test_a_result_names_its_function_though_only_the_call_id_came_back() -> None:
    answer = openai_responses.synthesise(request({"input": "the time?"}), "", [Call("now", {})])
    result = {"type": "function_call_output", "call_id": answer["output"][0]["call_id"], "output": "12:00"}
    body = {"previous_response_id": answer["id"], "input": [result]}
    assert openai_responses.last_message(body) == LastMessage("", {"now": "12:00"})
