"""A trace from a request through the agent and its MCP client to the relay, with the SDK that people use."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from tests.otlp_collector import Collector
from tests.unit.runtime.conftest import start as start

PARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
TOY = Path(__file__).parents[1] / "unit/runtime/relay/toy_server.py"
AGENT = """
from mcp import Client

async def agent(messages, ctx):
    async with Client(ctx.mcp["toy"]) as client:
        await client.call_tool("echo", {"text": "hi"})
    return "done"
"""


def call(start, **env: str):
    """The agent's process after one turn, and the relay's log line about its call."""
    server = {"name": "toy", "shape": "inside", "command": [sys.executable, str(TOY)]}
    settings = {"api": {"auth": "none"}}
    running = start(AGENT, mcp=[server], settings=settings, env={"SHIPWAY_ENV": "prod"} | env)
    answer = running.api.post("/v1/responses", json={"input": "hi"}, headers={"traceparent": PARENT})
    assert answer.status_code == 200, running.log()
    lines = [json.loads(line) for line in running.log().splitlines() if line.startswith("{")]
    (line,) = [line for line in lines if line.get("tool") == "echo"]
    return running, line


def test_without_an_exporter_the_requests_trace_reaches_the_relay(start):
    _, line = call(start)
    assert line["trace_id"] == PARENT[3:35]


def test_with_one_the_clients_own_spans_lie_below_the_turn(start):
    collector = Collector()
    try:
        running, line = call(start, OTEL_EXPORTER_OTLP_ENDPOINT=collector.url)
        running.terminate()
        assert running.exit_code() == 0
        spans = {span.name: span for span in collector.spans()}
    finally:
        collector.close()
    turn = spans["invoke_agent test"]
    called = next(span for name, span in spans.items() if "tools/call" in name)
    assert line["trace_id"] == PARENT[3:35] == turn.trace_id.hex() == called.trace_id.hex()
    assert called.parent_span_id == turn.span_id
