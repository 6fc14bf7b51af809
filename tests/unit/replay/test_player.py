from __future__ import annotations

import asyncio
import dataclasses
import json
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from shipway.replay.apis import anthropic
from shipway.replay.exchange import Exchange, Request, Response
from shipway.replay.matching import canonical
from shipway.replay.player import Player
from shipway.replay.tape import load
from shipway.replay.traffic import Answer, Incoming

ERROR = 'event: error\ndata: {"type": "error", "error": {"type": "overloaded_error", "message": "Busy"}}\n\n'
ASKED = Request("POST", "/v1/messages", {"model": "m"})
MESSAGE = anthropic.synthesise(ASKED, "hi there", ())
EVENTS = tuple(anthropic.to_events(MESSAGE, ASKED))

Playing = Callable[..., Player]


def request(question: str, *, stream: bool = False) -> Request:
    messages = [{"role": "user", "content": question}]
    return Request("POST", "/v1/messages", {"max_tokens": 1, "messages": messages, "stream": stream})


def write(directory: Path, file: str, asked: Request, response: Response) -> None:
    exchange = dataclasses.asdict(Exchange(asked, response))
    (directory / file).write_text(json.dumps(exchange))


def play(playing: Player, asked: Request) -> Answer:
    return asyncio.run(playing.answer(Incoming(asked, asked.path)))


@pytest.fixture
def player(tmp_path: Path) -> Playing:
    """A player of recordings of `hello`, and of a script."""

    def make(*responses: Response, replies: str = "") -> Player:
        for number, response in enumerate(responses, 1):
            write(tmp_path, f"{number}.json", request("hello"), response)
        if replies:
            (tmp_path / "s.toml").write_text(replies)
        return Player(load(tmp_path))

    return make


def test_recordings_of_one_key_answer_in_order_and_the_last_repeats(player: Playing) -> None:
    playing = player(Response(body={"n": 1}), Response(body={"n": 2}))
    answers = [play(playing, request("hello")) for _ in range(3)]
    assert [answer.source for answer in answers] == ["1.json", "2.json", "2.json"]
    notes = [answer.note for answer in answers]
    assert notes == ["", "", "recorded 2 times, asked 3 times: the last answer repeats"]


@pytest.mark.parametrize("recorded", [Response(body=MESSAGE), Response(events=EVENTS)])
def test_either_form_answers_both_requests(player: Playing, recorded: Response) -> None:
    assert play(player(recorded), request("hello")).body == MESSAGE
    assert tuple(play(player(recorded), request("hello", stream=True)).events or ()) == EVENTS


def test_a_stream_that_ended_in_an_error_is_that_error_without_a_stream(player: Playing) -> None:
    answer = play(player(Response(events=((0.0, ERROR),))), request("hello"))
    assert (answer.status, answer.body["error"]["type"]) == (529, "overloaded_error")


@pytest.mark.parametrize(
    ("recorded", "stream", "expected"),
    [
        (Response(events=EVENTS[:-1]), False, "cannot be replayed as JSON: the recorded stream ends without"),
        (Response(events=((0.0, "data: {\n\n"),)), False, "an event that is no JSON"),
        (Response(body={"no": "content"}), True, "cannot be replayed as a stream"),
    ],
)
def test_a_form_that_cannot_be_made_is_a_miss(
    player: Playing, recorded: Response, stream: bool, expected: str
) -> None:
    answer = play(player(recorded), request("hello", stream=stream))
    assert (answer.status, answer.headers["x-should-retry"]) == (404, "false")
    assert expected in answer.body["error"]["message"]


def test_a_script_answers_what_no_recording_does_and_says_so(player: Playing) -> None:
    answer = play(player(Response(body={}), replies='[[reply]]\nsay = "scripted"'), request("help"))
    assert (answer.source, answer.body["content"][0]["text"]) == ("s.toml:1", "scripted")
    assert "Nearest is 1.json" in answer.note
    assert "    + help" in answer.note
    assert (answer.near, answer.differs) == ("1.json", ("messages[0].content",))


def test_a_recording_comes_before_any_script(player: Playing) -> None:
    assert (
        play(player(Response(body={}), replies='[[reply]]\nsay = "x"'), request("hello")).source == "1.json"
    )


@pytest.mark.parametrize("path", ["/v1/models", "/v1/messages/batches", "/v1/embeddings"])
def test_a_path_without_recordings_is_a_miss(player: Playing, path: str) -> None:
    answer = play(player(replies='[[reply]]\nsay = "x"'), Request("POST", path, {"messages": []}))
    assert answer.status == 404
    assert f"answers this POST {path}" in answer.note or f"answers POST {path}" in answer.note


def test_rewinding(player: Playing) -> None:
    playing = player(Response(body={"n": 1}), Response(body={"n": 2}))
    play(playing, request("hello"))
    playing.rewind()
    assert play(playing, request("hello")).source == "1.json"


def test_recorded_headers_describe_the_form_that_was_recorded(player: Playing) -> None:
    headers = {"Content-Type": "application/json", "request-id": "req_1"}
    playing = player(Response(headers=headers, body=MESSAGE))
    assert play(playing, request("hello")).headers == headers
    assert play(playing, request("hello", stream=True)).headers == {"request-id": "req_1"}


def test_a_scripted_answer_has_the_id_that_sdks_read(player: Playing) -> None:
    answer = play(player(replies='[[reply]]\nsay = "x"'), request("hello"))
    assert answer.headers["request-id"].startswith("req_")


def test_tokens_are_counted_without_a_recording_and_say_so(player: Playing, tmp_path: Path) -> None:
    counting = Request("POST", "/v1/messages/count_tokens", {"messages": []})
    answer = play(player(), counting)
    assert (answer.status, answer.source, list(answer.body)) == (200, "counted", ["input_tokens"])
    write(tmp_path, "count.json", counting, Response(body={"input_tokens": 12}))
    assert play(player(), counting).body == {"input_tokens": 12}


def test_a_reply_that_the_request_rules_out_is_a_miss_that_says_what_to_write(player: Playing) -> None:
    asked = request("hello")
    asked.body["output_config"] = {"format": {"type": "json_schema", "schema": {"properties": {"city": {}}}}}
    answer = play(player(replies='[[reply]]\nsay = "Tokyo"'), asked)
    assert answer.status == 404
    assert "s.toml:1 says what is no JSON" in answer.body["error"]["message"]
    assert "Write say = { city = … }" in answer.body["error"]["message"]


PACED = """
[[reply]]
say = "one two three four five"
pace = 5
stop = "max_tokens"
usage = { input = 900, output = 12 }
"""


@pytest.mark.parametrize(("speed", "pace"), [(None, 4.0), (2.0, 8.0)])
def test_a_script_has_its_own_pace_stop_and_usage(
    player: Playing, tmp_path: Path, speed: float | None, pace: float
) -> None:
    playing = player(replies=PACED)
    answer = play(playing, request("hello"))
    assert answer.body["stop_reason"] == "max_tokens"
    assert (answer.body["usage"]["input_tokens"], answer.body["usage"]["output_tokens"]) == (900, 12)
    streamed = play(Player(load(tmp_path), speed), request("hello", stream=True))
    assert streamed.speed == pace  # events are 20 ms apart


def long_request(seed: str) -> Request:
    """Sixty messages, none of which is like those of another seed."""
    texts = [" ".join(canonical.digest(seed, str(n), str(i)) for i in range(40)) for n in range(60)]
    messages = [{"role": ("user", "assistant")[n % 2], "content": text} for n, text in enumerate(texts)]
    return Request("POST", "/v1/messages", {"max_tokens": 1, "messages": messages})


def test_a_miss_that_takes_long_holds_up_nothing_else(tmp_path: Path) -> None:
    for number in range(12):
        write(tmp_path, f"{number}.json", long_request(str(number)), Response(body={}))
    playing = Player(load(tmp_path))

    async def run() -> tuple[float, float]:
        asked = long_request("new")
        started = last = time.monotonic()
        missing = asyncio.create_task(playing.answer(Incoming(asked, asked.path)))
        longest = 0.0
        while not missing.done():
            await asyncio.sleep(0.001)
            longest, last = max(longest, time.monotonic() - last), time.monotonic()
        assert (await missing).status == 404
        return time.monotonic() - started, longest

    took, longest = asyncio.run(run())
    assert longest < took / 2
