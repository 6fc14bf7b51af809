"""Google's SDK cannot tell the replay from the API: generateContent, recorded and scripted.

The SDK runs in its own environment (replay_clients/google_sdk.py) and says what it saw.
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

from shipway.replay.apis import gemini

pytestmark = pytest.mark.network

CLIENT = Path(__file__).parent / "replay_clients" / "google_sdk.py"
PATH = "/v1beta/models/MODEL:generateContent"
STREAM = recorded_stream("gemini")  # thoughts, two calls at once, lines that end as Google's do
SCRIPT = """
[[reply]]
when = "time in (\\\\w+)\\\\?"
say = "Looking it up."
call = { tool = "now", input = { city = "{1}" } }
[[reply]]
when_tool = "now"
when = "(noon of \\\\w+)"
say = "It is {1}."
[[reply]]
when = "which city"
say = '{"city": "Rome"}'
[[reply]]
when = "hello"
say = "Hello."
"""
SCHEMA = {"type": "OBJECT", "properties": {"city": {"type": "STRING"}}}
DECLARATION = {"name": "now", "description": "The time", "parameters": SCHEMA}
QUESTION = {"role": "user", "parts": [{"text": "The time in Tokyo and Oslo?"}]}
ASKED: dict[str, Any] = {
    "contents": [QUESTION],
    "systemInstruction": {"role": "user", "parts": [{"text": "be brief"}]},
    "tools": [{"functionDeclarations": [DECLARATION]}],
    "generationConfig": {},
}
ANSWER = "It is nine in the evening in Tokyo, and one in Oslo."
CALLS = [
    {
        "function_call": {"id": "a1b2", "name": "now", "args": {"city": "Tokyo"}},
        "thought_signature": "Et8ECtwEAXLI2nyC",
    },
    {"function_call": {"id": "c3d4", "name": "now", "args": {"city": "Oslo"}}},
]


def at(model: str) -> str:
    return PATH.replace("MODEL", model)


def record_results(directory: Path) -> None:
    """The answer to both calls' results, under other ids and as an array, which nobody asks for here."""
    said = gemini.to_body([(0, STREAM)])["candidates"][0]["content"]
    for part in said["parts"]:
        if call := part.get("functionCall"):
            call["id"] = f"other_{call['id']}"
    calls = [part["functionCall"] for part in said["parts"] if "functionCall" in part]
    results = [
        {"functionResponse": {"id": call["id"], "name": "now", "response": {"result": time}}}
        for call, time in zip(calls, ("21:00", "13:00"), strict=True)
    ]
    asked = ASKED | {"contents": [QUESTION, said, {"role": "user", "parts": results}]}
    chunks = [
        {"candidates": [{"content": {"role": "model", "parts": [{"text": text}]}, "index": 0}]}
        for text in (ANSWER[:11], ANSWER[11:])
    ]
    chunks[-1]["candidates"][0]["finishReason"] = "STOP"
    array = ",\r\n".join(json.dumps(chunk, indent=2) for chunk in chunks)
    path = at("gemini-3-pro").replace(":generate", ":streamGenerate")
    headers = {"content-type": "application/json; charset=UTF-8"}
    record(directory, "answer", path, asked, headers=headers, events=in_chunks(f"[{array}\n]"))


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Replay]:
    directory = tmp_path_factory.mktemp("replays")
    (directory / "scripted.toml").write_text(SCRIPT)
    record(directory, "calls", at("gemini-3-pro"), ASKED, events=in_chunks(STREAM))
    begun = STREAM[: STREAM.index("\r\n\r\n") + 4]
    broken = in_chunks(begun + gemini.error_event(503, "Overloaded"))
    record(directory, "broken", at("broken"), ASKED, events=broken)
    record(directory, "slow", at("slow"), ASKED, events=[[0, begun], [60_000, "never"]])
    record_errors(directory, gemini, PATH, ASKED)
    record_results(directory)
    content = {"role": "user", "parts": [{"text": "hello"}]}
    record(
        directory,
        "embedding",
        "/v1beta/models/gemini-embedding-001:batchEmbedContents",
        {"requests": [{"model": "models/gemini-embedding-001", "content": content}]},
        body={"embeddings": [{"values": [0.5, -0.25]}]},
    )
    running = Replay(directory, "--speed", "1")
    yield running
    assert running.stop() == 0
    assert "Traceback" not in "".join(running.lines)


@pytest.fixture(scope="module")
def seen(server: Replay, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """What the SDK saw, by the name of the check."""
    packages = ("google-genai[aiohttp]==3.6.1", "httpx2")
    bin_directory = from_pypi(tmp_path_factory.mktemp("google") / "venv", *packages)
    command = [bin_directory / "python", CLIENT, server.url, json.dumps(STATUSES)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=200, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def stream(server: Replay, query: str) -> httpx2.Response:
    path = at("gemini-3-pro").replace(":generate", ":streamGenerate")
    return httpx2.post(f"{server.url}{path}{query}", json=ASKED)


def test_the_bytes_are_those_that_were_recorded(server: Replay) -> None:
    assert stream(server, "?alt=sse").content.decode() == STREAM


def test_without_alt_sse_the_stream_is_an_array(server: Replay) -> None:
    answer = stream(server, "")
    assert answer.headers["content-type"] == "application/json"
    events = [json.loads(line[6:]) for line in STREAM.split("\r\n") if line]
    assert answer.json() == events


TOLD = [
    "**Two cities**\n\nand two calls: 東京.",
    "",
    CALLS,
    "STOP",
    {
        "prompt_token_count": 29,
        "candidates_token_count": 20,
        "total_token_count": 159,
        "prompt_tokens_details": [{"modality": "TEXT", "token_count": 29}],
        "thoughts_token_count": 110,
    },
]


def test_a_recorded_stream_is_the_same_as_its_json(seen: Any) -> None:
    assert seen["recorded"]["streamed"] == seen["recorded"]["whole"] == TOLD
    assert seen["recorded"]["model_version"] == "gemini-3-pro"


def test_results_of_calls_at_once_are_answered_in_both_forms(seen: Any) -> None:
    assert seen["recorded"]["pieces"] == [ANSWER[:11], ANSWER[11:]]
    assert seen["recorded"]["answers"] == [ANSWER] * 2


def test_a_scripted_loop_that_the_sdk_makes_itself(seen: Any) -> None:
    assert seen["scripted"] == {"text": "It is noon of Rome.", "turns": 3, "counts": True}
    assert seen["chat"] == ["Hello.", "Looking it up.It is noon of Rome."]


def test_what_a_request_demands_of_a_script_is_met_or_said(seen: Any) -> None:
    assert seen["structured"]["met"] == {"city": "Rome"}
    json_, call = seen["structured"]["misses"]
    assert "Write say = { city = … }" in json_
    assert 'Write call = { tool = "now", input = {…} }' in call


def test_what_is_beside_the_conversation(seen: Any) -> None:
    assert seen["beside"]["counted"] == pytest.approx(60, abs=20)
    assert seen["beside"]["embedded"] == [0.5, -0.25]


def kind(status: int) -> str:
    return "ClientError" if status < 500 else "ServerError"


@pytest.mark.parametrize("status", STATUSES)
def test_each_status_is_its_typed_error(seen: Any, status: int) -> None:
    named = gemini.error(status, "")["error"]["status"]
    assert seen["typed_errors"][str(status)] == [[kind(status), status, named, f"message of {status}"]] * 2


def test_an_error_in_the_stream_is_raised_where_it_comes(seen: Any) -> None:
    count, *told = seen["broken"]
    assert count == 1
    assert told == [["ServerError", 503, "UNAVAILABLE", "Overloaded"]] * 2


def test_a_client_may_leave_a_stream(seen: Any) -> None:
    assert seen["left"] == "**Two cities**"


@pytest.mark.parametrize("transport", ["over_aiohttp", "over_httpx"])
def test_asynchronously_it_is_the_same(seen: Any, transport: str) -> None:
    assert seen[transport]["told"] == [TOLD] * 2
    expected = [[kind(status), status] for status in STATUSES]
    assert seen[transport]["errors"] == [*expected, ["ServerError", 503]]


def test_vertex_ai_has_the_same_script(seen: Any) -> None:
    assert seen["in_vertex"] == "Hello."
