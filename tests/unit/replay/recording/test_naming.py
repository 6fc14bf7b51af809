from __future__ import annotations

from typing import Any

import pytest

from shipway.replay.exchange import Request
from shipway.replay.recording.naming import asked

CALL: Any = {"type": "tool_use", "id": "t", "name": "now", "input": {}}
RESULT: Any = {"type": "tool_result", "tool_use_id": "t", "content": [{"type": "text", "text": "noon"}]}


def user(content: Any) -> dict[str, Any]:
    return {"role": "user", "content": content}


ANTHROPIC = [user("The time?"), {"role": "assistant", "content": [CALL]}, user([RESULT])]
CHAT = [user("The time?"), {"role": "assistant", "tool_calls": []}, {"role": "tool", "content": "noon"}]
RESPONSES = [
    user([{"type": "input_text", "text": "The time?"}]),
    {"type": "reasoning"},
    {"type": "function_call", "call_id": "c"},
    {"type": "function_call_output", "call_id": "c", "output": "noon"},
]
GEMINI = [
    {"role": "user", "parts": [{"text": "The time?"}]},
    {"role": "model", "parts": [{"functionCall": {"name": "now"}}]},
    {"role": "user", "parts": [{"functionResponse": {"name": "now"}}]},
]


@pytest.mark.parametrize(
    "body", [{"messages": ANTHROPIC}, {"messages": CHAT}, {"input": RESPONSES}, {"contents": GEMINI}]
)
def test_a_step_belongs_to_the_question_before_it(body: dict[str, Any]) -> None:
    (name, items), *_ = body.items()
    first, second = asked(Request("POST", "/x", {name: items[:1]})), asked(Request("POST", "/x", body))
    assert (first.slug, first.step, second.step) == ("the-time", 0, 1)
    assert second.so_far == first.so_far
    again = asked(Request("POST", "/x", {name: [*items, *items[1:]]}))
    assert (again.so_far, again.step) == (first.so_far, 2)


@pytest.mark.parametrize(
    ("content", "slug"),
    [
        ("What's the time in São Paulo, right now?", "whats-the-time-in-são-paulo"),
        ("../../etc/passwd\0", "etc-passwd"),
        ("東京は今何時ですか", "東京は今何時ですか"),
        ("?!", "request"),
        ([{"type": "image"}, {"type": "text", "text": "What is it"}], "what-is-it"),
        ("my key is <secret TOKEN>", "my-key-is"),
    ],
)
def test_names_are_words_that_any_file_system_takes(content: Any, slug: str) -> None:
    assert asked(Request("POST", "/x", {"messages": [user(content)]})).slug == slug


def test_what_is_no_conversation_is_named_by_its_path() -> None:
    assert asked(Request("GET", "/v1/models")).slug == "models"
    assert asked(Request("POST", "/v1/embeddings", {"input": ["a", "b"]})).slug == "embeddings"
    assert asked(Request("POST", "/v1/files", "text")).slug == "files"
