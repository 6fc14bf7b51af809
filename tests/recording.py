"""A recorder in front of a stand-in API, for tests; and what Anthropic's API says."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import httpx2
from tests.model_api import ModelApi
from tests.replaying import Replay

KEY = "sk-ant-api03-" + "q7Rk2Wz9Lm4" * 8
STARTED = {
    "type": "message_start",
    "message": {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": "claude-sonnet-5",
        "content": [],
        "stop_reason": None,
        "stop_sequence": None,
        "usage": {"input_tokens": 3, "output_tokens": 1},
    },
}
MESSAGE = STARTED["message"] | {  # type: ignore[operator]
    "content": [{"type": "text", "text": "Hello."}],
    "stop_reason": "end_turn",
}


def frame(event: Any) -> bytes:
    return f"event: {event['type']}\ndata: {json.dumps(event, ensure_ascii=False)}\n\n".encode()


def stream(*texts: str) -> list[bytes | str]:
    """Anthropic's stream of a message whose text comes in these pieces, an event a chunk."""
    deltas = (
        {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": t}} for t in texts
    )
    events = [
        STARTED,
        {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
        *deltas,
        {"type": "content_block_stop", "index": 0},
        {
            "type": "message_delta",
            "delta": {"stop_reason": "end_turn", "stop_sequence": None},
            "usage": {"output_tokens": 7},
        },
        {"type": "message_stop"},
    ]
    return [frame(event) for event in events]


def ask(text: Any = "hello", *, streamed: bool = True, **more: Any) -> dict[str, Any]:
    messages = [{"role": "user", "content": text}]
    return {"model": "claude-sonnet-5", "max_tokens": 9, "messages": messages, "stream": streamed, **more}


def post(url: str, body: Any, **headers: str) -> httpx2.Response:
    return httpx2.post(f"{url}/v1/messages", json=body, headers=headers, timeout=30, trust_env=False)


def chunks(url: str, body: Any) -> list[bytes]:
    with httpx2.stream("POST", f"{url}/v1/messages", json=body, timeout=30, trust_env=False) as response:
        return list(response.iter_raw())


def files(directory: Path) -> list[str]:
    return sorted(path.relative_to(directory).as_posix() for path in directory.rglob("*") if path.is_file())


def read(directory: Path, name: str = "*.json") -> Any:
    (path,) = directory.glob(name)
    return json.loads(path.read_text())


def record(replays: Path, api: ModelApi, *arguments: str, env: Mapping[str, str] = {}) -> Replay:
    upstream = () if "--upstream" in arguments else ("--upstream", api.url)
    how = () if "--record-missing" in arguments else ("--record",)
    return Replay(replays, *how, *upstream, *arguments, env=env)


def arguments(body: dict[str, Any]) -> Any:
    return {key: value for key, value in body.items() if key != "stream"}


def until(happened: Callable[[], bool], seconds: float = 10) -> bool:
    deadline = time.monotonic() + seconds
    while not happened() and time.monotonic() < deadline:
        time.sleep(0.05)
    return happened()
