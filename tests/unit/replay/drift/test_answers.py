"""An exchange in a few words, for each API, as JSON and as a stream."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from shipway.replay.apis import providers
from shipway.replay.apis.provider import Call
from shipway.replay.drift.answers import Summary, summarise
from shipway.replay.exchange import Exchange, Request, Response

MESSAGES = [{"role": "user", "content": "What time\n  is it?"}]
ASKED = {
    "/v1/messages": {"model": "m", "max_tokens": 1, "messages": MESSAGES},
    "/v1/responses": {"model": "m", "input": "What time\n  is it?"},
    "/v1/chat/completions": {"model": "m", "messages": MESSAGES, "stream_options": {"include_usage": True}},
    "/v1beta/models/m:generateContent": {
        "contents": [{"role": "user", "parts": [{"text": "What time\n  is it?"}]}]
    },
}
CALL = Call("get_time", {"zone": "UTC"})


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("path", ASKED)
def test_what_was_said_and_called(path: str, stream: bool) -> None:
    request = Request("POST", path, ASKED[path])
    provider = providers.find(path)
    assert provider
    body = provider.synthesise(request, "Let me\nlook.", [CALL])
    response = Response(events=tuple(provider.to_events(body, request))) if stream else Response(body=body)
    summary = summarise(Exchange(request, response))
    assert (summary.question, summary.answer) == ("What time is it?", "Let me look.; calls get_time")
    assert summary.tokens
    assert min(summary.tokens) > 0


RESULTS = [
    {"role": "user", "content": "x"},
    {"role": "assistant", "content": [{"type": "tool_use", "id": "t", "name": "get_time", "input": {}}]},
    {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "t", "content": "19:42"}]},
]
ERROR = 'event: error\ndata: {"type": "error", "error": {"type": "overloaded_error", "message": "Busy"}}\n\n'


def exchange(response: Response, **other: Any) -> Exchange:
    return Exchange(Request("POST", "/v1/messages", ASKED["/v1/messages"] | other), response)


@pytest.mark.parametrize(
    ("response", "expected"),
    [
        (Response(status=429, body={"type": "error"}), "error 429"),
        (Response(events=((0.0, ERROR),)), "error 529 in the stream"),
        (Response(events=((0.0, ERROR[:20]),)), "a stream without its end"),
        (Response(body={"content": 3}), ""),
        (Response(body="text"), ""),
    ],
)
def test_what_is_no_answer(response: Response, expected: str) -> None:
    assert summarise(exchange(response)) == Summary("What time is it?", expected)


def test_a_question_may_be_what_a_tool_said() -> None:
    assert summarise(exchange(Response(body={}), messages=RESULTS)).question == "get_time: 19:42"


def test_an_api_that_nobody_knows() -> None:
    known = exchange(Response(body={"x": 1}))
    other = dataclasses.replace(known, request=Request("GET", "/v1/models"))
    assert summarise(other) == Summary()
