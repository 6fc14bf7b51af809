from __future__ import annotations

import json

import pytest

AGENT = """
import asyncio

async def agent(messages, ctx):
    said = messages[-1]["content"]
    if said == "raise":
        raise RuntimeError("secret")
    if said == "slow":
        yield "first"
        await asyncio.sleep(60)
    yield f"{ctx.turn}: "
    yield said
"""


@pytest.fixture(scope="module")
def running(start_shared):
    return start_shared(AGENT)


@pytest.mark.parametrize(
    ("body", "content"), [({"prompt": "hi"}, "hi"), ("hi", "hi"), ({"a": [1]}, '{"a": [1]}'), ([1], "[1]")]
)
def test_any_json_is_answered(running, body, content):
    response = running.api.post("/invocations", json=body)
    assert response.json() == {"response": f"1: {content}", "status": "success"}


def test_the_session_header_names_the_conversation(running):
    headers = {"X-Amzn-Bedrock-AgentCore-Runtime-Session-Id": "3f0c8a52-session-of-more-than-33-characters"}
    for turn in (1, 2):
        response = running.api.post("/invocations", json={"prompt": "hi"}, headers=headers)
        assert response.json() == {"response": f"{turn}: hi", "status": "success"}


def test_events_where_they_are_accepted(running):
    response = running.api.post(
        "/invocations", json={"prompt": "hi"}, headers={"accept": "text/event-stream"}
    )
    lines = [line for line in response.text.splitlines() if line]
    assert [json.loads(line.removeprefix("data: ")) for line in lines] == ["1: ", "hi"]


def test_a_failing_agent(running):
    response = running.api.post("/invocations", json={"prompt": "raise"})
    assert response.status_code == 500
    streamed = running.api.post(
        "/invocations", json={"prompt": "raise"}, headers={"accept": "text/event-stream"}
    )
    assert json.loads(streamed.text.removeprefix("data: "))["error"]["code"] == "server_error"


def test_ping_says_whether_a_turn_runs(running):
    def status() -> str:
        answer = running.api.get("/ping").json()
        assert isinstance(answer["time_of_last_update"], int)
        return str(answer["status"])

    assert status() == "Healthy"
    body = {"input": "slow", "stream": True}
    with running.api.stream("POST", "/v1/responses", json=body) as response:
        lines = response.iter_lines()  # kept: a dropped iterator closes the stream
        assert next(line for line in lines if "first" in line)
        assert status() == "HealthyBusy"
    running.wait_for(lambda: status() == "Healthy", "idleness")


@pytest.mark.parametrize("path", ["/healthz", "/readyz", "/readiness"])
def test_health_is_on_this_port_too(running, path):
    assert running.api.get(path).status_code == 200
