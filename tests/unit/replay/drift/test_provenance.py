"""What the meta of a recording says, for each API, and with prompts as people write them."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

import shipway
from shipway.replay.drift import prompts, provenance
from shipway.replay.exchange import Request
from shipway.replay.traffic import Incoming

SCHEMA: dict[str, Any] = {"type": "object", "properties": {"zone": {"type": "string"}}}
TOOL: dict[str, Any] = {"name": "get_time", "description": "the time", "input_schema": SCHEMA}


def incoming(path: str, body: Any, headers: dict[str, str] | None = None) -> Incoming:
    return Incoming(Request("POST", path, body), path, headers or {})


def test_a_recording_says_when_by_what_and_with_what_it_was_made(tmp_path: Path) -> None:
    (tmp_path / "system.md").write_text("You are the support agent of Larkspur.\n")
    headers = {"x-stainless-lang": "python", "x-stainless-package-version": "2.12.0", "x-api-key": "sk-ant-1"}
    body = {"model": "claude-sonnet-5", "system": "You are the support agent of Larkspur.\n", "tools": [TOOL]}
    meta = provenance.describe(incoming("/v1/messages", body, headers), tmp_path)
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", meta.pop("recorded"))
    assert meta == {
        "sdk": "anthropic-python/2.12.0",
        "model": "claude-sonnet-5",
        "prompts": {"system.md": prompts.digest("You are the support agent of Larkspur.\n")},
        "tools": {"get_time": meta["tools"]["get_time"]},
        "shipway": shipway.__version__,
    }
    assert re.fullmatch("[0-9a-f]{12}", meta["tools"]["get_time"])


def test_what_is_not_known_is_left_out() -> None:
    meta = provenance.describe(incoming("/v1/messages", None), None)
    assert set(meta) == {"recorded", "shipway"}


@pytest.mark.parametrize(
    ("path", "headers", "expected"),
    [
        (
            "/v1/messages",
            {"x-stainless-lang": "js", "x-stainless-package-version": "0.60.0"},
            "anthropic-js/0.60.0",
        ),
        (
            "/v1/responses",
            {
                "user-agent": "pydantic-ai/2.68.0",
                "x-stainless-lang": "python",
                "x-stainless-package-version": "3.54.0",
            },
            "openai-python/3.54.0",
        ),
        (
            "/v1beta/models/gemini-3-pro:generateContent",
            {"x-goog-api-client": "google-genai-sdk/1.55.0 gl-python/3.11.2"},
            "google-genai-python/1.55.0",
        ),
        ("/v1/messages", {"user-agent": "curl/8.5.0 (x86_64)"}, "curl/8.5.0"),
        ("/v1/messages", {}, ""),
    ],
)
def test_the_sdk(path: str, headers: dict[str, str], expected: str) -> None:
    assert provenance.sdk(headers, path) == expected


@pytest.mark.parametrize(
    ("path", "body", "expected"),
    [
        ("/v1/chat/completions", {"model": "gpt-5"}, "gpt-5"),
        ("/v1beta/models/gemini-3-pro:streamGenerateContent", {"contents": []}, "gemini-3-pro"),
        (
            "/v1/projects/p/locations/l/publishers/google/models/gemini-3-pro:generateContent",
            {},
            "gemini-3-pro",
        ),
        ("/openai/deployments/ours/chat/completions", {}, "ours"),
        ("/v1/models", None, ""),
    ],
)
def test_the_model_is_in_the_body_or_in_the_path(path: str, body: Any, expected: str) -> None:
    assert provenance.model(Request("POST", path, body)) == expected


@pytest.mark.parametrize(
    "tools",
    [
        [TOOL],
        [TOOL | {"cache_control": {"type": "ephemeral"}}],
        [{"type": "function", "function": TOOL}],
        [{"functionDeclarations": [TOOL]}],
        [{"function_declarations": [TOOL]}],
        [dict(reversed(TOOL.items()))],
    ],
)
def test_a_tool_has_one_digest_wherever_an_api_puts_it(tools: list[Any]) -> None:
    told = provenance.tools(Request("POST", "/v1/x", {"tools": tools}))
    assert told == provenance.tools(Request("POST", "/v1/x", {"tools": [TOOL]}))


def test_a_changed_schema_has_another_digest_and_leaves_the_others_alone() -> None:
    other = {"name": "other", "input_schema": SCHEMA}
    changed = TOOL | {"input_schema": SCHEMA | {"required": ["zone"]}}
    before = provenance.tools(Request("POST", "/v1/messages", {"tools": [TOOL, other]}))
    after = provenance.tools(Request("POST", "/v1/messages", {"tools": [other, changed]}))
    assert before["other"] == after["other"]
    assert before["get_time"] != after["get_time"]


def test_tools_of_other_kinds_have_the_name_of_their_kind() -> None:
    tools = [{"googleSearch": {}}, {"type": "web_search"}, {"type": "mcp", "server_label": "crm"}, "x", {}, 3]
    told = provenance.tools(Request("POST", "/v1/responses", {"tools": tools}))
    assert set(told) == {"googleSearch", "web_search", "crm"}
    assert provenance.tools(Request("POST", "/v1/responses", {"tools": "none"})) == {}


# -- Prompts -------------------------------------------------------------------------------------------------


def test_only_the_prompts_that_were_sent_are_noted() -> None:
    told = prompts.used(
        {
            "bookings.md": "You answer questions about rooms.",
            "templates/system.md": "You are the agent of {company}.\n\nBe {{ manner }}, as brief as you can.",
            "concierge.md": "You help guests with their travels.",
        },
        {
            "messages": [
                {"content": [{"text": "You are the agent of Larkspur.\n\nBe kind, as brief as you can."}]}
            ]
        },
    )
    assert set(told) == {"templates/system.md"}


def test_all_are_noted_where_none_is_found_as_it_is_written() -> None:
    told = prompts.used({"a.md": "You are one thing.", "b.md": "X"}, {"system": "written by a program"})
    assert set(told) == {"a.md", "b.md"}


def test_files_that_are_no_prompts_are_left_out(tmp_path: Path) -> None:
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep/a.md").write_text("a")
    (tmp_path / ".DS_Store").write_text("x")
    (tmp_path / "large.bin").write_bytes(b"x" * 1_000_001)
    (tmp_path / "latin.md").write_bytes(b"caf\xe9")
    (tmp_path / "gone.md").symlink_to(tmp_path / "nowhere")
    assert prompts.read(tmp_path) == {"deep/a.md": "a", "latin.md": "caf\ufffd"}
    assert prompts.read(tmp_path / "nowhere") == {}
    assert prompts.read(None) == {}
