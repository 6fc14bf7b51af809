"""What control gets to read of real turns: whole runtimes, and a server that keeps what it is sent."""

from __future__ import annotations

import json

import pytest
from tests.control_server import ControlServer, fixed

from shipway_runtime.contract import Outcome, TurnText, decode

from .conftest import AGENT, outcomes

GRADE = "def score(turn): return float(turn.answer)"
FAILS = """
from shipway_runtime.dialogue import ToolCall, ToolResult

async def agent(messages, ctx):
    yield ToolCall("1", "pay", '{"card": "%s"}' % ctx.secret("TOKEN"))
    yield ToolResult("1", "declined", error=True)
    yield "I tried"
    raise ValueError("no " + ctx.secret("TOKEN"))
"""
TOKEN = {"env": {"TOKEN": "hunter22"}, "settings": {"secrets": {"TOKEN": {"source": "env"}}}}


@pytest.fixture
def server():
    server = ControlServer()
    yield server
    server.close()


def by_control(scored, server, scorer, agent=AGENT, **more):
    env = {"SHIPWAY_CONTROL_URL": server.url} | more.pop("env", {})
    return scored(scorer, agent, env=env, **more)


def sent(server, path="/v1/turns"):
    return [
        json.loads(line)
        for where, _, lines in server.requests
        if where.startswith(f"{path}?")
        for line in lines
    ]


def wait_for_texts(running, server, count):
    running.wait_for(lambda: len(sent(server)) >= count, f"{count} texts")
    return sent(server)


def test_a_turn_that_failed_is_read_without_secrets(scored, server):
    running = by_control(scored, server, GRADE, FAILS, **TOKEN)
    running.ask("use hunter22", conversation="c")
    (text,) = wait_for_texts(running, server, 1)
    running.wait_for(lambda: sent(server, "/v1/outcomes"), "its outcome")
    (outcome,) = sent(server, "/v1/outcomes")
    assert text == {
        **{key: outcome[key] for key in ("conversation", "turn", "revision", "tenant", "started", "status")},
        "messages": [{"role": "user", "content": "use [redacted]"}],
        "answer": "I tried",
        "tool_calls": [
            {
                "name": "pay",
                "arguments": '{"card": "[redacted]"}',
                "output": "declined",
                "error": True,
                "server": None,
            }
        ],
        "error": "ValueError: no [redacted]",
        "score": None,
        "left_out": 0,
        "format": 1,
    }
    line = json.dumps(text)
    assert decode(TurnText, line, "").identity == decode(Outcome, json.dumps(outcome), "").identity


def test_of_those_that_ended_well_only_the_poor_ones_are(scored, server):
    running = by_control(scored, server, GRADE)
    for grade in ("1", "0.5", "0.49", "none of them"):
        running.ask(grade)
    assert len(outcomes(running, 4)) == 4
    running.ask("0", conversation="last")
    texts = wait_for_texts(running, server, 2)
    assert [(text["answer"], text["score"], text["status"]) for text in texts] == [
        ("0.49", 0.49, "ok"),
        ("0", 0.0, "ok"),
    ]


def test_what_must_not_be_stored_does_not_leave(scored, server):
    running = by_control(scored, server, GRADE, "async def agent(messages, ctx): raise ValueError('no')")
    running.ask("secret", store=False)
    running.ask("open")
    (text,) = wait_for_texts(running, server, 1)
    assert text["messages"] == [{"role": "user", "content": "open"}]


def test_an_agent_without_a_scorer_sends_none(start, server):
    agent = "async def agent(messages, ctx): raise ValueError('no')"
    running = start(agent, env={"SHIPWAY_CONTROL_URL": server.url})
    running.ask(conversation="c")
    running.api.delete("/v1/conversations/c")
    running.terminate()
    assert running.exit_code() == 0
    assert len(sent(server, "/v1/outcomes")) == 1
    assert sent(server) == []


def test_control_hears_of_deletions(scored, server):
    running = by_control(scored, server, GRADE)
    running.ask("1", conversation="whole")
    running.ask("1", conversation="part")
    assert running.api.delete("/v1/conversations/whole").status_code == 200
    assert running.api.delete("/v1/responses/resp_part_1").status_code == 200
    assert running.api.delete("/v1/conversations/never").status_code == 404
    deletions = wait_for_texts(running, server, 2)
    assert [(line["conversation"], line["tenant"]) for line in deletions] == [("whole", None), ("part", None)]
    (first, second) = (line["deleted"] for line in deletions)
    assert first <= second


def test_texts_wait_for_control_on_disk(scored, server, tmp_path):
    server.answers = [fixed(503)]
    storage = tmp_path / "data"
    storage.mkdir()
    running = by_control(scored, server, GRADE, env={"SHIPWAY_STORAGE": str(storage)})
    running.ask("0")
    running.wait_for(lambda: sent(server), "attempt")
    running.terminate()
    assert running.exit_code() == 0
    assert "texts of turns do not reach control at" in running.log()
    left = [path.read_text() for path in (storage / "turns/test").rglob("*.ndjson")]
    assert [json.loads(text)["answer"] for text in left] == ["0"]
