"""Server-sent events, as the providers send them and as the HTML standard reads them.

In: JSON values, recorded chunks. Out: the text of a stream; its events and their JSON values.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from shipway.replay.apis.provider import ConversionError, Events

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

DONE = "[DONE]"  # how OpenAI's older API ends a stream
_PACE_MS = 20.0  # between two events of a stream that was never recorded
_PORTION = 24  # characters of JSON that come at once
_LINE_END = re.compile(r"\r\n|\n|\r(?!\Z)")  # a CR at the end of a chunk may be half of a CRLF
_BOM = "\ufeff"


@dataclass(frozen=True, slots=True)
class Event:
    """`offset_ms` is when its last line came."""

    offset_ms: float
    name: str
    data: str


# -- Writing -------------------------------------------------------------------------------------------------


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


def portions(written: str) -> list[str]:
    """JSON in portions that are cut anywhere, as models send the input of a tool."""
    return [written[i : i + _PORTION] for i in range(0, len(written), _PORTION)]


# -- Reading -------------------------------------------------------------------------------------------------


def parse(chunks: Events) -> Iterator[Event]:
    """The events of a stream, however its chunks were cut. One that has no empty line after it is dropped."""
    name, data = "", list[str]()
    for offset, line in _lines(chunks):
        field, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if not line:
            if data:
                yield Event(offset, name, "\n".join(data))
            name, data = "", []
        elif field == "data":
            data.append(value)
        elif field == "event":
            name = value


def values(chunks: Events) -> Iterator[Any]:
    """The JSON values of a stream, without the mark of its end. Raises ConversionError."""
    return (load(event.data) for event in parse(chunks) if event.data and event.data != DONE)


def load(data: str, what: str = "event") -> Any:
    """The JSON value in what a stream told. Raises ConversionError."""
    try:
        return json.loads(data)
    except ValueError:
        raise ConversionError(f"the recorded stream has an {what} that is no JSON: {data[:60]}") from None


def _lines(chunks: Events) -> Iterator[tuple[float, str]]:
    """Lines, and when they came. They end with CR, LF or CRLF and nothing else."""
    offset, rest, begun = 0.0, "", False
    for offset, text in chunks:
        rest += text if begun else text.removeprefix(_BOM)
        begun = begun or bool(text)
        *lines, rest = _LINE_END.split(rest)
        for line in lines:
            yield offset, line
    if rest.endswith("\r"):
        yield offset, rest[:-1]
