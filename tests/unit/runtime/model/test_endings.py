"""Whether a stream came to its end, however its bytes are cut and whatever the model says in it."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.model_streams import APIS

from shipway_runtime.model.endings import Endings

PATHS = {
    "anthropic": "/v1/messages",
    "responses": "/v1/responses",
    "chat": "/v1/chat/completions",
    "gemini": "/v1beta/models/m:streamGenerateContent",
}
LAST = {
    "anthropic": "message_stop",
    "responses": "response.completed",
    "chat": "[DONE]",
    "gemini": "finishReason",
}
CLOSING = {"anthropic": 1, "responses": 1, "chat": 2, "gemini": 1}
"""How many of the last events say that it is over."""

SNARES = (
    "event: message_stop\n",
    "\nevent: message_stop\ndata: {}\n\n",
    '\ndata: {"type":"message_stop"}\n\n',
    "\ndata: [DONE]\n\n",
    '"finish_reason":"stop"',
    ',"finishReason": "STOP"',
    '\\","finishReason":"STOP"',
    '{"error": {',
    '\nevent: error\ndata: {"type": "error"}',
    "\r\nevent: response.completed\r\n",
)
words = st.lists(st.one_of(st.sampled_from(SNARES), st.text(max_size=20)), min_size=1, max_size=6)


def judged(api: str, body: bytes, cuts: list[int], path: str | None = None) -> str | None:
    endings = Endings(PATHS[api] if path is None else path)
    places = [0, *sorted(cut % (len(body) + 1) for cut in cuts), len(body)]
    for begin, end in itertools.pairwise(places):
        endings.read(body[begin:end])
    return endings.missing()


@pytest.mark.parametrize("api", APIS)
@given(said=words, cuts=st.lists(st.integers(0, 100_000), max_size=40), known=st.booleans())
def test_a_whole_stream_is_never_found_wanting(
    api: str, said: list[str], cuts: list[int], known: bool
) -> None:
    assert judged(api, b"".join(APIS[api](tuple(said))), cuts, None if known else "") is None


@pytest.mark.parametrize("api", APIS)
@given(said=words, cuts=st.lists(st.integers(0, 100_000), max_size=40), short=st.integers(0, 30))
def test_one_that_ends_early_always_is(api: str, said: list[str], cuts: list[int], short: int) -> None:
    events = APIS[api](tuple(said))
    kept = max(0, len(events) - CLOSING[api] - short)
    assert judged(api, b"".join(events[:kept]), cuts) == LAST[api]


@pytest.mark.parametrize("api", APIS)
def test_byte_by_byte(api: str) -> None:
    events = APIS[api]()
    whole, short = b"".join(events), b"".join(events[: -CLOSING[api]])
    assert judged(api, whole, list(range(len(whole)))) is None
    assert judged(api, short, list(range(len(short)))) == LAST[api]


@pytest.mark.parametrize("line", ["\n", "\r\n"])
@pytest.mark.parametrize("space", ["", " "])
@pytest.mark.parametrize("api", ["anthropic", "responses"])
def test_lines_as_other_servers_write_them(api: str, line: str, space: str) -> None:
    def rewritten(event: bytes) -> bytes:
        return event.decode().replace(": ", f":{space}", 2).replace("\n", line).encode()

    events = [rewritten(event) for event in APIS[api]()]
    assert judged(api, b"".join(events), [], "") is None
    assert judged(api, b"".join(events[:-1]), [], "") == LAST[api]


@pytest.mark.parametrize("api", ["anthropic", "responses"])
def test_events_without_names(api: str) -> None:
    events = [event[event.index(b"data: ") :] for event in APIS[api]()]
    assert judged(api, b"".join(events), [], "") is None
    assert judged(api, b"".join(events[:-1]), [], "") == LAST[api]


def test_chat_completions_without_done_but_with_a_reason_have_ended() -> None:
    assert judged("chat", b"".join(APIS["chat"]()[:-1]), []) is None


@pytest.mark.parametrize(
    ("body", "end"),
    [
        (b'event: error\ndata: {"type":"error"}\n\n', b"error"),
        (b'data: {"error": {"message": "x"}}\n\n', b"error"),
        (b'{\n  "error": {\n    "code": 503\n  }\n}\n', b"error"),
        (b'event: response.failed\ndata: {"type":"response.failed"}\n\n', b"response.failed"),
        (b'event: response.incomplete\ndata: {"type":"response.incomplete"}\n\n', b"response.incomplete"),
        (b'data: {"candidates":[],"promptFeedback":{"blockReason":"SAFETY"}}\n\n', b"blockReason"),
    ],
)
def test_other_ends(body: bytes, end: bytes) -> None:
    endings = Endings("/v1/messages")
    endings.read(body)
    assert (endings.end, endings.missing()) == (end, None)


@pytest.mark.parametrize(
    "body",
    [
        b'event: message\ndata: {"jsonrpc": "2.0", "result": {}}\n\n',  # MCP
        b'event: thread.message.delta\ndata: {"id": "x"}\n\n',
        b'data: {"token": {"text": "Paris"}}\n\n',
        b"event: ping\ndata: {}\n\n",
    ],
)
@pytest.mark.parametrize("path", ["/v1/messages", "/generate_stream"])
def test_what_is_not_known_is_not_judged(body: bytes, path: str) -> None:
    assert judged("anthropic", body * 3, [5], path) is None


def test_a_stream_without_any_event_is_judged_by_its_path() -> None:
    assert judged("anthropic", b"", []) == "message_stop"
    assert judged("anthropic", b": keep-alive\n\n", []) == "message_stop"
    assert judged("anthropic", b"", [], "/v1/other") is None
