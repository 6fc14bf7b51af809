"""What the APIs send, and what is made of their answers, have the same events in the same order."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import pytest

from shipway.replay.apis import anthropic, gemini, openai_chat, openai_responses, sse
from shipway.replay.apis.provider import Events
from shipway.replay.exchange import Request

STREAMS = Path(__file__).parents[3] / "recorded_streams"
APIS = {
    "anthropic": anthropic,
    "responses": openai_responses,
    "chat": openai_chat,
    "gemini": gemini,
}
PIECES = ("delta", "text", "thinking", "partial_json", "arguments")  # where an answer is cut is free
UNSENT = ("obfuscation", "sequence_number")


def recorded(name: str) -> Events:
    return [(0.0, (STREAMS / f"{name}.txt").read_bytes().decode())]


def shape(value: Any, key: str = "") -> Any:
    """An event without its pieces of text and its counts."""
    if isinstance(value, dict):
        return {name: shape(item, name) for name, item in value.items() if name not in UNSENT}
    if isinstance(value, list):
        return [shape(item) for item in value]
    is_count = isinstance(value, int) and not isinstance(value, bool) and not key.endswith("index")
    return "…" if is_count or key in PIECES else value


def skeleton(events: Events) -> list[Any]:
    """Events without the pieces in them; those of one kind in a row are one."""
    told = [
        (event.name, shape(sse.load(event.data))) for event in sse.parse(events) if event.data != sse.DONE
    ]
    return [event for event, _ in itertools.groupby(told)]


@pytest.mark.parametrize("name", ["anthropic", "responses", "chat"])
def test_an_answer_is_streamed_as_its_api_does(name: str) -> None:
    api: Any = APIS[name]
    answer = api.to_body(recorded(name))
    request = Request("POST", "/", {"stream_options": {"include_usage": True}})
    assert skeleton(api.to_events(answer, request)) == skeleton(recorded(name))


def test_gemini_has_no_empty_text_at_its_end() -> None:
    """What the API sends after its last part, we send with it."""
    answer = gemini.to_body(recorded("gemini"))
    *sent, last = skeleton(gemini.to_events(answer, Request("POST", "/", {})))
    *told, _ = skeleton(recorded("gemini"))
    assert last[1]["candidates"][0].pop("finishReason") == "STOP"
    assert [*sent, last] == told


@pytest.mark.parametrize("name", APIS)
def test_the_answer_is_the_same_after_its_own_stream(name: str) -> None:
    api: Any = APIS[name]
    answer = api.to_body(recorded(name))
    request = Request("POST", "/", {"stream_options": {"include_usage": True}})
    assert api.to_body(api.to_events(answer, request)) == answer
