"""The two forms of Gemini's streams: server-sent events with `?alt=sse`, else one JSON array.

In: an Answerer and requests. Out: its answers, those to :streamGenerateContent in the form that the query
asks for. In either form each chunk comes in its time.
"""

from __future__ import annotations

import dataclasses
import json
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, urlsplit

from shipway.replay.apis import gemini, sse
from shipway.replay.apis.provider import ConversionError, Events

if TYPE_CHECKING:
    from shipway.replay.traffic import Answer, Answerer, Incoming


class Framed:
    """An Answerer that gives the answers of another."""

    def __init__(self, answerer: Answerer) -> None:
        self._answerer = answerer

    async def answer(self, incoming: Incoming) -> Answer:
        answer = await self._answerer.answer(incoming)
        if not gemini.streams(incoming.request):
            return answer
        if parse_qs(urlsplit(incoming.target).query).get("alt") == ["sse"]:
            return _as_events(answer)
        return _as_array(answer)


def _as_events(answer: Answer) -> Answer:
    if not answer.events or not _is_array(answer.events):
        return answer
    events = [(offset, sse.frame(chunk)) for offset, chunk in gemini.chunks(answer.events)]
    return _reframed(answer, events, "text/event-stream")


def _as_array(answer: Answer) -> Answer:
    if answer.events is None:
        return dataclasses.replace(answer, body=[answer.body]) if isinstance(answer.body, dict) else answer
    if not answer.events or _is_array(answer.events):
        return answer
    try:
        chunks = list(gemini.chunks(answer.events))
    except ConversionError:
        return answer  # spoilt on purpose: a client is to see just that
    texts = [(offset, json.dumps(chunk, ensure_ascii=False, indent=2)) for offset, chunk in chunks]
    events = [(offset, ("," if number else "[") + text + "\n") for number, (offset, text) in enumerate(texts)]
    end = [] if answer.cut else [(answer.events[-1][0], "]")]
    return _reframed(answer, [*events, *end], "application/json")


def _is_array(events: Events) -> bool:
    return events[0][1].lstrip().startswith("[")


def _reframed(answer: Answer, events: Events, kind: str) -> Answer:
    headers = {name: value for name, value in answer.headers.items() if name.lower() != "content-type"}
    return dataclasses.replace(answer, events=events, headers=headers | {"content-type": kind})
