"""HTTP servers behind the relay: services with their own ways."""

import asyncio
import contextlib
import json

import pytest

from shipway_runtime.contract import McpServer, ToolFilter

pytestmark = pytest.mark.slow


class Service:
    """An HTTP MCP server of a few lines. `script` answers a request: (status, headers, body or chunks)."""

    def __init__(self, script):
        self.script = script
        self.host = ""
        self.away = False  # hangs up without an answer
        self.requests = []  # (method, headers, message)
        self.bodies = []

    async def __call__(self, scope, receive, send):
        body, more = b"", True
        while more:
            part = await receive()
            body, more = body + part.get("body", b""), part.get("more_body", False)
        if self.away:
            raise ConnectionResetError
        headers = {k.decode(): v.decode() for k, v in scope["headers"]}
        self.bodies.append(body)
        message = json.loads(body) if body else None
        self.requests.append((scope["method"], headers, message))
        status, answer_headers, chunks = await self.script(scope["method"], headers, message)
        raw = [(k.encode(), v.encode()) for k, v in answer_headers.items()]
        await send({"type": "http.response.start", "status": status, "headers": raw})
        async for chunk in as_stream(chunks):
            await send({"type": "http.response.body", "body": chunk, "more_body": True})
        await send({"type": "http.response.body", "body": b""})


async def as_stream(chunks):
    if isinstance(chunks, bytes):
        yield chunks
    else:
        async for chunk in chunks:
            yield chunk


PARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
JSON = {"content-type": "application/json"}
EVENTS = {"content-type": "text/event-stream"}


def result(message, value):
    return json.dumps({"jsonrpc": "2.0", "id": message["id"], "result": value}).encode()


@contextlib.asynccontextmanager
async def in_front_of(harness, script, *, secrets=None, **settings):
    service = Service(script)
    async with harness.serving(service) as url:
        service.host = url.removeprefix("http://")
        server = McpServer("crm", "service", url=f"{url}/mcp", **settings)
        async with harness.running(server, secrets=secrets) as relay:
            yield relay, relay.client("crm"), service


def test_the_credential_goes_to_the_server_and_the_clients_own_does_not(harness):
    async def script(method, headers, message):
        return 200, JSON, result(message, {"tools": []})

    async def scenario():
        secrets = {"CRM": "first"}
        async with in_front_of(harness, script, secrets=secrets, auth="CRM") as (_, client, service):
            await client.post(
                "tools/list", authorization="Bearer agents-own", cookie="a=b", traceparent=PARENT
            )
            secrets["CRM"] = "rotated"
            await client.post("tools/list")
            del secrets["CRM"]
            error = (await client.post("tools/list")).json()["error"]
            assert error["message"] == "MCP server 'crm' needs the secret 'CRM', which is not there"
            (_, first, _), (_, second, _) = service.requests
            assert (first["authorization"], second["authorization"]) == ("Bearer first", "Bearer rotated")
            assert "cookie" not in first
            assert first["traceparent"] == PARENT
            assert first["host"] == service.host

    asyncio.run(scenario())


def test_redirects_are_not_followed_and_what_is_no_answer_is_an_error(harness):
    answers = iter(
        [
            (307, {"location": "http://127.0.0.1:9/mcp"}, b""),
            (401, {}, b"who are you"),
            (500, {"content-type": "text/html"}, b"<h1>Oops</h1>"),
        ]
    )

    async def script(method, headers, message):
        return next(answers)

    async def scenario():
        secrets = {"CRM": "t"}
        async with in_front_of(harness, script, secrets=secrets, auth="CRM") as (relay, client, service):
            redirect = await client.post("tools/list")
            assert redirect.status_code == 200
            assert "HTTP 307 to http://127.0.0.1:9/mcp; redirects are not followed" in redirect.text
            assert "HTTP 401; check the secret 'CRM'" in (await client.post("tools/list")).text
            broken = await client.modern("tools/list")
            assert broken.status_code == 503
            assert "saw HTTP 500: <h1>Oops</h1>" in broken.json()["error"]["message"]
            assert len(service.requests) == 3
            assert relay.relay.states()["crm"].state == "down"

    asyncio.run(scenario())


def test_a_server_that_is_not_there(harness):
    async def scenario():
        server = McpServer("crm", "service", url="http://127.0.0.1:9/mcp")
        async with harness.running(server) as relay:
            client = relay.client("crm")
            legacy = await client.post("tools/list", number="a")
            assert (legacy.status_code, legacy.json()["id"]) == (200, "a")
            assert legacy.json()["error"]["code"] == -32000
            assert (await client.tell("notifications/initialized")).status_code == 202
            modern = await client.modern("tools/list")
            assert modern.status_code == 503
            assert "cannot be reached" in modern.json()["error"]["message"]
            assert "cannot be reached" in await relay.relay.probe("crm")
            state = relay.relay.states()["crm"]
            assert (state.state, state.shape, state.pid) == ("down", "service", None)

    asyncio.run(scenario())


@pytest.mark.parametrize("url", ["http://[bad/mcp", "http://a:port/mcp", "ftp://127.0.0.1/mcp", "nonsense"])
def test_a_url_that_is_none_takes_no_other_server_down(harness, url):
    async def scenario():
        async with harness.running(McpServer("crm", "service", url=url), harness.toy_server()) as relay:
            answer = await relay.client("crm").post("ping")
            assert (answer.status_code, answer.json()["error"]["code"]) == (200, -32000)
            assert await relay.relay.probe("crm")
            assert (await relay.client().post("ping")).json()["result"] == {}

    asyncio.run(scenario())


def test_a_call_without_an_answer_ends_with_its_timeout(harness):
    async def script(method, headers, message):
        if "id" in message and message["method"] == "tools/call":
            await asyncio.sleep(30)
        return 202, {}, b""

    async def scenario():
        async with in_front_of(harness, script, timeout_s=0.3) as (relay, client, service):
            error = await client.failure("slow")
            assert relay.relay.states()["crm"].state == "starting"
            assert error == {"code": -32001, "message": "MCP server 'crm' did not answer within 0.3 s"}
            method, _, told = await harness.until(lambda: len(service.requests) == 2 and service.requests[1])
            assert (method, told["method"]) == ("POST", "notifications/cancelled")
            assert told["params"]["requestId"] == 1

    asyncio.run(scenario())


def test_events_pass_as_they_come_and_denied_tools_do_not(harness):
    async def script(method, headers, message):
        async def events():
            yield b": hello\n\nevent: message\nid: 1\ndata: "
            yield b'{"jsonrpc":"2.0","method":"notifications/progress","params":{}}\n'
            yield b"\ndata: " + result(message, {"tools": [{"name": "a"}, {"name": "b"}]}) + b"\n\n"

        return 200, EVENTS, events()

    async def scenario():
        async with in_front_of(harness, script, tools=ToolFilter(deny=("b",))) as (_, client, service):
            answer = await client.post("tools/list")
            assert answer.text.startswith(": hello\n\nevent: message\nid: 1\ndata: ")
            progress, listed = harness.events_of(answer.text)
            assert progress["method"] == "notifications/progress"
            assert listed["result"] == {"tools": [{"name": "a"}]}
            assert "not allowed by mcp.crm.tools" in (await client.failure("b"))["message"]
            assert len(service.requests) == 1

    asyncio.run(scenario())


def test_a_stream_that_breaks_off_ends_with_an_error(harness):
    async def script(method, headers, message):
        async def events():
            yield b'data: {"jsonrpc":"2.0","method":"notifications/progress","params":{}}\n\n'
            if message["params"]["name"] == "hang":
                await asyncio.sleep(30)
            if message["params"]["name"] == "break":
                raise ConnectionResetError

        return 200, EVENTS, events()

    async def scenario():
        async with in_front_of(harness, script, timeout_s=0.5) as (_, client, _service):
            for name, words in (
                ("end", "ended the stream without an answer"),
                ("break", "cannot be reached"),
                ("hang", "did not answer within 0.5 s"),
            ):
                answer = await client.post("tools/call", {"name": name})
                error = harness.events_of(answer.text)[-1]
                assert words in error["error"]["message"]
                assert error["id"] is not None

    asyncio.run(scenario())


@pytest.mark.parametrize(
    ("status", "body"), [(404, b""), (400, b"Bad Request: No valid session ID provided")]
)
def test_a_session_that_the_server_forgot_is_opened_again(harness, status, body):
    sessions = []

    async def script(method, headers, message):
        if message["method"] == "initialize":
            sessions[:] = [f"s{len(service.requests)}"]
            return (
                200,
                JSON | {"mcp-session-id": sessions[0]},
                result(message, {"protocolVersion": "2025-06-18"}),
            )
        if headers.get("mcp-session-id") not in sessions:
            return status, {}, body
        return (200, JSON, result(message, {})) if "id" in message else (202, {}, b"")

    async def scenario():
        nonlocal service
        async with in_front_of(harness, script) as (_, client, service):
            await client.open()
            first = client.session["mcp-session-id"]
            sessions.clear()
            answers = await asyncio.gather(*(client.post("ping") for _ in range(3)))
            assert [answer.json()["result"] for answer in answers] == [{}] * 3
            assert all("mcp-session-id" not in answer.headers for answer in answers)
            said = [message["method"] for _, _, message in service.requests]
            assert said.count("initialize") == 2
            assert said.count("notifications/initialized") == 2
            assert sessions != [first]

    service = None
    asyncio.run(scenario())


def test_a_legacy_server_is_probed_in_one_session(harness):
    sessions = set()

    async def script(method, headers, message):
        if message["method"] == "initialize":
            sessions.add(new := f"s{len(sessions)}")
            return (
                200,
                EVENTS | {"mcp-session-id": new},
                b"data: " + result(message, {"protocolVersion": "x"}) + b"\n\n",
            )
        if headers.get("mcp-session-id") in sessions:
            return 200, JSON, result(message, {})
        return 400, {}, b"no"

    async def scenario():
        async with in_front_of(harness, script) as (relay, _, service):
            for _ in range(3):
                assert await relay.relay.probe("crm") is None
            assert sessions == {"s0"}
            sessions.clear()
            assert await relay.relay.probe("crm") is None
            assert relay.relay.states()["crm"].state == "up"
            said = [message["method"] for _, _, message in service.requests]
            assert said == ["server/discover", "initialize", "ping", "ping", "ping", "initialize"]

    asyncio.run(scenario())


def test_a_probe_says_what_is_wrong(harness):
    answers = iter([(503, {}, b"later"), (401, {}, b""), (302, {"location": "/login"}, b"")])

    async def script(method, headers, message):
        return next(answers)

    async def scenario():
        async with in_front_of(harness, script) as (relay, _, _service):
            seen = [await relay.relay.probe("crm") for _ in range(3)]
            assert seen == ["answered HTTP 503", "answered HTTP 401", "answered HTTP 302 and no JSON-RPC"]

    asyncio.run(scenario())


def test_streams_and_deletes_pass_through(harness):
    async def script(method, headers, message):
        if method == "GET":

            async def events():
                yield b'data: {"jsonrpc":"2.0","method":"notifications/tools/list_changed"}\n\n'

            return 200, EVENTS, events()
        return 405, {"allow": "POST"}, b""

    async def scenario():
        async with in_front_of(harness, script) as (_, client, service):
            stream = await client.http.get(client.url, headers={"last-event-id": "9"})
            (message,) = harness.events_of(stream.text)
            assert message["method"] == "notifications/tools/list_changed"
            assert (await client.http.delete(client.url)).status_code == 405
            assert [method for method, _, _ in service.requests] == ["GET", "DELETE"]
            assert service.requests[0][1]["last-event-id"] == "9"

    asyncio.run(scenario())


def test_a_target_in_the_environment_wins(harness):
    async def script(method, headers, message):
        return 200, JSON, result(message, {"here": True})

    async def scenario():
        async with harness.serving(Service(script)) as url:
            server = McpServer("my-crm", "sidecar", url="http://127.0.0.1:9/mcp")
            async with harness.running(server, environ={"SHIPWAY_MCP_MY_CRM_TARGET": url}) as relay:
                assert (await relay.client("my-crm").post("ping")).json()["result"] == {"here": True}

    asyncio.run(scenario())


def test_a_session_that_nobody_can_open_again_is_gone_for_the_client_too(harness):
    async def script(method, headers, message):
        return 404, {}, b"Session not found"

    async def scenario():
        async with in_front_of(harness, script) as (_, client, _service):
            client.session = {"mcp-session-id": "of another relay"}
            assert (await client.post("ping")).status_code == 404

    asyncio.run(scenario())


# -- What a restarted server has forgotten -------------------------------------------------------------------


class Sessions:
    """A legacy server that keeps sessions until it is told to forget them."""

    def __init__(self):
        self.known, self.opened, self.said, self.streams = set(), 0, [], []

    def forget(self):
        self.known.clear()
        for stream in self.streams:
            stream.put_nowait(None)

    async def __call__(self, method, headers, message):
        session = headers.get("mcp-session-id")
        if message and message.get("method") == "initialize":
            self.opened += 1
            self.known.add(new := f"s{self.opened}")
            return 200, JSON | {"mcp-session-id": new}, result(message, {"protocolVersion": "2025-06-18"})
        if session not in self.known:
            return 404, {}, b"Session not found"
        if method == "GET":
            self.streams.append(stream := asyncio.Queue())
            self.said.append((session, "GET", headers.get("last-event-id")))
            return 200, EVENTS, self.events(stream)
        if message is None:
            return 204, {}, b""
        self.said.append((session, message["method"], message.get("params")))
        return (200, JSON, result(message, {})) if "id" in message else (202, {}, b"")

    async def events(self, stream):
        yield b": hello\n\n"
        while event := await stream.get():
            yield event


def test_a_reopened_session_has_its_log_level_and_its_subscriptions(harness):
    script = Sessions()

    async def scenario():
        async with in_front_of(harness, script) as (_, client, _service):
            await client.open()
            await client.post("logging/setLevel", {"level": "error"})
            for uri in ("a:1", "a:2", "a:3"):
                await client.post("resources/subscribe", {"uri": uri})
            await client.post("resources/unsubscribe", {"uri": "a:2"})
            script.forget()
            script.said.clear()
            assert (await client.post("ping")).json()["result"] == {}
            assert script.said == [
                ("s2", "notifications/initialized", None),
                ("s2", "logging/setLevel", {"level": "error"}),
                ("s2", "resources/subscribe", {"uri": "a:1"}),
                ("s2", "resources/subscribe", {"uri": "a:3"}),
                ("s2", "ping", None),
            ]

    asyncio.run(scenario())


def test_a_clients_stream_outlives_the_servers(harness):
    script = Sessions()

    async def scenario():
        async with in_front_of(harness, script) as (_, client, _service):
            await client.open()
            await client.post("resources/subscribe", {"uri": "a:1"})
            script.said.clear()
            async with client.http.stream("GET", client.url, headers=client.session) as stream:
                lines = stream.aiter_lines()
                await harness.until(lambda: len(script.streams) == 1)
                script.streams[0].put_nowait(b'id: 7\ndata: {"one":1}\n\n')
                assert await data_line(lines) == 'data: {"one":1}'
                script.streams[0].put_nowait(None)  # the same session, taken up where it was
                await harness.until(lambda: len(script.streams) == 2)
                script.forget()  # another one, where the number means nothing
                await harness.until(lambda: len(script.streams) == 3)
                script.streams[2].put_nowait(b'data: {"two":2}\n\n')
                assert await data_line(lines) == 'data: {"two":2}'
            assert script.said == [
                ("s1", "GET", None),
                ("s1", "GET", "7"),
                ("s2", "notifications/initialized", None),
                ("s2", "resources/subscribe", {"uri": "a:1"}),
                ("s2", "GET", None),
            ]

    asyncio.run(scenario())


async def data_line(lines):
    async for line in lines:
        if line.startswith("data"):
            return line
    return None


def test_a_stream_waits_for_a_server_that_is_away_and_ends_with_the_relay(harness):
    script = Sessions()

    async def scenario():
        async with in_front_of(harness, script) as (relay, client, service):
            await client.open()
            service.away = True
            async with client.http.stream("GET", client.url, headers=client.session) as stream:
                assert stream.status_code == 200
                lines = stream.aiter_lines()
                assert await anext(lines) == ": ping"
                service.away = False
                await harness.until(lambda: script.streams)
                script.streams[0].put_nowait(b'data: {"one":1}\n\n')
                assert await data_line(lines) == 'data: {"one":1}'
                await relay.relay.close(1.0)
                assert await data_line(lines) is None

    asyncio.run(scenario())


def test_a_stream_ends_with_its_session(harness):
    script = Sessions()

    async def scenario():
        async with in_front_of(harness, script) as (_, client, _service):
            await client.open()
            async with client.http.stream("GET", client.url, headers=client.session) as stream:
                await harness.until(lambda: script.streams)
                await client.http.delete(client.url, headers=client.session)
                script.forget()
                assert await data_line(stream.aiter_lines()) is None

    asyncio.run(scenario())


def test_a_server_without_streams_says_so_to_the_client(harness):
    async def script(method, headers, message):
        if method == "GET":
            return 405, {}, b""
        return 200, JSON | {"mcp-session-id": "s"}, result(message, {})

    async def scenario():
        async with in_front_of(harness, script) as (_, client, _service):
            await client.post("initialize", {"protocolVersion": "2025-06-18"})
            client.session = {"mcp-session-id": "s"}
            assert (await client.http.get(client.url, headers=client.session)).status_code == 405

    asyncio.run(scenario())


# -- Batches -------------------------------------------------------------------------------------------------


def batch(*messages):
    return [{"jsonrpc": "2.0", **message} for message in messages]


def test_a_batch_passes_and_its_denied_calls_are_refused_one_by_one(harness):
    async def script(method, headers, message):
        answers = [
            json.loads(result(m, {"tools": [{"name": "a"}, {"name": "b"}]})) for m in message if "id" in m
        ]
        if message[0]["method"] == "tools/list":
            return 200, JSON, json.dumps(answers).encode()

        async def events():
            for answer in answers:
                yield b"data: " + json.dumps(answer).encode() + b"\n\n"

        return 200, EVENTS, events()

    async def scenario():
        async with in_front_of(harness, script, tools=ToolFilter(deny=("b",))) as (_, client, service):
            allowed = {"id": 1, "method": "tools/call", "params": {"name": "a"}}
            denied = {"id": 2, "method": "tools/call", "params": {"name": "b"}}
            listing = {"id": 3, "method": "tools/list"}
            note = {"method": "notifications/initialized"}
            unheard = {"method": "tools/call", "params": {"name": "b"}}
            plain = await send(client, batch(listing, denied, note, unheard))
            first, second = plain.json()
            assert (first["id"], first["result"]) == (3, {"tools": [{"name": "a"}]})
            assert (second["id"], second["error"]["code"]) == (2, -32602)
            assert [m["method"] for m in service.requests[0][2]] == [
                "tools/list",
                "notifications/initialized",
            ]
            streamed = await send(client, batch(allowed, denied, listing))
            assert [answer["id"] for answer in harness.events_of(streamed.text)] == [2, 1, 3]
            assert harness.events_of(streamed.text)[2]["result"] == {"tools": [{"name": "a"}]}
            alone = await send(client, batch(denied))
            assert [answer["id"] for answer in alone.json()] == [2]
            assert (await send(client, batch(unheard))).status_code == 202
            assert len(service.requests) == 2
            for wrong in ([], [1], [[]], [{"jsonrpc": "1.0"}]):
                assert (await send(client, wrong)).status_code == 400

    asyncio.run(scenario())


async def send(client, body, **headers):
    return await client.http.post(client.url, json=body, headers=client_headers(headers))


def client_headers(headers):
    return {"accept": "application/json, text/event-stream", **headers}


def test_a_batch_takes_slots_and_ends_with_its_timeout(harness):
    async def script(method, headers, message):
        if isinstance(message, list):
            await asyncio.sleep(30)
        return 202, {}, b""

    async def scenario():
        async with in_front_of(harness, script, timeout_s=0.3, concurrency=2) as (_, client, service):
            calls = batch(*({"id": n, "method": "tools/call", "params": {"name": "a"}} for n in range(5)))
            answers = await asyncio.gather(*(send(client, calls) for _ in range(3)))
            for answer in answers:
                assert [(a["id"], a["error"]["code"]) for a in answer.json()] == [
                    (n, -32001) for n in range(5)
                ]
            batches = [message for _, _, message in service.requests if isinstance(message, list)]
            assert len(batches) < 3  # who had no slot in time was not asked

    asyncio.run(scenario())


# -- Servers that misbehave ----------------------------------------------------------------------------------

HTML = {"content-type": "text/html"}
WRONG = {
    "another's answer": (200, JSON, b'{"jsonrpc":"2.0","id":"someone","result":{}}'),
    "no JSON": (200, JSON, b"{nonsense"),
    "not JSON-RPC": (200, JSON, b'{"detail":"Not Found"}'),
    "nothing": (202, {}, b""),
    "a page": (200, HTML, b"<html>Please log in</html>"),
    "an error page": (502, HTML, b"<html>Bad Gateway</html>"),
    "who are you": (401, {"www-authenticate": "Bearer"}, b""),
    "forbidden, in JSON-RPC of nobody": (
        403,
        JSON,
        b'{"jsonrpc":"2.0","id":null,"error":{"code":1,"message":""}}',
    ),
    "go elsewhere": (308, {"location": "http://127.0.0.1:9/"}, b""),
    "an unfinished event": (200, EVENTS, b"data: {"),
    "events without an answer": (200, EVENTS, b"data: nonsense\n\ndata: []\n\n: hi\n\n"),
    "wrong encoding": (200, JSON | {"content-encoding": "gzip"}, b"no gzip"),
    "wrong encoding of events": (200, EVENTS | {"content-encoding": "gzip"}, b"no gzip"),
}


@pytest.mark.parametrize("wrong", WRONG.values(), ids=WRONG)
def test_whatever_a_server_says_the_caller_gets_a_jsonrpc_error(harness, wrong):
    async def script(method, headers, message):
        return wrong

    async def scenario():
        async with in_front_of(harness, script) as (relay, client, _service):
            legacy = await client.post("tools/call", {"name": "a"}, number="mine")
            assert legacy.status_code == 200
            modern = await client.modern("tools/call", {"name": "a"})
            for answer in (legacy, modern):
                events = answer.headers["content-type"] == "text/event-stream"
                said = json.loads(answer.text.rpartition("\ndata: ")[2]) if events else answer.json()
                assert said["id"] in ("mine", 1)
                assert said["error"]["message"]
                assert events or answer is legacy or answer.status_code in (403, 503)
            if wrong[0] != 202 and wrong[0] != 200:
                assert (await client.tell("notifications/initialized")).status_code == 202
                assert (await client.http.get(client.url)).status_code == 503
            await relay.relay.probe("crm")

    asyncio.run(scenario())


def test_answers_and_events_above_the_limit(harness):
    async def script(method, headers, message):
        kind = EVENTS if message["method"] == "events" else JSON
        return 200, kind, b"data: " + b"x" * 5000

    async def scenario():
        async with in_front_of(harness, script, message_limit=1000) as (relay, client, _service):
            assert "too large" in (await client.post("plain")).json()["error"]["message"]
            (said,) = harness.events_of((await client.post("events")).text)
            assert "too large" in said["error"]["message"]
            assert "too large" in await relay.relay.probe("crm")

    asyncio.run(scenario())


def test_a_server_that_hangs_holds_up_neither_notifications_nor_other_servers(harness):
    async def script(method, headers, message):
        if message["method"] != "fine":
            await asyncio.sleep(30)
        return 200, JSON, result(message, {})

    async def scenario():
        async with in_front_of(harness, script, timeout_s=0.4, concurrency=1) as (_, client, _service):
            call = asyncio.create_task(client.post("tools/call", {"name": "slow"}))
            told = await asyncio.gather(*(client.tell("notifications/progress") for _ in range(3)))
            assert [answer.status_code for answer in told] == [202] * 3
            answered = await send(client, {"jsonrpc": "2.0", "id": 1, "result": {}})
            assert answered.status_code == 202
            assert (await call).json()["error"]["code"] == -32001
            assert (await client.post("fine")).json()["result"] == {}

    asyncio.run(scenario())


def test_streams_take_no_slots_of_calls(harness):
    async def script(method, headers, message):
        if method == "GET":

            async def events():
                yield b": hello\n\n"
                await asyncio.sleep(30)

            return 200, EVENTS, events()
        return 200, JSON, result(message, {})

    async def scenario():
        async with (
            in_front_of(harness, script, concurrency=1) as (_, client, _service),
            contextlib.AsyncExitStack() as streams,
        ):
            for _ in range(30):
                await streams.enter_async_context(client.http.stream("GET", client.url))
            assert (await client.post("ping")).json()["result"] == {}

    asyncio.run(scenario())


def test_no_cookie_is_kept_and_nothing_of_the_servers_own_goes_back(harness):
    async def script(method, headers, message):
        own = {"set-cookie": "who=first", "location": "/", "www-authenticate": "Basic", "x-powered-by": "x"}
        return 200, JSON | own, result(message, {})

    async def scenario():
        async with in_front_of(harness, script) as (_, client, service):
            for _ in range(2):
                answer = await client.post(
                    "ping", cookie="mine=1", proxy_authorization="x", x_forwarded_for="y"
                )
                gone = {"set-cookie", "location", "www-authenticate", "x-powered-by"}
                assert gone.isdisjoint(answer.headers)
            for _, headers, _ in service.requests:
                assert {"cookie", "proxy-authorization", "x-forwarded-for"}.isdisjoint(headers)

    asyncio.run(scenario())


# -- The tool filter cannot be fooled ------------------------------------------------------------------------


@pytest.mark.parametrize(
    "body",
    [
        b'{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"b","name":"a"}}',
        b'{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"b"},"params":{"name":"a"}}',
        b'{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"a","Name":"b"}}',
        b'{"jsonrpc":"2.0","id":1,"method":"ping","Method":"tools/call","params":{"name":"b"}}',
        b'[{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"NAME":"b","name":"a"}}]',
    ],
)
def test_a_denied_tool_has_one_spelling(harness, body):
    async def script(method, headers, message):
        return 200, JSON, result(message, {})

    async def scenario():
        async with in_front_of(harness, script, tools=ToolFilter(deny=("b",))) as (_, client, service):
            answer = await client.http.post(client.url, content=body)
            assert answer.status_code == 200
            for seen in service.bodies:
                assert b'"b"' not in seen
            assert service.bodies or "in lower case" in answer.text

    asyncio.run(scenario())


def test_a_list_of_tools_that_is_fetched_later_is_filtered_too(harness):
    async def script(method, headers, message):
        async def events():
            yield b"id: 1\n\n"
            if method == "GET":
                yield b"data: " + result({"id": 5}, {"tools": [{"name": "a"}, {"name": "b"}, "c"]}) + b"\n\n"

        return 200, EVENTS, events()

    async def scenario():
        async with in_front_of(harness, script, tools=ToolFilter(deny=("b",))) as (_, client, _service):
            assert harness.events_of((await client.post("tools/list")).text) == []
            (listed,) = harness.events_of(
                (await client.http.get(client.url, headers={"last-event-id": "1"})).text
            )
            assert listed["result"] == {"tools": [{"name": "a"}]}

    asyncio.run(scenario())
