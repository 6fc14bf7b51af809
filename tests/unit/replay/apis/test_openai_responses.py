from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.replay.apis.cutting import cut, cuts, ends

from shipway.replay.apis import openai_responses, sse
from shipway.replay.apis.provider import Call, ConversionError, Demands, ErrorEventError, LastMessage
from shipway.replay.exchange import Request

CALL = Call("log", {"count": 3, "path": "a b c d"})
CITED = {"type": "url_citation", "url": "u", "title": "t", "start_index": 0, "end_index": 1}
texts = st.text(st.characters(codec="utf-8"), max_size=60)
parts = st.one_of(
    st.builds(
        lambda text, notes: {"type": "output_text", "text": text, "annotations": notes, "logprobs": []},
        texts,
        st.sampled_from([[], [CITED]]),
    ),
    st.builds(lambda text: {"type": "refusal", "refusal": text}, texts),
)
DONE = {"status": "completed"}
items = st.one_of(
    st.builds(
        lambda parts: {"type": "message", "id": "msg_1", "role": "assistant", "content": parts} | DONE,
        st.lists(parts, max_size=2),
    ),
    st.builds(
        lambda said, thought: {
            "type": "reasoning",
            "id": "rs_1",
            "summary": [{"type": "summary_text", "text": said}],
            "content": [{"type": "reasoning_text", "text": thought}],
            "encrypted_content": "e",
        },
        texts,
        texts,
    ),
    st.builds(
        lambda kind, value: (
            {
                "type": kind,
                "id": "fc_1",
                "call_id": "call_1",
                "name": "now",
                "arguments": json.dumps(value),
            }
            | DONE
        ),
        st.sampled_from(["function_call", "mcp_call"]),
        st.dictionaries(texts, texts, max_size=2),
    ),
    st.builds(
        lambda text: {"type": "custom_tool_call", "call_id": "call_2", "name": "run", "input": text} | DONE,
        texts,
    ),
    st.builds(
        lambda code: {"type": "code_interpreter_call", "id": "ci_1", "code": code, "outputs": []} | DONE,
        st.none() | texts.filter(bool),
    ),
    st.just({"type": "web_search_call", "id": "ws_1", "action": {"type": "search", "query": "q"}} | DONE),
    st.just({"type": "image_generation_call", "id": "ig_1", "result": "AAAA"} | DONE),
    st.just({"type": "mcp_list_tools", "id": "mcpl_1", "tools": [], "error": "no"}),
)
answers = st.builds(
    lambda output, ended: {
        "id": "resp_1",
        "object": "response",
        "output": output,
        "usage": {"x": 1},
        **ended,
    },
    st.lists(items, max_size=3),
    st.sampled_from(
        [
            {"status": "completed", "error": None, "incomplete_details": None},
            {"status": "incomplete", "error": None, "incomplete_details": {"reason": "max_output_tokens"}},
        ]
    ),
)


def request(body: dict[str, Any]) -> Request:
    return Request("POST", "/v1/responses", body)


@given(answers, cuts, ends)
def test_a_response_survives_being_streamed_and_cut(
    answer: dict[str, Any], places: list[int], end: str
) -> None:
    events = openai_responses.to_events(answer, request({}))
    assert openai_responses.to_body(events) == answer
    assert openai_responses.to_body(cut(events, places, end)) == answer


@given(answers)
def test_the_events_tell_the_response(answer: dict[str, Any]) -> None:
    """What a client puts together from deltas is what the last event says, and every event has its number."""
    told: dict[tuple[str, int, int], str] = {}
    events = list(sse.values(openai_responses.to_events(answer, request({}))))
    for event in events:
        base, _, kind = event["type"].rpartition(".")
        place = (
            base,
            event.get("output_index", 0),
            event.get("content_index", event.get("summary_index", 0)),
        )
        if kind == "delta":
            told[place] = told.get(place, "") + event["delta"]
        elif kind == "done" and isinstance(event.get("text", event.get("arguments")), str):
            assert told.get(place, "") == event.get("text", event.get("arguments"))
    assert [event["sequence_number"] for event in events] == list(range(len(events)))
    assert [e["item"] for e in events if e["type"] == "response.output_item.done"] == answer["output"]


@pytest.mark.parametrize(
    ("item", "expected"),
    [
        ({"type": "web_search_call"}, ["in_progress", "searching", "completed"]),
        (
            {"type": "code_interpreter_call", "code": "1"},
            ["in_progress", "code.delta", "code.done", "interpreting", "completed"],
        ),
        (
            {"type": "mcp_call", "arguments": "{}", "error": "no"},
            ["in_progress", "arguments.delta", "arguments.done", "failed"],
        ),
    ],
)
def test_built_in_tools_say_how_far_they_are(item: dict[str, Any], expected: list[str]) -> None:
    answer = {"status": "completed", "output": [item | {"id": "x_1"}]}
    types = [event["type"] for event in sse.values(openai_responses.to_events(answer, request({})))]
    assert types[2] == "response.output_item.added"
    names = [name.removeprefix(f"response.{item['type']}").lstrip("._") for name in types[3:-2]]
    assert names == expected


def test_a_response_without_its_output_has_it_from_the_items() -> None:
    items = [{"type": "reasoning", "id": "rs_1"}, {"type": "message", "id": "msg_1"}]
    events: list[dict[str, Any]] = [
        {"type": "response.output_item.done", "output_index": 1, "item": items[1]},
        {"type": "response.output_item.done", "output_index": 0, "item": items[0]},
        {"type": "response.completed", "response": {"id": "resp_1", "output": []}},
    ]
    stream = [(0.0, sse.frame(event)) for event in events]
    assert openai_responses.to_body(stream) == {"id": "resp_1", "output": items}


def test_a_response_in_the_background_has_no_stream() -> None:
    with pytest.raises(ConversionError, match="queued"):
        openai_responses.to_events({"status": "queued", "output": []}, request({}))


@pytest.mark.parametrize(
    ("event", "status"),
    [
        ({"type": "response.failed", "response": {"error": {"code": "server_error", "message": "no"}}}, 500),
        (
            {
                "type": "response.failed",
                "response": {"error": {"code": "rate_limit_exceeded", "message": "no"}},
            },
            429,
        ),
        ({"type": "error", "code": "server_error", "message": "no", "param": None}, 500),
        ({"type": "error", "error": {"type": "too_many_requests", "code": None, "message": "no"}}, 429),
    ],
)
def test_a_failed_response_is_an_error(event: dict[str, Any], status: int) -> None:
    with pytest.raises(ErrorEventError) as raised:
        openai_responses.to_body([(0, sse.frame(event))])
    told = raised.value.body["error"]
    assert (raised.value.status, told["message"], set(told)) == (
        status,
        "no",
        {"message", "type", "param", "code"},
    )
    assert told["type"] != "error"


def test_a_cut_stream_has_no_other_form() -> None:
    events = openai_responses.to_events(openai_responses.synthesise(request({}), "hi", ()), request({}))
    with pytest.raises(ConversionError):
        openai_responses.to_body(events[:-1])


def conversation(call_id: str, **changes: Any) -> dict[str, Any]:
    call = {
        "type": "function_call",
        "id": f"fc_{call_id}",
        "call_id": call_id,
        "name": "now",
        "arguments": "{}",
    }
    asked = [
        {"role": "user", "content": [{"type": "input_text", "text": "the time?"}]},
        call,
        {"type": "function_call_output", "call_id": call_id, "output": "12:00"},
    ]
    return {"model": "gpt-5", "input": asked} | changes


MCP = {"type": "mcp", "server_label": "s", "server_url": "u"}


@pytest.mark.parametrize(
    "change",
    [
        {"stream": True, "user": "u", "metadata": {"a": "b"}, "service_tier": "flex"},
        {
            "prompt_cache_key": "k",
            "prompt_cache_retention": "24h",
            "prompt_cache_options": {"mode": "implicit"},
        },
        {"conversation": {"id": "conv_2"}, "previous_response_id": "resp_2"},
        {"tools": [MCP | {"authorization": "secret", "headers": {"x-key": "secret"}}]},
        {"input": conversation("call_9")["input"]},
    ],
)
def test_what_does_not_change_the_answer_does_not_count(change: dict[str, Any]) -> None:
    body = conversation("call_1", tools=[MCP], conversation={"id": "conv_1"}, previous_response_id="resp_1")
    assert openai_responses.canonical(body | change) == openai_responses.canonical(body)
    assert openai_responses.canonical(body | {"model": "gpt-5-mini"}) != openai_responses.canonical(body)


def test_the_last_message() -> None:
    last = openai_responses.last_message(conversation("call_1"))
    assert last == LastMessage("the time?", {"now": "12:00"})
    assert openai_responses.last_message({"input": "hello"}) == LastMessage("hello")


def test_a_result_names_its_function_though_only_the_call_id_came_back() -> None:
    answer = openai_responses.synthesise(request({"input": "the time?"}), "", [Call("now", {})])
    result = {"type": "function_call_output", "call_id": answer["output"][0]["call_id"], "output": "12:00"}
    body = {"previous_response_id": answer["id"], "input": [result]}
    assert openai_responses.last_message(body) == LastMessage("", {"now": "12:00"})


TOOLS = [{"type": "function", "name": name} for name in ("log", "now")] + [{"type": "web_search"}]


@pytest.mark.parametrize(
    ("choice", "tools", "call"),
    [
        ("auto", {"log", "now", "web_search"}, False),
        ("none", set(), False),
        ("required", {"log", "now", "web_search"}, True),
        ({"type": "function", "name": "now"}, {"now"}, True),
        ({"type": "allowed_tools", "mode": "required", "tools": TOOLS[:1]}, {"log"}, True),
    ],
)
def test_the_choice_of_tools(choice: Any, tools: set[str], call: bool) -> None:
    body = {"tools": TOOLS, "tool_choice": choice}
    assert (openai_responses.tools(body), openai_responses.demands(body).call) == (tools, call)


def test_json_is_demanded_by_the_format_of_text() -> None:
    schema = {"type": "json_schema", "name": "s", "schema": {"properties": {"city": {}}}}
    assert openai_responses.demands({"text": {"format": schema}}) == Demands(json=True, keys=("city",))
    assert openai_responses.demands({"text": {"format": {"type": "text"}}}) == Demands()


def test_tokens_are_counted_by_a_rule_of_thumb() -> None:
    counting = Request("POST", "/v1/responses/input_tokens", {"input": "hello " * 40})
    counted = openai_responses.count(counting)
    assert counted["object"] == "response.input_tokens"
    assert counted["input_tokens"] == pytest.approx(60, abs=20)
    assert openai_responses.count(request({"input": "hello"})) is None


@pytest.mark.parametrize("body", [None, [], "x", {"input": {}}, {"tools": [1], "tool_choice": 1, "text": 2}])
def test_any_json_is_a_body(body: Any) -> None:
    openai_responses.canonical(body)
    assert openai_responses.last_message(body) is None
    assert openai_responses.tools(body) == frozenset()
    assert openai_responses.demands(body) == Demands()
