"""Recordings that tests with real SDKs share."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from shipway.replay.apis.provider import Provider

STATUSES = (400, 401, 403, 404, 408, 413, 429, 500, 503, 504, 529)


def record(directory: Path, name: str, path: str, asked: Any, **response: Any) -> None:
    """Write `name`.json: the answer to a POST of `asked`."""
    request = {"method": "POST", "path": path, "body": asked}
    recording = {"format": 1, "request": request, "response": response}
    (directory / f"{name}.json").write_text(json.dumps(recording, ensure_ascii=False))


def record_errors(directory: Path, provider: Provider, path: str, asked: dict[str, Any]) -> None:
    """An error of each status for the model `error-STATUS`, in the body or the path."""
    for status in STATUSES:
        model = f"error-{status}"
        named = asked | {"model": model} if "model" in asked else asked
        body = provider.error(status, f"message of {status}")
        headers = {"x-should-retry": "false", **provider.headers(body)}
        place = path.replace("MODEL", model)
        record(
            directory, f"{name_of(provider)}-{model}", place, named, status=status, headers=headers, body=body
        )


def name_of(provider: Any) -> str:
    return str(provider.__name__).rpartition(".")[2]


def in_chunks(text: str, size: int = 61) -> list[list[Any]]:
    """A recorded stream whose chunks end anywhere, 1 ms apart."""
    return [[number, text[at : at + size]] for number, at in enumerate(range(0, len(text), size))]


def recorded_stream(name: str) -> str:
    """A stream as its API sends it, with its line ends."""
    path = Path(__file__).parents[1] / "recorded_streams" / f"{name}.txt"
    return path.read_bytes().decode()
