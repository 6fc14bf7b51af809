"""A runtime and a model that does not keep to its API: what callers, outcomes, metrics and readiness say."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

import pytest
from tests.model_streams import TEXT, ModelServer
from tests.unit.runtime.conftest import Running, Start

AGENT = """
import json, os
import httpx2

async def agent(messages, ctx):
    url = os.environ.get("ASKED") or os.environ["ANTHROPIC_BASE_URL"] + "/v1/messages"
    if messages[-1]["content"] == "what was said?":
        yield " | ".join(message["content"] for message in messages)
        return
    async with httpx2.AsyncClient(trust_env=False) as client, client.stream("POST", url) as response:
        async for line in response.aiter_lines():
            if '"text_delta"' in line:
                yield json.loads(line.removeprefix("data: "))["delta"]["text"]
"""

APP = """
import os
import httpx2

async def agent(scope, receive, send):
    if scope["type"] != "http":
        return
    async with httpx2.AsyncClient(trust_env=False) as client:
        try:
            await client.post(os.environ["ANTHROPIC_BASE_URL"] + "/v1/messages")
            text = b"fine"
        except httpx2.RemoteProtocolError as error:
            text = str(error).encode()
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": text})
"""

SETTINGS: dict[str, Any] = {"model": {"provider": "anthropic", "name": "m"}, "api": {"auth": "none"}}


@pytest.fixture
def model() -> Iterator[ModelServer]:
    server = ModelServer()
    yield server
    server.close()


def started(start: Start, model: ModelServer, source: str = AGENT, **env: str) -> Running:
    return start(source, settings=SETTINGS, env={"ANTHROPIC_BASE_URL": model.url} | env)


def lines(running: Running, name: str) -> set[str]:
    page = running.admin.get("/metrics").text.splitlines()
    return {line for line in page if line.startswith(name) and not line.endswith(" 0.0")}


def test_a_stream_that_ends_early_fails_its_turn_the_same_way_everywhere(
    start: Start, model: ModelServer
) -> None:
    running = started(start, model)
    first = running.ask()
    assert first.json()["output"][0]["content"][0]["text"] == TEXT
    model.end = 4
    whole = running.ask()
    assert (whole.status_code, whole.json()["error"]["code"]) == (503, "model_unavailable")
    streamed = running.ask(stream=True, previous_response_id=first.json()["id"]).text
    events = [line.removeprefix("event: ") for line in streamed.splitlines() if line.startswith("event: ")]
    assert events.count("response.output_text.delta") == 2, "what came was passed on as it came"
    assert events[-1] == "response.failed"
    assert [outcome["status"] for outcome in running.outcomes()] == ["ok", "error", "error"]
    assert lines(running, "shipway_turns_total") == {
        'shipway_turns_total{outcome="ok"} 1.0',
        'shipway_turns_total{outcome="error"} 2.0',
    }
    assert lines(running, "shipway_model_requests_total") == {
        'shipway_model_requests_total{host="127.0.0.1",outcome="ok"} 1.0',
        'shipway_model_requests_total{host="127.0.0.1",outcome="unfinished"} 2.0',
    }
    assert running.log().count("the model: ended a stream without message_stop") >= 2
    said = running.ask("what was said?", previous_response_id=first.json()["id"]).json()
    assert said["output"][0]["content"][0]["text"] == f"hi | {TEXT} | what was said?", "no half of an answer"


def test_a_provider_is_out_of_reach_while_the_model_is_replayed(start: Start, model: ModelServer) -> None:
    asked = "https://api.openai.com/v1/responses"
    running = started(start, model, SHIPWAY_REPLAY=model.url, ASKED=asked)
    answer = running.ask()
    assert answer.status_code == 503
    message = answer.json()["error"]["message"]
    assert message.startswith("api.openai.com is not reachable in development: the model is replayed.")
    running.ask()
    own = [line for line in running.log().splitlines() if "ERROR shipway: api.openai.com" in line]
    assert len(own) == 1, running.log()


def test_a_replay_is_not_started_with_elsewhere(start: Start, model: ModelServer) -> None:
    running = start(
        AGENT,
        ready=False,
        settings=SETTINGS,
        env={"SHIPWAY_ENV": "prod", "SHIPWAY_REPLAY": model.url},
    )
    assert running.exit_code() == 1
    assert 'SHIPWAY_REPLAY is set, and this is \\"prod\\"' in running.log()


@pytest.mark.parametrize("source", [AGENT, APP], ids=["turns", "own application"])
def test_a_replay_that_a_base_url_leads_to_is_refused_elsewhere(
    start: Start, model: ModelServer, source: str
) -> None:
    running = started(start, model, source, SHIPWAY_ENV="prod")
    model.headers = {"x-shipway-replay": "a.json"}
    if source == AGENT:
        assert running.ask().status_code == 503
    else:
        assert 'replays a model, and this is "prod"' in running.api.get("/").text
    running.wait_for(lambda: running.get_admin("/readyz") == 503, "unreadiness")
    check = running.admin.get("/readyz").json()["checks"]["model"]
    assert check["last_error"] == '127.0.0.1 replays a model, and this is "prod"'
    assert {line.partition("{")[2] for line in lines(running, "shipway_model_requests_total")} == {
        'host="127.0.0.1",outcome="replay"} 1.0'
    }
    assert os.environ.get("SHIPWAY_REPLAY") is None
