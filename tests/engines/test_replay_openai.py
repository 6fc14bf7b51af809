"""OpenAI's SDK cannot tell the replay from the API: Responses and Chat Completions, recorded and scripted.

The SDK runs in its own environment (replay_clients/openai_sdk.py) and says what it saw.
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest
from tests.engines.recorded import STATUSES, in_chunks, record, record_errors, recorded_stream
from tests.installing import from_pypi
from tests.replaying import Replay

from shipway.replay.apis import openai_chat, openai_responses

pytestmark = pytest.mark.network

CLIENT = Path(__file__).parent / "replay_clients" / "openai_sdk.py"
RESPONSES, CHAT = "/v1/responses", "/v1/chat/completions"
STREAMS = {RESPONSES: recorded_stream("responses"), CHAT: recorded_stream("chat")}
SCRIPT = """
[[reply]]
when = "time in (\\\\w+)\\\\?"
say = "Looking it up."
call = { tool = "now", input = { city = "{1}" } }
[[reply]]
when_tool = "now"
when = "(noon)"
say = "It is {1} there."
[[reply]]
when = "which city"
say = '{"city": "Rome"}'
[[reply]]
when = "hello"
say = "Hello."
"""
SCHEMA = {"type": "object", "properties": {"city": {"type": "string"}}}
QUESTION = {"role": "user", "content": "The time in Tokyo and Oslo?"}
ASKED: dict[str, Any] = {
    RESPONSES: {
        "model": "gpt-5",
        "input": [QUESTION],
        "tools": [{"type": "function", "name": "now", "parameters": SCHEMA, "strict": False}],
    },
    CHAT: {
        "model": "gpt-5",
        "messages": [QUESTION],
        "tools": [{"type": "function", "function": {"name": "now", "parameters": SCHEMA}}],
    },
}
ANSWER = "It is nine in the evening in Tokyo, and one in Oslo."
ERRORS = {
    400: "BadRequestError",
    401: "AuthenticationError",
    403: "PermissionDeniedError",
    404: "NotFoundError",
    408: "APIStatusError",
    413: "APIStatusError",
    429: "RateLimitError",
    **dict.fromkeys((500, 503, 504, 529), "InternalServerError"),
}


def record_results(directory: Path) -> None:
    """The answers to both calls' results, under other ids, and as the other form than the calls'."""
    output = openai_responses.to_body([(0, STREAMS[RESPONSES])])["output"]
    items = [item | {"id": f"other_{item['id']}"} for item in output]
    results = [
        {"type": "function_call_output", "call_id": item["call_id"], "output": time}
        for item, time in zip(items[1:], ("21:00", "13:00"), strict=True)
    ]
    asked = ASKED[RESPONSES] | {"input": [QUESTION, *items, *results]}
    content = {"type": "output_text", "text": ANSWER, "annotations": []}
    message = {"type": "message", "id": "msg_1", "role": "assistant", "status": "completed"}
    body = {"id": "resp_R2", "object": "response", "created_at": 1, "status": "completed", "model": "gpt-5"}
    record(
        directory,
        "responses-answer",
        RESPONSES,
        asked,
        body=body | {"output": [message | {"content": [content]}]},
    )
    said = openai_chat.to_body([(0, STREAMS[CHAT])])["choices"][0]["message"]
    calls = [call | {"id": f"other_{call['id']}"} for call in said["tool_calls"]]
    told = [
        {"role": "tool", "tool_call_id": call["id"], "content": time}
        for call, time in zip(calls, ("21:00", "13:00"), strict=True)
    ]
    asked = ASKED[CHAT] | {"messages": [QUESTION, {"role": "assistant", "tool_calls": calls}, *told]}
    usage = {"prompt_tokens": 90, "completion_tokens": 14, "total_tokens": 104}
    choice = {"index": 0, "message": {"role": "assistant", "content": ANSWER}, "finish_reason": "stop"}
    body = {"id": "chatcmpl-C2", "object": "chat.completion", "created": 1, "model": "gpt-5"}
    record(directory, "chat-answer", CHAT, asked, body=body | {"choices": [choice], "usage": usage})
    asked = {"model": "gpt-5", "messages": [{"role": "user", "content": "hello"}], "n": 2}
    choices = [
        choice | {"index": n, "message": {"role": "assistant", "content": f"hello {n}"}} for n in (0, 1)
    ]
    record(directory, "chat-choices", CHAT, asked, body=body | {"choices": choices, "usage": usage})


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Replay]:
    directory = tmp_path_factory.mktemp("replays")
    (directory / "scripted.toml").write_text(SCRIPT)
    for provider, path in ((openai_responses, RESPONSES), (openai_chat, CHAT)):
        name, stream = path.rpartition("/")[2], STREAMS[path]
        headers = {"x-request-id": "req_recorded", "content-type": "text/event-stream; charset=utf-8"}
        record(directory, name, path, ASKED[path], headers=headers, events=in_chunks(stream))
        begun = stream[: stream.index("\n\n", 900) + 2]
        broken = in_chunks(begun + provider.error_event(503, "Overloaded"))
        record(directory, f"{name}-broken", path, ASKED[path] | {"model": "broken"}, events=broken)
        slow = [[0, begun], [60_000, "never"]]
        record(directory, f"{name}-slow", path, ASKED[path] | {"model": "slow"}, events=slow)
        record_errors(directory, provider, path, ASKED[path])
    record_results(directory)
    embedding = {"object": "embedding", "index": 0, "embedding": [0.5, -0.25]}
    record(
        directory,
        "embedding",
        "/v1/embeddings",
        {"model": "text-embedding-3-small", "input": "hello", "encoding_format": "float"},
        body={"object": "list", "data": [embedding], "model": "m", "usage": {"prompt_tokens": 1}},
    )
    running = Replay(directory, "--speed", "1")
    yield running
    assert running.stop() == 0
    assert "Traceback" not in "".join(running.lines)


@pytest.fixture(scope="module")
def seen(server: Replay, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """What the SDK saw, by the name of the check."""
    bin_directory = from_pypi(tmp_path_factory.mktemp("openai") / "venv", "openai[aiohttp]==3.54.0")
    command = [bin_directory / "python", "-W", "error", CLIENT, server.url, json.dumps(STATUSES)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=200, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.parametrize("path", [RESPONSES, CHAT])
def test_the_bytes_are_those_that_were_recorded(server: Replay, path: str) -> None:
    with httpx2.stream("POST", f"{server.url}{path}", json=ASKED[path] | {"stream": True}) as answer:
        assert b"".join(answer.iter_raw()).decode() == STREAMS[path]


USAGE = {
    "prompt_tokens": 52,
    "completion_tokens": 46,
    "total_tokens": 98,
    "prompt_tokens_details": {"cached_tokens": 8, "audio_tokens": 0},
    "completion_tokens_details": {
        "reasoning_tokens": 20,
        "audio_tokens": 0,
        "accepted_prediction_tokens": 0,
        "rejected_prediction_tokens": 0,
    },
}
CALLS = [["call_A", "now", '{"city": "Tokyo"}'], ["call_B", "now", '{"city": "Oslo"}']]


def test_a_recorded_chat_stream_is_the_same_as_its_json(seen: Any) -> None:
    chat = seen["chat_recorded"]
    assert chat["streamed"] == chat["whole"] == [None, CALLS, "tool_calls", USAGE]
    assert chat["request_id"] == "req_recorded"


def test_results_of_calls_at_once_are_answered_in_both_forms(seen: Any) -> None:
    usage = {"prompt_tokens": 90, "completion_tokens": 14, "total_tokens": 104}
    assert seen["chat_recorded"]["answers"] == [[ANSWER, [], "stop", usage]] * 2
    assert seen["responses_recorded"]["answers"] == [ANSWER] * 2
    for api in ("chat_recorded", "responses_recorded"):
        assert len(seen[api]["pieces"]) > 2
        assert "".join(seen[api]["pieces"]) == ANSWER


def test_a_recorded_responses_stream_is_the_same_as_its_json(seen: Any) -> None:
    told = seen["responses_recorded"]
    assert told["same"]
    assert [item["type"] for item in told["whole"]["output"]] == [
        "reasoning",
        "function_call",
        "function_call",
    ]
    assert told["whole"]["output"][0]["summary"][0]["text"] == "**Two calls** for 東京"
    assert told["whole"]["usage"]["output_tokens_details"] == {"reasoning_tokens": 9}


def test_a_scripted_tool_loop_over_both_apis(seen: Any) -> None:
    told = seen["scripted"]
    assert told["said"] == ["Looking it up."] * 2
    assert told["calls"] == [{"city": "Rome"}] * 2
    assert told["answers"] == ["It is noon there."] * 3
    assert told["usage"] > 0
    assert told["request_id"].startswith("req_")


def test_what_a_request_demands_of_a_script_is_met_or_said(seen: Any) -> None:
    told = seen["structured"]
    assert told["met"] == {"city": "Rome"}
    json_, call = told["misses"]
    assert "Write say = { city = … }" in json_
    assert 'Write call = { tool = "now", input = {…} }' in call


def test_several_choices_are_streamed(seen: Any) -> None:
    assert seen["several_choices"] == ["hello 0", "hello 1"]


def test_what_is_beside_the_conversation(seen: Any) -> None:
    assert seen["beside"]["counted"] == pytest.approx(60, abs=20)
    assert seen["beside"]["embedded"] == [0.5, -0.25]


@pytest.mark.parametrize("status", STATUSES)
def test_each_status_is_its_typed_error(seen: Any, status: int) -> None:
    told = seen["errors"][str(status)]
    assert len(told) == 4
    for name, code, request_id, message in told:
        assert (name, code, message) == (ERRORS[status], status, f"message of {status}")
        assert request_id.startswith("req_")


def test_an_error_in_the_stream_is_raised_where_it_comes(seen: Any) -> None:
    *streamed, responses, chat = seen["broken"]
    assert [told[:2] for told in streamed] == [["APIError", "Overloaded"]] * 2
    assert all(count > 0 for _, _, count in streamed)
    assert responses == chat == ["InternalServerError", "Overloaded"]


def test_a_client_may_leave_a_stream(seen: Any) -> None:
    assert seen["left"] == ["ResponseCreatedEvent", "ChatCompletionChunk"]


@pytest.mark.parametrize("transport", ["asynchronous", "over_aiohttp"])
def test_asynchronously_it_is_the_same(seen: Any, transport: str) -> None:
    told = seen[transport]
    assert told["told"] == [[None, CALLS, "tool_calls", USAGE]] * 2
    assert told["usage"]["total_tokens"] == 109
    assert told["errors"] == [[ERRORS[status], status] for status in STATUSES for _ in range(2)]
