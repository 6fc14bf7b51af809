"""What a process says about its turns: numbers on /metrics, and a log line each."""

from __future__ import annotations

import json
import socket

import pytest

PARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
AGENT = """
import asyncio, logging, threading
from shipway_runtime.dialogue import ToolCall, ToolResult, Usage

log = logging.getLogger("theirs")
held = asyncio.Event()

async def agent(messages, ctx):
    ask = messages[-1]["content"]
    if ask == "fail":
        raise LookupError("no such thing")
    if ask == "hold":
        await held.wait()
    if ask == "stay":
        await asyncio.sleep(60)
    held.set() if ask == "release" else None
    yield ToolCall("1", "find", "{}")
    log.info("on the loop", extra={"conversation": "mine", "found": 2})
    await asyncio.to_thread(log.info, "in a thread")
    yield ToolResult("1", "[]", error=ask == "broken")
    yield ToolCall("2", "wait", "{}")
    yield Usage(100, 20, cached=60, reasoning=5)
    yield Usage(3, 4, model="small")
    yield ctx.trace.get("traceparent", "none") + str(len(ctx.trace))
"""
MODEL = """
import httpx2, os

async def agent(messages, ctx):
    async with httpx2.AsyncClient(trust_env=False) as client:
        await client.get(os.environ["OPENAI_BASE_URL"])
"""
THREADED = """
import logging

def agent(messages):
    logging.getLogger("theirs").info("in the adapter's thread")
    return "hello"
"""


def settings(**more: object) -> dict:
    model = {"provider": "anthropic", "name": "claude-x"}
    return {"api": {"auth": "none"}, "model": model, "health": {"when_model_down": "degraded"}} | more


@pytest.fixture(scope="module")
def running(start_shared):
    return start_shared(AGENT, settings=settings(), env={"SHIPWAY_ENV": "prod"})


def samples(running) -> dict[str, float]:
    lines = running.admin.get("/metrics").text.splitlines()
    return {line.rpartition(" ")[0]: float(line.rpartition(" ")[2]) for line in lines if line[:1] != "#"}


def lines(running, **wanted: object) -> list[dict]:
    found = [json.loads(line) for line in running.log().splitlines() if line.startswith("{")]
    return [line for line in found if wanted.items() <= line.items()]


def test_turns_are_counted(running):
    before = samples(running)
    running.ask("hi")
    running.ask("broken")
    assert running.ask("fail").status_code == 500
    failed = 'shipway_http_request_duration_seconds_count{status="500"}'
    running.wait_for(lambda: samples(running).get(failed), "request that failed")
    running.wait_for(lambda: samples(running)["shipway_loop_lag_seconds_count"], "beat")
    now = samples(running)

    def grown(series: str) -> float:
        return now.get(series, 0) - before.get(series, 0)

    assert grown('shipway_turns_total{outcome="ok"}') == 2
    assert grown('shipway_turns_total{outcome="error"}') == 1
    assert grown('shipway_turn_duration_seconds_count{outcome="ok"}') == 2
    assert grown("shipway_turn_first_token_seconds_count") == 2
    assert grown('shipway_turn_errors_total{type="LookupError"}') == 1
    assert grown('shipway_tokens_total{model="claude-x",type="input"}') == 200
    assert grown('shipway_tokens_total{model="small",type="output"}') == 8
    assert grown('shipway_tokens_within_total{model="claude-x",type="cached"}') == 120
    assert grown('shipway_tool_calls_total{outcome="ok",tool="find"}') == 1
    assert grown('shipway_tool_calls_total{outcome="error",tool="find"}') == 1
    assert grown('shipway_tool_calls_total{outcome="unfinished",tool="wait"}') == 2
    assert grown('shipway_http_request_duration_seconds_count{status="200"}') == 2
    assert now['shipway_turns_total{outcome="denied"}'] == 0


def test_what_runs_and_what_waits_is_seen(running):
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor() as pool:
        asked = [pool.submit(running.ask, "hold", conversation="held") for _ in range(2)]
        running.wait_for(lambda: samples(running)["shipway_turns_waiting"] == 1, "waiting turn")
        assert samples(running)["shipway_turns_active"] == 1
        assert samples(running)["shipway_http_requests_in_flight"] == 2
        running.ask("release")
        assert [future.result().status_code for future in asked] == [200, 200]
    running.wait_for(lambda: samples(running)["shipway_turns_active"] == 0, "end of turns")


def test_a_caller_that_leaves_is_seen(running):
    body = b'{"input": "stay"}'
    head = b"POST /v1/responses HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n"
    with socket.create_connection(("127.0.0.1", running.ports["API"])) as caller:
        caller.sendall(head + b"content-length: %d\r\n\r\n" % len(body) + body)
        running.wait_for(lambda: samples(running)["shipway_turns_active"] == 1, "turn")
    left = 'shipway_http_request_duration_seconds_count{status="499"}'
    running.wait_for(lambda: samples(running).get(left) == 1, "request that was left")
    assert samples(running)['shipway_turns_total{outcome="cancelled"}'] == 1
    assert lines(running, logger="shipway.turn", status="cancelled")


def test_every_line_of_a_turn_says_whose_it_is(running):
    answer = running.api.post(
        "/v1/responses", json={"input": "hi", "conversation": "c-1"}, headers={"traceparent": PARENT}
    )
    assert answer.json()["output"][-1]["content"][0]["text"] == f"{PARENT}1", "it can be handed on"
    known = {"conversation": "c-1", "turn": 1, "trace_id": PARENT[3:35], "span_id": PARENT[36:52]}
    running.wait_for(lambda: lines(running, logger="shipway.turn", **known), "line of the turn")
    (first,) = lines(running, message="on the loop", **known)
    assert first["found"] == 2
    assert lines(running, message="in a thread", **known)
    (line,) = lines(running, logger="shipway.turn", **known)
    assert line["message"].startswith("turn 1 ok in ")
    assert line["message"].endswith("s, 103 + 24 tokens, 2 tool calls")
    assert line["latency_s"] >= line["first_token_s"] > 0
    assert {"status": "ok", "input_tokens": 103, "tool_calls": 2, "cost": None}.items() <= line.items()


@pytest.mark.parametrize("bad", ["00-0-1-01", PARENT.replace("0af", "0AF"), "00-" + "0" * 32 + PARENT[35:]])
def test_a_traceparent_that_is_none_is_ignored(running, bad):
    answer = running.api.post("/v1/responses", json={"input": "hi"}, headers={"traceparent": bad})
    name = answer.json()["conversation"]["id"]
    running.wait_for(lambda: lines(running, logger="shipway.turn", conversation=name), "line of the turn")
    assert "trace_id" not in lines(running, logger="shipway.turn", conversation=name)[0]


def test_a_failure_is_logged_with_its_turn(running):
    running.ask("fail", conversation="c-2")
    running.wait_for(lambda: lines(running, logger="shipway.turn", conversation="c-2"), "line of the turn")
    (failed,) = lines(running, level="error", conversation="c-2")
    assert "LookupError" in failed["exception"]
    assert lines(running, status="error", conversation="c-2")


def test_what_the_models_sdk_raised_is_counted_by_its_type(start):
    model = {"provider": "openai", "name": "gpt-x"}
    running = start(
        MODEL,
        settings=settings(model=model),
        env={"SHIPWAY_ENV": "prod", "OPENAI_BASE_URL": "http://127.0.0.1:9"},
    )
    assert running.ask().json()["error"]["code"] == "model_unavailable"
    assert samples(running)['shipway_turn_errors_total{type="httpx2.ConnectError"}'] == 1


def test_for_people_lines_have_the_beginning_of_the_conversation(start):
    running = start(THREADED)
    running.ask("hi", conversation="0123456789")
    running.wait_for(lambda: "shipway.turn" in running.log(), "line of the turn")
    assert " INFO theirs [01234567]: in the adapter's thread\n" in running.log()
    assert " INFO shipway.turn [01234567]: turn 1 ok in " in running.log()


def test_a_turn_that_the_policy_refuses_is_counted_and_told(start):
    running = start(THREADED, env={"SHIPWAY_POLICY_JSON": '{"kill": {"all": true}}'})
    assert running.ask(conversation="0123456789").status_code == 503
    running.wait_for(lambda: running.outcomes(), "outcome")
    assert running.outcomes()[0]["status"] == "denied"
    assert samples(running)['shipway_turns_total{outcome="denied"}'] == 1
    assert not [name for name in samples(running) if name.startswith("shipway_turn_duration_seconds_count")]
    assert " INFO shipway.turn [01234567]: turn 0 denied in 0 ms" in running.log()


OWN = """
import logging

async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        while (await receive())["type"] != "lifespan.shutdown":
            await send({"type": "lifespan.startup.complete"})
        await send({"type": "lifespan.shutdown.complete"})
        return
    if scope["path"] == "/broken":
        raise ValueError("broken")
    logging.getLogger("theirs").info("asked")
    await send({"type": "http.response.start", "status": 418, "headers": []})
    await send({"type": "http.response.body", "body": b""})
"""


def test_the_users_own_application_has_numbers_and_traces_too(start):
    running = start(OWN, entrypoint="agent:app", settings=settings(model=None), env={"SHIPWAY_ENV": "prod"})
    running.api.get("/", headers={"traceparent": PARENT})
    running.api.get("/broken")
    failed = 'shipway_http_request_duration_seconds_count{status="500"}'
    running.wait_for(lambda: samples(running).get(failed) == 1, "request that failed")
    found = samples(running)
    assert found['shipway_http_request_duration_seconds_count{status="418"}'] == 1
    assert found["shipway_http_requests_in_flight"] == 0
    assert not [name for name in found if name.startswith("shipway_turn")]
    (line,) = lines(running, message="asked")
    assert line["trace_id"] == PARENT[3:35]
