"""HTTP servers behind the relay: services with their own ways."""

import asyncio
import contextlib
import json

import pytest

from shipway_runtime.contract import McpServer, ToolFilter


class Service:
    """An HTTP MCP server of a few lines. `script` answers a request: (status, headers, body or chunks)."""

    def __init__(self, script):
        self.script = script
        self.host = ""
        self.requests = []  # (method, headers, message)

    async def __call__(self, scope, receive, send):
        body, more = b"", True
        while more:
            part = await receive()
            body, more = body + part.get("body", b""), part.get("more_body", False)
        headers = {k.decode(): v.decode() for k, v in scope["headers"]}
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
