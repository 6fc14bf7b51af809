"""The two forms of Gemini's streams: server-sent events with `?alt=sse`, else one JSON array.

In: recorded streams; an Answerer and requests. Out: the chunks in them; its answers, those to
:streamGenerateContent in the form that the query asks for. In either form each chunk comes in its time.
"""

from __future__ import annotations

import bisect
import dataclasses
import itertools
import json
import re
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

from shipway.replay.apis import sse
from shipway.replay.apis.provider import ConversionError, Events

if TYPE_CHECKING:
    from collections.abc import Iterator

    from shipway.replay.traffic import Answer, Answerer, Incoming

STREAM = "streamGenerateContent"
_ELEMENT = re.compile(r"[\s,]*(?=\{)")
_TAIL = re.compile(r"^\{.*", re.MULTILINE | re.DOTALL)  # what begins so is no event


# -- Reading -------------------------------------------------------------------------------------------------


def chunks(stream: Events) -> Iterator[tuple[float, Any]]:
    """The chunks of a stream in either form and when each was complete; last, the error that ended it."""
    written = "".join(text for _, text in stream)
    if _is_array(stream):
        yield from _elements(written, stream)
        return
    yield from ((event.offset_ms, sse.load(event.data)) for event in sse.parse(stream))
    if tail := _TAIL.search(written):
        yield stream[-1][0], sse.load(tail[0])


def _elements(written: str, stream: Events) -> Iterator[tuple[float, Any]]:
    """Those of an array, also of one that has no end."""
    ends = list(itertools.accumulate(len(text) for _, text in stream))
    position = written.index("[") + 1
    while found := _ELEMENT.match(written, position):
        try:
            value, position = json.JSONDecoder().raw_decode(written, found.end())
        except ValueError:
            raise ConversionError(
                f"the recorded stream has a chunk that is no JSON: {written[found.end() :][:60]}"
            ) from None
        yield stream[bisect.bisect_left(ends, position)][0], value


# -- Sending -------------------------------------------------------------------------------------------------


class Framed:
    """An Answerer that gives the answers of another."""

    def __init__(self, answerer: Answerer) -> None:
        self._answerer = answerer

    async def answer(self, incoming: Incoming) -> Answer:
        answer = await self._answerer.answer(incoming)
        if not incoming.request.path.endswith(f":{STREAM}"):
            return answer
        is_sse = parse_qs(urlsplit(incoming.target).query).get("alt") == ["sse"]
        try:
            return _as_events(answer) if is_sse else _as_array(answer)
        except ConversionError:
            return answer  # spoilt, perhaps on purpose: a client is to see just that


def _as_events(answer: Answer) -> Answer:
    if not answer.events or not _is_array(answer.events):
        return answer
    events = [(offset, sse.frame(chunk)) for offset, chunk in chunks(answer.events)]
    return _reframed(answer, events, "text/event-stream")


def _as_array(answer: Answer) -> Answer:
    if answer.events is None:
        return dataclasses.replace(answer, body=[answer.body]) if isinstance(answer.body, dict) else answer
    if not answer.events or _is_array(answer.events):
        return answer
    events, mark = [], "["
    for offset, chunk in chunks(answer.events):
        events.append((offset, mark + json.dumps(chunk, ensure_ascii=False, indent=2)))
        mark = "\n,\r\n"
    if not answer.cut:
        events.append((answer.events[-1][0], "\n]" if events else "[]"))
    return _reframed(answer, events, "application/json")


def _is_array(events: Events) -> bool:
    return next((text.lstrip() for _, text in events if text.strip()), "").startswith("[")


def _reframed(answer: Answer, events: Events, kind: str) -> Answer:
    headers = {name: value for name, value in answer.headers.items() if name.lower() != "content-type"}
    return dataclasses.replace(answer, events=events, headers=headers | {"content-type": kind})
