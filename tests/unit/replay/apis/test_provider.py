"""What every provider does alike."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shipway.replay.apis import providers, sse
from shipway.replay.apis.provider import Call, Demands, ErrorEventError, Provider, by_tool
from shipway.replay.exchange import Request

PATHS = [
    "/v1/messages",
    "/v1/responses",
    "/v1/chat/completions",
    "/v1beta/models/some-model:generateContent",
]
STATUSES = [400, 401, 403, 404, 408, 413, 429, 500, 503, 504, 529]


def provider(path: str) -> Provider:
    found = providers.find(path)
    assert found
    return found


def asked(path: str) -> Request:
    return Request("POST", path, {"model": "some-model", "stream": False})


def test_every_provider_is_found_by_a_path() -> None:
    assert {provider(path) for path in PATHS} == set(providers.PROVIDERS)
    assert providers.find("/v1/models") is None
    assert providers.find("/anthropic/v1/messages") is provider("/v1/messages")
    assert providers.find("/v1beta/openai/chat/completions") is provider("/v1/chat/completions")


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize(("say", "calls"), [("some words", ()), ("", [Call("f", {"a": "b c"})] * 2)])
def test_a_scripted_answer_is_the_same_in_both_forms(path: str, say: str, calls: list[Call]) -> None:
    api, request = provider(path), asked(path)
    request.body["stream_options"] = {"include_usage": True}
    answer = api.synthesise(request, say, calls)
    assert api.to_body(api.to_events(answer, request)) == answer
    assert api.model(request) == "some-model"


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("status", STATUSES)
def test_an_error_in_a_stream_becomes_one_without(path: str, status: int) -> None:
    api = provider(path)
    with pytest.raises(ErrorEventError) as raised:
        api.to_body([(0.0, api.error_event(status, "no"))])
    told = raised.value.body["error"]
    assert (told["message"], raised.value.status // 100) == ("no", status // 100)


KEYS = st.sampled_from(
    """model tools tool_choice function functionDeclarations mode container format toolConfig allowed_tools
    functionCallingConfig allowedFunctionNames generationConfig system response_format text""".split()  # noqa: SIM905
)
KINDS = st.sampled_from(["tool_use", "tool_result", "function_call_output"])
ROLES = st.sampled_from(["user", "tool", "model"])
IDS = ("id", "call_id", "tool_use_id", "tool_call_id", "name")
ANYTHING = st.recursive(
    st.none() | st.integers() | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=4),
    max_leaves=8,
)


def item(kind: str, role: str, id_: Any, content: Any) -> Any:
    """What stands in a conversation, or looks so."""
    held = dict.fromkeys(("content", "parts", "tool_calls", "output"), content)
    return {"type": kind, "role": role, "functionResponse": id_, **held, **dict.fromkeys(IDS, id_)}


PARTS = st.builds(item, KINDS, ROLES, ANYTHING, ANYTHING)
ITEMS = st.builds(item, KINDS, ROLES, ANYTHING, st.lists(PARTS, min_size=1, max_size=2) | ANYTHING)
BODIES = ANYTHING | st.builds(
    lambda told, said: {**told, "max_tokens": 1, "messages": said, "input": said, "contents": said},
    st.dictionaries(KEYS, ANYTHING, max_size=4),
    st.lists(ITEMS, min_size=1, max_size=3) | ANYTHING,
)


@settings(max_examples=200)
@given(BODIES)
def test_any_json_is_a_request(body: Any) -> None:
    """A client's mistake is a miss, never a fault of the replay."""
    for path in PATHS:
        api, request = provider(path), Request("POST", path, body)
        json.dumps(api.canonical(body))
        assert isinstance(api.streams(request), bool)
        assert isinstance(api.model(request), str)
        demands = api.demands(body)
        if api.last_message(body):
            demands.unmet("hi", (), api.tools(body))
            api.to_body(api.to_events(api.synthesise(request, "hi", ()), request))


@pytest.mark.parametrize("path", PATHS[:3])
def test_the_id_of_a_request_follows_from_its_answer(path: str) -> None:
    api = provider(path)
    (name, value), *_ = api.headers(api.error(500, "no")).items()
    assert name in ("request-id", "x-request-id")
    assert value.startswith("req_")
    assert api.headers(api.error(500, "no")) != api.headers(api.error(500, "other"))


@pytest.mark.parametrize(
    ("demands", "say", "calls", "problem"),
    [
        (Demands(), "words", (), ""),
        (Demands(), "", [Call("f", {})], ""),
        (Demands(), "", [Call("g", {})], "calls g; the request offers f."),
        (Demands(call=True), "", [Call("f", {})], ""),
        (
            Demands(call=True),
            "words",
            (),
            'calls no tool; the request demands a call of f. Write call = { tool = "f", input = {…} }.',
        ),
        (Demands(json=True), '{"a": 1}', (), ""),
        (Demands(json=True), "let me see", [Call("f", {})], ""),
        (
            Demands(json=True, keys=("city", "time")),
            "words",
            (),
            "says what is no JSON; the request demands JSON. Write say = { city = …, time = … }.",
        ),
    ],
)
def test_what_a_reply_lacks_is_said_with_how_to_write_it(
    demands: Demands, say: str, calls: Any, problem: str
) -> None:
    assert demands.unmet(say, calls, {"f"}) == problem


def test_results_of_one_tool_are_its_lines() -> None:
    assert by_tool([("a", "1"), ("b", "2"), ("a", "3")]) == {"a": "1\n3", "b": "2"}


def test_the_events_of_an_error_are_events() -> None:
    for path in PATHS[:3]:
        (event,) = sse.parse([(0.0, provider(path).error_event(500, "no"))])
        assert event.name == ("" if "chat" in path else "error")
