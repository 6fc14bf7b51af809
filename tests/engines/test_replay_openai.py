"""Scripted replies as OpenAI's own SDK sees them, in its own environment: a tool loop over both APIs."""

from __future__ import annotations

import asyncio
import json
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import uvicorn
from tests.installing import from_pypi

from shipway.replay.app import create_app
from shipway.replay.player import Player
from shipway.replay.tape import load

pytestmark = pytest.mark.network

SCRIPT = """
[[reply]]
when = "time in (\\\\w+)"
say = "Looking it up."
call = { tool = "now", input = { city = "{1}" } }
[[reply]]
when_tool = "now"
when = "(.*)"
say = "It is {1} there."
"""

CLIENT = """
import json, sys
from openai import NotFoundError, OpenAI

client = OpenAI(base_url=sys.argv[1] + "/v1", api_key="none")
schema = {"type": "object", "properties": {"city": {"type": "string"}}}
out = {}

# Responses: the whole conversation each time, streamed; then the same by previous_response_id, in one piece.
tools = [{"type": "function", "name": "now", "parameters": schema, "strict": False}]
asked = [{"role": "user", "content": "The time in Tokyo?"}]
with client.responses.stream(model="gpt-5", input=asked, tools=tools) as stream:
    out["responses_pieces"] = [e.delta for e in stream if e.type == "response.output_text.delta"]
    first = stream.get_final_response()
call = first.output[1]
out["responses_call"] = [first.output_text, call.name, json.loads(call.arguments)]
result = {"type": "function_call_output", "call_id": call.call_id, "output": "noon"}
echoed = [item.model_dump(exclude={"parsed_arguments"}, exclude_none=True) for item in first.output]
out["responses_answer"] = client.responses.create(
    model="gpt-5", input=[*asked, *echoed, result], tools=tools).output_text
out["responses_previous"] = client.responses.create(
    model="gpt-5", input=[result], previous_response_id=first.id, tools=tools).output_text

# Chat Completions: streamed with usage, then in one piece.
tools = [{"type": "function", "function": {"name": "now", "parameters": schema}}]
asked = [{"role": "user", "content": "The time in Tokyo?"}]
with client.chat.completions.stream(
    model="gpt-5", messages=asked, tools=tools, stream_options={"include_usage": True}) as stream:
    out["chat_pieces"] = [e.delta for e in stream if e.type == "content.delta"]
    first = stream.get_final_completion()
message = first.choices[0].message
call = message.tool_calls[0]
out["chat_call"] = [message.content, call.function.name, json.loads(call.function.arguments)]
out["chat_usage"] = first.usage.total_tokens
asked += [{"role": "assistant", "content": message.content, "tool_calls": [
    {"id": call.id, "type": "function", "function": {"name": "now", "arguments": call.function.arguments}}]}]
asked += [{"role": "tool", "tool_call_id": call.id, "content": "noon"}]
done = client.chat.completions.create(model="gpt-5", messages=asked, tools=tools)
out["chat_answer"] = [done.choices[0].message.content, done.choices[0].finish_reason]

for name, ask in (
    ("responses_miss", lambda: client.responses.create(model="gpt-5", input="hello")),
    ("chat_miss", lambda: client.chat.completions.create(
        model="gpt-5", messages=[{"role": "user", "content": "hello"}])),
):
    try:
        ask()
    except NotFoundError as error:
        out[name] = error.body["message"]
print(json.dumps(out))
"""


@pytest.fixture
def model(tmp_path: Path) -> Iterator[str]:
    (tmp_path / "scripted.toml").write_text(SCRIPT)
    listener = socket.create_server(("127.0.0.1", 0))
    config = uvicorn.Config(create_app(Player(load(tmp_path))), lifespan="off", log_level="error")
    server = uvicorn.Server(config)
    thread = threading.Thread(target=lambda: asyncio.run(server.serve([listener])))
    thread.start()
    deadline = time.monotonic() + 20
    while not server.started:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    server.should_exit = True
    thread.join(timeout=20)


@pytest.fixture(scope="module")
def python(tmp_path_factory: pytest.TempPathFactory) -> str:
    """An interpreter that has the SDK."""
    return str(from_pypi(tmp_path_factory.mktemp("openai") / "venv", "openai==3.54.0") / "python")


def test_a_scripted_tool_loop_over_both_apis(
    model: str, python: str, capfd: pytest.CaptureFixture[str]
) -> None:
    done = subprocess.run(
        [python, "-c", CLIENT, model], capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr
    out: dict[str, Any] = json.loads(done.stdout)
    assert "".join(out["responses_pieces"]) == "Looking it up."
    assert out["responses_call"] == out["chat_call"] == ["Looking it up.", "now", {"city": "Tokyo"}]
    assert out["responses_answer"] == out["responses_previous"] == "It is noon there."
    assert "".join(out["chat_pieces"]) == "Looking it up."
    assert out["chat_answer"] == ["It is noon there.", "stop"]
    assert out["chat_usage"] > 0
    assert "answers this POST /v1/responses" in out["responses_miss"]
    assert "answers this POST /v1/chat/completions" in out["chat_miss"]
    assert capfd.readouterr().err.count(" 404 miss") == 2  # nothing was tried again
