from __future__ import annotations

import json
from typing import Any

import pytest

from shipway.evals.answer import Answer, Call, Reply, calls_of, text_of
from shipway.evals.checks import CHECKS

CALLS = (Call("find", {"id": 7, "deep": {"a": [1]}}, "crm"), Call("send", {}, "mail", error="no route"))


def look(name: str, value: Any, text: str = "", **reply: Any) -> bool | None:
    return CHECKS[name].read(value).look(Answer((Reply(text, **reply),))).holds


@pytest.mark.parametrize(
    ("name", "value", "text", "holds"),
    [
        ("contains", "TOKYO", "It is late in Tokyo.", True),
        ("contains", ["tokyo", "late"], "It is late in Tokyo.", True),
        ("contains", ["tokyo", "early"], "It is late in Tokyo.", False),
        ("contains", "STRASSE", "straße", True),
        ("not_contains", ["early", "soon"], "It is late.", True),
        ("not_contains", ["early", "late"], "It is late.", False),
        ("equals", " yes ", "yes\n", True),
        ("equals", "yes", "Yes", False),
        ("equals", {"a": [1, True]}, '{"a": [1, true]}', True),
        ("equals", {"a": 1}, '{"a": true}', False),
        ("equals", 1, "1.0", True),
        ("equals", 1, "one", False),
        ("regex", r"\b\d\d:\d\d\b", "at 12:30", True),
        ("regex", r"^\d", "at 12:30", False),
        ("json_path", {"/a/0/b~1c": None}, '{"a": [{"b/c": null}]}', True),
        ("json_path", {"": [1]}, "[1]", True),
        ("json_path", {"/a": 1, "/b": 2}, '{"a": 1}', False),
        ("json_path", {"/a/5": 1}, '{"a": [1]}', False),
        ("json_path", {"/0": "x"}, '{"0": "x"}', True),
        ("json_path", {"/a": True}, 'Here:\n```json\n{"a": true}\n```\nDone.', True),
        ("json_path", {"/a": True}, "a is true", False),
    ],
)
def test_texts(name: str, value: Any, text: str, holds: bool) -> None:
    assert look(name, value, text) is holds


@pytest.mark.parametrize(
    ("name", "value", "holds"),
    [
        ("tool_called", "find", True),
        ("tool_called", "crm/find", True),
        ("tool_called", "mail/find", False),
        ("tool_called", {"name": "find", "arguments": {"id": 7}}, True),
        ("tool_called", {"name": "find", "arguments": {"id": True}}, False),
        ("tool_called", {"name": "find", "arguments": {"id": 7, "more": 1}}, False),
        ("tool_called", {"name": "find", "arguments": {"deep": {"a": [1]}}}, True),
        ("tool_called", "delete", False),
        ("tool_not_called", "delete", True),
        ("tool_not_called", ["delete", "send"], False),
        ("tool_not_called", "mail/send", False),
        ("tool_not_called", "*", False),
        ("no_error", True, False),
    ],
)
def test_tools(name: str, value: Any, holds: bool) -> None:
    assert look(name, value, calls=CALLS) is holds


def test_what_no_answer_tells_is_missing_and_not_a_pass() -> None:
    assert look("cost", 1, cost=None) is None
    assert look("cost", 0.01, cost=0.01) is True
    assert look("cost", 0.01, cost=0.02) is False


def test_figures_are_of_the_whole_conversation() -> None:
    answer = Answer((Reply("a", latency_s=1, cost=0.1), Reply("b", latency_s=3, cost=0.2)))
    assert CHECKS["latency"].read("2s").look(answer).holds is False
    assert CHECKS["latency"].read("3s").look(answer).holds is True
    assert CHECKS["cost"].read(0.25).look(answer).holds is False
    assert CHECKS["contains"].read("a").look(answer).holds is False


def test_a_failing_check_says_what_it_saw() -> None:
    mark = (
        CHECKS["tool_called"].read({"name": "find", "arguments": {"id": 8}}).look(Answer((Reply("", CALLS),)))
    )
    assert mark.reason == 'find was called with {"id": 7, "deep": {"a": [1]}}'
    mark = CHECKS["contains"].read("x").look(Answer((Reply("said\nthis"),)))
    assert mark.reason == 'does not say "x": "said this"'


def test_items_of_a_response() -> None:
    output: list[dict[str, Any]] = [
        {"type": "message", "content": [{"type": "output_text", "text": "One moment."}]},
        {"type": "mcp_call", "name": "a", "arguments": '{"x": 1}', "server_label": "s", "error": None},
        {
            "type": "mcp_call",
            "name": "b",
            "arguments": "no JSON",
            "server_label": "s",
            "error": {"type": "mcp_tool_execution_error", "content": [{"type": "text", "text": "gone"}]},
        },
        {"type": "function_call", "name": "c", "arguments": json.dumps([1])},
        {"type": "reasoning"},
        {"type": "message", "content": [{"type": "output_text", "text": " Done."}, {"refusal": "No."}]},
    ]
    assert text_of({"output": output}) == "One moment. Done.No."
    assert calls_of({"output": output}) == (
        Call("a", {"x": 1}, "s"),
        Call("b", {}, "s", "gone"),
        Call("c", {}),
    )
