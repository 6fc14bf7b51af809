"""What every provider does alike."""

from __future__ import annotations

from typing import Any

import pytest

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
