"""The questions of recordings, in the shapes of each API."""

from __future__ import annotations

from typing import Any

import pytest

from shipway.replay.drift.questions import conversations
from shipway.replay.exchange import Request

USER = {"role": "user", "content": "What time is it?"}
MORE = {"role": "user", "content": "And in Paris?"}
SAID = {"role": "assistant", "content": "19:42"}
CALL = {"role": "assistant", "content": [{"type": "tool_use", "id": "t", "name": "n", "input": {}}]}
CALLED = {"type": "function_call", "call_id": "c", "name": "n", "arguments": "{}"}
TOOL_CALL = {"id": "c", "type": "function", "function": {"name": "n", "arguments": "{}"}}
ASKED = {"role": "assistant", "tool_calls": [TOOL_CALL]}
OUTPUT = {"type": "function_call_output", "call_id": "c", "output": "x"}
RESULT = {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "t", "content": "19:42"}]}


def anthropic(*messages: Any) -> Request:
    return Request("POST", "/v1/messages", {"max_tokens": 1, "messages": list(messages)})


def responses(asked: Any, **other: Any) -> Request:
    return Request("POST", "/v1/responses", {"input": asked, **other})


def gemini(text: str) -> Request:
    contents = [{"role": "user", "parts": [{"text": text}]}]
    return Request("POST", "/v1beta/models/gemini-3-pro:generateContent", {"contents": contents})


def chat(*messages: Any) -> Request:
    return Request("POST", "/v1/chat/completions", {"messages": list(messages)})


@pytest.mark.parametrize(
    ("requests", "expected"),
    [
        ([anthropic(USER)], [("What time is it?",)]),
        ([anthropic(USER), anthropic(USER, CALL, RESULT)], [("What time is it?",)]),
        ([anthropic(USER), anthropic(USER, SAID, MORE)], [("What time is it?", "And in Paris?")]),
        ([anthropic(MORE), anthropic(USER)], [("And in Paris?",), ("What time is it?",)]),
        ([responses("What time is it?")], [("What time is it?",)]),
        ([responses([USER, SAID, MORE])], [("What time is it?", "And in Paris?")]),
        ([responses([USER, CALLED, OUTPUT])], [("What time is it?",)]),
        ([responses("more", previous_response_id="resp_1")], []),
        ([chat({"role": "system", "content": "x"}, USER)], [("What time is it?",)]),
        ([chat(USER, ASKED, {"role": "tool", "tool_call_id": "c", "content": "x"})], [("What time is it?",)]),
        ([gemini("What time is it?")], [("What time is it?",)]),
        ([anthropic({"role": "user", "content": [{"type": "image"}]})], []),
        ([anthropic()], []),
        ([anthropic("x", 3, USER)], [("What time is it?",)]),
        ([Request("GET", "/v1/models"), Request("POST", "/v1/messages", "text")], []),
        ([Request("POST", "/v1/messages/count_tokens", {"messages": [USER]})], []),
    ],
)
def test_conversations(requests: list[Request], expected: list[tuple[str, ...]]) -> None:
    assert conversations(requests) == expected
