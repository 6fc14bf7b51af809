from __future__ import annotations

import json
import socket
import time
import uuid

import pytest

AGENT = """
import asyncio

log = []

async def agent(messages, ctx):
    said = messages[-1]["content"]
    if said == "raise":
        raise RuntimeError("password is hunter2")
    if said == "messages":
        yield repr([(m["role"], m["content"]) for m in messages])
        return
    if said == "log":
        yield ",".join(log)
        return
    if said.startswith("slow"):
        try:
            yield "first"
            await asyncio.sleep(60)
        finally:
            log.append(said)
        return
    if said == "number":
        yield 7
    if said == "cancel":
        raise asyncio.CancelledError
    if said == "exit":
        raise SystemExit(3)
    for word in f"You said: {said}".split(" "):
        yield word + " "
"""


@pytest.fixture(scope="module")
def running(start_shared):
    return start_shared(AGENT, env={"SHIPWAY_REVISION": "r-1"}, settings={"api": {"body_limit": 2000}})


def events(response):
    blocks = [block.split("\n") for block in response.text.strip().split("\n\n")]
    return [(name.removeprefix("event: "), json.loads(data.removeprefix("data: "))) for name, data in blocks]


def test_an_answer_has_openais_shape(running):
    response = running.ask("hi", metadata={"a": "b"}, instructions="be brief")
    assert response.status_code == 200
    assert response.headers["x-shipway-revision"] == "r-1"
    conversation = response.headers["x-conversation-id"]
    body = response.json()
    assert body["id"] == f"resp_{conversation}_1"
    assert (body["object"], body["status"], body["model"]) == ("response", "completed", "test")
    assert body["conversation"] == {"id": conversation}
    assert body["metadata"] == {"a": "b"}
    assert body["instructions"] == "be brief"
    assert body["usage"]["total_tokens"] == 0
    (item,) = body["output"]
    assert (item["type"], item["role"], item["status"]) == ("message", "assistant", "completed")
    assert item["content"] == [
        {"type": "output_text", "text": "You said: hi ", "annotations": [], "logprobs": []}
    ]


def test_the_alias_answers_too(running):
    assert running.api.post("/responses", json={"input": "hi"}).json()["object"] == "response"


def test_a_stream_has_openais_events_in_order(running):
    response = running.ask("a b", stream=True)
    assert response.headers["content-type"] == "text/event-stream; charset=utf-8"
    assert response.headers["x-conversation-id"]
    got = events(response)
    assert [name for name, _ in got] == [
        "response.created",
        "response.in_progress",
        "response.output_item.added",
        "response.content_part.added",
        *["response.output_text.delta"] * 4,
        "response.output_text.done",
        "response.content_part.done",
        "response.output_item.done",
        "response.completed",
    ]
    assert [data["sequence_number"] for _, data in got] == list(range(len(got)))
    assert all(name == data["type"] for name, data in got)
    assert "".join(data.get("delta", "") for _, data in got) == "You said: a b "
    assert got[-1][1]["response"]["output"][0]["content"][0]["text"] == "You said: a b "
    assert got[0][1]["response"]["id"] == got[-1][1]["response"]["id"]


def test_a_failure_in_a_stream_is_an_event(running):
    name, data = events(running.ask("raise", stream=True))[-1]
    assert name == "response.failed"
    assert data["response"]["status"] == "failed"
    assert data["response"]["error"]["code"] == "server_error"


@pytest.mark.parametrize("said", ["raise", "number", "cancel", "exit"])
def test_a_failing_agent_is_a_500_without_internals(running, said):
    response = running.ask(said)
    assert response.status_code == 500
    assert response.json()["error"]["type"] == "server_error"
    assert "hunter2" not in response.text
    assert running.ask("hi").status_code == 200, "the process must go on"


def test_the_traceback_is_in_the_log(running):
    running.ask("raise")
    assert "RuntimeError: password is hunter2" in running.log()


def test_a_conversation_goes_on_by_response_id(running):
    first = running.ask("one").json()
    second = running.ask("messages", previous_response_id=first["id"])
    assert second.headers["x-conversation-id"] == first["conversation"]["id"]
    assert second.json()["id"] == f"resp_{first['conversation']['id']}_2"
    said = second.json()["output"][0]["content"][0]["text"]
    assert said == "[('user', 'one'), ('assistant', 'You said: one '), ('user', 'messages')]"


def test_an_earlier_response_can_be_continued_differently(running):
    first = running.ask("one").json()
    running.ask("two", previous_response_id=first["id"])
    third = running.ask("messages", previous_response_id=first["id"]).json()
    assert third["id"].endswith("_3")
    assert "two" not in third["output"][0]["content"][0]["text"]


@pytest.mark.parametrize("how", ["text", "object", "header"])
def test_a_conversation_may_be_named_by_the_client(running, how):
    name = uuid.uuid4().hex
    given = {"text": {"conversation": name}, "object": {"conversation": {"id": name}}, "header": {}}[how]
    headers = {"x-conversation-id": name} if how == "header" else {}
    for turn in (1, 2):
        response = running.api.post("/v1/responses", json={"input": "hi"} | given, headers=headers)
        assert response.json()["id"] == f"resp_{name}_{turn}"


def test_instructions_are_the_system_message_of_one_turn(running):
    first = running.ask("messages", instructions="be brief").json()
    assert first["output"][0]["content"][0]["text"].startswith("[('system', 'be brief'), ('user'")
    second = running.ask("messages", previous_response_id=first["id"]).json()
    assert second["output"][0]["content"][0]["text"].startswith("[('user'")


def test_what_is_not_stored_cannot_be_continued(running):
    first = running.ask("one", store=False).json()
    response = running.ask("two", previous_response_id=first["id"])
    assert response.status_code == 404


@pytest.mark.parametrize("previous", ["resp_unknown_1", "nonsense"])
def test_an_unknown_response_is_a_404(running, previous):
    response = running.ask("hi", previous_response_id=previous)
    assert response.status_code == 404
    error = response.json()["error"]
    assert (error["code"], error["param"]) == ("previous_response_not_found", "previous_response_id")


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        (b"{not json", 400, "invalid_json"),
        (b"\xff\xfe", 400, "invalid_json"),
        (b"[" * 1500, 400, "invalid_json"),
        (b"[]", 400, "invalid_type"),
        (b'{"input": 7}', 400, "invalid_type"),
        (b'{"input": "' + b"x" * 2000 + b'"}', 413, "body_too_large"),
    ],
)
def test_a_bad_body_is_refused_in_openais_shape(running, body, status, code):
    response = running.api.post("/v1/responses", content=body)
    assert response.status_code == status
    assert response.json()["error"]["code"] == code


def test_a_chunked_body_is_limited_too(running):
    response = running.api.post("/v1/responses", content=(b" " * 500 for _ in range(8)))
    assert response.status_code == 413


def test_unknown_paths_and_methods_are_refused_in_openais_shape(running):
    message = running.api.get("/nope").json()["error"]["message"]
    assert message.startswith("nothing at GET /nope; this is OpenAI's Responses API: POST /v1/responses")
    assert running.api.get("/v1/responses").status_code == 405
    assert running.api.get("/nope").headers["x-shipway-revision"] == "r-1"


@pytest.mark.parametrize("stream", [True, False])
def test_a_client_that_leaves_cancels_its_turn(running, stream):
    said = f"slow {stream}"
    body = json.dumps({"input": said, "stream": stream}).encode()
    with socket.create_connection(("127.0.0.1", running.ports["API"]), timeout=20) as client:
        client.sendall(
            b"POST /v1/responses HTTP/1.1\r\nhost: x\r\ncontent-length: %d\r\n\r\n" % len(body) + body
        )
        if stream:
            while b"first" not in client.recv(65536):
                pass
        else:
            time.sleep(0.2)

    def cancelled() -> bool:
        return said in running.ask("log").json()["output"][0]["content"][0]["text"]

    running.wait_for(cancelled, "cancellation")
    running.wait_for(lambda: "cancelled" in [o["status"] for o in running.outcomes()], "outcome")


def test_turns_of_one_conversation_run_one_after_another(running):
    name = uuid.uuid4().hex
    with running.api.stream(
        "POST", "/v1/responses", json={"input": "slow", "stream": True, "conversation": name}
    ) as one:
        lines = one.iter_lines()  # kept: a dropped iterator closes the stream
        assert next(line for line in lines if "first" in line)
        assert running.ask("hi").status_code == 200, "other conversations go on"
        with socket.create_connection(("127.0.0.1", running.ports["API"]), timeout=20) as two:
            body = json.dumps({"input": "hi", "conversation": name}).encode()
            two.sendall(
                b"POST /v1/responses HTTP/1.1\r\nhost: x\r\ncontent-length: %d\r\n\r\n" % len(body) + body
            )
            two.settimeout(0.3)
            with pytest.raises(TimeoutError):
                two.recv(1)
            one.close()
            two.settimeout(20)
            answer = two.recv(65536)
            while b"\r\n\r\n{" not in answer:
                answer += two.recv(65536)
            assert b'"id":"resp_%s_2"' % name.encode() in answer


def test_every_turn_leaves_one_outcome(running):
    conversation = running.ask("one").json()["conversation"]["id"]
    running.ask("raise", conversation=conversation)
    mine = [o for o in running.outcomes() if o["conversation"] == conversation]
    assert [(o["turn"], o["status"], o["revision"]) for o in mine] == [(1, "ok", "r-1"), (2, "error", "r-1")]
    assert mine[0]["tokens"] == {"input": 0, "output": 0}
    assert mine[0]["first_token_s"] is not None
    assert mine[1]["first_seen"] <= mine[0]["started"]
