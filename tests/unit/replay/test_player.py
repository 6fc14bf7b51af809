from __future__ import annotations

import pytest

from shipway.replay import script
from shipway.replay.apis import anthropic
from shipway.replay.exchange import Exchange, Request, Response
from shipway.replay.player import Player
from shipway.replay.tape import Recording, Tape, canonical_body, key

ERROR = 'event: error\ndata: {"type": "error", "error": {"type": "overloaded_error", "message": "Busy"}}\n\n'
ASKED = Request("POST", "/v1/messages", {"model": "m"})
MESSAGE = anthropic.synthesise(ASKED, "hi there", ())
EVENTS = tuple(anthropic.to_events(MESSAGE, ASKED))


def request(question: str, *, stream: bool = False) -> Request:
    messages = [{"role": "user", "content": question}]
    return Request("POST", "/v1/messages", {"max_tokens": 1, "messages": messages, "stream": stream})


def recording(file: str, question: str, response: Response) -> Recording:
    asked = request(question)
    return Recording(file, Exchange(asked, response), canonical_body(asked), key(asked))


def player(*responses: Response, replies: str = "") -> Player:
    recordings = tuple(recording(f"{i}.json", "hello", response) for i, response in enumerate(responses, 1))
    return Player(Tape("replays", recordings, tuple(script.read(replies, "s.toml")[0])))


def test_recordings_of_one_key_answer_in_order_and_the_last_repeats() -> None:
    playing = player(Response(body={"n": 1}), Response(body={"n": 2}))
    assert [playing.play(request("hello")).source for _ in range(3)] == ["1.json", "2.json", "2.json"]


@pytest.mark.parametrize("recorded", [Response(body=MESSAGE), Response(events=EVENTS)])
def test_either_form_answers_both_requests(recorded: Response) -> None:
    assert player(recorded).play(request("hello")).body == MESSAGE
    assert tuple(player(recorded).play(request("hello", stream=True)).events or ()) == EVENTS


def test_a_stream_that_ended_in_an_error_is_that_error_without_a_stream() -> None:
    answer = player(Response(events=((0.0, ERROR),))).play(request("hello"))
    assert (answer.status, answer.body["error"]["type"]) == (529, "overloaded_error")


@pytest.mark.parametrize(
    ("recorded", "stream", "expected"),
    [
        (Response(events=EVENTS[:-1]), False, "cannot be replayed as JSON: the recorded stream ends without"),
        (Response(events=((0.0, "data: {\n\n"),)), False, "an event that is no JSON"),
        (Response(body={"no": "content"}), True, "cannot be replayed as a stream"),
    ],
)
def test_a_form_that_cannot_be_made_is_a_miss(recorded: Response, stream: bool, expected: str) -> None:
    answer = player(recorded).play(request("hello", stream=stream))
    assert (answer.status, answer.headers["x-should-retry"]) == (404, "false")
    assert expected in answer.body["error"]["message"]


def test_a_script_answers_what_no_recording_does_and_says_so() -> None:
    answer = player(Response(body={}), replies='[[reply]]\nsay = "scripted"').play(request("help"))
    assert (answer.source, answer.body["content"][0]["text"]) == ("s.toml:1", "scripted")
    assert "nearest is 1.json" in answer.note
    assert "    + help" in answer.note


def test_a_recording_comes_before_any_script() -> None:
    assert player(Response(body={}), replies='[[reply]]\nsay = "x"').play(request("hello")).source == "1.json"


@pytest.mark.parametrize("path", ["/v1/models", "/v1/messages/batches", "/v1/embeddings"])
def test_a_path_without_recordings_is_a_miss(path: str) -> None:
    answer = player(replies='[[reply]]\nsay = "x"').play(Request("POST", path, {"messages": []}))
    assert answer.status == 404
    assert f"answers this POST {path}" in answer.note or f"answers POST {path}" in answer.note


def test_recorded_headers_describe_the_form_that_was_recorded() -> None:
    headers = {"Content-Type": "application/json", "request-id": "req_1"}
    playing = player(Response(headers=headers, body=MESSAGE))
    assert playing.play(request("hello")).headers == headers
    assert playing.play(request("hello", stream=True)).headers == {"request-id": "req_1"}


def test_a_scripted_answer_has_the_id_that_sdks_read() -> None:
    answer = player(replies='[[reply]]\nsay = "x"').play(request("hello"))
    assert answer.headers["request-id"].startswith("req_")


def test_tokens_are_counted_without_a_recording_and_say_so() -> None:
    counting = Request("POST", "/v1/messages/count_tokens", {"messages": []})
    answer = player().play(counting)
    assert (answer.status, answer.source, list(answer.body)) == (200, "counted", ["input_tokens"])
    recorded = Recording(
        "count.json",
        Exchange(counting, Response(body={"input_tokens": 12})),
        canonical_body(counting),
        key(counting),
    )
    assert Player(Tape("replays", (recorded,))).play(counting).body == {"input_tokens": 12}


def test_a_reply_that_the_request_rules_out_is_a_miss_that_says_what_to_write() -> None:
    asked = request("hello")
    asked.body["output_config"] = {"format": {"type": "json_schema", "schema": {"properties": {"city": {}}}}}
    answer = player(replies='[[reply]]\nsay = "Tokyo"').play(asked)
    assert answer.status == 404
    assert """s.toml:1 says what is no JSON""" in answer.body["error"]["message"]
    assert """Write say = '{"city": …}'""" in answer.body["error"]["message"]
