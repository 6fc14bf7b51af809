"""What it costs that the runtime reads along with a model's streams: a piece of one, and a request elsewhere.

httpx2 with a transport that is a list in memory, before it is watched and after: CPU time, nothing waits.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import httpx2
from table import Row, median, report

from shipway_runtime.model import clients
from shipway_runtime.model.watching import Watch

sys.path.insert(0, str(Path(__file__).parents[1]))
from tests.model_streams import APIS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

PIECES, REQUESTS = 20_000, 2_000
URLS = {
    "anthropic": "https://api.anthropic.com/v1/messages",
    "responses": "https://api.openai.com/v1/responses",
    "chat": "https://api.openai.com/v1/chat/completions",
    "gemini": "https://generativelanguage.googleapis.com/v1beta/models/m:streamGenerateContent",
}


class Stream(httpx2.SyncByteStream):
    """A stream whose third event comes PIECES times."""

    def __init__(self, events: list[bytes]) -> None:
        self._events = events

    def __iter__(self) -> Iterator[bytes]:
        yield from self._events[:3]
        yield from (self._events[3] for _ in range(PIECES))
        yield from self._events[-2:]


def piece_us(api: str) -> float:
    """A piece of a stream, from the transport to who reads it."""
    events = APIS[api](tuple("abcdefg"))
    kind = {"content-type": "text/event-stream"}
    transport = httpx2.MockTransport(lambda _: httpx2.Response(200, headers=kind, stream=Stream(events)))
    with httpx2.Client(transport=transport) as client, client.stream("POST", URLS[api]) as response:
        began = time.process_time()
        for _ in response.iter_bytes():
            pass
        return (time.process_time() - began) / PIECES * 1e6


def request_us() -> float:
    """A request that has nothing to do with a model."""
    with httpx2.Client(transport=httpx2.MockTransport(lambda _: httpx2.Response(200))) as client:
        began = time.process_time()
        for _ in range(REQUESTS):
            client.get("http://127.0.0.1:8100/mcp")
        return (time.process_time() - began) / REQUESTS * 1e6


def main() -> None:
    measures: dict[str, Callable[[], float]] = {
        f"a piece of a stream of {api}": lambda api=api: piece_us(api) for api in APIS
    }
    measures["a request elsewhere"] = request_us
    bare = {metric: median(measure) for metric, measure in measures.items()}
    clients.install(Watch(None, {}, None))
    rows = [
        Row(metric, "us", median(measure), "", bare[metric], "not watched")
        for metric, measure in measures.items()
    ]
    report("model", rows, "shipway-runtime", "httpx2")


if __name__ == "__main__":
    main()
