"""Anthropic's SDK cannot tell the replay from the API: streams, tools, errors, and clients that leave."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import anthropic
import httpx2
import pytest
from tests.engines.recorded import STATUSES, in_chunks, record, record_errors, recorded_stream
from tests.replaying import Replay

from shipway.replay.apis import anthropic as api

ERRORS = {
    400: anthropic.BadRequestError,
    401: anthropic.AuthenticationError,
    403: anthropic.PermissionDeniedError,
    404: anthropic.NotFoundError,
    408: anthropic.RequestTimeoutError,
    413: anthropic.ContentTooLargeError,
    429: anthropic.RateLimitError,
    500: anthropic.InternalServerError,
    503: anthropic.ServiceUnavailableError,
    504: anthropic.GatewayTimeoutError,
    529: anthropic.OverloadedError,
}
PATH = "/v1/messages"
QUESTION = {"role": "user", "content": "The time in Tokyo and Oslo?"}
TOOL: Any = {"name": "now", "input_schema": {"type": "object", "properties": {"city": {"type": "string"}}}}
ASKED: Any = {"model": "claude-sonnet-5", "max_tokens": 64, "tools": [TOOL], "messages": [QUESTION]}

STREAM = recorded_stream("anthropic")  # a thought, two calls at once
TIMES = {"Tokyo": "21:00", "Oslo": "13:00"}
ANSWER = {
    "id": "msg_02",
    "type": "message",
    "role": "assistant",
    "model": "claude-sonnet-5",
    "content": [{"type": "text", "text": "It is nine in the evening in Tokyo, and one in Oslo."}],
    "stop_reason": "end_turn",
    "stop_sequence": None,
    "stop_details": None,
    "usage": {"input_tokens": 530, "output_tokens": 17},
}


def with_results(content: list[Any], id_: str) -> list[Any]:
    """The conversation after both calls; `id_` is put before their ids."""
    calls = [block for block in content if block["type"] == "tool_use"]
    results = [
        {"type": "tool_result", "tool_use_id": id_ + call["id"], "content": TIMES[call["input"]["city"]]}
        for call in calls
    ]
    renamed = [block | {"id": id_ + block["id"]} if block in calls else block for block in content]
    return [QUESTION, {"role": "assistant", "content": renamed}, {"role": "user", "content": results}]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Replay]:
    directory = tmp_path_factory.mktemp("replays")
    headers = {"request-id": "req_recorded", "content-type": "text/event-stream; charset=utf-8"}
    record(directory, "calls", PATH, ASKED, headers=headers, events=in_chunks(STREAM))
    said = api.to_body([(0, STREAM)])["content"]
    record(directory, "answer", PATH, ASKED | {"messages": with_results(said, "other_")}, body=ANSWER)
    broken = STREAM[: STREAM.index("event: content_block_stop")] + api.error_event(529, "Overloaded")
    record(directory, "broken", PATH, ASKED | {"model": "broken"}, events=in_chunks(broken))
    slow = [[0, STREAM[: STREAM.index("event: content_block_start")]], [60_000, "never"]]
    record(directory, "slow", PATH, ASKED | {"model": "slow"}, events=slow)
    record_errors(directory, api, PATH, ASKED)
    running = Replay(directory, "--speed", "1")
    yield running
    assert running.stop() == 0
    assert "Traceback" not in "".join(running.lines)


@pytest.fixture
def client(server: Replay) -> Iterator[anthropic.Anthropic]:
    with anthropic.Anthropic(api_key="none", base_url=server.url, max_retries=0) as client:
        yield client


def test_the_sdk_gets_the_bytes_that_were_recorded(server: Replay) -> None:
    body = ASKED | {"stream": True}
    with httpx2.stream("POST", f"{server.url}{PATH}", json=body) as answer:
        assert b"".join(answer.iter_raw()).decode() == STREAM
        assert answer.headers["content-type"] == "text/event-stream; charset=utf-8"


def test_a_recorded_stream_is_the_same_message_as_its_json(client: anthropic.Anthropic) -> None:
    with client.messages.stream(**ASKED) as stream:
        assert stream.response.headers["request-id"] == "req_recorded"
        streamed = stream.get_final_message()
    whole = client.messages.create(**ASKED)
    assert whole._request_id == "req_recorded"
    assert streamed.to_dict() == whole.to_dict()
    thought, first, second = (block.to_dict() for block in whole.content)
    assert (thought["thinking"], thought["signature"]) == ("Two cities, two calls: 東京.", "EqQBCgIYAhIM")
    assert [call["input"] for call in (first, second)] == [{"city": "Tokyo"}, {"city": "Oslo"}]
    assert (whole.stop_reason, whole.usage.input_tokens, whole.usage.output_tokens) == ("tool_use", 412, 89)
    assert whole.usage.cache_read_input_tokens == 12


def test_two_calls_at_once_are_answered_whatever_their_ids(client: anthropic.Anthropic) -> None:
    first = client.messages.create(**ASKED)
    content = [block.to_dict() for block in first.content]
    messages: Any = with_results(content, "")
    with client.messages.stream(**ASKED | {"messages": messages}) as stream:
        pieces = list(stream.text_stream)
        final = stream.get_final_message()
    assert "".join(pieces) == ANSWER["content"][0]["text"]  # type: ignore[index]
    assert final.to_dict() == ANSWER
    swapped = [*messages[:2], {"role": "user", "content": messages[2]["content"][::-1]}]
    with pytest.raises(anthropic.NotFoundError, match="Nearest is answer"):
        client.messages.create(**ASKED | {"messages": swapped})


@pytest.mark.parametrize("status", STATUSES)
def test_each_status_is_its_typed_error(client: anthropic.Anthropic, status: int) -> None:
    body = ASKED | {"model": f"error-{status}"}
    for ask in (client.messages.create, lambda **more: client.messages.create(stream=True, **more)):
        with pytest.raises(ERRORS[status]) as raised:
            ask(**body)
        error = raised.value
        assert (error.status_code, error.api_message) == (status, f"message of {status}")
        assert error.request_id
        assert error.request_id == error.body["request_id"]  # type: ignore[index]
        assert error.type == api.error(status, "")["error"]["type"]


def test_each_status_is_its_typed_error_asynchronously(server: Replay) -> None:
    async def ask() -> list[type[Exception]]:
        async with anthropic.AsyncAnthropic(api_key="none", base_url=server.url, max_retries=0) as client:
            raised = []
            for status in STATUSES:
                for stream in (False, True):
                    try:
                        await client.messages.create(**ASKED | {"model": f"error-{status}", "stream": stream})
                    except anthropic.APIStatusError as error:
                        raised.append(type(error))
            return raised

    assert asyncio.run(ask()) == [ERRORS[status] for status in STATUSES for _ in range(2)]


def test_an_asynchronous_stream(server: Replay) -> None:
    async def ask() -> Any:
        async with (
            anthropic.AsyncAnthropic(api_key="none", base_url=server.url) as client,
            client.messages.stream(**ASKED) as stream,
        ):
            kinds = [event.type async for event in stream]
            return kinds, await stream.get_final_message()

    kinds, final = asyncio.run(ask())
    assert kinds.count("thinking") == 2
    assert final.to_dict() == api.to_body([(0, STREAM)])


def test_an_error_in_the_stream_is_raised_where_it_comes(client: anthropic.Anthropic) -> None:
    with client.messages.stream(**ASKED | {"model": "broken"}) as stream:
        seen = []
        with pytest.raises(anthropic.APIStatusError, match="Overloaded") as raised:
            seen += [event.type for event in stream]
    assert raised.value.type == "overloaded_error"
    with pytest.raises(anthropic.OverloadedError):
        client.messages.create(**ASKED | {"model": "broken"})


def test_a_client_may_leave_a_stream(client: anthropic.Anthropic) -> None:
    with client.messages.stream(**ASKED | {"model": "slow"}) as stream:
        assert next(iter(stream)).type == "message_start"
    assert client.messages.create(**ASKED).stop_reason == "tool_use"


def test_tokens_are_counted(client: anthropic.Anthropic) -> None:
    raw = client.messages.with_raw_response.count_tokens(model="claude-sonnet-5", messages=[QUESTION])  # type: ignore[list-item]
    assert raw.headers["x-shipway-replay"] == "counted"
    assert 10 < raw.parse().input_tokens < 60


def test_a_schema_that_a_reply_does_not_fit_is_said(tmp_path: Path) -> None:
    (tmp_path / "s.toml").write_text('[[reply]]\nsay = "Tokyo"\n')
    server = Replay(tmp_path)
    schema: Any = {"type": "object", "properties": {"city": {"type": "string"}}}
    body = {key: value for key, value in ASKED.items() if key != "tools"}
    try:
        with anthropic.Anthropic(api_key="none", base_url=server.url) as client:
            wanted: Any = {"format": {"type": "json_schema", "schema": schema}}
            with pytest.raises(anthropic.NotFoundError, match="the request demands JSON"):
                client.messages.create(**body, output_config=wanted)
            with pytest.raises(anthropic.NotFoundError, match="demands a call of now"):
                client.messages.create(**ASKED, tool_choice={"type": "any"})
    finally:
        server.stop()
