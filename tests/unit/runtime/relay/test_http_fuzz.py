"""Whatever comes in over HTTP gets an answer: never a 500, never none, and nothing else breaks."""

import asyncio
import json
import logging

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from shipway_runtime.contract import McpServer, ToolFilter
from shipway_runtime.relay import Relay

pytestmark = pytest.mark.slow

BOUND = 10.0  # seconds; no answer takes that long

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
METHODS = st.sampled_from(
    [
        *("initialize", "tools/call", "tools/list", "ping", "server/discover", "subscriptions/listen"),
        *("notifications/initialized", "notifications/cancelled", "logging/setLevel", "resources/subscribe"),
    ]
)
META = st.fixed_dictionaries(
    {},
    optional={
        "io.modelcontextprotocol/protocolVersion": st.sampled_from(["2026-07-28", "2025-06-18"]) | JSON,
        "io.modelcontextprotocol/clientCapabilities": JSON,
        "progressToken": JSON,
    },
)
PARAMS = st.fixed_dictionaries(
    {},
    optional={
        "name": st.sampled_from(["echo", "denied"]) | JSON,
        "arguments": st.just({"text": "x"}) | JSON,
        "protocolVersion": JSON,
        "requestId": JSON,
        "uri": JSON,
        "level": JSON,
        "_meta": META | JSON,
    },
)
MESSAGE = st.fixed_dictionaries(
    {"jsonrpc": st.just("2.0")},
    optional={
        "id": st.integers() | st.text(max_size=5) | JSON,
        "method": METHODS | JSON,
        "params": PARAMS | JSON,
    },
)
ODD = st.sampled_from(
    [b"", b"[" * 5000, b"{" * 100_000, b'{"a":' * 5000, b"\xff\xfe", b"null", b"1e999", b"NaN"]
)
BODY = (
    (MESSAGE | st.lists(MESSAGE, max_size=3) | JSON).map(lambda value: json.dumps(value).encode())
    | ODD
    | st.binary(max_size=30)
)
VALUE = st.text(st.characters(min_codepoint=32, max_codepoint=255, exclude_characters="\x7f"), max_size=12)
HEADERS = st.fixed_dictionaries(
    {},
    optional={
        "accept": st.sampled_from(["application/json", "text/event-stream", "*/*", ""]) | VALUE,
        "content-type": VALUE,
        "mcp-session-id": VALUE,
        "mcp-protocol-version": st.sampled_from(["2025-03-26", "2025-11-25", "2026-07-28"]) | VALUE,
        "mcp-method": METHODS | VALUE,
        "mcp-name": VALUE,
        "last-event-id": VALUE,
        "traceparent": VALUE,
    },
)
PATHS = st.sampled_from(
    [
        *(["/mcp/toy", "/mcp/crm"] * 5),
        *("/mcp/gone", "/mcp/toy/", "/mcp/none", "/mcp", "/", "//mcp//toy", "/mcp/\x00"),
    ]
)


class Channel:
    """The two ends of an ASGI call. The client hangs up once it has seen the start of an answer."""

    def __init__(self, body):
        self.body, self.status, self.started = body, None, asyncio.Event()

    async def receive(self):
        if self.body is not None:
            body, self.body = self.body, None
            return {"type": "http.request", "body": body, "more_body": False}
        await self.started.wait()
        return {"type": "http.disconnect"}

    async def send(self, message):
        if message["type"] == "http.response.start":
            assert self.status is None
            self.status = message["status"]
            for name, value in message["headers"]:
                assert not {b"\r", b"\n"} & set(name + value)
            self.started.set()


async def service(scope, receive, send):
    """A modest HTTP server behind the proxy: echoes what it understands."""
    body = (await receive()).get("body", b"")
    try:
        message = json.loads(body)
    except (ValueError, RecursionError):
        message = None
    number = message.get("id") if isinstance(message, dict) else None
    headers = [(b"content-type", b"application/json")]
    await send({"type": "http.response.start", "status": 200 if body else 405, "headers": headers})
    answer = json.dumps({"jsonrpc": "2.0", "id": number, "result": {"tools": [{"name": "denied"}, 1]}})
    await send({"type": "http.response.body", "body": answer.encode()})


@pytest.fixture(scope="module")
def stack(harness):
    """A relay with a stdio and an HTTP server, and the loop that it lives on."""
    with asyncio.Runner() as runner:
        serving = harness.serving(service)
        url = runner.run(serving.__aenter__())
        servers = [
            harness.toy_server("--ignore-eof", tools=ToolFilter(deny=("denied",)), timeout_s=0.5),
            McpServer("crm", "service", url=url, tools=ToolFilter(deny=("denied",)), timeout_s=0.5),
            McpServer("gone", "service", url="http://127.0.0.1:9/mcp", timeout_s=0.5),
        ]
        relay = Relay(servers, secret=lambda _: None, environ={"PATH": "/usr/bin:/bin"})
        runner.run(relay.start())
        runner.run(harness.Running(relay, "", None).up())
        yield runner, relay
        runner.run(relay.close(1.0))
        runner.run(serving.__aexit__(None, None, None))


@settings(max_examples=250, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.sampled_from(["POST", "POST", "POST", "GET", "DELETE", "PUT", "BREW"]), PATHS, HEADERS, BODY)
def test_every_request_is_answered_and_none_with_500(stack, caplog, method, path, headers, body):
    runner, relay = stack
    raw = [
        (name.encode(), value.encode("latin-1")) for name, value in {"host": "localhost", **headers}.items()
    ]
    scope = {"type": "http", "method": method, "path": path, "headers": raw}

    async def ask():
        channel = Channel(body)
        async with asyncio.timeout(BOUND):
            await relay.app(scope, channel.receive, channel.send)
        return channel.status

    with caplog.at_level(logging.ERROR):
        status = runner.run(ask())
    assert status in {200, 202, 204, 400, 403, 404, 405, 406, 413, 503}
    assert not caplog.records


def test_nesting_of_any_depth_is_an_answer_or_an_error(stack):
    runner, relay = stack

    async def ask(path, body):
        channel = Channel(body)
        scope = {"type": "http", "method": "POST", "path": path, "headers": [(b"host", b"localhost")]}
        async with asyncio.timeout(BOUND):
            await relay.app(scope, channel.receive, channel.send)
        return channel.status

    for depth in [*range(880, 1000, 3), 5000, 100_000]:
        nested = b'{"jsonrpc":"2.0","id":1,"method":"ping","params":{"a":%s}}' % (b"[" * depth + b"]" * depth)
        for path in ("/mcp/crm", "/mcp/toy"):
            for body in (nested, b"[" + nested + b"]"):
                assert runner.run(ask(path, body)) in (200, 400)


LOCAL = ["localhost", "LOCALHOST:1", "127.0.0.1", "127.0.0.1:8082", "[::1]", "[::1]:8082"]
FOREIGN = [
    *(
        "",
        " ",
        "evil.example",
        "localhost.",
        "localhost.evil.example",
        "127.0.0.1.evil.example",
        "127.1",
        "0",
    ),
    *(
        "evil@localhost",
        "localhost@evil.example",
        "localhost:1@evil.example",
        "localhost/",
        "localhost:",
        "::1",
    ),
    *(
        "localhost:x",
        "[::1",
        "[::ffff:127.0.0.1]",
        "127.0.0.1, evil.example",
        "localhost\t",
        "localhost#",
        "lo\xe7",
    ),
    "2130706433",
]


def answer_to(headers):
    """The status for a request with these headers, each pair as it is sent."""
    relay = Relay([], secret=lambda _: None, environ={})
    raw = [(name.encode(), value.encode("latin-1")) for name, value in headers]
    scope = {"type": "http", "method": "GET", "path": "/mcp/none", "headers": raw}
    channel = Channel(b"")

    async def ask():
        channel.started = asyncio.Event()
        await relay.app(scope, channel.receive, channel.send)

    asyncio.run(ask())
    return channel.status


@pytest.mark.parametrize("host", LOCAL)
def test_this_machine_may_be_named_in_its_ways(host):
    assert answer_to([("host", host)]) == 404
    for scheme in ("http", "https"):
        assert answer_to([("host", host), ("origin", f"{scheme}://{host}")]) == 404


@pytest.mark.parametrize("host", FOREIGN)
def test_no_other_host_or_origin_comes_through(host):
    assert answer_to([("host", host)]) == 403
    assert answer_to([("host", "localhost"), ("host", host)]) == 403
    assert answer_to([("host", host), ("host", "localhost")]) == 403
    assert answer_to([("host", "localhost"), ("origin", f"http://{host}")]) == 403


@pytest.mark.parametrize(
    "origin", ["", "null", "localhost", "//localhost", "file://localhost", "http://localhost/x"]
)
def test_an_origin_is_a_scheme_and_a_host(origin):
    assert answer_to([("host", "localhost"), ("origin", origin)]) == 403


def test_no_host_at_all():
    assert answer_to([]) == 403
