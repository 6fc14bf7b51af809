"""Names of recordings, and what becomes of older ones."""

from __future__ import annotations

import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest
from tests.model_api import Asked, ModelApi, Says, says_json
from tests.recording import (
    MESSAGE,
    ask,
    files,
    post,
    read,
    record,
)


@pytest.fixture
def replays(tmp_path: Path) -> Path:
    return tmp_path / "replays"


def talking(asked: Asked) -> Says:
    """Calls a tool first, and says what it gave then; answers are numbered."""
    body = asked.body
    last = body["messages"][-1]["content"]
    if isinstance(last, str):
        call = {"type": "tool_use", "id": "toolu_1", "name": "now", "input": {}}
        return says_json(MESSAGE | {"content": [call], "stop_reason": "tool_use"})
    return says_json(MESSAGE)


def turn(url: str, question: str, **more: Any) -> None:
    """A question, a tool call, its result."""
    body = ask(question, streamed=False, **more)
    answer = post(url, body).json()
    result = {"type": "tool_result", "tool_use_id": "toolu_1", "content": "12:00"}
    body["messages"] += [
        {"role": "assistant", "content": answer["content"]},
        {"role": "user", "content": [result]},
    ]
    post(url, body)


def test_two_conversations_at_once_are_told_apart(replays: Path) -> None:
    with ModelApi(talking) as api, record(replays, api) as recorder:
        questions = ("Time in Tokyo?", "Time in Paris?")
        threads = [threading.Thread(target=turn, args=(recorder.url, question)) for question in questions]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    names = files(replays)
    assert sorted(name[4:] for name in names) == [
        *("time-in-paris-1.json", "time-in-paris-2.json", "time-in-tokyo-1.json", "time-in-tokyo-2.json")
    ]
    assert [name[:3] for name in names] == ["001", "001", "002", "002"]


def test_recording_again_replaces_what_was_asked_again(replays: Path) -> None:
    count = iter(range(100))

    def numbered(_: Asked) -> Says:
        return says_json(MESSAGE | {"id": f"msg_{next(count)}"})

    with ModelApi(numbered) as api:
        with record(replays, api) as recorder:
            for _ in range(3):
                post(recorder.url, ask(streamed=False))
            post(recorder.url, ask("kept", streamed=False))
        assert files(replays) == [*(f"00{n}-hello-1.json" for n in (1, 2, 3)), "004-kept-1.json"]
        with record(replays, api) as recorder:
            for _ in range(2):
                post(recorder.url, ask(streamed=False))
    assert files(replays) == ["001-hello-1.json", "002-hello-1.json", "004-kept-1.json"]
    assert read(replays, "001*")["response"]["body"]["id"] == "msg_4"
    assert "in place of the older one and 002-hello-1.json and 003-hello-1.json" in recorder.text
    assert "2 exchanges recorded" in recorder.text
    assert "1 older one was not asked for" in recorder.text


def test_record_missing_asks_only_what_is_new(replays: Path) -> None:
    with ModelApi(lambda _: says_json(MESSAGE)) as api:
        with record(replays, api) as recorder:
            post(recorder.url, ask(streamed=False))
        (replays / "scripted.toml").write_text('[[reply]]\nsay = "scripted"\n')
        with record(replays, api, "--record-missing") as recorder:
            assert post(recorder.url, ask(streamed=False)).headers["x-shipway-replay"] == "001-hello-1.json"
            assert "x-shipway-replay" not in post(recorder.url, ask("new", streamed=False)).headers
            assert (
                post(recorder.url, ask("new", streamed=False)).headers["x-shipway-replay"] == "002-new-1.json"
            )
        assert len(api.asked) == 2
    assert files(replays) == ["001-hello-1.json", "002-new-1.json", "scripted.toml"]


def test_wrong_options_say_what_is_right(replays: Path) -> None:
    for options, words in {
        ("--record", "--record-missing"): "exclude each other",
        ("--upstream", "https://x.test"): "--upstream is for recording",
        ("--record", "--upstream", "acme=https://x.test"): "providers are anthropic, openai, gemini",
        ("--record", "--upstream", "anthropic=x.test"): "expected PROVIDER=URL",
    }.items():
        command = [sys.executable, "-m", "shipway.replay", str(replays), "--port", "0", *options]
        done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
        assert (done.returncode, words in done.stderr) == (2, True), done.stderr
