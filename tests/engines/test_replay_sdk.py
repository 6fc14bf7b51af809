"""The replay as unmodified SDKs see it: a real server on loopback, the real client, no key."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import anthropic
import httpx2
import pytest
from anthropic.types import ToolUseBlock
from tests.replaying import Replay

QUESTION = {"role": "user", "content": "hello"}
TOOL: Any = {"name": "now", "description": "The time", "input_schema": {"type": "object", "properties": {}}}


@pytest.fixture
def replays(tmp_path: Path) -> Path:
    message = {
        "id": "msg_01",
        "type": "message",
        "role": "assistant",
        "model": "claude-sonnet-5",
        "content": [{"type": "text", "text": "Hello there, friend. How can I help?"}],
        "stop_reason": "end_turn",
        "stop_sequence": None,
        "usage": {"input_tokens": 8, "output_tokens": 9},
    }
    request = {
        "method": "POST",
        "path": "/v1/messages",
        "body": {"model": "claude-sonnet-5", "max_tokens": 64, "messages": [QUESTION]},
    }
    response = {
        "status": 200,
        "headers": {"request-id": "req_recorded", "content-length": "1"},
        "body": message,
    }
    (tmp_path / "hello-1.json").write_text(json.dumps({"request": request, "response": response}))
    later = response | {"body": message | {"content": [{"type": "text", "text": "Hello again."}]}}
    (tmp_path / "hello-2.json").write_text(json.dumps({"request": request, "response": later}))
    (tmp_path / "scripted.toml").write_text(
        """
        [[reply]]
        when = "time in (\\\\w+)"
        say = "Looking."
        call = { tool = "now", input = { city = "{1}" } }
        [[reply]]
        when_tool = "now"
        when = "(.*)"
        say = "It is {1}."
        """
    )
    return tmp_path


@pytest.fixture
def server(replays: Path) -> Iterator[Replay]:
    running = Replay(replays)
    yield running
    if running.process.poll() is None:
        running.stop()


@pytest.fixture
def client(server: Replay) -> Iterator[anthropic.Anthropic]:
    with anthropic.Anthropic(api_key="none", base_url=server.url) as client:
        yield client


def ask(client: anthropic.Anthropic, *messages: Any, **more: Any) -> anthropic.types.Message:
    return client.messages.create(model="claude-sonnet-5", max_tokens=64, messages=list(messages), **more)


def test_a_recording_answers_in_order_and_the_last_repeats(client: anthropic.Anthropic) -> None:
    texts = [ask(client, QUESTION).content[0].to_dict()["text"] for _ in range(3)]
    assert texts == ["Hello there, friend. How can I help?", "Hello again.", "Hello again."]


def test_headers_are_replayed_and_the_file_is_named(client: anthropic.Anthropic) -> None:
    raw = client.messages.with_raw_response.create(
        model="claude-sonnet-5", max_tokens=64, messages=[QUESTION]
    )  # type: ignore[list-item]
    assert raw.headers["request-id"] == "req_recorded"
    assert raw.headers["x-shipway-replay"] == "hello-1.json"


def test_a_json_recording_is_streamed_when_a_stream_is_asked_for(client: anthropic.Anthropic) -> None:
    request: Any = {"model": "claude-sonnet-5", "max_tokens": 64, "messages": [QUESTION]}
    with client.messages.stream(**request) as stream:
        pieces = list(stream.text_stream)
        final = stream.get_final_message()
    assert len(pieces) > 1
    assert "".join(pieces) == "Hello there, friend. How can I help?"
    assert (final.stop_reason, final.usage.input_tokens, final.usage.output_tokens) == ("end_turn", 8, 9)


@pytest.mark.parametrize("streamed", [False, True])
def test_a_scripted_tool_loop(client: anthropic.Anthropic, streamed: bool) -> None:
    def turn(*messages: Any) -> Any:
        if not streamed:
            return ask(client, *messages, tools=[TOOL])
        request: Any = {"model": "claude-sonnet-5", "max_tokens": 64, "messages": messages, "tools": [TOOL]}
        with client.messages.stream(**request) as stream:
            return stream.get_final_message()

    question = {"role": "user", "content": "What is the time in Tokyo?"}
    first = turn(question)
    said, call = first.content
    assert (first.stop_reason, said.text, call.name, call.input) == (
        "tool_use",
        "Looking.",
        "now",
        {"city": "Tokyo"},
    )
    assert isinstance(call, ToolUseBlock)
    result = {"type": "tool_result", "tool_use_id": call.id, "content": "noon"}
    assistant = {"role": "assistant", "content": [block.to_dict() for block in first.content]}
    second = turn(question, assistant, {"role": "user", "content": [result]})
    assert (second.stop_reason, second.content[0].text) == ("end_turn", "It is noon.")


def test_a_miss_fails_at_once_and_says_what_differs(server: Replay, client: anthropic.Anthropic) -> None:
    with pytest.raises(anthropic.NotFoundError) as raised:
        ask(client, {"role": "user", "content": "help"})
    body: Any = raised.value.body
    assert body["error"]["type"] == "not_found_error"
    message = body["error"]["message"]
    assert "Nearest is hello-1.json" in message
    assert "  messages[0].content\n    - hello\n    + help" in message
    assert "shipway up --record-missing" in message
    server.stop()
    assert [line for line in server.lines if "/v1/messages 404" in line] == [
        "replay: POST /v1/messages 404 miss"
    ]
    assert message in server.text


def test_a_script_may_call_only_what_the_request_offers(client: anthropic.Anthropic) -> None:
    with pytest.raises(anthropic.NotFoundError, match=r"scripted.toml:2 calls now; the request offers none"):
        ask(client, {"role": "user", "content": "time in Tokyo"})


def test_looking_whether_the_server_is_there_leaves_no_line(server: Replay) -> None:
    for method, path in (("HEAD", "/api/hello"), ("HEAD", "/"), ("OPTIONS", "/v1/messages")):
        answer = httpx2.request(method, f"{server.url}{path}")
        assert (answer.status_code, answer.content) == (200, b"")
    server.stop()
    assert server.lines == []


def test_a_recorded_error_is_the_error_it_was(replays: Path) -> None:
    recording = json.loads((replays / "hello-1.json").read_text())
    body = {"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}}
    recording["response"] = {"status": 529, "headers": {}, "body": body}
    (replays / "hello-1.json").write_text(json.dumps(recording))
    server = Replay(replays)
    try:
        with anthropic.Anthropic(api_key="none", base_url=server.url, max_retries=0) as client:
            with pytest.raises(anthropic.InternalServerError, match="Overloaded"):
                ask(client, QUESTION)
            assert ask(client, QUESTION).content[0].to_dict()["text"] == "Hello again."
    finally:
        server.stop()


def test_recorded_chunks_arrive_as_recorded_and_in_their_time(replays: Path) -> None:
    recording = json.loads((replays / "hello-1.json").read_text())
    (replays / "hello-2.json").unlink()
    chunks = ["event: ping\nda", 'ta: {"type": "ping"}\n\n']
    recording["response"] = {"status": 200, "events": [[0, chunks[0]], [400, chunks[1]]]}
    (replays / "hello-1.json").write_text(json.dumps(recording))
    server = Replay(replays, "--speed", "2")
    try:
        body = recording["request"]["body"] | {"stream": True}
        started = time.monotonic()
        with httpx2.stream("POST", f"{server.url}/v1/messages", json=body) as answer:
            assert list(answer.iter_text()) == chunks
        assert time.monotonic() - started >= 0.2  # 400 ms at twice the pace
    finally:
        server.stop()


def test_sigterm_ends_it_cleanly_also_with_a_stream_in_flight(replays: Path) -> None:
    recording = json.loads((replays / "hello-1.json").read_text())
    recording["response"] = {"status": 200, "events": [[0, "event: ping\n"], [60_000, "\n"]]}
    (replays / "hello-1.json").write_text(json.dumps(recording))
    server = Replay(replays, "--speed", "1")
    body = recording["request"]["body"] | {"stream": True}
    with httpx2.stream("POST", f"{server.url}/v1/messages", json=body) as answer:
        assert next(answer.iter_text()) == "event: ping\n"
        assert server.stop() == 0


def test_the_health_endpoint(server: Replay) -> None:
    assert httpx2.get(f"{server.url}/healthz").text == "ok"


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "shipway.replay", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


def test_a_port_in_use_is_one_clear_message(replays: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = run(str(replays), "--port", str(port))
    assert done.returncode == 1
    assert (
        done.stderr == f"error: port {port} on 127.0.0.1 is in use\nstop what listens there, or pass --port\n"
    )


def test_bad_files_are_findings_at_the_start(replays: Path) -> None:
    (replays / "bad.toml").write_text("[[reply]]\nsays = 'x'\n")
    done = run(str(replays))
    assert done.returncode == 2
    assert "bad.toml:2: unknown key says" in done.stderr
    assert "Traceback" not in done.stderr


def test_it_needs_only_what_the_runtime_needs() -> None:
    program = "import sys, shipway.replay.server; print(*{name.partition('.')[0] for name in sys.modules})"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert {"httptools", "uvicorn"} <= set(done.stdout.split())
    assert not {"pydantic", "rich", "httpx2", "anthropic", "mcp"} & set(done.stdout.split())


PACED = """
[[reply]]
when = "slowly"
say = "one two three four five six seven eight nine ten eleven twelve"
pace = 100
stop = "max_tokens"
usage = { input = 900, output = 12 }

[[reply]]
when = "refuse"
say = "I will not."
stop = "refusal"
"""


def test_a_script_has_its_own_pace_usage_and_end(replays: Path) -> None:
    (replays / "scripted.toml").write_text(PACED)
    server = Replay(replays)
    request: Any = {"model": "claude-sonnet-5", "max_tokens": 64}
    try:
        with anthropic.Anthropic(api_key="none", base_url=server.url) as client:
            started = time.monotonic()
            slowly: Any = [{"role": "user", "content": "slowly"}]
            with client.messages.stream(**request, messages=slowly) as stream:
                final = stream.get_final_message()
            assert time.monotonic() - started >= 0.4
            assert (final.stop_reason, final.usage.input_tokens, final.usage.output_tokens) == (
                "max_tokens",
                900,
                12,
            )
            assert ask(client, {"role": "user", "content": "refuse"}).stop_reason == "refusal"
    finally:
        server.stop()


def test_recordings_are_rewound_on_demand(server: Replay, client: anthropic.Anthropic) -> None:
    def said() -> str:
        return str(ask(client, QUESTION).content[0].to_dict()["text"])

    first = said()
    assert said() != first
    url = f"{server.url}/_shipway/rewind"
    assert httpx2.post(url).status_code == 204
    assert said() == first
    assert httpx2.get(url).status_code == 405
    assert httpx2.post(url, headers={"host": "example.com"}).status_code == 403


def test_what_is_edited_while_it_runs_counts_at_once(replays: Path, client: anthropic.Anthropic) -> None:
    help_: Any = {"role": "user", "content": "help"}
    with pytest.raises(anthropic.NotFoundError):
        ask(client, help_)
    (replays / "more.toml").write_text("[[reply]]\nwhen = 'help'\nsay = 'Here I am.'\n")
    assert ask(client, help_).content[0].to_dict()["text"] == "Here I am."
