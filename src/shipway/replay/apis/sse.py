"""Server-sent events, as the providers send them.

In: JSON values, recorded chunks. Out: the text of a stream, the JSON values of a stream.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

from shipway.replay.apis.provider import ConversionError, Events

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

_PACE_MS = 20.0  # between two events of a stream that was never recorded
_DONE = "[DONE]"  # how OpenAI's older API ends a stream


def frame(data: Any, event: str | None = None) -> str:
    """One event."""
    name = f"event: {event}\n" if event else ""
    return f"{name}data: {json.dumps(data, ensure_ascii=False)}\n\n"


def paced(frames: Iterable[str]) -> Events:
    """Events at an even pace."""
    return [(i * _PACE_MS, text) for i, text in enumerate(frames)]


def pieces(text: str) -> list[str]:
    """Text in the portions a model might send it in; together they are the text."""
    return re.findall(r"(?:\S+\s*){1,3}|\s+", text)


def values(events: Events) -> Iterator[Any]:
    """The JSON values of a recorded stream, however its chunks were cut. Raises ConversionError."""
    stream = "".join(text for _, text in events).replace("\r\n", "\n")
    for part in stream.split("\n\n"):
        data = "\n".join(line[5:].strip() for line in part.split("\n") if line.startswith("data:"))
        if data and data != _DONE:
            try:
                yield json.loads(data)
            except ValueError:
                seen = data[:60]
                raise ConversionError(f"the recorded stream has an event that is no JSON: {seen}") from None
