"""What is counted and logged of the calls to a server, whatever its shape."""

import asyncio
import contextlib
import itertools
import json
import logging

import pytest

from shipway_runtime.contract import McpServer, ToolFilter
from shipway_runtime.relay.calls import Calls
from shipway_runtime.relay.messages import Unavailable

pytestmark = pytest.mark.slow

TRACE = "0af7651916cd43dd8448eb211c80319c"
PARENT = f"00-{TRACE}-b7ad6b7169203331-01"


@contextlib.asynccontextmanager
async def shaped(harness, shape, *options, **settings):
    """The toy server, inside or behind a second relay over HTTP. Gives the relay that the client talks to."""
    if shape == "inside":
        async with harness.running(harness.toy_server(*options, **settings)) as relay:
            yield relay
    else:
        async with harness.running(harness.toy_server(*options)) as behind:
            await behind.up()
            server = McpServer("toy", "sidecar", url=f"{behind.url}/mcp/toy", **settings)
            async with harness.running(server) as relay:
                yield relay


def counts(relay, name="toy"):
    """How the requests of each method and tool ended, without those of the session."""
    calls = relay.relay._backends[name].calls
    return {
        f"{method} {tool}".strip(): outcome
        for method, tool, outcome in calls.counts
        if method not in ("initialize", "ping")
    }


@pytest.mark.parametrize("shape", ["inside", "sidecar"])
def test_every_way_to_end_is_counted_alike_in_every_shape(harness, shape):
    async def scenario():
        settings = {"tools": ToolFilter(deny=("env",)), "timeout_s": 1.0}
        async with shaped(harness, shape, **settings) as relay:
            client = relay.client()
            await client.open()
            await client.post("tools/list")
            await client.call("echo", text="x")
            await client.post("tools/call", {"name": "nothing"})
            await client.post("prompts/list")
            await client.failure("env")
            await client.failure("hang")
            await client.failure("die")
            await client.post("made/up")
            assert counts(relay) == {
                "tools/list": "ok",
                "tools/call echo": "ok",
                "tools/call other": "tool_error",  # a name that the client made up
                "prompts/list": "rpc_error",
                "tools/call env": "denied",
                "tools/call hang": "timeout",
                "tools/call die": "unavailable",
                "other": "rpc_error",
            }

    asyncio.run(scenario())


def test_a_caller_that_hangs_up_and_one_too_many(harness):
    async def scenario():
        async with harness.running(harness.toy_server(concurrency=1)) as relay:
            await relay.up()
            calls, client = relay.relay._backends["toy"].calls, relay.client()
            arguments = {"name": "hang", "arguments": {}}
            first = asyncio.create_task(client.modern("tools/call", arguments))
            await harness.until(lambda: calls.in_flight == 1)
            others = [asyncio.create_task(client.modern("tools/call", arguments)) for _ in range(16)]
            await harness.until(lambda: calls.in_flight == 17)
            assert (await client.modern("tools/call", arguments)).status_code == 503
            for task in (first, *others):
                task.cancel()
            await harness.until(lambda: calls.in_flight == 0)
            assert calls.counts == {
                ("tools/call", "other", "busy"): 1,
                ("tools/call", "other", "cancelled"): 17,
            }
            assert sum(calls.durations["tools/call", "other"].counts) == 17

    asyncio.run(scenario())


def test_progress_streams_count_when_they_end(harness):
    async def scenario():
        async with harness.running(harness.toy_server()) as relay:
            client, calls = relay.client(), relay.relay._backends["toy"].calls
            await client.post("tools/list")
            params = {"name": "slow", "arguments": {}, "_meta": {"progressToken": "t"}}
            await client.post("tools/call", params)
            assert calls.counts["tools/call", "slow", "ok"] == 1
            assert calls.in_flight == 0

    asyncio.run(scenario())


def test_a_session_that_is_gone_is_no_success(harness):
    async def app(scope, receive, send):
        await receive()
        await send({"type": "http.response.start", "status": 404, "headers": []})
        await send({"type": "http.response.body", "body": b"no such session"})

    async def scenario():
        async with contextlib.AsyncExitStack() as stack:
            url = await stack.enter_async_context(harness.serving(app))
            server = McpServer("toy", "service", url=url)
            relay = await stack.enter_async_context(harness.running(server))
            answer = await relay.client().post("tools/list", mcp_session_id="old")
            assert answer.status_code == 404
            assert counts(relay) == {"tools/list": "rpc_error"}

    asyncio.run(scenario())


def test_names_that_clients_make_up_are_bounded():
    calls = Calls(McpServer("toy", "inside", ("x",)))
    numbers = itertools.count()

    def ask(name, answer):
        with calls.measure({"method": "tools/call", "params": {"name": name}}, {}) as call:
            call.answered(answer)

    for _ in range(1000):
        ask(f"made-up-{next(numbers)}", {"result": {"isError": True}})
        ask(f"wrong-{next(numbers)}", {"error": {"code": -32602, "message": "no such tool"}})
    assert set(calls.counts) == {("tools/call", "other", "tool_error"), ("tools/call", "other", "rpc_error")}
    for _ in range(1000):  # a server that answers whatever it is asked
        ask(f"answered-{next(numbers)}", {"result": {}})
    assert len(calls.counts) == 256 + 3
    assert sum(calls.counts.values()) == 3000


def test_what_was_heard_first_counts():
    calls = Calls(McpServer("toy", "inside", ("x",)))
    with contextlib.suppress(Unavailable), calls.measure({"method": "ping"}, {}) as call:
        call.answered({"result": {}})
        raise Unavailable("the stream broke after the answer")
    assert calls.counts == {("ping", "", "ok"): 1}


# -- Log lines ---------------------------------------------------------------------------------------------


def lines(caplog):
    return [r for r in caplog.records if r.name == "shipway.mcp" and hasattr(r, "tool")]


def test_a_line_for_each_call_of_a_tool_holds_neither_arguments_nor_results(harness, caplog):
    caplog.set_level(logging.INFO)

    async def scenario():
        async with harness.running(harness.toy_server()) as relay:
            client = relay.client()
            await client.post("tools/list")
            arguments = {"text": "private"}
            await client.post("tools/call", {"name": "echo", "arguments": arguments}, traceparent=PARENT)
            await client.post("tools/call", {"name": "private\nname", "arguments": arguments})
            await client.failure("die", why="private")

    asyncio.run(scenario())
    ok, unknown, died = lines(caplog)
    assert (ok.server, ok.tool, ok.outcome, ok.trace_id) == ("toy", "echo", "ok", TRACE)
    assert 0 < ok.duration_s < 60
    assert ok.getMessage().startswith("toy: echo ok in ")
    assert (unknown.tool, unknown.outcome) == ("private?name", "tool_error")
    assert (died.outcome, died.levelname) == ("unavailable", "WARNING")
    assert died.error == "MCP server 'toy' ended during the call"
    rest = [r.getMessage() for r in caplog.records if r.name.startswith("shipway") and r is not unknown]
    assert "private" not in json.dumps(rest)


def test_a_servers_own_error_text_is_not_logged(harness, caplog):
    caplog.set_level(logging.INFO)
    calls = Calls(McpServer("crm", "service", url="http://x"))
    with calls.measure({"method": "tools/call", "params": {"name": "find"}}, {}) as call:
        call.answered({"error": {"code": -32602, "message": "no customer called Ada Lovelace"}})
    (line,) = lines(caplog)
    assert line.error == "JSON-RPC error -32602"
    assert "Ada" not in line.getMessage()


def test_a_line_when_a_server_comes_and_one_when_it_goes(harness, caplog):
    caplog.set_level(logging.INFO)

    async def scenario():
        async with harness.running(harness.toy_server()) as relay:
            await relay.up()
            await relay.client().failure("die")
            await harness.until(lambda: relay.relay.states()["toy"].restarts == 1)
            state = await relay.up()
            assert "exited with code 7" in state.last_error
            assert state.last_error_at <= state.since

    asyncio.run(scenario())
    changes = [r for r in caplog.records if hasattr(r, "state")]
    assert [r.state for r in changes[:3]] == ["up", "down", "up"]
    assert changes[0].getMessage() == "toy is up, MCP 2025-11-25"
    assert changes[1].getMessage().startswith("toy is down: exited with code 7; its last words: ")
    assert changes[1].getMessage().endswith("; starting it again in 0.1 s")
    assert (changes[1].levelname, changes[2].restarts, changes[2].protocol) == ("WARNING", 1, "2025-11-25")


# -- Traces ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", ["inside", "sidecar"])
def test_a_trace_reaches_a_stdio_server_in_meta(harness, shape):
    async def scenario():
        async with shaped(harness, shape) as relay:
            client = relay.client()
            await client.open()
            params = {"name": "meta", "arguments": {}}
            headers = {"traceparent": PARENT, "tracestate": "nonsense", "baggage": "a=1"}
            answer = (await client.post("tools/call", params, **headers)).json()
            seen = json.loads(answer["result"]["content"][0]["text"])
            assert seen == {"traceparent": PARENT, "baggage": "a=1"}
            modern = (await client.modern("tools/call", {**params, "_meta": {"traceparent": PARENT}})).json()
            assert json.loads(modern["result"]["content"][0]["text"]) == {"traceparent": PARENT}

    asyncio.run(scenario())
