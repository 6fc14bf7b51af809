from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from shipway.replay.apis import gemini, sse
from shipway.replay.apis.gemini_framing import Framed
from shipway.replay.exchange import Request
from shipway.replay.traffic import Answer, Incoming

PATH = "/v1beta/models/gemini-2.5-pro:streamGenerateContent"
CHUNKS: list[dict[str, Any]] = [{"n": 1}, {"n": 2, "s": "}, {"}, {"n": 3}]
EVENTS = [(10.0 * number, sse.frame(chunk)) for number, chunk in enumerate(CHUNKS)]
ARRAY = [(0.0, '[{"n": 1}\n'), (10.0, ',\r\n{"n": 2, "s": "}'), (20.0, ', {"},\n{"n": 3}'), (30.0, "\n]")]


class Given:
    """An Answerer with one answer."""

    def __init__(self, answer: Answer) -> None:
        self._answer = answer

    async def answer(self, incoming: Incoming) -> Answer:
        return self._answer


def ask(answer: Answer, query: str, path: str = PATH) -> Answer:
    incoming = Incoming(Request("POST", path, {}), f"{path}{query}")
    return asyncio.run(Framed(Given(answer)).answer(incoming))


@pytest.mark.parametrize("events", [EVENTS, ARRAY])
def test_the_query_decides_the_form(events: list[tuple[float, str]]) -> None:
    as_events = ask(Answer("x", events=events), "?key=k&alt=sse")
    assert list(sse.values(as_events.events or ())) == CHUNKS
    as_array = ask(Answer("x", headers={"Content-Type": "text/event-stream"}, events=events), "?key=k")
    assert json.loads("".join(text for _, text in as_array.events or ())) == CHUNKS


def test_a_recorded_form_that_was_asked_for_is_sent_byte_for_byte() -> None:
    for events, query in ((EVENTS, "?alt=sse"), (ARRAY, "")):
        answer = Answer("x", headers={"content-type": "as/recorded"}, events=events)
        assert ask(answer, query) is answer


def test_each_chunk_keeps_its_time_in_the_other_form() -> None:
    assert [offset for offset, _ in ask(Answer("x", events=EVENTS), "").events or ()] == [0, 10, 20, 20]
    assert [offset for offset, _ in ask(Answer("x", events=ARRAY), "?alt=sse").events or ()] == [0, 20, 20]


def test_the_other_form_has_its_own_content_type() -> None:
    answer = Answer("x", headers={"Content-Type": "text/event-stream", "x-kept": "1"}, events=EVENTS)
    assert ask(answer, "").headers == {"x-kept": "1", "content-type": "application/json"}


def test_an_error_is_in_the_array() -> None:
    body = gemini.error(429, "slow down")
    assert ask(Answer("x", 429, body=body), "").body == [body]
    assert ask(Answer("x", 429, body=body), "?alt=sse").body == body
    events = [*EVENTS, (40.0, gemini.error_event(503, "busy"))]
    array = json.loads("".join(text for _, text in ask(Answer("x", events=events), "").events or ()))
    assert array == [*CHUNKS, gemini.error(503, "busy")]


def test_a_stream_that_will_be_cut_has_no_end() -> None:
    events = ask(Answer("x", events=EVENTS[:1], cut=True), "").events or ()
    text = "".join(text for _, text in events)
    assert json.loads(text + "]") == CHUNKS[:1]


def test_a_spoilt_stream_stays_spoilt() -> None:
    for text, query in (("data: {oops\n\n", ""), ("[{oops", "?alt=sse")):
        answer = Answer("x", events=[(0.0, text)])
        assert ask(answer, query) is answer


def test_a_stream_without_chunks_is_an_empty_array() -> None:
    assert ask(Answer("x", events=[(0.0, ": wait\n\n")]), "").events == [(0.0, "[]")]


def test_other_answers_are_none_of_its_business() -> None:
    for answer, path in ((Answer("x", events=EVENTS), "/v1/messages"), (Answer("x", body={}), PATH[:-20])):
        assert ask(answer, "", path) is answer
