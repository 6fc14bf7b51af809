"""What a person reads when nothing answers."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from shipway.replay.exchange import Request
from shipway.replay.player import unrecorded
from shipway.replay.tape import load
from shipway.replay.traffic import Answer

TOOLS = [{"name": name, "input_schema": {"type": "object"}} for name in ("get_time", "log")]


def body(question: str = "What time is it in Tokyo?", **more: Any) -> dict[str, Any]:
    messages = [{"role": "user", "content": question}]
    return {"model": "claude-x", "max_tokens": 1, "system": "Be brief.", "messages": messages} | more


def miss(directory: Path, body: Any, path: str = "/v1/messages") -> Answer:
    return unrecorded(load(directory), Request("POST", path, body))


def text(directory: Path, body: Any, path: str = "/v1/messages") -> str:
    answer = miss(directory, body, path)
    assert answer.status == 404
    assert answer.body["error"]["message"] == answer.note
    return answer.note


@pytest.fixture
def replays(tmp_path: Path) -> Path:
    request = {"method": "POST", "path": "/v1/messages", "body": body()}
    (tmp_path / "tokyo.json").write_text(json.dumps({"request": request, "response": {"body": {}}}))
    return tmp_path


def test_the_whole_message(replays: Path) -> None:
    sent = body("What's the time in Paris (France)?", model="claude-y")
    assert (
        text(replays, sent)
        == f"""\
shipway replay: nothing in {replays} answers this POST /v1/messages.
Model claude-x was recorded, claude-y is asked; what the user says differs.
Nearest is tokyo.json:
  model
    - claude-x
    + claude-y
  messages[0].content
    - What time is it in Tokyo?
    + What's the time in Paris (France)?
To record the real answer: shipway up --record-missing
To script one, put into {replays}/scripted.toml (it is read at once):
    [[reply]]
    when = 'What.s the time in Paris \\(France\\)\\?'
    say = "…"
To make a text that changes by itself not count: [[ignore]] with text = '…' there."""
    )
    answer = miss(replays, sent)
    assert (answer.near, answer.differs) == ("tokyo.json", ("model", "messages[0].content"))


def test_the_reply_to_paste_answers(replays: Path) -> None:
    sent = body("What's the time in Paris (France)? [now] $5 a\\b 'c'")
    lines = text(replays, sent).splitlines()
    at = lines.index("    [[reply]]")
    (replays / "scripted.toml").write_text("\n".join(line.strip() for line in lines[at : at + 3]))
    assert miss(replays, sent).source == "scripted.toml:1"


def test_an_empty_directory_says_so(tmp_path: Path) -> None:
    assert "There is neither a recording nor a scripted reply." in text(tmp_path, body())


def result(tool: str, said: str, **more: Any) -> dict[str, Any]:
    call = {"type": "tool_use", "id": "toolu_1", "name": tool, "input": {}}
    back = {"type": "tool_result", "tool_use_id": "toolu_1", "content": said}
    messages = [{"role": "assistant", "content": [call]}, {"role": "user", "content": [back]}]
    return body(messages=messages, tools=TOOLS) | more


def test_a_result_that_no_reply_goes_on_from(tmp_path: Path) -> None:
    script = "[[reply]]\nwhen_tool = 'get_time'\nwhen = 'T(\\d\\d:\\d\\d)'\nsay = 'x'"
    (tmp_path / "s.toml").write_text(script)
    told = text(tmp_path, result("get_time", "it is\nnoon"))
    assert "s.toml:1 looks for 'T(\\d\\d:\\d\\d)' in: it is noon" in told
    assert f"put into {tmp_path}/s.toml (it is read at once):\n    [[reply]]\n" in told
    assert 'when_tool = "get_time"' in told


@pytest.mark.parametrize(
    ("tool", "tools", "expected"),
    [
        ("get_tme", TOOLS, 'offers get_time, log.\nWrite tool = "get_time"'),
        ("time", TOOLS, 'offers get_time, log.\nWrite tool = "get_time"'),
        ("weather", TOOLS, "offers get_time, log.\nGive the agent this tool"),
        ("weather", [], "offers none.\nGive the agent this tool"),
    ],
)
def test_a_call_of_what_is_not_offered(tmp_path: Path, tool: str, tools: Any, expected: str) -> None:
    (tmp_path / "s.toml").write_text(f"[[reply]]\nwhen = 'time'\ncall = {{ tool = '{tool}' }}")
    assert f"s.toml:1 calls {tool}; the request {expected}" in text(tmp_path, body(tools=tools))


def test_a_reply_that_waits_for_a_misspelt_tool(tmp_path: Path) -> None:
    (tmp_path / "s.toml").write_text("[[reply]]\nwhen_tool = 'get_tme'\nsay = 'x'\n[[reply]]\nsay = 'y'")
    answer = miss(tmp_path, result("get_time", "noon"))
    assert answer.source == "s.toml:4"
    assert answer.note == "s.toml:1 waits for get_tme, which is not offered: get_time is"
    (tmp_path / "s.toml").write_text("[[reply]]\nwhen_tool = 'get_tme'\nsay = 'x'")
    assert answer.note in text(tmp_path, result("get_time", "noon"))


@pytest.mark.parametrize("path", ["/v1/v1/messages", "//v1/messages"])
def test_a_base_url_with_too_much(replays: Path, path: str) -> None:
    assert "too much at its end: /v1/messages is" in text(replays, body(), path)


def test_a_path_that_nobody_recorded(replays: Path) -> None:
    assert "A script answers Anthropic Messages" in text(replays, {}, "/v1/embeddings")


def test_a_request_that_no_script_can_answer_is_to_be_recorded(replays: Path) -> None:
    told = text(replays, {"requests": []}, "/v1/messages/batches")
    assert "shipway up --record-missing" in told
    assert "[[reply]]" not in told


def test_a_question_that_a_reply_nearly_finds(tmp_path: Path) -> None:
    other = "[[reply]]\nwhen = 'is'\nsay = 'y'"
    (tmp_path / "s.toml").write_text(f"[[reply]]\nwhen = 'time in (\\w+)'\nsay = 'x'\n{other}")
    told = text(tmp_path, body("What time was it in Tokyo?"))
    assert "s.toml:1 looks for 'time in (\\w+)' in: What time was it in Tokyo?" in told
    assert "s.toml:4" not in told
