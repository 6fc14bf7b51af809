"""What goes wrong while recording is passed on, and leaves nothing."""

from __future__ import annotations

import json
import signal
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import anthropic
import httpx2
import pytest
from tests.model_api import CUT, Asked, ModelApi, Says, says_json
from tests.recording import (
    KEY,
    MESSAGE,
    arguments,
    ask,
    chunks,
    files,
    frame,
    record,
    stream,
    until,
)


@pytest.fixture
def replays(tmp_path: Path) -> Path:
    return tmp_path / "replays"


def test_failures_pass_and_a_retry_leaves_one_recording(replays: Path) -> None:
    answers = iter(
        [
            says_json({"type": "error"}, 529, retry_after="0"),
            says_json({"type": "error"}, 429, retry_after="0"),
            says_json(MESSAGE),
        ]
    )
    with ModelApi(lambda _: next(answers)) as api, record(replays, api) as recorder:
        client = anthropic.Anthropic(base_url=recorder.url, api_key=KEY)
        assert client.messages.create(**arguments(ask())).content
        assert len(api.asked) == 3
    assert files(replays) == ["001-hello-1.json"]
    assert "not recorded: 529" in recorder.text
    assert "not recorded: 429" in recorder.text


def test_a_stream_that_ends_in_an_error_is_not_stored(replays: Path) -> None:
    broken = [
        *stream("a")[:3],
        frame({"type": "error", "error": {"type": "overloaded_error", "message": "Busy"}}),
    ]
    with ModelApi(lambda _: Says(broken)) as api, record(replays, api) as recorder:
        assert chunks(recorder.url, ask()) == broken
    assert files(replays) == []
    assert "not recorded: the stream ended in an error (529)" in recorder.text


def test_a_stream_that_ends_early_without_a_cut_is_not_stored(replays: Path) -> None:
    short = stream("a")[:-1]
    with ModelApi(lambda _: Says(short)) as api, record(replays, api) as recorder:
        assert chunks(recorder.url, ask()) == short
    assert files(replays) == []
    assert "not recorded: the recorded stream ends without message_stop" in recorder.text


def test_a_cut_is_passed_on_and_not_stored(replays: Path) -> None:
    with (
        ModelApi(lambda _: Says([*stream("a")[:2], CUT])) as api,
        record(replays, api) as recorder,
        pytest.raises(httpx2.RemoteProtocolError),
    ):
        chunks(recorder.url, ask())
    assert files(replays) == []
    assert "not recorded: the connection broke" in recorder.text


def test_a_client_that_leaves_ends_the_request_to_the_api(replays: Path) -> None:
    def endless() -> Iterator[bytes | str]:
        yield from stream("a")[:2]
        for _ in range(600):
            time.sleep(0.05)
            yield frame({"type": "ping"})

    with ModelApi(lambda _: Says(endless())) as api, record(replays, api) as recorder:
        with httpx2.stream("POST", f"{recorder.url}/v1/messages", json=ask(), trust_env=False) as response:
            next(response.iter_raw())
        assert api.left.wait(10)
    assert files(replays) == []
    assert "not recorded: the client left before the answer was whole" in recorder.text


def test_a_client_that_leaves_before_the_answer_begins(replays: Path) -> None:
    went_on = threading.Event()

    def never(_: Asked) -> Says:
        went_on.wait(20)
        return says_json(MESSAGE)

    with ModelApi(never) as api, record(replays, api) as recorder:
        body = json.dumps(ask()).encode()
        head = f"POST /v1/messages HTTP/1.1\r\nhost: x\r\ncontent-length: {len(body)}\r\n\r\n"
        with socket.create_connection(("127.0.0.1", int(recorder.url.rpartition(":")[2]))) as client:
            client.sendall(head.encode() + body)
            assert until(lambda: len(api.asked) == 1)
        assert until(lambda: "the client left before the answer came" in recorder.text)
        went_on.set()
    assert files(replays) == []


def test_ctrl_c_keeps_what_is_complete(replays: Path) -> None:
    def endless() -> Iterator[bytes | str]:
        yield from stream("a")[:2]
        for _ in range(600):
            time.sleep(0.05)
            yield frame({"type": "ping"})

    def either(asked: Asked) -> Says:
        return Says(endless()) if b"endless" in asked.content else Says(stream("a"))

    with ModelApi(either) as api, record(replays, api) as recorder:
        chunks(recorder.url, ask("short"))
        with httpx2.stream(
            "POST", f"{recorder.url}/v1/messages", json=ask("endless"), trust_env=False
        ) as response:
            next(response.iter_raw())
            assert recorder.stop(signal.SIGINT) == 130
    assert files(replays) == ["001-short-1.json"]
    assert "1 exchange recorded in" in recorder.text
